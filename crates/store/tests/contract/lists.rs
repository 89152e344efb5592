//! Lists of simulations.

use csw_core::{
    access::Role,
    ids::SimulationId,
    page::PageRequest,
    ports::{SimulationFilter, SimulationOrder, Store},
    run::Reason,
    simulation::{SimulationPatch, SimulationStatus},
};

use crate::world::{World, account, model, now, person};

async fn found(store: &dyn Store, filter: SimulationFilter) -> Vec<SimulationId> {
    let page = store.simulations(&filter, PageRequest { number: 1, size: 100 }).await.unwrap();
    assert_eq!(page.total, page.items.len() as u64);
    page.items.into_iter().map(|simulation| simulation.id).collect()
}

pub async fn filters(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let finished = world.finished(world.owner, None).await;
    let started = world.blank(world.owner).await;
    let theirs = world.blank(bob).await;
    let all = SimulationFilter::default;
    assert_eq!(found(store, all()).await, [theirs, started, finished]);
    let own = SimulationFilter { account: Some(bob), ..all() };
    assert_eq!(found(store, own.clone()).await, [theirs]);
    store.set_simulation_roles(started, &[(bob, Some(Role::Read))]).await.unwrap();
    assert_eq!(found(store, own.clone()).await, [theirs]);
    assert_eq!(found(store, SimulationFilter { shared: true, ..own }).await, [theirs, started]);
    let success = SimulationFilter { status: Some(SimulationStatus::Success), ..all() };
    assert_eq!(found(store, success).await, [finished]);
    let patch = SimulationPatch { is_public: Some(true), archived: Some(true), ..SimulationPatch::default() };
    store.update_simulation(finished, &patch, now()).await.unwrap();
    assert_eq!(found(store, SimulationFilter { public_only: true, ..all() }).await, [finished]);
    assert_eq!(found(store, SimulationFilter { archived: Some(true), ..all() }).await, [finished]);
    assert_eq!(found(store, SimulationFilter { archived: Some(false), ..all() }).await, [theirs, started]);
    let other = model(&store.account(bob).await.unwrap().unwrap(), "Other");
    store.insert_model(&other).await.unwrap();
    let there = World { model: other.id, ..world }.blank(bob).await;
    assert_eq!(found(store, SimulationFilter { model: Some(other.id), ..all() }).await, [there]);
    let page = store.simulations(&all(), PageRequest { number: 2, size: 3 }).await.unwrap();
    assert_eq!((page.total, page.items.len(), page.items[0].id), (4, 1, finished));
}

pub async fn orders(store: &dyn Store) {
    let world = World::new(store).await;
    let ada = account("ada");
    store.insert_account(&ada).await.unwrap();
    let other = model(&ada, "Zoo");
    store.insert_model(&other).await.unwrap();
    let mut ids = Vec::new();
    for (model, title) in [(world.model, "b"), (other.id, "C"), (world.model, "a")] {
        let mut new = World { model, ..world }.new_simulation(world.owner);
        (new.title, new.model) = (title.to_owned(), model);
        (new.inputs, new.parse) = (csw_core::simulation::Inputs::blank(), None);
        ids.push(world.add(&new).await.id);
    }
    let by = |keys: &[(SimulationOrder, bool)]| {
        let filter = SimulationFilter { order: keys.to_vec(), ..SimulationFilter::default() };
        async move { found(store, filter).await }
    };
    let [b, c, a] = ids[..] else { panic!("three") };
    assert_eq!(by(&[]).await, [a, c, b]);
    assert_eq!(by(&[(SimulationOrder::CreatedAt, false)]).await, [b, c, a]);
    assert_eq!(by(&[(SimulationOrder::Title, false)]).await, [a, b, c], "without regard to case");
    assert_eq!(by(&[(SimulationOrder::ModelTitle, true), (SimulationOrder::Title, false)]).await, [c, a, b]);
    assert_eq!(by(&[(SimulationOrder::ModelOwner, false), (SimulationOrder::CreatedAt, false)]).await, [c, b, a]);
    assert_eq!(by(&[(SimulationOrder::Status, false), (SimulationOrder::CreatedAt, true)]).await, [a, c, b]);
}

pub async fn search_is_literal_and_ignores_case(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "Bob").await;
    let percent = world.finished(bob, None).await;
    let patch = SimulationPatch { title: Some("Ökonomie: 50% off!".to_owned()), ..SimulationPatch::default() };
    store.update_simulation(percent, &patch, now()).await.unwrap();
    let failed = world.submitted(world.owner).await;
    world.validate(None, false).await;
    world.simulate(Reason::Fail).await;
    for (words, expected) in [
        ("ökonomie", vec![percent]),
        ("50%", vec![percent]),
        ("%", vec![percent]),
        ("off!", vec![percent]),
        ("_", vec![]),
        ("BOB taxes", vec![percent]),
        ("publisher", vec![failed, percent]),
        ("  ", vec![failed, percent]),
        ("nothing", vec![]),
    ] {
        let filter = SimulationFilter { search: Some(words.to_owned()), ..SimulationFilter::default() };
        assert_eq!(found(store, filter).await, expected, "{words}");
    }
}
