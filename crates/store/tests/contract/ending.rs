//! How runs end.

use csw_core::{
    ports::{Cancelled, ParseApplied, Store},
    run::{Phases, Reason, RunState, Task},
    simulation::{InputsStatus, SimulationStatus},
};
use serde_json::json;

use crate::world::{World, now, parse_end, person, sim_end};

pub async fn validation(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.submitted(world.owner).await;
    let claimed = world.claim().await.unwrap();
    let sim = world.run(Task::Sim, world.owner, Some("k"));
    let end = parse_end(&claimed, Some(sim.clone()), true);
    assert_eq!(store.finish_parse(&end).await.unwrap(), ParseApplied::Enqueued(id));
    let inputs = store.inputs(id).await.unwrap();
    assert_eq!((inputs.status, inputs.traceback), (InputsStatus::Success, None));
    assert_eq!((Some(inputs.errors_warnings), inputs.custom_adjustment), (end.errors_warnings, end.custom_adjustment));
    let simulation = world.get(id).await;
    assert_eq!((simulation.status, simulation.run), (SimulationStatus::Pending, Some(sim.id)));
    assert_eq!((simulation.expected_at, simulation.version), (end.expected_at, Some(world.version)));
    let parse = store.run(end.run).await.unwrap().unwrap();
    assert_eq!((parse.state, parse.reason, parse.phases), (RunState::Finished, Some(Reason::Success), end.phases));
    let queued = store.run(sim.id).await.unwrap().unwrap();
    assert_eq!((queued.state, queued.simulation, queued.memo_key), (RunState::Queued, id, sim.memo_key));
}

pub async fn failed_validation(store: &dyn Store) {
    let world = World::new(store).await;
    for (status, reason) in [
        (InputsStatus::Invalid, Reason::Success),
        (InputsStatus::Fail, Reason::Fail),
        (InputsStatus::WorkerFailure, Reason::TimedOut),
    ] {
        let id = world.submitted(world.owner).await;
        let mut end = parse_end(&world.claim().await.unwrap(), None, false);
        (end.status, end.reason, end.traceback) = (status, reason, Some("why".to_owned()));
        (end.errors_warnings, end.custom_adjustment) = (None, None);
        assert_eq!(store.finish_parse(&end).await.unwrap(), ParseApplied::Stored(id));
        let inputs = store.inputs(id).await.unwrap();
        assert_eq!((inputs.status, inputs.traceback.as_deref()), (status, Some("why")));
        assert_eq!(inputs.errors_warnings, json!({}), "nothing was found, so nothing is changed");
        let simulation = world.get(id).await;
        assert_eq!((simulation.status, simulation.run), (SimulationStatus::Started, None));
    }
    assert!(world.claim().await.is_none());
}

pub async fn success(store: &dyn Store) {
    let world = World::new(store).await;
    let (id, _) = world.validated(world.owner, None).await;
    let claimed = world.claim().await.unwrap();
    let end = sim_end(&claimed, Reason::Success);
    let ended = store.finish_sim(&end).await.unwrap();
    assert_eq!(ended, [world.get(id).await]);
    let simulation = &ended[0];
    assert_eq!((simulation.status, simulation.reason), (SimulationStatus::Success, Some(Reason::Success)));
    assert_eq!((simulation.cost.to_bits(), simulation.run_milliseconds), (end.cost.to_bits(), end.phases.run));
    assert_eq!((simulation.phases, simulation.finished_at), (end.phases, Some(end.now)));
    assert_eq!((&simulation.model_version, &simulation.traceback), (&end.model_version, &None));
    assert_eq!(store.outputs(id).await.unwrap(), end.outputs);
    let run = store.run(end.run).await.unwrap().unwrap();
    assert_eq!((run.state, run.reason, run.finished_at), (RunState::Finished, Some(Reason::Success), Some(end.now)));
    assert_eq!(store.queue_lengths().await.unwrap(), (0, 0));
}

pub async fn every_reason(store: &dyn Store) {
    let world = World::new(store).await;
    for reason in [Reason::Fail, Reason::Cancelled, Reason::TimedOut, Reason::OutOfMemory, Reason::WorkerFailure] {
        let (id, _) = world.validated(world.owner, Some("k")).await;
        let ended = world.simulate(reason).await;
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].id, ended[0].status, ended[0].reason), (id, SimulationStatus::of(reason), Some(reason)));
        assert_eq!(ended[0].traceback.as_deref(), Some("what happened"));
        assert!(store.outputs(id).await.unwrap().is_empty());
        let run = store.run(ended[0].run.unwrap()).await.unwrap().unwrap();
        if reason != Reason::Fail {
            assert_eq!(run.message.as_deref(), Some("what happened"), "the run keeps the sentence");
        }
    }
    let key = csw_core::memo::MemoKey::from_stored("k".to_owned());
    assert_eq!(store.memo(&key).await.unwrap(), None, "only success answers others");
}

pub async fn cancelled_while_validating(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.submitted(world.owner).await;
    let claimed = world.claim().await.unwrap();
    assert_eq!(store.cancel(id, now()).await.unwrap(), Cancelled::Running(claimed.run.id));
    assert!(store.run(claimed.run.id).await.unwrap().unwrap().cancel_requested);
    let sim = world.run(Task::Sim, world.owner, None);
    let applied = store.finish_parse(&parse_end(&claimed, Some(sim), false)).await.unwrap();
    assert_eq!(applied, ParseApplied::Stored(id), "nobody wants the simulation any more");
    assert_eq!(world.get(id).await.status, SimulationStatus::Started);
    assert_eq!(store.inputs(id).await.unwrap().status, InputsStatus::WorkerFailure);
    assert!(world.claim().await.is_none());
}

pub async fn statistics(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    for run in [100, 200, 300] {
        world.validated(bob, None).await;
        let mut end = sim_end(&world.claim().await.unwrap(), Reason::Success);
        end.phases = Phases { run, ..Phases::default() };
        store.finish_sim(&end).await.unwrap();
    }
    world.validated(bob, None).await;
    world.simulate(Reason::Fail).await;
    assert_eq!(store.recent_run_times(world.version, 2).await.unwrap(), [300, 200]);
    assert_eq!(store.pending_runs(bob).await.unwrap(), 0);
    world.validated(bob, None).await;
    world.claim().await.unwrap();
    world.validated(bob, None).await;
    world.submitted(bob).await;
    assert_eq!(store.pending_runs(bob).await.unwrap(), 2, "validations do not count");
    assert_eq!(store.pending_runs(world.owner).await.unwrap(), 0);
}
