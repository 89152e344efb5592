//! Views of simulations, and the runs of comparisons, which belong to nobody.

use csw_core::{
    comparison::{Candidate, Comparison, ComparisonState, OutputChange, Verdict},
    ids::{RunId, SimulationId, VersionId},
    memo::MemoKey,
    ports::{Cancelled, ParseApplied, Store},
    run::{NOBODY, NewRun, Reason, RunState, Task},
    simulation::{SimulationPatch, SimulationStatus},
};

use crate::world::{World, now, person, sim_end, version};

/// A staged version of the world's model.
async fn staged(world: &World<'_>, digest: &str) -> VersionId {
    world.store.insert_version(&version(world.model, digest)).await.unwrap().id
}

fn begun(world: &World<'_>, version: VersionId) -> Comparison {
    Comparison {
        version,
        model: world.model,
        baseline: world.version,
        requested_by: world.owner,
        state: ComparisonState::Running,
        hidden: 1,
        created_at: now(),
        finished_at: None,
    }
}

fn again(world: &World<'_>, version: VersionId, key: Option<&str>) -> NewRun {
    NewRun { version, ..world.run(Task::Sim, NOBODY, key) }
}

/// A simulation that ran and that somebody looked at.
async fn viewed(world: &World<'_>, views: u64, public: bool) -> SimulationId {
    let id = world.finished(world.owner, None).await;
    let patch = SimulationPatch { is_public: Some(public), ..SimulationPatch::default() };
    world.store.update_simulation(id, &patch, now()).await.unwrap();
    world.store.add_views(&[(id, views)]).await.unwrap();
    id
}

async fn candidate(world: &World<'_>, id: SimulationId) -> Candidate {
    Candidate { simulation: id, baseline: world.get(id).await.run.unwrap() }
}

/// A comparison of one simulation whose run is in the queue.
async fn one_at_work(world: &World<'_>, key: Option<&str>) -> (VersionId, SimulationId, RunId) {
    let (id, version) = (viewed(world, 1, true).await, staged(world, "d2").await);
    let candidates = [candidate(world, id).await];
    assert!(world.store.begin_comparison(&begun(world, version), &candidates).await.unwrap().is_empty());
    let run = world.store.run_compared(version, id, &again(world, version, key), now()).await.unwrap();
    (version, id, run)
}

pub async fn views(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.finished(world.owner, None).await;
    assert_eq!(world.get(id).await.views, 0);
    let gone = SimulationId::from_uuid(uuid::Uuid::now_v7());
    store.add_views(&[(id, 2), (gone, 9)]).await.unwrap();
    store.add_views(&[(id, 1)]).await.unwrap();
    store.add_views(&[]).await.unwrap();
    assert_eq!(world.get(id).await.views, 3);
    let copy = store.fork_simulation(id, gone, world.owner, now()).await.unwrap();
    assert_eq!(copy.views, 0, "a copy was looked at by nobody");
}

pub async fn candidates(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let (few, many) = (viewed(&world, 1, true).await, viewed(&world, 5, true).await);
    let private = viewed(&world, 9, false).await;
    world.finished(world.owner, None).await;
    let found = |account, all, limit| store.candidates(world.model, world.version, account, all, limit);
    let names = |found: &[Candidate]| found.iter().map(|one| one.simulation).collect::<Vec<_>>();
    let (seen, hidden) = found(bob, false, 5).await.unwrap();
    assert_eq!((names(&seen), hidden), (vec![many, few], 1));
    assert_eq!(seen[0].baseline, world.get(many).await.run.unwrap());
    assert_eq!(names(&found(bob, false, 1).await.unwrap().0), [many]);
    assert_eq!(names(&found(world.owner, false, 2).await.unwrap().0), [private, many], "they have a role on it");
    assert_eq!(names(&found(bob, true, 9).await.unwrap().0), [private, many, few]);
    // What ran on another version is known by its comparison, and not otherwise.
    let next = staged(&world, "d2").await;
    assert!(store.candidates(world.model, next, bob, true, 9).await.unwrap().0.is_empty());
    store.begin_comparison(&begun(&world, next), &seen).await.unwrap();
    let run = store.run_compared(next, many, &again(&world, next, None), now()).await.unwrap();
    assert_eq!(world.claim().await.unwrap().run.id, run);
    assert!(store.candidates(world.model, next, bob, true, 9).await.unwrap().0.is_empty(), "it is not over");
    let claimed = store.running().await.unwrap().pop().unwrap();
    assert!(store.finish_sim(&sim_end(&claimed, Reason::Success)).await.unwrap().is_empty());
    let (known, _) = store.candidates(world.model, next, bob, true, 9).await.unwrap();
    assert_eq!(known, [Candidate { simulation: many, baseline: run }]);
}

pub async fn life(store: &dyn Store) {
    let world = World::new(store).await;
    let (version, id, run) = one_at_work(&world, None).await;
    let known = store.comparison(version).await.unwrap().unwrap();
    assert_eq!((known.state, known.hidden, known.baseline), (ComparisonState::Running, 1, world.version));
    assert_eq!(store.running_comparisons().await.unwrap(), [known]);
    let one = store.compared(version).await.unwrap().pop().unwrap();
    assert_eq!((one.simulation, one.run, one.views, one.verdict), (id, Some(run), 1, None));
    let claimed = world.claim().await.unwrap();
    assert!(store.finish_sim(&sim_end(&claimed, Reason::Success)).await.unwrap().is_empty(), "no simulation got it");
    assert_eq!(store.run(run).await.unwrap().unwrap().state, RunState::Finished);
    assert_eq!(store.run_outputs(run).await.unwrap().len(), 3);
    let verdict = Verdict::Ran { outputs: vec![] };
    store.judge(version, id, &verdict).await.unwrap();
    store.end_comparison(version, ComparisonState::Finished, now()).await.unwrap();
    let ended = store.comparison(version).await.unwrap().unwrap();
    assert!(ended.state == ComparisonState::Finished && ended.finished_at.is_some());
    assert_eq!(store.compared(version).await.unwrap()[0].verdict, Some(verdict));
    assert!(store.running_comparisons().await.unwrap().is_empty());
    // What was found stays when the simulation is gone; of it nothing does.
    assert!(!store.delete_simulation(id).await.unwrap().is_empty());
    assert!(store.compared(version).await.unwrap().is_empty());
    assert!(store.run(run).await.unwrap().is_none() && store.run_outputs(run).await.unwrap().is_empty());
}

pub async fn nobody_pays(store: &dyn Store) {
    let world = World::new(store).await;
    let (_, _, run) = one_at_work(&world, None).await;
    assert_eq!(store.pending_runs(world.owner).await.unwrap(), 0);
    // Everybody else's run goes first, however late it came, and is not told of it.
    let other = world.submitted(world.owner).await;
    assert_eq!(world.claim().await.unwrap().run.simulation, other);
    let parse = store.running().await.unwrap().pop().unwrap();
    let sim = world.run(Task::Sim, world.owner, None);
    store.finish_parse(&crate::world::parse_end(&parse, Some(sim.clone()), false)).await.unwrap();
    assert_eq!(store.queue_position(sim.id).await.unwrap(), Some((1, 0)));
    assert_eq!(world.claim().await.unwrap().run.id, sim.id);
    let last = world.claim().await.unwrap();
    assert_eq!((last.run.id, last.run.owner), (run, NOBODY));
    let (simulations, users) = store.model_counts(world.model).await.unwrap();
    assert_eq!((simulations, users), (2, 1));
}

pub async fn sharing(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let (version, id, run) = one_at_work(&world, Some("k")).await;
    // Somebody who asks for the same follows that run, which takes their turn and costs them nothing.
    let (follower, applied) = world.validated(bob, Some("k")).await;
    assert_eq!(applied, ParseApplied::Joined(follower, run));
    assert_eq!(store.run(run).await.unwrap().unwrap().owner, bob);
    // Whoever leaves leaves it to the comparison.
    let (leaver, _) = world.validated(bob, Some("k")).await;
    assert_eq!(store.cancel(leaver, now()).await.unwrap(), Cancelled::Done);
    assert_eq!(store.cancel(follower, now()).await.unwrap(), Cancelled::Done);
    assert_eq!(world.get(follower).await.status, SimulationStatus::WorkerFailure);
    let left = store.run(run).await.unwrap().unwrap();
    assert_eq!((left.state, left.owner), (RunState::Queued, NOBODY));
    let (follower, _) = world.validated(bob, Some("k")).await;
    let claimed = world.claim().await.unwrap();
    let ended = store.finish_sim(&sim_end(&claimed, Reason::Success)).await.unwrap();
    assert_eq!(
        ended.iter().map(|one| (one.id, one.cost.to_bits())).collect::<Vec<_>>(),
        [(follower, 0.0_f64.to_bits())]
    );
    // An earlier result answers a comparison, too.
    let again = store.run_compared(version, id, &again(&world, version, Some("k")), now()).await.unwrap();
    assert_eq!((again, store.memo(&MemoKey::from_stored("k".to_owned())).await.unwrap()), (run, Some(run)));
}

pub async fn failures(store: &dyn Store) {
    let world = World::new(store).await;
    let (_, _, run) = one_at_work(&world, None).await;
    let claimed = world.claim().await.unwrap();
    store.finish_sim(&sim_end(&claimed, Reason::Fail)).await.unwrap();
    let failed = store.run(run).await.unwrap().unwrap();
    assert_eq!((failed.reason, failed.message.as_deref()), (Some(Reason::Fail), Some("what happened")));
}

pub async fn ends(store: &dyn Store) {
    let world = World::new(store).await;
    let (version, id, run) = one_at_work(&world, None).await;
    store.end_comparison(version, ComparisonState::Incomplete, now()).await.unwrap();
    let stopped = store.run(run).await.unwrap().unwrap();
    assert_eq!((stopped.state, stopped.reason), (RunState::Finished, Some(Reason::Cancelled)));
    // One that executes is told to stop, unless somebody else follows it.
    let run = store.run_compared(version, id, &again(&world, version, None), now()).await.unwrap();
    world.claim().await.unwrap();
    store.begin_comparison(&begun(&world, version), &[candidate(&world, id).await]).await.unwrap();
    assert!(store.run(run).await.unwrap().unwrap().cancel_requested, "begun anew, nobody waits for it");
    assert_eq!(store.compared(version).await.unwrap()[0].run, None);
}

pub async fn former_runs_go(store: &dyn Store) {
    let world = World::new(store).await;
    let (version, id, run) = one_at_work(&world, None).await;
    let claimed = world.claim().await.unwrap();
    store.finish_sim(&sim_end(&claimed, Reason::Success)).await.unwrap();
    let outputs = vec![csw_core::comparison::OutputDifference {
        title: "t".to_owned(),
        media_type: csw_core::output::MediaType::Csv,
        list: csw_core::output::OutputKind::Downloadable,
        change: OutputChange::Equal,
    }];
    let verdict = Verdict::Ran { outputs };
    store.judge(version, id, &verdict).await.unwrap();
    store.end_comparison(version, ComparisonState::Finished, now()).await.unwrap();
    // A later version begins its comparison: the one before was never live, so its runs are no use.
    let later = staged(&world, "d3").await;
    store.begin_comparison(&begun(&world, later), &[candidate(&world, id).await]).await.unwrap();
    assert!(store.run(run).await.unwrap().is_none());
    assert_eq!(store.compared(version).await.unwrap()[0].verdict, Some(verdict), "what was found stays");
    assert!(world.get(id).await.run.is_some() && !store.outputs(id).await.unwrap().is_empty());
}
