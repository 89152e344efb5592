//! What a test needs to begin: accounts, a live model, and short ways through the life of a simulation.

use std::sync::atomic::{AtomicI64, Ordering};

use csw_core::{
    access::AccountRole,
    account::Account,
    ids::{AccountId, ModelId, OutputId, RunId, SimulationId, VersionId},
    memo::MemoKey,
    model::{Artifact, Model, ModelSettings, ModelStatus, Strategy, Version, VersionState},
    output::{MediaType, Output, OutputKind, Thumbnail},
    ports::{Created, NewSimulation, ParseApplied, ParseEnd, Room, SimEnd, Store},
    run::{ClaimedRun, Limits, NewRun, Phases, Reason, Task},
    simulation::{Inputs, InputsStatus, Simulation},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

/// A fresh identifier of any kind.
macro_rules! id {
    ($type:ident) => {
        csw_core::ids::$type::from_uuid(uuid::Uuid::now_v7())
    };
}
pub(crate) use id;

/// Room for everything.
pub const ROOM: Room = Room { cpus: 64.0, memory_bytes: 1 << 40 };

/// A later moment at each call.
pub fn now() -> Timestamp {
    static TICKS: AtomicI64 = AtomicI64::new(0);
    at(TICKS.fetch_add(1_000, Ordering::Relaxed))
}

/// A moment some microseconds after the beginning of these tests' time.
pub fn at(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + microseconds).unwrap()
}

pub fn later(time: Timestamp, hours: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_hours(hours)).unwrap()
}

pub fn account(name: &str) -> Account {
    Account {
        id: id!(AccountId),
        name: name.parse().unwrap(),
        email: format!("{name}@Example.org"),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        password_hash: Some("$argon2id$x".to_owned()),
        role: AccountRole::Member,
        is_active: true,
        created_at: now(),
    }
}

pub async fn person(store: &dyn Store, name: &str) -> AccountId {
    let account = account(name);
    store.insert_account(&account).await.unwrap();
    account.id
}

pub fn model(owner: &Account, title: &str) -> Model {
    Model {
        id: id!(ModelId),
        owner: owner.id,
        owner_name: owner.name.clone(),
        title: title.parse().unwrap(),
        settings: ModelSettings { oneliner: "Does taxes".to_owned(), ..ModelSettings::default() },
        status: ModelStatus::Pending,
        live_version: None,
        latest_tag: None,
        staging_tag: None,
        sponsor: None,
        sponsor_message: None,
        created_at: now(),
    }
}

pub fn version(model: ModelId, digest: &str) -> Version {
    Version {
        id: id!(VersionId),
        model,
        digest: digest.to_owned(),
        commit: "0123abc".to_owned(),
        reported: "1.0".to_owned(),
        artifact: Artifact::Environment { environment: "e".to_owned(), code: "c".to_owned() },
        strategy: Strategy::Fresh,
        state: VersionState::Staged,
        facts: json!({"import": 3}),
        created_at: now(),
    }
}

/// An owner with a live model.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub store: &'a dyn Store,
    pub owner: AccountId,
    pub model: ModelId,
    pub version: VersionId,
}

impl<'a> World<'a> {
    pub async fn new(store: &'a dyn Store) -> Self {
        let owner = account("Publisher");
        store.insert_account(&owner).await.unwrap();
        let model = model(&owner, "Taxes");
        store.insert_model(&model).await.unwrap();
        let version = store.insert_version(&version(model.id, "d1")).await.unwrap();
        store.promote(model.id, version.id, owner.id, now()).await.unwrap();
        Self { store, owner: owner.id, model: model.id, version: version.id }
    }

    pub fn run(&self, task: Task, owner: AccountId, key: Option<&str>) -> NewRun {
        NewRun {
            id: id!(RunId),
            task,
            model: self.model,
            version: self.version,
            owner,
            arguments: json!({"meta_param_dict": {}, "adjustment": {"b": 1, "a": 2.5}}),
            memo_key: key.map(|key| MemoKey::from_stored(key.to_owned())),
            limits: Limits { cpus: 1.0, memory_bytes: 1 << 30, deadline_seconds: 60 },
        }
    }

    pub fn pending(&self, run: RunId) -> Inputs {
        Inputs {
            status: InputsStatus::Pending,
            adjustment: json!({"section": {"rate": [{"value": 0.1}]}}),
            meta_parameters: json!({"year": [{"value": 2030}]}),
            client: "rest-api".to_owned(),
            run: Some(run),
            version: Some(self.version),
            ..Inputs::blank()
        }
    }

    pub fn new_simulation(&self, owner: AccountId) -> NewSimulation {
        let parse = self.run(Task::Parse, owner, None);
        NewSimulation {
            id: id!(SimulationId),
            model: self.model,
            owner,
            title: "A title".to_owned(),
            readme: json!([{"type": "paragraph"}]),
            is_public: false,
            notify_on_completion: false,
            parent: None,
            inputs: self.pending(parse.id),
            parse: Some(parse),
            now: now(),
            idempotency: None,
        }
    }

    pub async fn add(&self, new: &NewSimulation) -> Simulation {
        match self.store.create_simulation(new).await.unwrap() {
            Created::New(simulation) => simulation,
            other => panic!("not new: {other:?}"),
        }
    }

    /// A simulation whose validation is in the queue.
    pub async fn submitted(&self, owner: AccountId) -> SimulationId {
        self.add(&self.new_simulation(owner)).await.id
    }

    /// A simulation without inputs.
    pub async fn blank(&self, owner: AccountId) -> SimulationId {
        let mut new = self.new_simulation(owner);
        (new.inputs, new.parse) = (Inputs::blank(), None);
        self.add(&new).await.id
    }

    pub async fn claim(&self) -> Option<ClaimedRun> {
        self.store.claim(id!(Lease), ROOM, ROOM, now()).await.unwrap()
    }

    /// Claims the next run, which has to be a validation, and ends it well.
    pub async fn validate(&self, key: Option<&str>, share: bool) -> ParseApplied {
        let claimed = self.claim().await.expect("a validation is due");
        assert_eq!(claimed.run.task, Task::Parse);
        let sim = self.run(Task::Sim, claimed.run.owner, key);
        self.store.finish_parse(&parse_end(&claimed, Some(sim), share)).await.unwrap()
    }

    /// A simulation whose `sim` run is in the queue, or was answered.
    pub async fn validated(&self, owner: AccountId, key: Option<&str>) -> (SimulationId, ParseApplied) {
        let id = self.submitted(owner).await;
        (id, self.validate(key, true).await)
    }

    /// Claims the next run, which has to be a simulation, and ends it.
    pub async fn simulate(&self, reason: Reason) -> Vec<Simulation> {
        let claimed = self.claim().await.expect("a simulation is due");
        assert_eq!(claimed.run.task, Task::Sim);
        self.store.finish_sim(&sim_end(&claimed, reason)).await.unwrap()
    }

    /// A finished simulation.
    pub async fn finished(&self, owner: AccountId, key: Option<&str>) -> SimulationId {
        let (id, applied) = self.validated(owner, key).await;
        assert_eq!(applied, ParseApplied::Enqueued(id));
        self.simulate(Reason::Success).await;
        id
    }

    pub async fn get(&self, id: SimulationId) -> Simulation {
        self.store.simulation_by_id(id).await.unwrap().expect("it exists")
    }
}

/// Outputs with these hashes: all renderable but for the last.
pub fn outputs(hashes: &[&str]) -> Vec<Output> {
    let last = hashes.len() - 1;
    hashes
        .iter()
        .enumerate()
        .map(|(index, hash)| Output {
            id: OutputId::from_uuid(Uuid::now_v7()),
            kind: if index == last { OutputKind::Downloadable } else { OutputKind::Renderable },
            position: if index == last { 0 } else { u32::try_from(index).unwrap() },
            title: format!("Output {index}"),
            media_type: if index == last { MediaType::Csv } else { MediaType::Bokeh },
            filename: format!("output-{index}"),
            size: 7,
            sha256: (*hash).to_owned(),
            thumbnail: Thumbnail::Wanted,
        })
        .collect()
}

pub fn parse_end(claimed: &ClaimedRun, sim: Option<NewRun>, share: bool) -> ParseEnd {
    let now = now();
    ParseEnd {
        run: claimed.run.id,
        lease: claimed.lease,
        status: InputsStatus::Success,
        reason: Reason::Success,
        errors_warnings: Some(json!({"section": {"errors": {}, "warnings": {"rate": ["high"]}}})),
        custom_adjustment: Some(json!({"shown": true})),
        traceback: None,
        sim,
        share,
        expected_at: Some(later(now, 1)),
        phases: Phases { queue: 1, start: 2, import: 3, run: 4, store: 5 },
        now,
    }
}

pub fn sim_end(claimed: &ClaimedRun, reason: Reason) -> SimEnd {
    let outputs = if reason == Reason::Success { outputs(&["aa11", "bb22", "aa11"]) } else { Vec::new() };
    SimEnd {
        run: claimed.run.id,
        lease: claimed.lease,
        reason,
        traceback: (reason != Reason::Success).then(|| "what happened".to_owned()),
        outputs,
        model_version: Some("1.0.1".to_owned()),
        cost: 0.25,
        phases: Phases { queue: 10, start: 20, import: 30, run: 40, store: 50 },
        now: now(),
    }
}
