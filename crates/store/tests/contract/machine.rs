//! The life of runs as a state machine: whatever happens in whatever order, the books stay right.

use std::collections::HashMap;

use csw_core::{
    ids::{RunId, SimulationId},
    page::PageRequest,
    ports::{ParseApplied, SimulationFilter, Store},
    run::{ClaimedRun, Reason, RunState, Task},
    simulation::{InputsStatus, SimulationStatus},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use crate::world::{World, id, now, parse_end, person, sim_end};

#[derive(Debug, Clone)]
enum Event {
    Create { owner: bool },
    Claim,
    Finish { which: usize, key: Option<u8>, share: bool, valid: bool, reason: u8, stale: bool },
    Requeue { which: usize, handed_back: bool },
    Cancel { which: usize },
    Fork { which: usize },
    Delete { which: usize },
    Submit { which: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let finish =
        (any::<usize>(), prop::option::weighted(0.8, 0..2_u8), any::<bool>(), prop::bool::weighted(0.8), 0..6_u8)
            .prop_flat_map(|(which, key, share, valid, reason)| {
                prop::bool::weighted(0.15).prop_map(move |stale| Event::Finish {
                    which,
                    key,
                    share,
                    valid,
                    reason,
                    stale,
                })
            });
    prop_oneof![
        3 => any::<bool>().prop_map(|owner| Event::Create { owner }),
        5 => Just(Event::Claim),
        6 => finish,
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, handed_back)| Event::Requeue { which, handed_back }),
        2 => any::<usize>().prop_map(|which| Event::Cancel { which }),
        1 => any::<usize>().prop_map(|which| Event::Fork { which }),
        1 => any::<usize>().prop_map(|which| Event::Delete { which }),
        1 => any::<usize>().prop_map(|which| Event::Submit { which }),
    ]
}

fn pick<T: Clone>(items: &[T], which: usize) -> Option<T> {
    items.get(which.checked_rem(items.len())?).cloned()
}

fn reason(number: u8) -> Reason {
    match number {
        0 => Reason::Fail,
        1 => Reason::TimedOut,
        2 => Reason::Cancelled,
        _ => Reason::Success,
    }
}

/// What the test knows beside the store.
#[derive(Default)]
struct Books {
    claimed: Vec<ClaimedRun>,
    finished: HashMap<RunId, u32>,
    ended: HashMap<SimulationId, SimulationStatus>,
}

impl Books {
    async fn apply(&mut self, world: World<'_>, bob: csw_core::ids::AccountId, event: &Event) {
        let store = world.store;
        let all = simulations(world).await;
        match event {
            Event::Create { owner } => {
                world.submitted(if *owner { world.owner } else { bob }).await;
            }
            Event::Claim => self.claimed.extend(world.claim().await),
            Event::Finish { which, key, share, valid, reason: number, stale } => {
                let Some(mut claimed) = pick(&self.claimed, *which) else { return };
                if *stale {
                    claimed.lease = id!(Lease);
                }
                let applied = if claimed.run.task == Task::Parse {
                    let key = key.map(|key| key.to_string());
                    let sim = valid.then(|| world.run(Task::Sim, claimed.run.owner, key.as_deref()));
                    let mut end = parse_end(&claimed, sim, *share);
                    end.status = if *valid { InputsStatus::Success } else { InputsStatus::Invalid };
                    store.finish_parse(&end).await.unwrap() != ParseApplied::Stale
                } else {
                    let ended = store.finish_sim(&sim_end(&claimed, reason(*number))).await.unwrap();
                    !ended.is_empty()
                };
                assert!(!(*stale && applied), "a wrong lease ends nothing");
                if applied {
                    *self.finished.entry(claimed.run.id).or_default() += 1;
                }
            }
            Event::Requeue { which, handed_back } => {
                if let Some(claimed) = pick(&self.claimed, *which) {
                    store.requeue(claimed.run.id, claimed.lease, "lost", *handed_back).await.unwrap();
                }
            }
            Event::Cancel { which } => {
                if let Some(id) = pick(&all, *which) {
                    store.cancel(id, now()).await.unwrap();
                }
            }
            Event::Fork { which } => {
                if let Some(id) = pick(&all, *which) {
                    let _ = store.fork_simulation(id, id!(SimulationId), bob, now()).await;
                }
            }
            Event::Delete { which } => {
                if let Some(id) = pick(&all, *which) {
                    let _ = store.delete_simulation(id).await;
                }
            }
            Event::Submit { which } => {
                if let Some(id) = pick(&all, *which) {
                    let parse = world.run(Task::Parse, world.owner, None);
                    let _ = store.submit_inputs(id, &world.pending(parse.id), None, None, &parse, now()).await;
                }
            }
        }
    }

    async fn check(&mut self, world: World<'_>) {
        assert!(self.finished.values().all(|times| *times == 1), "a run ends once");
        let (mut queued, mut running) = (0, 0);
        let mut counted = std::collections::HashSet::new();
        for id in simulations(world).await {
            let simulation = world.get(id).await;
            let inputs = world.store.inputs(id).await.unwrap();
            let awaited = match (simulation.status, inputs.status) {
                (SimulationStatus::Pending, _) => simulation.run,
                (_, InputsStatus::Pending) => inputs.run,
                _ => None,
            };
            let pending = simulation.status == SimulationStatus::Pending || inputs.status == InputsStatus::Pending;
            assert_eq!(pending, awaited.is_some(), "{simulation:?}");
            if let Some(run) = awaited {
                let run = world.store.run(run).await.unwrap().expect("an awaited run exists");
                assert_ne!(run.state, RunState::Finished, "nobody waits for a run that is over: {simulation:?}");
                if counted.insert(run.id) {
                    *(if run.state == RunState::Queued { &mut queued } else { &mut running }) += 1;
                }
            }
            if simulation.status.is_final() {
                let before = *self.ended.entry(id).or_insert(simulation.status);
                assert_eq!(before, simulation.status, "a final state stays");
                assert!(simulation.reason.is_some() && simulation.finished_at.is_some(), "{simulation:?}");
            }
            let shown = world.store.outputs(id).await.unwrap().len();
            assert_eq!(shown, if simulation.status == SimulationStatus::Success { 3 } else { 0 }, "{simulation:?}");
        }
        assert_eq!(world.store.queue_lengths().await.unwrap(), (queued, running), "no run without a simulation");
    }
}

async fn simulations(world: World<'_>) -> Vec<SimulationId> {
    let page = PageRequest { number: 1, size: 1000 };
    let page = world.store.simulations(&SimulationFilter::default(), page).await.unwrap();
    page.items.into_iter().map(|simulation| simulation.id).collect()
}

pub async fn any_order_of_events_keeps_the_books(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[7; 32]),
    );
    for _ in 0..6 {
        let events = prop::collection::vec(event(), 40).new_tree(&mut runner).unwrap().current();
        let mut books = Books::default();
        for event in &events {
            books.apply(world, bob, event).await;
            books.check(world).await;
        }
        drain(world, &mut books).await;
    }
}

/// Ends all that is left, so that each sequence begins with an empty queue.
async fn drain(world: World<'_>, books: &mut Books) {
    for claimed in world.store.running().await.unwrap() {
        match claimed.run.task {
            Task::Parse => drop(world.store.finish_parse(&parse_end(&claimed, None, false)).await.unwrap()),
            _ => drop(world.store.finish_sim(&sim_end(&claimed, Reason::Fail)).await.unwrap()),
        }
    }
    while let Some(claimed) = world.claim().await {
        match claimed.run.task {
            Task::Parse => drop(world.store.finish_parse(&parse_end(&claimed, None, false)).await.unwrap()),
            _ => drop(world.store.finish_sim(&sim_end(&claimed, Reason::Fail)).await.unwrap()),
        }
    }
    books.check(world).await;
    assert_eq!(world.store.queue_lengths().await.unwrap(), (0, 0));
}
