//! The executor: orders become Jobs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use csw_core::{
    ids::{RunId, VersionId},
    ports::{Capacity, Executor, ExecutorError, RunEvents, Zygotes},
    run::RunOrder,
};
use kube::Client;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::Attempt,
    attempts::Attempts,
    cluster::{Cluster, Refused},
    config::KubernetesConfig,
    follow::follow,
    inputs::servers::Servers,
    lingering::Lingering,
    redis::Arguments,
    token::RunKey,
    watching,
};

/// Runs orders as Jobs of one namespace.
pub struct KubernetesExecutor {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: KubernetesConfig,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) key: RunKey,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) servers: Arc<Servers>,
    pub(crate) lingering: Lingering,
    /// What Jobs find in Redis, if there is one.
    pub(crate) arguments: Option<Arguments>,
    /// Asks inputs servers.
    pub(crate) http: reqwest::Client,
    /// Places for live Jobs.
    pub(crate) places: Arc<Semaphore>,
    /// When somebody first asked what is live: from then on attempts are taken over.
    asked: std::sync::OnceLock<Instant>,
    closing: CancellationToken,
}

impl KubernetesExecutor {
    /// Begins to watch the namespace. Whoever makes a second one with the same site looks after the same Jobs: see
    /// [`crate::leader`].
    pub fn new(client: Client, config: KubernetesConfig, key: RunKey) -> Self {
        let (attempts, servers) = (Arc::new(Attempts::new()), Arc::new(Servers::default()));
        let closing = CancellationToken::new();
        watching::start(&client, &config, &attempts, &servers, &closing);
        let cluster = Arc::new(Cluster::new(client, &config));
        let tending = Arc::clone(&servers).tend(Arc::clone(&cluster), config.clone());
        tokio::spawn(closing.clone().run_until_cancelled_owned(tending));
        let inner = Inner {
            cluster,
            key,
            attempts,
            servers,
            http: http(),
            lingering: Lingering::default(),
            arguments: config.redis.clone().map(|redis| Arguments::new(redis, config.start_limit)),
            places: Arc::new(Semaphore::new(config.capacity.runs as usize)),
            asked: std::sync::OnceLock::new(),
            closing,
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What Jobs call.
    pub fn callbacks(&self) -> axum::Router {
        crate::callbacks::router(Arc::clone(&self.inner))
    }
}

/// A client that follows no redirect, which would carry a run's token to whoever is named in it, and keeps no connection: a
/// Service spreads connections over its pods, not requests.
pub(crate) fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(concat!("csw/", env!("CARGO_PKG_VERSION")));
    // Without anything of its own a client can always be made.
    builder.build().unwrap_or_default()
}

impl Drop for KubernetesExecutor {
    fn drop(&mut self) {
        self.inner.closing.cancel();
    }
}

impl Inner {
    pub(crate) fn forget(&self, attempt: &Attempt) {
        self.attempts.forget(attempt);
    }

    /// Whether a run that nobody here knows may still be taken over.
    pub(crate) fn may_adopt(&self) -> bool {
        self.asked.get().is_none_or(|asked| asked.elapsed() < self.config.adoption)
    }

    /// Deletes Jobs that a former process left and that nobody wants.
    async fn delete_orphans(&self) {
        for name in self.attempts.orphans() {
            tracing::info!(job = name, "a Job that nobody waits for is deleted");
            match self.cluster.delete_job(&name).await {
                Ok(()) | Err(Refused::Missing) => {}
                Err(error) => tracing::warn!(job = name, ?error, "and could not be; its own deadline ends it"),
            }
        }
        if let Some(arguments) = &self.arguments {
            arguments.sweep(|lease| self.attempts.has(lease)).await;
        }
    }
}

#[async_trait]
impl Executor for KubernetesExecutor {
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        if self.inner.closing.is_cancelled() {
            return Err(ExecutorError::Unavailable { cause: "the server is shutting down".to_owned() });
        }
        let missing = |cause| ExecutorError::ArtifactMissing { version: order.version, cause };
        crate::manifest::check(&order, &self.inner.config).map_err(missing)?;
        let attempt = Arc::new(Attempt::new(order, events));
        if self.inner.attempts.begin(&attempt) {
            let stop = self.inner.closing.clone();
            tokio::spawn(stop.run_until_cancelled_owned(follow(Arc::clone(&self.inner), attempt)));
        }
        Ok(())
    }

    async fn cancel(&self, run: RunId) {
        if let Some(attempt) = self.inner.attempts.of_run(run) {
            attempt.cancel();
        }
    }

    /// Runs with Jobs, finished ones too: whoever takes such a run over is told how it ended.
    async fn live(&self) -> Vec<RunId> {
        let live = self.inner.attempts.live().await;
        if self.inner.asked.set(Instant::now()).is_ok() {
            let inner = Arc::clone(&self.inner);
            let stop = inner.closing.clone();
            tokio::spawn(stop.run_until_cancelled_owned(async move {
                tokio::time::sleep(inner.config.adoption).await;
                inner.delete_orphans().await;
            }));
        }
        live
    }

    /// Nothing is kept ready: a pod that waits costs as much as one that runs.
    async fn warm(&self, _: RunOrder) {}

    async fn evict(&self, _: VersionId) {}

    fn manifests(&self, order: &RunOrder) -> Result<Vec<serde_json::Value>, String> {
        crate::inputs::manifest::objects(order, &self.inner.config)
    }

    fn capacity(&self) -> Capacity {
        self.inner.config.capacity
    }

    fn zygotes(&self) -> Zygotes {
        Zygotes::default()
    }

    /// Jobs go on without us, and keep what they have to tell for whoever asks next.
    async fn shut_down(&self, _: u32) {
        self.inner.closing.cancel();
    }
}
