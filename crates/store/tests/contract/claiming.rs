//! The queue.

use csw_core::{
    ids::AccountId,
    ports::{Hold, ParseApplied, Room, Store},
    run::{Reason, RunState, Task},
};

use crate::world::{ROOM, World, id, now, parse_end, person, sim_end};

pub async fn order(store: &dyn Store) {
    let world = World::new(store).await;
    assert!(world.claim().await.is_none());
    let (first, _) = world.validated(world.owner, None).await;
    let second = world.submitted(world.owner).await;
    let third = world.submitted(world.owner).await;
    let mut order = Vec::new();
    while let Some(claimed) = world.claim().await {
        assert_eq!((claimed.run.state, claimed.run.attempt), (RunState::Running, 1));
        assert!(claimed.run.started_at.is_some());
        assert_eq!(store.run(claimed.run.id).await.unwrap().as_ref(), Some(&claimed.run));
        order.push((claimed.run.task, claimed.run.simulation));
    }
    assert_eq!(order, [(Task::Parse, second), (Task::Parse, third), (Task::Sim, first)]);
}

pub async fn fairness(store: &dyn Store) {
    let world = World::new(store).await;
    let (bob, zoe) = (person(store, "bob").await, person(store, "zoe").await);
    for owner in [bob, bob, bob, bob, zoe, zoe, world.owner] {
        world.submitted(owner).await;
    }
    let mut turns: Vec<AccountId> = Vec::new();
    while let Some(claimed) = world.claim().await {
        turns.push(claimed.run.owner);
    }
    assert_eq!(turns, [bob, zoe, world.owner, bob, zoe, bob, bob]);
}

fn limited(world: &World<'_>, owner: AccountId, cpus: f64, gigabytes: u64) -> csw_core::ports::NewSimulation {
    let mut new = world.new_simulation(owner);
    let parse = new.parse.as_mut().unwrap();
    (parse.limits.cpus, parse.limits.memory_bytes) = (cpus, gigabytes << 30);
    new
}

pub async fn room(store: &dyn Store) {
    let world = World::new(store).await;
    world.add(&limited(&world, world.owner, 2.0, 6)).await;
    let gigabytes = |cpus, gigabytes: u64| Room { cpus, memory_bytes: gigabytes << 30 };
    let claim = |room, total| async move { store.claim(id!(Lease), room, total, now()).await.unwrap() };
    assert!(claim(gigabytes(1.5, 64), ROOM).await.is_none(), "too few CPUs are free");
    assert!(claim(gigabytes(8.0, 5), ROOM).await.is_none(), "too little memory is free");
    let total = gigabytes(1.0, 4);
    assert!(claim(gigabytes(0.5, 4), total).await.is_none());
    assert!(claim(total, total).await.is_some(), "who wants more than there is gets all there is");
    world.add(&limited(&world, world.owner, 2.0, 6)).await;
    assert!(claim(gigabytes(2.0, 6), ROOM).await.is_some());
}

pub async fn room_skips_only_what_does_not_fit(store: &dyn Store) {
    let world = World::new(store).await;
    for number in 0..60 {
        let owner = person(store, &format!("large{number}")).await;
        world.add(&limited(&world, owner, 4.0, 1)).await;
    }
    let small = person(store, "small").await;
    world.add(&limited(&world, small, 4.0, 1)).await;
    let fits = world.add(&limited(&world, small, 1.0, 1)).await;
    let little = Room { cpus: 1.0, memory_bytes: 1 << 40 };
    let claimed = store.claim(id!(Lease), little, ROOM, now()).await.unwrap().expect("one fits");
    assert_eq!(claimed.run.simulation, fits.id);
    assert!(store.claim(id!(Lease), little, ROOM, now()).await.unwrap().is_none());
    assert_eq!(store.queue_lengths().await.unwrap(), (61, 1));
}

pub async fn leases_fence(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.submitted(world.owner).await;
    let old = world.claim().await.unwrap();
    assert_eq!(store.hold(id!(RunId)).await.unwrap(), Hold::Unknown);
    assert_eq!(store.hold(old.run.id).await.unwrap(), Hold::Lease(old.lease));
    assert!(store.requeue(old.run.id, old.lease, "lost", false).await.unwrap());
    assert_eq!(store.hold(old.run.id).await.unwrap(), Hold::Nobody);
    assert_eq!(store.finish_parse(&parse_end(&old, None, false)).await.unwrap(), ParseApplied::Stale);
    let new = world.claim().await.unwrap();
    assert_eq!(new.run.id, old.run.id);
    assert!(!store.requeue(old.run.id, old.lease, "again", false).await.unwrap());
    assert_eq!(store.finish_parse(&parse_end(&old, None, false)).await.unwrap(), ParseApplied::Stale);
    assert_eq!(store.running().await.unwrap(), std::slice::from_ref(&new));
    let sim = world.run(Task::Sim, world.owner, None);
    let end = parse_end(&new, Some(sim), false);
    assert_eq!(store.finish_parse(&end).await.unwrap(), ParseApplied::Enqueued(id));
    assert_eq!(store.finish_parse(&end).await.unwrap(), ParseApplied::Stale, "it counts once");
    let old = world.claim().await.unwrap();
    store.requeue(old.run.id, old.lease, "lost", false).await.unwrap();
    let new = world.claim().await.unwrap();
    assert!(store.finish_sim(&sim_end(&old, Reason::Fail)).await.unwrap().is_empty());
    let end = sim_end(&new, Reason::Success);
    assert_eq!(store.finish_sim(&end).await.unwrap().len(), 1);
    assert!(store.finish_sim(&end).await.unwrap().is_empty(), "a second delivery changes nothing");
    assert!(!store.requeue(new.run.id, new.lease, "late", false).await.unwrap());
    assert_eq!(store.outputs(id).await.unwrap(), end.outputs);
}

pub async fn of_one_run(store: &dyn Store) {
    let world = World::new(store).await;
    let (first, second) = (world.submitted(world.owner).await, world.submitted(world.owner).await);
    let run = store.inputs(second).await.unwrap().run.unwrap();
    let lease = id!(Lease);
    assert!(store.claim_run(run, lease, now()).await.unwrap());
    assert!(!store.claim_run(run, id!(Lease), now()).await.unwrap(), "it is taken");
    assert!(!store.claim_run(id!(RunId), lease, now()).await.unwrap());
    assert_eq!(store.hold(run).await.unwrap(), Hold::Lease(lease));
    let claimed = store.run(run).await.unwrap().unwrap();
    assert_eq!((claimed.state, claimed.attempt, claimed.started_at.is_some()), (RunState::Running, 1, true));
    assert_eq!(world.claim().await.unwrap().run.simulation, first);
    assert!(world.claim().await.is_none());
}

pub async fn requeue(store: &dyn Store) {
    let world = World::new(store).await;
    world.submitted(world.owner).await;
    let first = world.claim().await.unwrap();
    assert!(store.requeue(first.run.id, first.lease, "handed back", true).await.unwrap());
    let run = store.run(first.run.id).await.unwrap().unwrap();
    assert_eq!((run.state, run.attempt, run.started_at), (RunState::Queued, 0, None));
    assert_eq!((run.message.as_deref(), run.enqueued_at), (Some("handed back"), first.run.enqueued_at));
    let second = world.claim().await.unwrap();
    assert_eq!(second.run.attempt, 1);
    store.requeue(second.run.id, second.lease, "lost", false).await.unwrap();
    assert_eq!(world.claim().await.unwrap().run.attempt, 2);
}

pub async fn positions(store: &dyn Store) {
    let world = World::new(store).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let new = world.new_simulation(world.owner);
        world.add(&new).await;
        runs.push(new.parse.unwrap().id);
    }
    for (ahead, run) in runs.iter().enumerate() {
        assert_eq!(store.queue_position(*run).await.unwrap(), Some((3, ahead as u64)));
    }
    assert_eq!(store.queue_lengths().await.unwrap(), (3, 0));
    world.claim().await.unwrap();
    assert_eq!(store.queue_position(runs[0]).await.unwrap(), None, "it does not wait");
    assert_eq!(store.queue_position(runs[2]).await.unwrap(), Some((2, 1)));
    assert_eq!(store.queue_lengths().await.unwrap(), (2, 1));
    assert_eq!(store.queue_position(id!(RunId)).await.unwrap(), None);
}
