//! Models, versions, schemas, builds.

use csw_core::{
    access::Role,
    build::{Build, BuildOrder, BuildState, Source, Stage, StageRecord, StageState, StopReason, Trigger},
    ids::ModelId,
    model::{BuildLimits, CachedSchema, Model, ModelSettings, ModelStatus, Strategy, VersionState},
    page::PageRequest,
    ports::{ModelFilter, Store, StoreError},
};
use serde_json::json;

use crate::world::{World, account, id, model, now, person, version};

pub async fn round_trips(store: &dyn Store) {
    let owner = account("Ada");
    store.insert_account(&owner).await.unwrap();
    let mut full = model(&owner, "Full-Model");
    full.settings = ModelSettings {
        oneliner: "o'ne \"line\"".to_owned(),
        description: "# Größe\n".to_owned(),
        repo_url: "https://example.org/x.git".to_owned(),
        repo_tag: "v1".to_owned(),
        cpus: 0.5,
        memory_gigabytes: 1.25,
        expected_seconds: Some(7),
        deadline_seconds: 90,
        listed: false,
        is_public: false,
        network: true,
        deterministic: false,
        warm_up: false,
        build: BuildLimits { cpus: 1.5, memory_gigabytes: 4.0, minutes: 7 },
    };
    full.status = ModelStatus::RequiresFixes;
    full.latest_tag = Some("l".to_owned());
    full.staging_tag = Some("s".to_owned());
    full.sponsor = Some(owner.id);
    full.sponsor_message = Some("thanks".to_owned());
    store.insert_model(&full).await.unwrap();
    assert_eq!(store.model(full.id).await.unwrap(), Some(full.clone()));
    assert_eq!(store.model_by_name("ADA", "full-MODEL").await.unwrap(), Some(full));
    assert_eq!(store.model_by_name("ada", "other").await.unwrap(), None);
    assert_eq!(store.model(id!(ModelId)).await.unwrap(), None);
    let twin = store.insert_model(&model(&owner, "FULL-model")).await;
    assert!(matches!(twin, Err(StoreError::Conflict { what: "model" })), "{twin:?}");
}

async fn titles(store: &dyn Store, filter: ModelFilter) -> Vec<String> {
    let page = store.models(&filter, PageRequest::default()).await.unwrap();
    assert_eq!(page.total, page.items.len() as u64);
    page.items.into_iter().map(|model| model.title.to_string()).collect()
}

pub async fn lists(store: &dyn Store) {
    let (ada, bob) = (account("ada"), account("Bob"));
    store.insert_account(&ada).await.unwrap();
    store.insert_account(&bob).await.unwrap();
    let add = |owner, title, change: fn(&mut ModelSettings)| {
        let mut model = model(owner, title);
        change(&mut model.settings);
        async move { store.insert_model(&model).await.map(|()| model.id).unwrap() }
    };
    let zeta = add(&bob, "Zeta", |_| {}).await;
    let private = add(&bob, "alpha", |s| s.is_public = false).await;
    add(&ada, "Beta", |s| s.oneliner = "Ökonomie of 50%".into()).await;
    add(&ada, "Unlisted", |s| s.listed = false).await;

    assert_eq!(titles(store, ModelFilter::default()).await, ["Beta", "Unlisted", "alpha", "Zeta"]);
    let newest = ModelFilter { newest_first: true, ..ModelFilter::default() };
    assert_eq!(titles(store, newest).await, ["Unlisted", "Beta", "alpha", "Zeta"]);
    let public = ModelFilter { public_only: true, listed_only: true, ..ModelFilter::default() };
    assert_eq!(titles(store, public).await, ["Beta", "Zeta"]);
    let own = ModelFilter { owner: Some(bob.id), ..ModelFilter::default() };
    assert_eq!(titles(store, own).await, ["alpha", "Zeta"]);
    let seen = |account| ModelFilter { visible_to: Some(account), ..ModelFilter::default() };
    assert_eq!(titles(store, seen(ada.id)).await, ["Beta", "Unlisted", "Zeta"]);
    store.set_model_role(private, ada.id, Some(Role::Read)).await.unwrap();
    assert_eq!(titles(store, seen(ada.id)).await, ["Beta", "Unlisted", "alpha", "Zeta"]);
    assert_eq!(store.model_roles(ada.id).await.unwrap(), [(private, Role::Read)]);
    assert_eq!(store.model_roles(bob.id).await.unwrap(), []);
    let published = ModelFilter { public_only: true, published_only: true, ..ModelFilter::default() };
    assert_eq!(titles(store, published.clone()).await, Vec::<String>::new());
    store.set_model_status(zeta, ModelStatus::Live).await.unwrap();
    assert_eq!(titles(store, published).await, ["Zeta"]);
    let published = |account| ModelFilter { published_only: true, ..seen(account) };
    assert_eq!(titles(store, published(ada.id)).await, ["Beta", "Unlisted", "alpha", "Zeta"]);
    assert_eq!(titles(store, published(person(store, "eve").await)).await, ["Zeta"]);
    for (words, found) in [
        ("\0", vec![]),
        ("ökonomie", vec!["Beta"]),
        ("BOB zet", vec!["Zeta"]),
        ("50%", vec!["Beta"]),
        ("%", vec!["Beta"]),
        ("_", vec![]),
    ] {
        let search = ModelFilter { search: Some(words.to_owned()), ..ModelFilter::default() };
        assert_eq!(titles(store, search).await, found, "{words}");
    }
    let page = store.models(&ModelFilter::default(), PageRequest { number: 2, size: 3 }).await.unwrap();
    assert_eq!((page.total, page.items.len()), (4, 1));
}

pub async fn settings_tags_and_status(store: &dyn Store) {
    let world = World::new(store).await;
    let settings = ModelSettings { oneliner: "new".to_owned(), cpus: 4.0, ..ModelSettings::default() };
    let before = store.model(world.model).await.unwrap().unwrap().settings;
    assert_eq!(store.update_model(world.model, &before, &settings).await.unwrap().settings, settings);
    let late = ModelSettings { description: "late".to_owned(), ..before.clone() };
    let both = store.update_model(world.model, &before, &late).await.unwrap().settings;
    assert_eq!((both.oneliner.as_str(), both.description.as_str()), ("new", "late"), "neither change is lost");
    let search = ModelFilter { search: Some("NEW".to_owned()), ..ModelFilter::default() };
    assert_eq!(titles(store, search).await, ["Taxes"]);
    let missing = store.update_model(id!(ModelId), &before, &settings).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    store.set_model_status(world.model, ModelStatus::Updating).await.unwrap();
    assert_eq!(store.model(world.model).await.unwrap().unwrap().status, ModelStatus::Updating);
    let tags = |model: Model| (model.latest_tag, model.staging_tag);
    let some = |tag: &str| Some(tag.to_owned());
    let model = store.set_model_tags(world.model, Some(Some("a")), None).await.unwrap();
    assert_eq!(tags(model), (some("a"), None));
    let model = store.set_model_tags(world.model, None, Some(Some("b"))).await.unwrap();
    assert_eq!(tags(model), (some("a"), some("b")));
    let model = store.set_model_tags(world.model, Some(None), None).await.unwrap();
    assert_eq!(tags(model), (None, some("b")));
}

pub async fn roles(store: &dyn Store) {
    let world = World::new(store).await;
    let (zoe, bob) = (person(store, "Zoe").await, person(store, "bob").await);
    assert_eq!(store.model_role(world.model, world.owner).await.unwrap(), Some(Role::Admin));
    assert_eq!(store.model_role(world.model, bob).await.unwrap(), None);
    store.set_model_role(world.model, zoe, Some(Role::Read)).await.unwrap();
    store.set_model_role(world.model, bob, Some(Role::Read)).await.unwrap();
    store.set_model_role(world.model, bob, Some(Role::Write)).await.unwrap();
    assert_eq!(store.model_role(world.model, bob).await.unwrap(), Some(Role::Write));
    let members = store.model_members(world.model).await.unwrap();
    let members: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.role, member.is_owner)).collect();
    assert_eq!(members, [("bob", Role::Write, false), ("Zoe", Role::Read, false)]);
    store.set_model_role(world.model, bob, None).await.unwrap();
    assert_eq!(store.model_role(world.model, bob).await.unwrap(), None);
}

pub async fn versions(store: &dyn Store) {
    let world = World::new(store).await;
    let mut second = store.insert_version(&version(world.model, "d2")).await.unwrap();
    let again = store.insert_version(&version(world.model, "d2")).await.unwrap();
    assert_eq!(again, second, "the same digest is the same version");
    let all = store.versions(world.model).await.unwrap();
    assert_eq!(all.iter().map(|version| version.digest.as_str()).collect::<Vec<_>>(), ["d2", "d1"]);
    (second.strategy, second.reported, second.facts) =
        (Strategy::WarmedZygote, "2".to_owned(), json!({"b": 1, "a": 2}));
    store.update_version(&second).await.unwrap();
    let stored = store.version(second.id).await.unwrap().unwrap();
    assert_eq!(stored, second);
    assert_eq!(stored.facts.to_string(), r#"{"b":1,"a":2}"#, "JSON keeps its order");
    assert_eq!(store.version(id!(VersionId)).await.unwrap(), None);
}

pub async fn promotion(store: &dyn Store) {
    let world = World::new(store).await;
    let second = store.insert_version(&version(world.model, "d2")).await.unwrap();
    let model = store.promote(world.model, second.id, world.owner, now()).await.unwrap();
    assert_eq!((model.live_version, model.status), (Some(second.id), ModelStatus::Live));
    let state = |id| async move { store.version(id).await.unwrap().unwrap().state };
    assert_eq!((state(world.version).await, state(second.id).await), (VersionState::Retired, VersionState::Live));
    store.promote(world.model, world.version, world.owner, now()).await.unwrap();
    let promotions = store.promotions(world.model, 2).await.unwrap();
    let told: Vec<_> = promotions.iter().map(|one| (one.version, one.by)).collect();
    assert_eq!(told, [(world.version, world.owner), (second.id, world.owner)], "newest first");
    assert_eq!((state(world.version).await, state(second.id).await), (VersionState::Live, VersionState::Retired));
    let failed = csw_core::model::Version { state: VersionState::Failed, ..version(world.model, "d3") };
    let failed = store.insert_version(&failed).await.unwrap();
    assert!(matches!(store.promote(world.model, failed.id, world.owner, now()).await, Err(StoreError::State { .. })));
    assert!(matches!(
        store.promote(world.model, id!(VersionId), world.owner, now()).await,
        Err(StoreError::NotFound { .. })
    ));
    assert_eq!(store.model(world.model).await.unwrap().unwrap().live_version, Some(world.version));
}

pub async fn schemas(store: &dyn Store) {
    let world = World::new(store).await;
    let schema = CachedSchema {
        version: world.version,
        meta_values: json!({"year": 2030}),
        meta_parameters: "{\"z\": 1,  \"a\": 2}".to_owned(),
        model_parameters: "{}".to_owned(),
        created_at: now(),
    };
    // Longer than an index of PostgreSQL takes, and not compressible.
    let mut long = String::new();
    for _ in 0..400 {
        long.push_str(&uuid::Uuid::new_v4().to_string());
    }
    for key in ["{}", long.as_str()] {
        assert_eq!(store.schema(world.version, key).await.unwrap(), None);
        store.insert_schema(key, &schema).await.unwrap();
        let other = CachedSchema { model_parameters: "other".to_owned(), ..schema.clone() };
        store.insert_schema(key, &other).await.unwrap();
        assert_eq!(store.schema(world.version, key).await.unwrap().as_ref(), Some(&schema), "the first one stays");
    }
    assert_eq!(store.schema_count(world.version).await.unwrap(), 2);
}

pub async fn builds(store: &dyn Store) {
    let world = World::new(store).await;
    let source = Source::Git { url: "https://example.org".to_owned(), reference: "main".to_owned() };
    let mut first = Build {
        id: id!(BuildId),
        model: world.model,
        requested_by: world.owner,
        trigger: Trigger::Push,
        source: "https://example.org at main".to_owned(),
        order: BuildOrder { promote: false, as_of: Some(now()), ..BuildOrder::of(source) },
        commit: None,
        stage: Stage::Fetch,
        stages: vec![],
        state: BuildState::Running,
        message: None,
        version: None,
        attempt: 1,
        created_at: now(),
        finished_at: None,
    };
    let second = Build { id: id!(BuildId), state: BuildState::Queued, created_at: now(), ..first.clone() };
    let third = Build { id: id!(BuildId), created_at: now(), ..second.clone() };
    assert_eq!(store.insert_build(&first, false).await.unwrap(), []);
    assert_eq!(store.insert_build(&second, false).await.unwrap(), [], "one at work is not in the queue any more");
    assert_eq!(store.unfinished_builds().await.unwrap(), [first.clone(), second.clone()]);
    let order = BuildOrder { pull: Some(id!(PullId)), ..second.order.clone() };
    let mut check = Build { id: id!(BuildId), order, created_at: now(), ..second.clone() };
    assert_eq!(store.insert_build(&check, false).await.unwrap(), [], "a pull request is another matter");
    let superseded = store.insert_build(&third, false).await.unwrap();
    assert_eq!(superseded.iter().map(|build| build.id).collect::<Vec<_>>(), [second.id]);
    assert_eq!(store.build(check.id).await.unwrap(), Some(check.clone()));
    check.state = BuildState::Cancelled;
    assert!(store.update_build(&check).await.unwrap());
    let second = store.build(second.id).await.unwrap().unwrap();
    assert_eq!(
        (second.state, second.message.as_deref()),
        (BuildState::Cancelled, Some(StopReason::Superseded.sentence()))
    );
    assert!(!store.update_build(&Build { state: BuildState::Running, ..second.clone() }).await.unwrap());
    assert_eq!(store.build(second.id).await.unwrap().unwrap().state, BuildState::Cancelled, "an end is an end");
    let record =
        StageRecord { stage: Stage::Test, state: StageState::Failed, started_at: now(), finished_at: Some(now()) };
    (first.stage, first.state, first.message) = (Stage::Test, BuildState::Failed, Some("no tests".to_owned()));
    (first.version, first.finished_at) = (Some(world.version), Some(now()));
    (first.commit, first.stages, first.attempt) = (Some("c0ffee".to_owned()), vec![record], 2);
    assert!(store.update_build(&first).await.unwrap());
    assert_eq!(store.build(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.unfinished_builds().await.unwrap(), std::slice::from_ref(&third));
    let page = store.builds(world.model, PageRequest { number: 2, size: 1 }).await.unwrap();
    assert_eq!((page.total, page.items), (4, vec![third]));
    assert_eq!(store.builds(world.model, PageRequest { number: 4, size: 1 }).await.unwrap().items, [first]);
}

pub async fn counts_and_recent(store: &dyn Store) {
    let world = World::new(store).await;
    let bob = account("bob");
    store.insert_account(&bob).await.unwrap();
    let other = model(&bob, "Other");
    store.insert_model(&other).await.unwrap();
    assert_eq!(store.model_counts(world.model).await.unwrap(), (0, 0));
    for owner in [bob.id, bob.id, world.owner] {
        world.blank(owner).await;
    }
    assert_eq!(store.model_counts(world.model).await.unwrap(), (3, 2));
    World { model: other.id, ..world }.blank(bob.id).await;
    let recent = |limit| async move {
        let models = store.recent_models(bob.id, limit).await.unwrap();
        models.into_iter().map(|model| model.id).collect::<Vec<ModelId>>()
    };
    assert_eq!(recent(9).await, [other.id, world.model]);
    world.blank(bob.id).await;
    assert_eq!(recent(1).await, [world.model]);
}
