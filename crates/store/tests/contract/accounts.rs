//! Accounts, tokens, sessions, password resets.

use csw_core::{
    access::{AccountRole, Role},
    account::{AccountPatch, Session, Token},
    page::PageRequest,
    ports::{Store, StoreError},
    run::Task,
    simulation::{Invite, SimulationPatch},
};

use crate::world::{World, account, id, later, now, person, sim_end};

pub async fn round_trips(store: &dyn Store) {
    let ada = account("Ada");
    store.insert_account(&ada).await.unwrap();
    assert_eq!(store.account(ada.id).await.unwrap(), Some(ada.clone()));
    let mut bare = account("bare");
    (bare.email, bare.password_hash, bare.role) = (String::new(), None, AccountRole::Admin);
    store.insert_account(&bare).await.unwrap();
    let bare_too = csw_core::account::Account { email: String::new(), ..account("bare2") };
    store.insert_account(&bare_too).await.unwrap();
    assert_eq!(store.account(bare.id).await.unwrap(), Some(bare.clone()));
    let page = store.accounts(PageRequest { number: 1, size: 2 }).await.unwrap();
    assert_eq!((page.total, page.items), (3, vec![ada, bare]));
    let page = store.accounts(PageRequest { number: 2, size: 2 }).await.unwrap();
    assert_eq!((page.total, page.items), (3, vec![bare_too]));
    assert_eq!(store.account(id!(AccountId)).await.unwrap(), None);
}

pub async fn names_and_addresses_ignore_case(store: &dyn Store) {
    let ada = account("Ada");
    store.insert_account(&ada).await.unwrap();
    assert_eq!(store.account_by_name("aDA").await.unwrap().unwrap().id, ada.id);
    assert_eq!(store.account_by_email("ADA@example.ORG").await.unwrap().unwrap().id, ada.id);
    assert_eq!(store.account_by_email("").await.unwrap(), None);
    let mut twin = account("ADA");
    twin.email = "other@example.org".into();
    assert!(matches!(store.insert_account(&twin).await, Err(StoreError::Conflict { what: "account name" })));
    let mut twin = account("other");
    twin.email = "ada@EXAMPLE.org".into();
    assert!(matches!(store.insert_account(&twin).await, Err(StoreError::Conflict { what: "account email" })));
}

pub async fn patches(store: &dyn Store) {
    let ada = account("Ada");
    store.insert_account(&ada).await.unwrap();
    person(store, "bob").await;
    let patch = AccountPatch { last_name: Some("King".to_owned()), is_active: Some(false), ..AccountPatch::default() };
    let patched = store.update_account(ada.id, &patch).await.unwrap();
    assert_eq!((patched.last_name.as_str(), patched.is_active, &patched.email), ("King", false, &ada.email));
    let patch = AccountPatch {
        email: Some("new@x.org".to_owned()),
        role: Some(AccountRole::Maintainer),
        ..AccountPatch::default()
    };
    let patched = store.update_account(ada.id, &patch).await.unwrap();
    assert_eq!(store.account_by_email("NEW@x.org").await.unwrap(), Some(patched));
    assert_eq!(store.account_by_email(&ada.email).await.unwrap(), None);
    let patch = AccountPatch { email: Some("BOB@example.org".to_owned()), ..AccountPatch::default() };
    let refused = store.update_account(ada.id, &patch).await;
    assert!(matches!(refused, Err(StoreError::Conflict { what: "account email" })), "{refused:?}");
    let missing = store.update_account(id!(AccountId), &AccountPatch::default()).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

pub async fn search_ranks(store: &dyn Store) {
    for name in ["anna", "Joanna", "Ann", "annabel", "zed", "a_n"] {
        person(store, name).await;
    }
    let gone = person(store, "annulled").await;
    store.update_account(gone, &AccountPatch { is_active: Some(false), ..AccountPatch::default() }).await.unwrap();
    let names = |text: &'static str, limit| async move {
        let found = store.search_accounts(text, limit).await.unwrap();
        found.into_iter().map(|account| account.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("ANN", 10).await, ["Ann", "anna", "annabel", "Joanna"]);
    assert_eq!(names("ann", 2).await, ["Ann", "anna"]);
    assert_eq!(names("_", 10).await, ["a_n"]);
    assert!(names("%", 10).await.is_empty());
}

pub async fn tokens(store: &dyn Store) {
    let (ada, bob) = (person(store, "ada").await, person(store, "bob").await);
    let start = now();
    let token = |hash: &str, expires_at| Token {
        id: id!(TokenId),
        account: ada,
        name: "laptop".to_owned(),
        prefix: "cs_abc".to_owned(),
        hash: hash.to_owned(),
        created_at: now(),
        expires_at,
        last_used_at: None,
    };
    let (forever, short) = (token("h1", None), token("h2", Some(later(start, 1))));
    store.insert_token(&forever).await.unwrap();
    store.insert_token(&short).await.unwrap();
    assert_eq!(store.tokens(ada).await.unwrap(), [short.clone(), forever.clone()]);
    let (whose, found) = store.account_by_token("h2", start).await.unwrap().unwrap();
    assert_eq!((whose.id, found), (ada, short.clone()));
    assert!(store.account_by_token("h2", later(start, 1)).await.unwrap().is_none(), "it has expired");
    assert!(store.account_by_token("h1", later(start, 99_999)).await.unwrap().is_some());
    assert!(store.account_by_token("h3", start).await.unwrap().is_none());
    store.touch_token(forever.id, start).await.unwrap();
    assert_eq!(store.tokens(ada).await.unwrap()[1].last_used_at, Some(start));
    assert!(!store.delete_token(bob, forever.id).await.unwrap(), "it is not bob's");
    assert!(store.delete_token(ada, forever.id).await.unwrap());
    assert!(!store.delete_token(ada, forever.id).await.unwrap());
    let orphan = Token { account: id!(AccountId), ..token("h4", None) };
    let refused = store.insert_token(&orphan).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
}

pub async fn sessions(store: &dyn Store) {
    let ada = person(store, "ada").await;
    let start = now();
    for hash in ["s1", "s2", "s3"] {
        let session = Session { hash: hash.to_owned(), account: ada, created_at: start, expires_at: later(start, 1) };
        store.insert_session(&session).await.unwrap();
    }
    let open = |hash: &'static str, time| async move { store.account_by_session(hash, time).await.unwrap().is_some() };
    assert!(open("s1", start).await);
    assert!(!open("s1", later(start, 1)).await);
    store.delete_session("s1").await.unwrap();
    assert!(!open("s1", start).await);
    store.delete_sessions(ada, Some("s3")).await.unwrap();
    assert_eq!((open("s2", start).await, open("s3", start).await), (false, true));
    store.delete_sessions(ada, None).await.unwrap();
    assert!(!open("s3", start).await);
}

pub async fn resets(store: &dyn Store) {
    let ada = person(store, "ada").await;
    let start = now();
    store.insert_password_reset("r1", ada, later(start, 1)).await.unwrap();
    assert_eq!(store.take_password_reset("r1", start).await.unwrap(), Some(ada));
    assert_eq!(store.take_password_reset("r1", start).await.unwrap(), None, "it works once");
    store.insert_password_reset("r2", ada, later(start, 1)).await.unwrap();
    assert_eq!(store.take_password_reset("r2", later(start, 1)).await.unwrap(), None, "it is too late");
}

pub async fn removal_leaves_no_person(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let private = world.finished(world.owner, None).await;
    let public = world.finished(world.owner, None).await;
    let shown = SimulationPatch { is_public: Some(true), ..SimulationPatch::default() };
    store.update_simulation(public, &shown, now()).await.unwrap();
    let bobs = world.finished(bob, None).await;
    store.set_simulation_roles(bobs, &[(world.owner, Some(Role::Write))]).await.unwrap();
    let other = person(store, "other").await;
    store.set_model_role(world.model, other, Some(Role::Write)).await.unwrap();
    let start = now();
    let invite = Invite {
        id: id!(InviteId),
        simulation: bobs,
        account: world.owner,
        name: String::new(),
        created_at: start,
        expires_at: later(start, 1),
    };
    store.invite(bobs, &[invite], start).await.unwrap();
    let token = Token {
        id: id!(TokenId),
        account: world.owner,
        name: String::new(),
        prefix: String::new(),
        hash: "h".to_owned(),
        created_at: start,
        expires_at: None,
        last_used_at: None,
    };
    store.insert_token(&token).await.unwrap();

    store.delete_account(world.owner).await.unwrap();
    assert!(store.account_by_name("publisher").await.unwrap().is_none());
    assert!(store.account_by_email("publisher@example.org").await.unwrap().is_none());
    assert!(store.account_by_token("h", start).await.unwrap().is_none());
    assert!(store.simulation_by_id(private).await.unwrap().is_none());
    assert!(store.invites(bobs).await.unwrap().is_empty());
    assert_eq!(store.simulation_role(bobs, world.owner).await.unwrap(), None);
    let left = world.get(public).await;
    assert!(!left.owner_name.to_lowercase().contains("publisher"), "{}", left.owner_name);
    let model = store.model(world.model).await.unwrap().unwrap();
    assert_eq!(store.model_by_name(model.owner_name.as_str(), "taxes").await.unwrap(), Some(model));
    assert_eq!(store.outputs(public).await.unwrap().len(), 3);
    if let Some(rest) = store.account(world.owner).await.unwrap() {
        assert!(!rest.is_active && rest.email.is_empty() && rest.password_hash.is_none(), "{rest:?}");
        assert!(rest.first_name.is_empty() && rest.last_name.is_empty(), "{rest:?}");
    }
    store.insert_account(&account("Publisher")).await.expect("name and address are free again");
}

pub async fn removal_ends_private_simulations(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    // One executes, one is shared with somebody else, one waits for its validation.
    let (alone, _) = world.validated(bob, None).await;
    let running = world.claim().await.unwrap();
    assert_eq!(running.run.simulation, alone);
    let (mine, _) = world.validated(bob, Some("k")).await;
    let (others, applied) = world.validated(world.owner, Some("k")).await;
    assert!(matches!(applied, csw_core::ports::ParseApplied::Joined(..)));
    let waiting = world.submitted(bob).await;

    store.delete_account(bob).await.unwrap();
    for gone in [alone, mine, waiting] {
        assert!(store.simulation_by_id(gone).await.unwrap().is_none(), "private simulations go with their owner");
    }
    assert!(store.run(running.run.id).await.unwrap().is_none_or(|run| run.cancel_requested));
    let next = world.claim().await.expect("the shared run is still wanted");
    assert_eq!((next.run.task, next.run.owner), (Task::Sim, world.owner));
    let ended = store.finish_sim(&sim_end(&next, csw_core::run::Reason::Success)).await.unwrap();
    assert_eq!(ended.iter().map(|simulation| simulation.id).collect::<Vec<_>>(), [others]);
    assert!(world.claim().await.is_none(), "nobody waits for a validation of a removed simulation");
    let late = store.finish_sim(&sim_end(&running, csw_core::run::Reason::Success)).await.unwrap();
    assert!(late.is_empty());
}
