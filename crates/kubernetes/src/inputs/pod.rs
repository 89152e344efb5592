//! The side of the pod: it is told of a question, fetches it as a Job would, and has it answered by a fork of an
//! interpreter that has the model imported.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /sync/` with `task_id` and `task_name`: `version` or `defaults` | 200 once the answer is stored |
//! | `POST /async/` with the same: `parse` | 202 and `PENDING` at once; the line stays open until the answer is stored |
//! | `GET /healthz` | 200 |
//!
//! Both have the run's token as bearer; it is good if the server that made it gives the order for it. Whoever hangs up
//! wants no answer: the work is stopped. 401: the token is good for nothing; 409: this is another version; 410: the run is
//! somebody else's, or over; 429: as much is asked already as is answered at once; 503: not now.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use csw_core::{
    ids::{RunId, VersionId},
    model::Artifact,
    ports::{Executor, ReportError, RunEvents},
    run::{OutputDraft, RunEnd, RunOrder, Task},
};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::job::{Carrier, JobError, Orders};

/// An order that can't be had for so long is asked for again by whoever told of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an inputs server is.
pub struct InputsServer {
    /// The server that questions come from.
    pub callback_url: String,
    /// The version it has.
    pub version: VersionId,
    /// Where the executor has that version.
    pub artifact: Artifact,
    /// Where what is on its way may be kept.
    pub folder: PathBuf,
    /// Questions that are answered at once.
    pub at_once: usize,
}

struct Pod {
    server: InputsServer,
    executor: Arc<dyn Executor>,
    places: Arc<Semaphore>,
}

/// The requests of an inputs server whose questions an executor answers.
pub fn router(executor: Arc<dyn Executor>, server: InputsServer) -> Router {
    let places = Arc::new(Semaphore::new(server.at_once));
    Router::new()
        .route("/sync/", post(at_once))
        .route("/async/", post(later))
        .route("/healthz", get(async || "ok\n"))
        .with_state(Arc::new(Pod { server, executor, places }))
}

#[derive(Deserialize)]
struct Asked {
    task_id: RunId,
    task_name: Task,
}

/// Why nothing is begun.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

async fn at_once(State(pod): State<Arc<Pod>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let begun = pod.begin(&headers, &body, &[Task::Version, Task::Defaults]).await?;
    begun.over.cancelled().await;
    Ok(Json(json!({ "status": "SUCCESS", "task_id": begun.run })).into_response())
}

async fn later(State(pod): State<Arc<Pod>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let begun = pod.begin(&headers, &body, &[Task::Parse]).await?;
    let line = |status: &str, run: RunId| {
        Ok::<_, std::io::Error>(format!("{}\n", json!({ "status": status, "task_id": run })))
    };
    let first = line("PENDING", begun.run);
    let lines = stream::once(async { first }).chain(stream::once(async move {
        begun.over.cancelled().await;
        line("SUCCESS", begun.run)
    }));
    let form = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((StatusCode::ACCEPTED, form, Body::from_stream(lines)).into_response())
}

fn not_now(cause: String) -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, cause)
}

/// What is asked, at the place where it is asked.
fn understood(body: &[u8], tasks: &[Task]) -> Result<Asked, Refusal> {
    let refused = |sentence: String| Refusal(StatusCode::BAD_REQUEST, sentence);
    let asked: Asked =
        serde_json::from_slice(body).map_err(|error| refused(format!("write task_id and task_name: {error}")))?;
    let place = match asked.task_name {
        Task::Version | Task::Defaults => "is asked at /sync/",
        Task::Parse => "is asked at /async/",
        Task::Sim => "is a Job",
    };
    if tasks.contains(&asked.task_name) {
        Ok(asked)
    } else {
        Err(refused(format!("{} {place}, not here", asked.task_name.as_str())))
    }
}

/// A question that is being answered for as long as somebody holds this.
struct Begun {
    run: RunId,
    over: CancellationToken,
    left: CancellationToken,
    executor: Arc<dyn Executor>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.over.is_cancelled() {
            self.left.cancel();
            let (executor, run) = (Arc::clone(&self.executor), self.run);
            tokio::spawn(async move { executor.cancel(run).await });
        }
    }
}

impl Pod {
    async fn begin(&self, headers: &HeaderMap, body: &[u8], tasks: &[Task]) -> Result<Begun, Refusal> {
        let asked = understood(body, tasks)?;
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Refusal(StatusCode::UNAUTHORIZED, "the run's token is missing".to_owned()))?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            Refusal(StatusCode::TOO_MANY_REQUESTS, "as much is asked already as is answered at once".to_owned())
        })?;
        let carrier = Carrier::new(&self.server.callback_url, token.to_owned(), self.server.folder.clone());
        let carrier = carrier.map_err(|error| not_now(error.to_string()))?;
        let order = self.order(&carrier, &asked).await?;
        self.start(order, carrier, place).await
    }

    async fn order(&self, carrier: &Carrier, asked: &Asked) -> Result<RunOrder, Refusal> {
        match tokio::time::timeout(PATIENCE, carrier.order()).await {
            Ok(Ok(order)) => self.checked(order, asked),
            Ok(Err(error @ JobError::Stranger { .. })) => Err(Refusal(StatusCode::UNAUTHORIZED, error.to_string())),
            Ok(Err(error @ JobError::Gone)) => Err(Refusal(StatusCode::GONE, error.to_string())),
            Ok(Err(error @ JobError::Client(_))) => Err(not_now(error.to_string())),
            Err(_) => Err(not_now("the order can't be had".to_owned())),
        }
    }

    /// The order that was told of, if this is the version it is for.
    fn checked(&self, order: RunOrder, asked: &Asked) -> Result<RunOrder, Refusal> {
        if (order.run, order.task) != (asked.task_id, asked.task_name) {
            return Err(Refusal(StatusCode::BAD_REQUEST, "the token is good for another run".to_owned()));
        }
        if order.version != self.server.version {
            let sentence = format!("this server has version {}, not {}", self.server.version, order.version);
            return Err(Refusal(StatusCode::CONFLICT, sentence));
        }
        Ok(RunOrder { artifact: self.server.artifact.clone(), ..order })
    }

    async fn start(&self, order: RunOrder, carrier: Carrier, place: OwnedSemaphorePermit) -> Result<Begun, Refusal> {
        let (run, over, left) = (order.run, CancellationToken::new(), CancellationToken::new());
        let carrier = Arc::new(carrier);
        let log = Arc::clone(&carrier);
        tokio::spawn(over.clone().run_until_cancelled_owned(async move { log.send_log().await }));
        let events = Heard { carrier, over: over.clone(), left: left.clone() };
        let started = self.executor.start(order, Arc::new(events)).await;
        started.map_err(|error| {
            over.cancel();
            not_now(error.to_string())
        })?;
        Ok(Begun { run, over, left, executor: Arc::clone(&self.executor), _place: place })
    }
}

/// Passes on what a run tells, as long as somebody listens.
struct Heard {
    carrier: Arc<Carrier>,
    over: CancellationToken,
    left: CancellationToken,
}

#[async_trait]
impl RunEvents for Heard {
    async fn log(&self, order: &RunOrder, text: Bytes) {
        self.carrier.log(order, text).await;
    }

    async fn output(&self, order: &RunOrder, output: OutputDraft) -> Result<(), ReportError> {
        self.carrier.output(order, output).await
    }

    async fn ended(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        // That it was stopped here is no end of the run: whoever hung up asks somebody else.
        let told = if self.left.is_cancelled() {
            Err(ReportError::Stale { run: order.run })
        } else {
            self.carrier.ended(order, end).await
        };
        if !matches!(told, Err(ReportError::Unavailable { .. })) {
            self.over.cancel();
        }
        told
    }
}
