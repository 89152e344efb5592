//! Roles, authors and invitations.

use csw_core::{
    access::Role,
    ids::{AccountId, SimulationId},
    ports::{Store, StoreError},
    simulation::Invite,
};
use jiff::Timestamp;

use crate::world::{World, id, later, now, person};

fn invite(simulation: SimulationId, account: AccountId, name: &str, at: Timestamp) -> Invite {
    Invite { id: id!(InviteId), simulation, account, name: name.to_owned(), created_at: at, expires_at: later(at, 48) }
}

pub async fn roles(store: &dyn Store) {
    let world = World::new(store).await;
    let (zoe, bob) = (person(store, "Zoe").await, person(store, "bob").await);
    let (one, two) = (world.blank(world.owner).await, world.blank(world.owner).await);
    store.set_simulation_roles(one, &[(zoe, Some(Role::Read)), (bob, Some(Role::Write))]).await.unwrap();
    store.set_simulation_roles(one, &[(zoe, Some(Role::Admin))]).await.unwrap();
    assert_eq!(store.simulation_role(one, zoe).await.unwrap(), Some(Role::Admin));
    assert_eq!(store.simulation_role(one, world.owner).await.unwrap(), Some(Role::Admin));
    assert_eq!(store.simulation_role(two, bob).await.unwrap(), None);
    let mut roles = store.simulation_roles(&[one, two], world.owner).await.unwrap();
    roles.sort();
    assert_eq!(roles, [(one, Role::Admin), (two, Role::Admin)]);
    assert_eq!(store.simulation_roles(&[one, two], bob).await.unwrap(), [(one, Role::Write)]);
    assert!(store.simulation_roles(&[], bob).await.unwrap().is_empty());
    let everybody = store.collaborators(one).await.unwrap();
    let everybody: Vec<_> = everybody.iter().map(|who| (who.name.as_str(), who.role, who.is_owner)).collect();
    assert_eq!(everybody, [("Publisher", Role::Admin, true), ("bob", Role::Write, false), ("Zoe", Role::Admin, false)]);
    store.set_simulation_roles(one, &[(bob, None)]).await.unwrap();
    assert_eq!(store.simulation_role(one, bob).await.unwrap(), None);
}

pub async fn owners_stay_admins(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let id = world.blank(world.owner).await;
    for role in [None, Some(Role::Read), Some(Role::Write)] {
        let refused = store.set_simulation_roles(id, &[(bob, Some(Role::Write)), (world.owner, role)]).await;
        assert!(matches!(refused, Err(StoreError::State { .. })), "{refused:?}");
    }
    assert_eq!(store.simulation_role(id, bob).await.unwrap(), None, "all or none");
    store.set_simulation_roles(id, &[(world.owner, Some(Role::Admin))]).await.unwrap();
    assert_eq!(store.collaborators(id).await.unwrap().len(), 1);
    let nobody = store.set_simulation_roles(id, &[(id!(AccountId), Some(Role::Read))]).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
}

pub async fn invitations(store: &dyn Store) {
    let world = World::new(store).await;
    let (zoe, bob) = (person(store, "Zoe").await, person(store, "bob").await);
    let id = world.blank(world.owner).await;
    let at = now();
    let (to_zoe, to_bob) = (invite(id, zoe, "Zoe", at), invite(id, bob, "bob", at));
    store.invite(id, std::slice::from_ref(&to_zoe), at).await.unwrap();
    let again = invite(id, zoe, "Zoe", at);
    let to_owner = invite(id, world.owner, "Publisher", at);
    let mut open = store.invite(id, &[again, to_bob.clone(), to_owner], at).await.unwrap();
    open.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(open, [to_zoe.clone(), to_bob.clone()], "an open one stays, and authors are not invited");
    assert_eq!(store.simulation_role(id, bob).await.unwrap(), Some(Role::Read));
    assert_eq!(store.invite_by_id(to_bob.id).await.unwrap(), Some(to_bob.clone()));
    store.accept_invite(to_bob.id, at).await.unwrap();
    assert_eq!(store.authors(id).await.unwrap(), ["bob", "Publisher"], "sorted without regard to case");
    assert_eq!(store.invites(id).await.unwrap(), [to_zoe]);
    assert!(matches!(store.accept_invite(to_bob.id, at).await, Err(StoreError::NotFound { .. })));
    let other = world.blank(bob).await;
    let mut authors = store.authors_of(&[id, other]).await.unwrap();
    authors.sort();
    let mut expected = [(id, "Publisher"), (id, "bob"), (other, "bob")].map(|(id, name)| (id, name.to_owned()));
    expected.sort();
    assert_eq!(authors, expected);
}

pub async fn expired_invitations(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let id = world.blank(world.owner).await;
    let at = now();
    let first = invite(id, bob, "bob", at);
    store.invite(id, std::slice::from_ref(&first), at).await.unwrap();
    let after = later(at, 48);
    assert!(matches!(store.accept_invite(first.id, after).await, Err(StoreError::State { .. })));
    assert_eq!(store.invites(id).await.unwrap().len(), 1, "an expired one is still shown");
    let second = invite(id, bob, "bob", after);
    assert_eq!(store.invite(id, std::slice::from_ref(&second), after).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(store.invite_by_id(first.id).await.unwrap(), None);
    store.accept_invite(second.id, after).await.unwrap();
}

pub async fn leaving(store: &dyn Store) {
    let world = World::new(store).await;
    let (bob, zoe) = (person(store, "bob").await, person(store, "zoe").await);
    let id = world.blank(world.owner).await;
    assert!(!store.remove_author(id, bob).await.unwrap());
    store.set_simulation_roles(id, &[(zoe, Some(Role::Read))]).await.unwrap();
    let at = now();
    let (to_bob, to_zoe) = (invite(id, bob, "bob", at), invite(id, zoe, "zoe", at));
    store.invite(id, &[to_bob.clone(), to_zoe], at).await.unwrap();
    assert!(store.remove_author(id, zoe).await.unwrap(), "an invitation can be taken back");
    assert_eq!(store.simulation_role(id, zoe).await.unwrap(), Some(Role::Read), "a role given by itself stays");
    store.accept_invite(to_bob.id, at).await.unwrap();
    assert!(store.remove_author(id, bob).await.unwrap());
    assert_eq!(store.simulation_role(id, bob).await.unwrap(), None, "the role came with the invitation");
    assert_eq!(store.authors(id).await.unwrap(), ["Publisher"]);
    assert!(store.invites(id).await.unwrap().is_empty());
}
