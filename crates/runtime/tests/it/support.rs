//! An executor over a folder of its own, and a receiver that remembers what it was told.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    ids::{Lease, RunId, VersionId},
    model::{Artifact, Strategy},
    names::ModelName,
    ports::{Executor, ReportError, RunEvents},
    run::{Limits, Outcome, OutputBody, OutputDraft, RunEnd, RunOrder, Sharing, Task},
};
use csw_runtime::{LocalConfig, LocalExecutor};
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

#[path = "../../../../tests/support/disk.rs"]
mod disk;

pub use disk::SmallDisk;

/// An output as it arrived.
#[derive(Debug, Clone)]
pub struct Output {
    pub draft: OutputDraft,
    pub bytes: Vec<u8>,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

/// Remembers; refuses as often as it is told to.
#[derive(Default)]
pub struct Receiver {
    pub log: Mutex<Vec<u8>>,
    pub outputs: Mutex<Vec<Output>>,
    pub end: Mutex<Option<RunEnd>>,
    pub refusals: AtomicU32,
    pub stale: bool,
    pub keep_bytes: bool,
    pub changed: Notify,
}

impl Receiver {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { keep_bytes: true, ..Self::default() })
    }

    pub async fn ended(&self) -> RunEnd {
        self.until(|receiver| receiver.end.lock().unwrap().clone()).await
    }

    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits until something is true of what was told.
    pub async fn until<T>(&self, found: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = found(self) {
                return found;
            }
            changed.await;
        }
    }

    fn refuse(&self, order: &RunOrder) -> Result<(), ReportError> {
        if self.stale {
            return Err(ReportError::Stale { run: order.run });
        }
        let left = self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            return Err(ReportError::Unavailable { run: order.run, cause: "told to refuse".to_owned() });
        }
        Ok(())
    }
}

#[async_trait]
impl RunEvents for Receiver {
    async fn log(&self, _: &RunOrder, text: Bytes) {
        self.log.lock().unwrap().extend_from_slice(&text);
        self.changed.notify_waiters();
    }

    async fn output(&self, order: &RunOrder, draft: OutputDraft) -> Result<(), ReportError> {
        self.refuse(order)?;
        let bytes = match &draft.body {
            OutputBody::Bytes(bytes) => bytes.to_vec(),
            OutputBody::File(path) if self.keep_bytes => std::fs::read(path).unwrap(),
            OutputBody::File(_) | OutputBody::Stored => vec![],
        };
        self.outputs.lock().unwrap().push(Output { draft, bytes });
        self.changed.notify_waiters();
        Ok(())
    }

    async fn ended(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        self.refuse(order)?;
        *self.end.lock().unwrap() = Some(end);
        self.changed.notify_waiters();
        Ok(())
    }
}

static PLACES: AtomicU32 = AtomicU32::new(0);

/// An executor with a data folder that holds the contract models.
pub struct Place {
    pub executor: LocalExecutor,
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut LocalConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_path_buf();
        environment(&data.join("envs"));
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models/contract");
        for (from, to) in [("Null", "null"), ("Edge-Cases", "edge")] {
            copy(&models.join(from), &data.join("code").join(to));
        }
        let mut config = LocalConfig::new(data, PathBuf::from(env!("CARGO_BIN_EXE_csw-runtime-helper")));
        config.cgroups = csw_sandbox::cgroup::Manager::detect(&format!("test-{}", Uuid::now_v7()));
        // Executors that live at the same time share no user.
        config.first_user = 200_000 + PLACES.fetch_add(1, Ordering::Relaxed) * 1_000_000;
        change(&mut config);
        Self { executor: LocalExecutor::new(config).unwrap(), folder }
    }

    /// Adds a model of one file.
    pub fn model(&self, code: &str, functions: &str) {
        let package = self.folder.path().join("code").join(code).join("cs-config/cs_config");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("__init__.py"), "").unwrap();
        std::fs::write(package.join("functions.py"), functions).unwrap();
    }

    pub async fn start(&self, order: &RunOrder) -> Arc<Receiver> {
        let receiver = Receiver::new();
        self.executor.start(order.clone(), receiver.clone()).await.unwrap();
        receiver
    }

    pub async fn run(&self, order: &RunOrder) -> (RunEnd, Arc<Receiver>) {
        let receiver = self.start(order).await;
        (receiver.ended().await, receiver)
    }
}

fn environment(envs: &Path) {
    let environment = envs.join("test");
    std::fs::create_dir_all(envs).unwrap();
    let made = std::process::Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(&environment)
        .status()
        .expect("python3 is needed");
    assert!(made.success());
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn order(code: &str, task: Task, strategy: Strategy, arguments: Value) -> RunOrder {
    RunOrder {
        run: RunId::from_uuid(Uuid::now_v7()),
        lease: Lease::from_uuid(Uuid::now_v7()),
        task,
        model: "tester/Model".parse::<ModelName>().unwrap(),
        version: VersionId::from_uuid(Uuid::now_v7()),
        artifact: Artifact::Environment { environment: "test".to_owned(), code: code.to_owned() },
        strategy,
        sharing: Sharing::Public,
        arguments,
        limits: Limits { cpus: 1.0, memory_bytes: 2_000_000_000, deadline_seconds: 120 },
        network: false,
        secrets: BTreeMap::new(),
    }
}

/// A run of a case of the Edge-Cases model.
pub fn case(strategy: Strategy, name: &str, settings: Value) -> RunOrder {
    let mut section = settings;
    section["case"] = json!([{ "value": name }]);
    let arguments = json!({ "meta_param_dict": {}, "adjustment": { "Run": section } });
    order("edge", Task::Sim, strategy, arguments)
}

pub fn null(strategy: Strategy, number: i64) -> RunOrder {
    let arguments = json!({ "meta_param_dict": {}, "adjustment": { "Null": { "number": number } } });
    order("null", Task::Sim, strategy, arguments)
}

pub fn failed(end: &RunEnd) -> &str {
    match &end.outcome {
        Outcome::Failed { traceback } => traceback,
        other => panic!("{other:?}"),
    }
}
