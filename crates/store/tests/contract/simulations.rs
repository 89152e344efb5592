//! Making, submitting, changing, copying and removing simulations.

use csw_core::{
    ids::SimulationId,
    output::OutputKind,
    ports::{Created, Store, StoreError},
    run::{Reason, RunState, Task},
    simulation::{Inputs, InputsStatus, SimulationPatch, SimulationStatus},
};
use serde_json::json;

use crate::world::{World, at, id, now, parse_end, person, sim_end};

pub async fn creation(store: &dyn Store) {
    let world = World::new(store).await;
    let mut new = world.new_simulation(world.owner);
    (new.is_public, new.notify_on_completion) = (true, true);
    let made = world.add(&new).await;
    assert_eq!((made.id, made.number, made.status), (new.id, 1, SimulationStatus::Started));
    assert_eq!(
        (made.model_owner.as_str(), made.model_title.as_str(), made.owner_name.as_str()),
        ("Publisher", "Taxes", "Publisher")
    );
    assert_eq!(
        (made.created_at, &made.readme, made.is_public, made.notify_on_completion),
        (new.now, &new.readme, true, true)
    );
    assert_eq!(world.get(new.id).await, made);
    assert_eq!(store.simulation(world.model, 1).await.unwrap(), Some((made, new.inputs.clone())));
    assert_eq!(store.simulation(world.model, 2).await.unwrap(), None);
    assert_eq!(store.inputs(new.id).await.unwrap(), new.inputs);
    let parse = new.parse.unwrap();
    let run = store.run(parse.id).await.unwrap().unwrap();
    assert_eq!((run.task, run.state, run.simulation, run.attempt), (Task::Parse, RunState::Queued, new.id, 0));
    assert_eq!((run.arguments, run.limits, run.enqueued_at), (parse.arguments, parse.limits, new.now));
    assert!(store.outputs(new.id).await.unwrap().is_empty());
    assert!(matches!(store.inputs(id!(SimulationId)).await, Err(StoreError::NotFound { .. })));
    let mut nobodys = world.new_simulation(id!(AccountId));
    let refused = store.create_simulation(&nobodys).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    (nobodys.owner, nobodys.model) = (world.owner, id!(ModelId));
    assert!(matches!(store.create_simulation(&nobodys).await, Err(StoreError::NotFound { .. })));
    assert!(store.run(nobodys.parse.unwrap().id).await.unwrap().is_none(), "what is refused leaves nothing");
}

pub async fn numbers_have_no_gaps(store: &dyn Store) {
    let world = World::new(store).await;
    for number in 1..=3 {
        assert_eq!(world.add(&world.new_simulation(world.owner)).await.number, number);
        assert!(store.create_simulation(&world.new_simulation(id!(AccountId))).await.is_err());
    }
}

pub async fn idempotency(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let keyed = |owner, digest: &str| {
        let mut new = world.new_simulation(owner);
        new.idempotency = Some(("key".to_owned(), digest.to_owned()));
        new
    };
    let first = world.add(&keyed(world.owner, "d")).await;
    let repeated = store.create_simulation(&keyed(world.owner, "d")).await.unwrap();
    assert!(matches!(repeated, Created::Repeated(same) if same.id == first.id));
    assert!(matches!(store.create_simulation(&keyed(world.owner, "e")).await.unwrap(), Created::KeyReused));
    assert_eq!(world.add(&keyed(bob, "d")).await.number, 2, "keys are each account's own, and repeats take no number");
    assert_eq!(store.queue_lengths().await.unwrap(), (2, 0));
}

pub async fn submission(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.blank(world.owner).await;
    let parent = world.finished(world.owner, None).await;
    assert_eq!(store.inputs(id).await.unwrap(), Inputs::blank());
    let submit = |id, parent| async move {
        let parse = world.run(Task::Parse, world.owner, None);
        let result = store.submit_inputs(id, &world.pending(parse.id), Some(true), parent, &parse, now()).await;
        result.map(|simulation| (simulation, parse.id))
    };
    let (simulation, parse) = submit(id, Some(parent)).await.unwrap();
    assert_eq!((simulation.status, simulation.notify_on_completion), (SimulationStatus::Started, true));
    assert_eq!(simulation.parent, Some(parent));
    assert_eq!(store.inputs(id).await.unwrap(), world.pending(parse));
    assert!(matches!(submit(id, None).await, Err(StoreError::State { .. })), "it is being validated");
    let claimed = world.claim().await.unwrap();
    let mut end = parse_end(&claimed, None, false);
    (end.status, end.errors_warnings) = (InputsStatus::Invalid, Some(json!({"s": {"errors": {"x": ["bad"]}}})));
    store.finish_parse(&end).await.unwrap();
    let (_, again) = submit(id, None).await.expect("invalid inputs may be replaced");
    let inputs = store.inputs(id).await.unwrap();
    assert_eq!((inputs.status, inputs.run, inputs.custom_adjustment), (InputsStatus::Pending, Some(again), None));
    assert_eq!(store.queue_lengths().await.unwrap(), (1, 0));
    assert!(matches!(submit(parent, None).await, Err(StoreError::State { .. })), "a finished one is immutable");
    let missing = submit(id!(SimulationId), None).await;
    assert!(missing.is_err());
}

pub async fn patches(store: &dyn Store) {
    let world = World::new(store).await;
    let id = world.blank(world.owner).await;
    let before = world.get(id).await;
    let time = now();
    let patch =
        SimulationPatch { title: Some("Größe".to_owned()), archived: Some(true), ..SimulationPatch::default() };
    let after = store.update_simulation(id, &patch, time).await.unwrap();
    assert_eq!((after.title.as_str(), after.archived, after.modified_at), ("Größe", true, time));
    assert_eq!(
        (&after.readme, after.is_public, after.created_at),
        (&before.readme, before.is_public, before.created_at)
    );
    let patch = SimulationPatch { readme: Some(json!(null)), is_public: Some(true), ..SimulationPatch::default() };
    let after = store.update_simulation(id, &patch, now()).await.unwrap();
    assert_eq!((after.readme, after.is_public, after.title.as_str()), (json!(null), true, "Größe"));
    let missing = store.update_simulation(id!(SimulationId), &patch, now()).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

pub async fn forks(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = person(store, "bob").await;
    let source = world.finished(world.owner, None).await;
    let shown = SimulationPatch { is_public: Some(true), ..SimulationPatch::default() };
    let original = store.update_simulation(source, &shown, now()).await.unwrap();
    let time = now();
    let copy = store.fork_simulation(source, id!(SimulationId), bob, time).await.unwrap();
    assert_eq!((copy.number, copy.owner, copy.owner_name.as_str(), copy.parent), (2, bob, "bob", Some(source)));
    assert!(!copy.is_public && !copy.notify_on_completion && copy.cost == 0.0);
    assert_eq!(
        (copy.created_at, copy.status, copy.run_milliseconds),
        (time, original.status, original.run_milliseconds)
    );
    assert_eq!(
        (&copy.title, &copy.model_version, copy.version),
        (&original.title, &original.model_version, original.version)
    );
    assert_eq!(store.outputs(copy.id).await.unwrap(), store.outputs(source).await.unwrap());
    let (from, to) = (store.inputs(source).await.unwrap(), store.inputs(copy.id).await.unwrap());
    assert_eq!((to.status, to.adjustment, to.errors_warnings), (from.status, from.adjustment, from.errors_warnings));
    assert_eq!(store.authors(copy.id).await.unwrap(), ["bob"]);
    assert_eq!(store.simulation_role(copy.id, world.owner).await.unwrap(), None);
    let started = world.blank(world.owner).await;
    assert!(store.fork_simulation(started, id!(SimulationId), bob, now()).await.is_ok());
    let validating = world.submitted(world.owner).await;
    let refused = store.fork_simulation(validating, id!(SimulationId), bob, now()).await;
    assert!(matches!(refused, Err(StoreError::State { .. })));
    world.validate(None, false).await;
    let refused = store.fork_simulation(validating, id!(SimulationId), bob, now()).await;
    assert!(matches!(refused, Err(StoreError::State { .. })));
    let missing = store.fork_simulation(id!(SimulationId), id!(SimulationId), bob, now()).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

pub async fn objects_outlive_what_refers(store: &dyn Store) {
    let world = World::new(store).await;
    let source = world.finished(world.owner, None).await;
    let same_bytes = world.finished(world.owner, None).await;
    let copy = store.fork_simulation(source, id!(SimulationId), world.owner, now()).await.unwrap().id;
    let outputs = store.outputs(source).await.unwrap();
    assert_eq!(outputs.iter().map(|output| output.kind).collect::<Vec<_>>()[2], OutputKind::Downloadable);
    assert_eq!(store.output(copy, outputs[1].id).await.unwrap().as_ref(), Some(&outputs[1]));
    assert_eq!(store.output(same_bytes, outputs[1].id).await.unwrap(), None);
    assert_eq!(store.output(copy, id!(OutputId)).await.unwrap(), None);
    assert!(store.delete_simulation(source).await.unwrap().is_empty(), "the copy shows them");
    assert_eq!(store.outputs(copy).await.unwrap(), outputs);
    assert_eq!(world.get(copy).await.parent, None);
    assert!(store.delete_simulation(copy).await.unwrap().is_empty(), "others have the same bytes");
    let mut keys = store.delete_simulation(same_bytes).await.unwrap();
    keys.sort();
    assert_eq!(keys, ["outputs/aa/aa11", "outputs/bb/bb22"]);
    assert!(matches!(store.delete_simulation(source).await, Err(StoreError::NotFound { .. })));
    let pending = world.submitted(world.owner).await;
    assert!(matches!(store.delete_simulation(pending).await, Err(StoreError::State { .. })));
    world.validate(None, false).await;
    assert!(matches!(store.delete_simulation(pending).await, Err(StoreError::State { .. })));
    world.simulate(Reason::Fail).await;
    assert!(store.delete_simulation(pending).await.unwrap().is_empty());
    assert_eq!(world.add(&world.new_simulation(world.owner)).await.number, 5, "numbers are not given twice");
}

pub async fn parents(store: &dyn Store) {
    let world = World::new(store).await;
    let mut line = vec![world.blank(world.owner).await];
    for _ in 0..102 {
        let copy = store.fork_simulation(line[0], id!(SimulationId), world.owner, now()).await.unwrap();
        line.insert(0, copy.id);
    }
    let parents = |id| async move {
        let parents = store.parents(id).await.unwrap();
        parents.into_iter().map(|parent| parent.id).collect::<Vec<SimulationId>>()
    };
    assert_eq!(parents(line[0]).await, line[1..=100]);
    assert_eq!(parents(line[100]).await, line[101..]);
    assert!(parents(line[102]).await.is_empty());
}

pub async fn strange_texts(store: &dyn Store) {
    let world = World::new(store).await;
    let mut new = world.new_simulation(world.owner);
    new.title = "a\0b 'quoted' \u{1F600} %_".into();
    new.readme = json!({"text": "nul \u{0} and \u{2028}", "big": 123_456_789_012_345_678_u64, "float": 0.1});
    new.now = at(1);
    let made = world.add(&new).await;
    let stored = world.get(made.id).await;
    assert_eq!((&stored.readme, stored.created_at), (&new.readme, at(1)));
    assert!(stored.title.contains("'quoted' \u{1F600} %_"), "{}", stored.title);
    world.validate(None, false).await;
    let claimed = world.claim().await.unwrap();
    let mut end = sim_end(&claimed, Reason::Success);
    end.outputs[0].title = "nul \0".into();
    (end.model_version, end.traceback) = (Some("1\0".to_owned()), Some("\0".to_owned()));
    assert_eq!(store.finish_sim(&end).await.expect("no text of a model blocks its result").len(), 1);
}
