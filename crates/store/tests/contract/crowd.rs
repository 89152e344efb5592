//! Many at once.

use std::collections::HashSet;

use csw_core::{
    ids::SimulationId,
    ports::{Cancelled, Created, ParseApplied, Store},
    run::{Reason, Task},
    simulation::SimulationStatus,
};
use futures::{StreamExt, future::join_all, stream};

use crate::world::{World, now, parse_end, person, sim_end};

pub async fn claims_are_exclusive(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    for number in 0..60 {
        world.submitted(if number % 3 == 0 { bob } else { world.owner }).await;
    }
    let claimer = || async {
        let mut mine = Vec::new();
        while let Some(claimed) = world.claim().await {
            mine.push(claimed.run.id);
        }
        mine
    };
    let claimed: Vec<_> = join_all((0..8).map(|_| claimer())).await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 60, "each was claimed, and once");
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 60);
}

pub async fn numbers_under_concurrency(store: &dyn Store) {
    let world = World::new(store).await;
    let made = stream::iter(0..40).map(|_| async { world.add(&world.new_simulation(world.owner)).await.number });
    let mut numbers: Vec<_> = made.buffer_unordered(8).collect().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

pub async fn one_simulation_for_a_repeated_request(store: &dyn Store) {
    let world = World::new(store).await;
    let request = || async {
        let mut new = world.new_simulation(world.owner);
        new.idempotency = Some(("key".to_owned(), "digest".to_owned()));
        match store.create_simulation(&new).await.unwrap() {
            Created::New(simulation) | Created::Repeated(simulation) => simulation.id,
            Created::KeyReused => panic!("it is the same request"),
        }
    };
    let made: HashSet<SimulationId> = join_all((0..8).map(|_| request())).await.into_iter().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(store.queue_lengths().await.unwrap(), (1, 0));
}

/// Validations of identical simulations, ended at once.
async fn validate_at_once(world: World<'_>, count: usize) -> Vec<ParseApplied> {
    let mut ends = Vec::new();
    for _ in 0..count {
        world.submitted(world.owner).await;
    }
    for _ in 0..count {
        let claimed = world.claim().await.unwrap();
        assert_eq!(claimed.run.task, Task::Parse);
        let sim = world.run(Task::Sim, world.owner, Some("k"));
        ends.push(parse_end(&claimed, Some(sim), true));
    }
    join_all(ends.iter().map(|end| world.store.finish_parse(end))).await.into_iter().map(Result::unwrap).collect()
}

pub async fn one_execution_for_many(store: &dyn Store) {
    let world = World::new(store).await;
    let applied = validate_at_once(world, 30).await;
    let enqueued = applied.iter().filter(|applied| matches!(applied, ParseApplied::Enqueued(_))).count();
    assert_eq!(enqueued, 1, "{applied:?}");
    assert_eq!(world.simulate(Reason::Success).await.len(), 30);
    assert!(world.claim().await.is_none());
}

pub async fn joins_race_with_the_end(store: &dyn Store) {
    let world = World::new(store).await;
    for round in 0..25 {
        let key = format!("k{round}");
        let (first, _) = world.validated(world.owner, Some(&key)).await;
        let second = world.submitted(world.owner).await;
        let parse = world.claim().await.unwrap();
        assert_eq!(parse.run.task, Task::Parse);
        let sim = world.claim().await.unwrap();
        let (parse_end, sim_end) = (
            parse_end(&parse, Some(world.run(Task::Sim, world.owner, Some(&key))), true),
            sim_end(&sim, Reason::Success),
        );
        let (joined, ended) = tokio::join!(store.finish_parse(&parse_end), store.finish_sim(&sim_end));
        let (joined, ended) = (joined.unwrap(), ended.unwrap());
        assert!(ended.iter().any(|simulation| simulation.id == first));
        assert!(!matches!(joined, ParseApplied::Enqueued(_)), "one execution is enough: {joined:?}");
        assert_eq!(world.get(second).await.status, SimulationStatus::Success, "nobody waits for a run that is over");
        assert_eq!(store.outputs(second).await.unwrap().len(), 3);
    }
}

pub async fn cancel_races_with_the_end(store: &dyn Store) {
    let world = World::new(store).await;
    for round in 0..25 {
        let key = format!("k{round}");
        let (first, _) = world.validated(world.owner, Some(&key)).await;
        let (second, _) = world.validated(world.owner, Some(&key)).await;
        let end = sim_end(&world.claim().await.unwrap(), Reason::Success);
        let (ended, one, two) =
            tokio::join!(store.finish_sim(&end), store.cancel(first, now()), store.cancel(second, now()));
        let ended: HashSet<_> = ended.unwrap().into_iter().map(|simulation| simulation.id).collect();
        for (id, cancelled) in [(first, one.unwrap()), (second, two.unwrap())] {
            let status = world.get(id).await.status;
            let expected = match cancelled {
                Cancelled::Done => SimulationStatus::WorkerFailure,
                Cancelled::NotPending | Cancelled::Running(_) => SimulationStatus::Success,
            };
            assert_eq!(status, expected, "{cancelled:?}");
            assert_eq!(ended.contains(&id), expected == SimulationStatus::Success);
        }
    }
}
