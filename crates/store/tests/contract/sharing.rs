//! Single flight, the memo, and what cancelling does to those who share.

use csw_core::{
    memo::MemoKey,
    ports::{Cancelled, ParseApplied, Store},
    run::{Reason, RunState, Task},
    simulation::{InputsStatus, SimulationStatus},
};

use crate::world::{World, now, person, sim_end};

fn key(text: &str) -> MemoKey {
    MemoKey::from_stored(text.to_owned())
}

pub async fn join_and_distribute(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let (first, _) = world.validated(world.owner, Some("k")).await;
    let run = world.get(first).await.run.unwrap();
    let (second, applied) = world.validated(bob, Some("k")).await;
    assert_eq!(applied, ParseApplied::Joined(second, run));
    let claimed = world.claim().await.unwrap();
    let (third, applied) = world.validated(bob, Some("k")).await;
    assert_eq!(applied, ParseApplied::Joined(third, run), "one that executes is joined too");
    let (other, applied) = world.validated(bob, Some("other")).await;
    assert_eq!(applied, ParseApplied::Enqueued(other));
    assert_eq!(world.get(third).await.status, SimulationStatus::Pending);
    let end = sim_end(&claimed, Reason::Success);
    let mut ended = store.finish_sim(&end).await.unwrap();
    ended.sort_by_key(|simulation| simulation.number);
    assert_eq!(ended.iter().map(|simulation| simulation.id).collect::<Vec<_>>(), [first, second, third]);
    for simulation in &ended {
        assert_eq!((simulation.status, simulation.run), (SimulationStatus::Success, Some(run)));
        assert_eq!(store.outputs(simulation.id).await.unwrap(), end.outputs);
        assert_eq!(world.get(simulation.id).await, *simulation);
    }
    let costs: Vec<_> = ended.iter().map(|simulation| simulation.cost).collect();
    assert_eq!(costs, [0.25, 0.0, 0.0], "what was computed once is paid once");
    assert_eq!(world.get(other).await.status, SimulationStatus::Pending);
}

pub async fn memo_answers(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    assert_eq!(store.memo(&key("k")).await.unwrap(), None);
    let first = world.finished(world.owner, Some("k")).await;
    let original = world.get(first).await;
    assert_eq!(store.memo(&key("k")).await.unwrap(), original.run);
    let (second, applied) = world.validated(bob, Some("k")).await;
    assert_eq!(applied, ParseApplied::Answered(second, original.run.unwrap()));
    let answered = world.get(second).await;
    assert_eq!((answered.status, answered.reason), (SimulationStatus::Success, Some(Reason::Success)));
    assert_eq!((answered.answered_by, answered.run), (original.run, None));
    assert_eq!((answered.cost.to_bits(), answered.run_milliseconds), (0.0_f64.to_bits(), original.run_milliseconds));
    assert_eq!((&answered.model_version, answered.version), (&original.model_version, original.version));
    assert!(answered.finished_at.is_some());
    assert_eq!(store.outputs(second).await.unwrap(), store.outputs(first).await.unwrap());
    assert!(world.claim().await.is_none());
}

pub async fn memo_outlives_the_first(store: &dyn Store) {
    let world = World::new(store).await;
    let first = world.finished(world.owner, Some("k")).await;
    let (second, _) = world.validated(world.owner, Some("k")).await;
    assert!(store.delete_simulation(first).await.unwrap().is_empty());
    let (third, applied) = world.validated(world.owner, Some("k")).await;
    assert!(matches!(applied, ParseApplied::Answered(..)));
    assert_eq!(store.outputs(third).await.unwrap(), store.outputs(second).await.unwrap());
    assert_eq!(store.outputs(third).await.unwrap().len(), 3);
}

pub async fn own_run_where_sharing_is_not_wanted(store: &dyn Store) {
    let world = World::new(store).await;
    let first = world.finished(world.owner, Some("k")).await;
    let second = world.submitted(world.owner).await;
    assert_eq!(world.validate(Some("k"), false).await, ParseApplied::Enqueued(second));
    let third = world.submitted(world.owner).await;
    assert_eq!(world.validate(Some("k"), false).await, ParseApplied::Enqueued(third));
    assert_eq!(world.simulate(Reason::Success).await.len(), 1);
    assert_eq!(world.simulate(Reason::Success).await.len(), 1);
    assert_ne!(world.get(first).await.run, world.get(second).await.run);
    let fourth = world.submitted(world.owner).await;
    assert_eq!(world.validate(None, true).await, ParseApplied::Enqueued(fourth), "without a key nothing is shared");
}

pub async fn cancel_of_queued(store: &dyn Store) {
    let world = World::new(store).await;
    let (id, _) = world.validated(world.owner, Some("k")).await;
    let run = world.get(id).await.run.unwrap();
    let time = now();
    assert_eq!(store.cancel(id, time).await.unwrap(), Cancelled::Done);
    let simulation = world.get(id).await;
    assert_eq!((simulation.status, simulation.reason), (SimulationStatus::WorkerFailure, Some(Reason::Cancelled)));
    assert!(simulation.traceback.is_some_and(|sentence| !sentence.is_empty()));
    assert_eq!(simulation.finished_at, Some(time));
    let run = store.run(run).await.unwrap().unwrap();
    assert_eq!((run.state, run.reason), (RunState::Finished, Some(Reason::Cancelled)));
    assert!(world.claim().await.is_none());
    assert_eq!(store.cancel(id, now()).await.unwrap(), Cancelled::NotPending);
    let blank = world.blank(world.owner).await;
    assert_eq!(store.cancel(blank, now()).await.unwrap(), Cancelled::NotPending);
    assert!(store.delete_simulation(id).await.is_ok());
}

pub async fn cancel_of_running(store: &dyn Store) {
    let world = World::new(store).await;
    let (id, _) = world.validated(world.owner, Some("k")).await;
    let claimed = world.claim().await.unwrap();
    assert_eq!(store.cancel(id, now()).await.unwrap(), Cancelled::Running(claimed.run.id));
    assert_eq!(world.get(id).await.status, SimulationStatus::Pending, "the executor has to stop it first");
    assert!(store.running().await.unwrap()[0].run.cancel_requested);
    let (late, applied) = world.validated(world.owner, Some("k")).await;
    assert_eq!(applied, ParseApplied::Enqueued(late), "nobody joins a run that is being stopped");
    let ended = store.finish_sim(&sim_end(&claimed, Reason::Cancelled)).await.unwrap();
    assert_eq!(ended.iter().map(|simulation| simulation.id).collect::<Vec<_>>(), [id]);
    assert_eq!(ended[0].reason, Some(Reason::Cancelled));
}

pub async fn cancel_of_shared(store: &dyn Store) {
    let world = World::new(store).await;
    let (bob, zoe) = (person(store, "bob").await, person(store, "zoe").await);
    let (first, _) = world.validated(world.owner, Some("k")).await;
    let (second, _) = world.validated(bob, Some("k")).await;
    let (third, _) = world.validated(zoe, Some("k")).await;
    let run = world.get(first).await.run.unwrap();
    assert_eq!(store.cancel(first, now()).await.unwrap(), Cancelled::Done);
    assert_eq!(world.get(first).await.reason, Some(Reason::Cancelled));
    assert!(store.delete_simulation(first).await.unwrap().is_empty());
    assert_eq!(store.run(run).await.unwrap().unwrap().state, RunState::Queued);
    let claimed = world.claim().await.unwrap();
    assert_eq!((claimed.run.simulation, claimed.run.owner), (second, bob), "the next one leads");
    assert_eq!(store.cancel(third, now()).await.unwrap(), Cancelled::Done, "others still want the run");
    assert_eq!(store.cancel(second, now()).await.unwrap(), Cancelled::Running(run), "the last one stops it");
    let ended = store.finish_sim(&sim_end(&claimed, Reason::Success)).await.unwrap();
    assert_eq!(ended.iter().map(|simulation| simulation.id).collect::<Vec<_>>(), [second]);
    assert_eq!(ended[0].cost.to_bits(), 0.25_f64.to_bits(), "whoever leads pays");
    assert_eq!(world.get(third).await.status, SimulationStatus::WorkerFailure);
}

pub async fn cancel_of_validation(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.submitted(world.owner).await;
    assert_eq!(store.cancel(id, now()).await.unwrap(), Cancelled::Done);
    let inputs = store.inputs(id).await.unwrap();
    assert_eq!(inputs.status, InputsStatus::WorkerFailure);
    assert!(inputs.traceback.is_some());
    assert_eq!(world.get(id).await.status, SimulationStatus::Started);
    assert!(world.claim().await.is_none());
    let parse = world.run(Task::Parse, world.owner, None);
    store.submit_inputs(id, &world.pending(parse.id), None, None, &parse, now()).await.expect("another try");
    assert_eq!(world.claim().await.unwrap().run.id, parse.id);
}
