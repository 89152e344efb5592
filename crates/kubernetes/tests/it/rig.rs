//! A cluster, an executor on it, and a receiver of events.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    model::{Artifact, Strategy},
    ports::{Executor, ReportError, RunEvents},
    run::{Limits, Outcome, OutputBody, OutputDraft, RunEnd, RunOrder, Sharing, Task},
    secret::Secrets,
};
use csw_kubernetes::{KubernetesConfig, KubernetesExecutor, RunKey};
use csw_kubernetes_testing::{Cluster, NodeConfig};
use jiff::SignedDuration;
use kube::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;

pub(crate) const NAMESPACE: &str = "models";

/// Nothing here takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of it; what a test changes it changes before the executor is there.
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) folder: TempDir,
    pub(crate) config: KubernetesConfig,
    executor: Option<KubernetesExecutor>,
    callbacks: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with_skew(SignedDuration::ZERO).await
    }

    pub(crate) async fn with_skew(skew: SignedDuration) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_csw-kubernetes-helper"), bin.join("csw")).unwrap();
        let node = NodeConfig {
            folder: folder.path().join("node"),
            path: bin.display().to_string(),
            claims: BTreeMap::new(),
            images: BTreeMap::new(),
            pulls: None,
            within: vec![],
        };
        let cluster = Cluster::with_skew(node, skew).await.unwrap();
        // Free now, and nobody else's for as long as this test may restart the server.
        let address = csw_testing::free_address().unwrap();
        let uploads = folder.path().join("uploads");
        std::fs::create_dir(&uploads).unwrap();
        let mut config = KubernetesConfig::new(NAMESPACE.to_owned(), format!("http://{address}"), uploads);
        config.image_patience = Duration::from_millis(500);
        config.writes_per_second = 1000;
        Self { cluster, folder, config, executor: None, callbacks: None, address }
    }

    pub(crate) fn client(&self) -> Client {
        let mut config = kube::Config::new(self.cluster.url().parse().unwrap());
        config.auth_info.token = Some(self.cluster.token().to_owned().into());
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// Starts the executor and what its Jobs call.
    pub(crate) async fn start(&mut self) {
        let key = RunKey::new(&[7; 32]).unwrap();
        let executor = KubernetesExecutor::new(self.client(), self.config.clone(), key);
        let router = executor.callbacks();
        let listener = self.listen().await;
        self.callbacks = Some(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        }));
        self.executor = Some(executor);
    }

    async fn listen(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The power of our server fails.
    pub(crate) async fn stop(&mut self) {
        if let Some(callbacks) = self.callbacks.take() {
            callbacks.abort();
            let _ = callbacks.await;
        }
        self.executor = None;
    }

    pub(crate) fn executor(&self) -> &KubernetesExecutor {
        self.executor.as_ref().unwrap()
    }

    pub(crate) async fn run(&self, order: &RunOrder) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder::default());
        self.executor().start(order.clone(), Arc::clone(&recorder) as _).await.unwrap();
        recorder
    }

    /// How an order ends.
    pub(crate) async fn outcome(&self, order: &RunOrder) -> Outcome {
        self.run(order).await.end().await.outcome
    }

    pub(crate) fn jobs(&self) -> Vec<Value> {
        self.cluster.objects("jobs", NAMESPACE)
    }

    /// Waits until the Jobs are as they should be.
    pub(crate) async fn until(&self, what: &str, are: impl Fn(&[Value]) -> bool) {
        until(what, || are(&self.jobs())).await;
    }

    /// The name of the only Job, once it is there.
    pub(crate) async fn only_job(&self) -> String {
        self.until("a Job", |jobs| jobs.len() == 1).await;
        self.jobs()[0]["metadata"]["name"].as_str().unwrap().to_owned()
    }

    /// The token that the first Job has.
    pub(crate) fn token(&self) -> String {
        let variables = self.jobs()[0]["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        let token = variables.iter().find(|variable| variable["name"] == "CSW_RUN_TOKEN").unwrap();
        token["value"].as_str().unwrap().to_owned()
    }

    /// A file that lets runs go on which wait for it.
    pub(crate) fn gate(&self) -> PathBuf {
        self.folder.path().join("gate")
    }

    pub(crate) fn open_gate(&self) {
        std::fs::write(self.gate(), "").unwrap();
    }

    /// Waits until a text is in the log of a run.
    pub(crate) async fn until_logged(&self, recorder: &Recorder, text: &str) {
        until(text, || recorder.log_text().contains(text)).await;
    }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what} never came");
}

/// An order of a simulation with these arguments.
pub(crate) fn order(arguments: Value) -> RunOrder {
    let id = || Uuid::now_v7().to_string();
    RunOrder {
        run: id().parse().unwrap(),
        lease: id().parse().unwrap(),
        task: Task::Sim,
        model: "owner/Title".parse().unwrap(),
        version: id().parse().unwrap(),
        artifact: Artifact::Image { reference: "registry/owner_title:1".to_owned() },
        strategy: Strategy::Fresh,
        sharing: Sharing::Public,
        arguments,
        limits: Limits { cpus: 1.0, memory_bytes: 1_000_000_000, deadline_seconds: 60 },
        network: false,
        secrets: Secrets::new(),
    }
}

/// Receives events like a database would.
#[derive(Default)]
pub(crate) struct Recorder {
    log: Mutex<Vec<u8>>,
    /// Where what comes next belongs, once somebody said so.
    offset: Mutex<Option<usize>>,
    outputs: Mutex<BTreeMap<u32, (String, u64)>>,
    ends: watch::Sender<Vec<RunEnd>>,
    /// Reports that are refused for the moment.
    pub(crate) refused: AtomicU32,
    /// Nobody wants to hear of this run.
    pub(crate) stale: std::sync::atomic::AtomicBool,
}

impl Recorder {
    /// The end, once it is there.
    pub(crate) async fn end(&self) -> RunEnd {
        let mut ends = self.ends.subscribe();
        let found = tokio::time::timeout(PATIENCE, ends.wait_for(|ends| !ends.is_empty())).await;
        found.expect("the run has no end").unwrap()[0].clone()
    }

    pub(crate) fn ends(&self) -> usize {
        self.ends.borrow().len()
    }

    pub(crate) fn log_text(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Sizes of the outputs.
    pub(crate) fn outputs(&self) -> Vec<u64> {
        self.outputs.lock().unwrap().values().map(|(_, size)| *size).collect()
    }

    /// The first bytes that are stored, as after a fault: the rest was in memory only.
    pub(crate) fn restarted(&self, stored: usize) -> Arc<Self> {
        let log = self.log.lock().unwrap()[..stored].to_vec();
        Arc::new(Self { log: Mutex::new(log), ..Self::default() })
    }

    fn refuses(&self) -> bool {
        self.refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[async_trait]
impl RunEvents for Recorder {
    async fn log(&self, _: &RunOrder, text: Bytes) {
        let mut log = self.log.lock().unwrap();
        let mut offset = self.offset.lock().unwrap();
        let at = offset.unwrap_or(log.len());
        let known = log.len() - at;
        log.extend_from_slice(text.get(known.min(text.len())..).unwrap_or_default());
        *offset = Some(at + text.len());
    }

    async fn output(&self, order: &RunOrder, output: OutputDraft) -> Result<(), ReportError> {
        if self.refuses() {
            return Err(ReportError::Unavailable { run: order.run, cause: "a test".to_owned() });
        }
        let bytes = match &output.body {
            OutputBody::Bytes(bytes) => bytes.to_vec(),
            OutputBody::File(path) => std::fs::read(path).unwrap(),
            OutputBody::Stored => vec![0; usize::try_from(output.size).unwrap()],
        };
        assert_eq!(bytes.len() as u64, output.size);
        self.outputs.lock().unwrap().insert(output.position, (output.sha256, output.size));
        Ok(())
    }

    async fn ended(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        if self.refuses() {
            return Err(ReportError::Unavailable { run: order.run, cause: "a test".to_owned() });
        }
        if self.stale.load(Ordering::SeqCst) {
            return Err(ReportError::Stale { run: order.run });
        }
        self.ends.send_modify(|ends| ends.push(end));
        Ok(())
    }

    async fn begins(&self, _: &RunOrder) -> Result<u64, ReportError> {
        self.outputs.lock().unwrap().clear();
        Ok(self.log.lock().unwrap().len() as u64)
    }

    async fn log_resumes(&self, _: &RunOrder, offset: u64) {
        *self.offset.lock().unwrap() = Some(usize::try_from(offset).unwrap());
    }
}
