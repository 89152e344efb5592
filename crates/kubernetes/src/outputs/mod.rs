//! The outputs processor: a service between Jobs and object storage, of which there may be many.
//!
//! Bytes of outputs go through it, and nothing else: it checks the token of the attempt, that the attempt still counts, and
//! that bytes are what their hash says; stores them; and gives a receipt, by which the server that is told the end knows
//! that they are there. It keeps nothing but what is half received, so that any of several can be asked, and a large output
//! goes on where it stopped. Ends it passes on.

mod partial;
mod push;
mod write;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    http::HeaderMap,
    routing::{get, post},
};
use csw_core::{
    ids::{Lease, RunId},
    ports::{Hold, ObjectStorage, RunHolds},
};

use self::partial::Partials;
use crate::{
    refusal::{Of, Refusal, bearer},
    token::RunKey,
};

/// What is half received and was not gone on with for so long is removed.
const ABANDONED: Duration = Duration::from_hours(24);

/// How often such files are looked for.
const TIDYING: Duration = Duration::from_hours(1);

/// What a processor stands on.
pub struct OutputsProcessor {
    /// Of the tokens of runs, and of its receipts.
    pub key: RunKey,
    /// Where outputs go.
    pub objects: Arc<dyn ObjectStorage>,
    /// Says which attempts count.
    pub runs: Arc<dyn RunHolds>,
    /// A folder of its own for outputs on their way.
    pub folder: PathBuf,
    /// Where the server of the Jobs is told ends.
    pub server: String,
}

pub(crate) struct Inner {
    key: RunKey,
    objects: Arc<dyn ObjectStorage>,
    runs: Arc<dyn RunHolds>,
    partials: Partials,
    server: String,
    http: reqwest::Client,
}

/// What Jobs call. What former processes left in the folder is gone on with, and removed when it is old.
pub fn router(processor: OutputsProcessor) -> io::Result<Router> {
    let OutputsProcessor { key, objects, runs, folder, server } = processor;
    let partials = Partials::new(folder)?;
    let http = crate::executor::http();
    let server = server.trim_end_matches('/').to_owned();
    let inner = Arc::new(Inner { key, objects, runs, partials, server, http });
    tokio::spawn(tidy(Arc::downgrade(&inner)));
    Ok(Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route("/write/", get(write::progress).put(write::write))
        .route("/push/", post(push::push))
        .with_state(inner))
}

async fn tidy(inner: std::sync::Weak<Inner>) {
    while let Some(inner) = inner.upgrade() {
        if let Err(error) = inner.partials.remove_older(ABANDONED) {
            tracing::warn!(%error, "outputs that nobody sends any more can't be removed");
        }
        drop(inner);
        tokio::time::sleep(TIDYING).await;
    }
}

impl Inner {
    /// The attempt that the token of a request is good for.
    fn attempt(&self, headers: &HeaderMap) -> Result<(RunId, Lease), Refusal> {
        bearer(headers).and_then(|token| self.key.check(token)).ok_or(Refusal::Stranger(Of::Run))
    }

    /// The same, if the attempt still counts.
    async fn live_attempt(&self, headers: &HeaderMap) -> Result<(RunId, Lease), Refusal> {
        let (run, lease) = self.attempt(headers)?;
        match self.runs.hold(run).await.map_err(|error| Refusal::Later(error.to_string()))? {
            Hold::Lease(held) if held == lease => Ok((run, lease)),
            Hold::Lease(_) | Hold::Nobody => Err(Refusal::Gone(Of::Run)),
            Hold::Unknown => Err(Refusal::Elsewhere),
        }
    }
}
