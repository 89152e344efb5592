//! The life of a simulation in the database: made, validated, run, answered, shared, cancelled, copied, removed.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::wildcard_imports,
    missing_docs,
    reason = "a test fails by panicking"
)]

use csw_core::{
    access::{AccountRole, Role},
    account::Account,
    ids::{AccountId, InviteId, Lease, ModelId, OutputId, RunId, SimulationId, VersionId},
    memo::MemoKey,
    model::{Artifact, Model, ModelSettings, ModelStatus, Strategy, Version, VersionState},
    names::{AccountName, ModelTitle},
    output::{MediaType, Output, OutputKind, Thumbnail},
    page::PageRequest,
    ports::*,
    run::{Limits, LogOf, NewRun, Phases, Reason, Task},
    simulation::{Inputs, InputsStatus, Invite, SimulationPatch, SimulationStatus},
};
use csw_store::SqlStore;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap()
}

macro_rules! id {
    ($type:ty) => {
        <$type>::from_uuid(Uuid::now_v7())
    };
}

struct World {
    store: SqlStore,
    owner: AccountId,
    model: ModelId,
    version: VersionId,
}

const ROOM: Room = Room { cpus: 100.0, memory_bytes: 1 << 40 };

impl World {
    async fn new(store: SqlStore) -> Self {
        let account = Account {
            id: id!(AccountId),
            name: "Ada".parse::<AccountName>().unwrap(),
            email: "Ada@example.org".into(),
            first_name: String::new(),
            last_name: String::new(),
            password_hash: None,
            role: AccountRole::Member,
            is_active: true,
            created_at: now(),
        };
        store.insert_account(&account).await.unwrap();
        assert_eq!(store.account_by_name("aDA").await.unwrap(), Some(account.clone()));
        assert_eq!(store.account_by_email("ada@EXAMPLE.org").await.unwrap().unwrap().id, account.id);
        let twin =
            Account { id: id!(AccountId), name: "ada".parse().unwrap(), email: String::new(), ..account.clone() };
        let refused = store.insert_account(&twin).await;
        assert!(matches!(refused, Err(StoreError::Conflict { what: "account name" })), "{refused:?}");
        let model = Model {
            id: id!(ModelId),
            owner: account.id,
            owner_name: account.name.clone(),
            title: "Tax-Model".parse::<ModelTitle>().unwrap(),
            settings: ModelSettings { oneliner: "one".into(), description: "two".into(), ..ModelSettings::default() },
            status: ModelStatus::Pending,
            live_version: None,
            latest_tag: None,
            staging_tag: None,
            sponsor: None,
            sponsor_message: None,
            created_at: now(),
        };
        store.insert_model(&model).await.unwrap();
        assert_eq!(store.model_by_name("ADA", "tax-model").await.unwrap(), Some(model.clone()));
        let again = Model { id: id!(ModelId), ..model.clone() };
        assert!(matches!(store.insert_model(&again).await, Err(StoreError::Conflict { what: "model" })));
        let version = Version {
            id: id!(VersionId),
            model: model.id,
            digest: "d".into(),
            commit: "c".into(),
            reported: "1.0\n".into(),
            artifact: Artifact::Environment { environment: "e".into(), code: "k".into() },
            strategy: Strategy::Zygote,
            state: VersionState::Staged,
            facts: json!({"python": "3.11"}),
            created_at: now(),
        };
        assert_eq!(store.insert_version(&version).await.unwrap(), version);
        assert_eq!(
            store.promote(model.id, version.id, model.owner, Timestamp::now()).await.unwrap().live_version,
            Some(version.id)
        );
        Self { store, owner: account.id, model: model.id, version: version.id }
    }

    fn run(&self, task: Task, key: Option<&str>) -> NewRun {
        NewRun {
            id: id!(RunId),
            task,
            model: self.model,
            version: self.version,
            owner: self.owner,
            arguments: json!({"adjustment": {}}),
            memo_key: key.map(|key| MemoKey::from_stored(key.into())),
            limits: Limits { cpus: 1.0, memory_bytes: 1 << 30, deadline_seconds: 60 },
        }
    }

    async fn create(&self, key: Option<&str>) -> SimulationId {
        let parse = self.run(Task::Parse, key);
        let inputs = Inputs {
            status: InputsStatus::Pending,
            run: Some(parse.id),
            version: Some(self.version),
            ..Inputs::blank()
        };
        let new = NewSimulation {
            id: id!(SimulationId),
            model: self.model,
            owner: self.owner,
            title: "T".into(),
            readme: json!(null),
            is_public: false,
            notify_on_completion: false,
            parent: None,
            inputs,
            parse: Some(parse),
            now: now(),
            idempotency: None,
        };
        match self.store.create_simulation(&new).await.unwrap() {
            Created::New(simulation) => simulation.id,
            other => panic!("{other:?}"),
        }
    }

    async fn claim(&self) -> Option<csw_core::run::ClaimedRun> {
        self.store.claim(id!(Lease), ROOM, ROOM, now()).await.unwrap()
    }

    /// Validates the next run; what follows is given back.
    async fn validate(&self, key: Option<&str>) -> ParseApplied {
        let claimed = self.claim().await.unwrap();
        assert_eq!(claimed.run.task, Task::Parse);
        let end = ParseEnd {
            run: claimed.run.id,
            lease: claimed.lease,
            status: InputsStatus::Success,
            reason: Reason::Success,
            errors_warnings: Some(json!({"s": {"errors": {}, "warnings": {}}})),
            custom_adjustment: None,
            traceback: None,
            sim: Some(self.run(Task::Sim, key)),
            share: key.is_some(),
            expected_at: Some(now()),
            phases: Phases::default(),
            now: now(),
        };
        let applied = self.store.finish_parse(&end).await.unwrap();
        assert_eq!(self.store.finish_parse(&end).await.unwrap(), ParseApplied::Stale);
        applied
    }

    async fn simulate(&self) -> Vec<csw_core::simulation::Simulation> {
        let claimed = self.claim().await.unwrap();
        assert_eq!(claimed.run.task, Task::Sim);
        let output = Output {
            id: id!(OutputId),
            kind: OutputKind::Renderable,
            position: 0,
            title: "Table".into(),
            media_type: MediaType::Table,
            filename: "Table.html".into(),
            size: 3,
            sha256: "abc".into(),
            thumbnail: Thumbnail::Wanted,
        };
        let end = SimEnd {
            run: claimed.run.id,
            lease: claimed.lease,
            reason: Reason::Success,
            traceback: None,
            outputs: vec![output],
            model_version: Some("1.0".into()),
            cost: 0.5,
            phases: Phases { run: 7, ..Phases::default() },
            now: now(),
        };
        let stale = SimEnd { lease: id!(Lease), ..end.clone() };
        assert!(self.store.finish_sim(&stale).await.unwrap().is_empty());
        let finished = self.store.finish_sim(&end).await.unwrap();
        assert!(self.store.finish_sim(&end).await.unwrap().is_empty(), "a second delivery changes nothing");
        finished
    }
}

async fn life(store: SqlStore) {
    let world = World::new(store).await;
    let store = &world.store;
    let first = world.create(Some("k")).await;
    let applied = world.validate(Some("k")).await;
    assert_eq!(applied, ParseApplied::Enqueued(first));
    let second = world.create(Some("k")).await;
    assert!(matches!(world.validate(Some("k")).await, ParseApplied::Joined(id, _) if id == second));
    let finished = world.simulate().await;
    assert_eq!(finished.len(), 2);
    assert!(finished.iter().all(|one| one.status == SimulationStatus::Success && one.run_milliseconds == 7));
    assert_eq!(finished.iter().map(|one| one.cost).sum::<f64>(), 0.5, "shared compute is paid once");
    assert!(world.claim().await.is_none());
    // Its first validation ended between the look for an answer and this one.
    let third = world.create(None).await;
    assert!(matches!(world.validate(Some("k")).await, ParseApplied::Answered(id, _) if id == third));
    assert_eq!(store.outputs(third).await.unwrap().len(), 1);
    let simulation = store.simulation_by_id(third).await.unwrap().unwrap();
    assert_eq!((simulation.number, simulation.model_version.as_deref()), (3, Some("1.0")));
    let fourth = world.create(Some("k")).await;
    assert!(world.claim().await.is_none(), "what was found valid and run before needs no run at all");
    let (simulation, inputs) = store.simulation_with_inputs(fourth).await.unwrap().unwrap();
    assert_eq!((simulation.status, inputs.status), (SimulationStatus::Success, InputsStatus::Success));
    assert_eq!((simulation.run, inputs.run, simulation.cost.to_string().as_str()), (None, None, "0"));
    assert_eq!(inputs.errors_warnings, json!({"s": {"errors": {}, "warnings": {}}}));
    assert_eq!(store.outputs(fourth).await.unwrap().len(), 1);
    assert!(store.delete_simulation(first).await.unwrap().is_empty(), "others still refer to the object");
    let copy = store.fork_simulation(third, id!(SimulationId), world.owner, now()).await.unwrap();
    assert_eq!((copy.number, copy.parent), (5, Some(third)));
    assert_eq!(store.parents(copy.id).await.unwrap()[0].id, third);
    for id in [second, third, fourth] {
        assert!(store.delete_simulation(id).await.unwrap().is_empty());
    }
    assert_eq!(store.delete_simulation(copy.id).await.unwrap(), ["outputs/ab/abc"]);
}

async fn stopping(store: SqlStore) {
    let world = World::new(store).await;
    let store = &world.store;
    let queued = world.create(None).await;
    assert_eq!(store.cancel(queued, now()).await.unwrap(), Cancelled::Done);
    assert_eq!(store.inputs(queued).await.unwrap().status, InputsStatus::WorkerFailure);
    let running = world.create(None).await;
    world.validate(None).await;
    let claimed = world.claim().await.unwrap();
    assert!(store.requeue(claimed.run.id, claimed.lease, "lost", false).await.unwrap());
    assert!(!store.requeue(claimed.run.id, claimed.lease, "lost", false).await.unwrap());
    let again = world.claim().await.unwrap();
    assert_eq!((again.run.attempt, again.run.message.as_deref()), (2, Some("lost")));
    assert_eq!(store.running().await.unwrap().len(), 1);
    assert_eq!(store.cancel(running, now()).await.unwrap(), Cancelled::Running(again.run.id));
    let log = LogOf::Run(again.run.id);
    for _ in 0..2 {
        store.append_log(log, 0, "hello ".into(), now()).await.unwrap();
        store.append_log(log, 6, "world".into(), now()).await.unwrap();
    }
    assert_eq!(&store.read_log(log, 3, 5).await.unwrap()[..], b"lo wo");
    assert_eq!(store.log_length(log).await.unwrap(), 11);
    let patch = SimulationPatch { title: Some("New".into()), is_public: Some(true), ..SimulationPatch::default() };
    assert_eq!(store.update_simulation(running, &patch, now()).await.unwrap().title, "New");
    let filter = SimulationFilter { account: Some(world.owner), search: Some("NEW tax".into()), ..Default::default() };
    assert_eq!(store.simulations(&filter, PageRequest::default()).await.unwrap().total, 1);
    let none = SimulationFilter { search: Some("%".into()), ..Default::default() };
    assert_eq!(store.simulations(&none, PageRequest::default()).await.unwrap().total, 0);
    let visible = ModelFilter { visible_to: Some(world.owner), ..Default::default() };
    assert_eq!(store.models(&visible, PageRequest::default()).await.unwrap().total, 1);
}

async fn people(store: SqlStore) {
    let world = World::new(store).await;
    let store = &world.store;
    let bob = Account {
        id: id!(AccountId),
        name: "bob".parse().unwrap(),
        email: String::new(),
        ..store.account(world.owner).await.unwrap().unwrap()
    };
    store.insert_account(&bob).await.unwrap();
    let simulation = world.create(None).await;
    assert_eq!(store.simulation_role(simulation, bob.id).await.unwrap(), None);
    store.set_simulation_roles(simulation, &[(bob.id, Some(Role::Write))]).await.unwrap();
    assert_eq!(store.simulation_roles(&[simulation], bob.id).await.unwrap(), [(simulation, Role::Write)]);
    assert!(store.set_simulation_roles(simulation, &[(bob.id, None), (world.owner, None)]).await.is_err());
    assert_eq!(store.simulation_role(simulation, bob.id).await.unwrap(), Some(Role::Write), "all or none");
    store.set_simulation_roles(simulation, &[(bob.id, None)]).await.unwrap();
    let at = now();
    let invite = Invite {
        id: id!(InviteId),
        simulation,
        account: bob.id,
        name: "bob".into(),
        created_at: at,
        expires_at: at.checked_add(jiff::SignedDuration::from_hours(48)).unwrap(),
    };
    for _ in 0..2 {
        assert_eq!(store.invite(simulation, std::slice::from_ref(&invite), at).await.unwrap().len(), 1);
    }
    store.accept_invite(invite.id, at).await.unwrap();
    assert_eq!(store.authors(simulation).await.unwrap(), ["Ada", "bob"]);
    assert!(store.remove_author(simulation, bob.id).await.unwrap());
    assert_eq!(store.simulation_role(simulation, bob.id).await.unwrap(), None);
    store.delete_account(bob.id).await.unwrap();
    assert!(store.account_by_name("bob").await.unwrap().is_none());
}

async fn sqlite() -> (tempfile::TempDir, SqlStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open_sqlite(&folder.path().join("csw.sqlite")).await.unwrap();
    (folder, store)
}

mod support;

macro_rules! on_both {
    ($($name:ident),*) => {
        mod on_sqlite { $(#[tokio::test] async fn $name() { let (_folder, store) = super::sqlite().await; super::$name(store).await; })* }
        mod on_postgres { $(#[tokio::test] async fn $name() { super::$name(super::support::fresh(stringify!($name)).await).await; })* }
    };
}

on_both!(life, stopping, people);
