//! Where runs execute.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use thiserror::Error;

use crate::{
    ids::{RunId, VersionId},
    model::{Artifact, Strategy},
    run::{OutputDraft, RunEnd, RunOrder},
};

/// Why an executor did not take an order.
#[derive(Debug, Error)]
pub enum ExecutorError {
    /// The version's artifact is not there.
    #[error("version {version} can't run: {cause}")]
    ArtifactMissing {
        /// Which.
        version: VersionId,
        /// What is missing.
        cause: String,
    },
    /// It is shutting down or out of order; another attempt may succeed.
    #[error("the executor does not take runs: {cause}")]
    Unavailable {
        /// Why.
        cause: String,
    },
}

/// Why a report was not taken.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The lease is no longer good: the run was given to another worker, or is over. Stop, and do not retry.
    #[error("run {run} is no longer this worker's")]
    Stale {
        /// Which.
        run: RunId,
    },
    /// Not now: the database or storage refused. Keep the result and retry with back-off.
    #[error("the report of run {run} was not stored: {cause}")]
    Unavailable {
        /// Which.
        run: RunId,
        /// Why.
        cause: String,
    },
}

/// Takes what executions tell. Deliveries may repeat; the receiver makes each count once.
#[async_trait]
pub trait RunEvents: Send + Sync {
    /// Raw text of stdout and stderr, in order, as it comes. Never fails the run.
    async fn log(&self, order: &RunOrder, text: Bytes);
    /// One output. It counts once its bytes are stored; the executor retries [`ReportError::Unavailable`].
    async fn output(&self, order: &RunOrder, output: OutputDraft) -> Result<(), ReportError>;
    /// The end. The executor keeps `end` and retries [`ReportError::Unavailable`] until it is acknowledged.
    async fn ended(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError>;
    /// A process takes the run up, maybe in the place of one that is lost: outputs that were told before count no more.
    /// Answers how many bytes of log the run has, which the process's own log follows. For executors whose runs outlive
    /// the server.
    async fn begins(&self, _order: &RunOrder) -> Result<u64, ReportError> {
        Ok(0)
    }
    /// The log of a process that outlived the server is told again from its first byte, which has this place in the log
    /// of the run. What is stored already stays as it is.
    async fn log_resumes(&self, _order: &RunOrder, _offset: u64) {}
}

/// What an executor can hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// CPUs.
    pub cpus: f64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Executions at once, whatever their size.
    pub runs: u32,
}

/// What is parked, for operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Zygotes {
    /// Parked interpreters.
    pub parked: u32,
    /// Their memory in bytes.
    pub memory_bytes: u64,
}

/// Executes runs: on this machine, or as Kubernetes Jobs.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Begins; returns once it is on its way. Idempotent by run and lease: an order that is already live is no error. A run
    /// under a new lease is a new attempt, which replaces the former one.
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError>;
    /// Stops a run with all its processes; its end will be reported as cancelled. Unknown runs are no error.
    async fn cancel(&self, run: RunId);
    /// The runs it really has, for the reconciler.
    async fn live(&self) -> Vec<RunId>;
    /// Somebody opened the form: have a zygote ready. A hint; never waits for the import.
    async fn warm(&self, order: RunOrder);
    /// Drop the zygotes of a version that is withdrawn or evicted by hand.
    async fn evict(&self, version: VersionId);
    /// Why orders of this artifact that ask for `strategy` are executed in a slower way, where that was found out.
    /// `None` from an executor that has one way only.
    fn obstacle(&self, _artifact: &Artifact, _strategy: Strategy) -> Option<String> {
        None
    }
    /// A new check of this artifact begins: what was found out about it before counts no more.
    fn reconsider(&self, _artifact: &Artifact) {}
    /// The objects that a version has in a cluster besides its runs, for `kubectl apply`: of the version that `order` is
    /// for. The error is a sentence: it can have none, and why.
    fn manifests(&self, _order: &RunOrder) -> Result<Vec<Value>, String> {
        Err("runs of this site are executed on its own machine, not in a cluster".to_owned())
    }
    /// What fits.
    fn capacity(&self) -> Capacity;
    /// What is parked now.
    fn zygotes(&self) -> Zygotes;
    /// Stops taking orders, gives the live ones `grace_seconds`, then ends them as lost, so that they are tried again.
    async fn shut_down(&self, grace_seconds: u32);
}
