//! What the processes of builds call: `wire` has the requests.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{
    publisher::Inner,
    session::{NotHeard, Session},
    wire::{Answered, Next, Order, Progress},
};
use crate::wire::{PROCESS, Received};

/// A piece of a log is not longer.
const LOG_PIECE: usize = 1 << 20;

/// An answer is not longer: there may be scripts of plots in it.
const ANSWER: usize = 160 << 20;

/// Where nothing is wanted, that is said after so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/build/order", get(order))
        .route("/build/next", post(next))
        .route("/build/source", get(source))
        .route("/build/log", post(log))
        .route("/build/answer", post(answer))
        .with_state(inner)
}

/// Why a request is not carried out.
enum Refusal {
    /// The token is none of ours.
    Stranger,
    /// The build is somebody else's, or over.
    Gone,
    /// Not now.
    Later(String),
    /// It makes no sense.
    Nonsense(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Stranger => (StatusCode::UNAUTHORIZED, "this token is good for no build").into_response(),
            Self::Gone => (StatusCode::GONE, "the build is somebody else's now, or over").into_response(),
            Self::Later(cause) => (StatusCode::SERVICE_UNAVAILABLE, cause).into_response(),
            Self::Nonsense(cause) => (StatusCode::BAD_REQUEST, cause).into_response(),
        }
    }
}

impl From<NotHeard> for Refusal {
    fn from(_: NotHeard) -> Self {
        Self::Gone
    }
}

type Answer<T> = Result<T, Refusal>;

/// The session that a token is good for.
fn session(inner: &Inner, headers: &HeaderMap) -> Answer<Arc<Session>> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let (build, attempt) = token.and_then(|token| inner.key.check_build(token)).ok_or(Refusal::Stranger)?;
    match inner.sessions.find(build, attempt) {
        Some(session) => Ok(session),
        None if inner.sessions.may_adopt(build) => {
            Err(Refusal::Later("the server has just started; ask again".to_owned()))
        }
        None => Err(Refusal::Gone),
    }
}

fn process(headers: &HeaderMap) -> Answer<Uuid> {
    let process = headers.get(PROCESS).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    process.ok_or_else(|| Refusal::Nonsense(format!("the header {PROCESS} is missing")))
}

/// The session in which a process has its turn.
fn turn(inner: &Inner, headers: &HeaderMap) -> Answer<Arc<Session>> {
    let session = session(inner, headers)?;
    session.turn(process(headers)?)?;
    Ok(session)
}

async fn order(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Answer<Json<Order>> {
    session(&inner, &headers)?.hear(process(&headers)?)?;
    Ok(Json(Order { site: inner.config.site.clone() }))
}

async fn next(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Json(progress): Json<Progress>,
) -> Answer<Json<Next>> {
    let session = turn(&inner, &headers)?;
    let mut changes = session.changes();
    let asking = async {
        loop {
            changes.mark_unchanged();
            let next = session.next(&progress);
            if !next.commands.is_empty() || !next.untold.is_empty() || session.is_over() {
                return next;
            }
            // The session lives as long as this.
            let _ = changes.changed().await;
        }
    };
    Ok(Json(tokio::time::timeout(PATIENCE, asking).await.unwrap_or_default()))
}

async fn source(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Answer<Response> {
    let session = turn(&inner, &headers)?;
    let missing = || Refusal::Later("the source is not here yet".to_owned());
    let file = tokio::fs::File::open(session.source().ok_or_else(missing)?).await.map_err(|_| missing())?;
    Ok(Body::from_stream(ReaderStream::new(file)).into_response())
}

#[derive(Deserialize)]
struct Offset {
    offset: u64,
}

async fn log(
    State(inner): State<Arc<Inner>>,
    Query(Offset { offset }): Query<Offset>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<Received>> {
    session(&inner, &headers)?;
    let piece = axum::body::to_bytes(body, LOG_PIECE).await.map_err(|error| Refusal::Later(error.to_string()))?;
    let session = turn(&inner, &headers)?;
    Ok(Json(Received { received: session.write(offset, &piece) }))
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Body) -> Answer<Response> {
    session(&inner, &headers)?;
    let text = axum::body::to_bytes(body, ANSWER).await.map_err(|error| Refusal::Later(error.to_string()))?;
    let told: Answered = serde_json::from_slice(&text).map_err(|error| Refusal::Nonsense(error.to_string()))?;
    let session = turn(&inner, &headers)?;
    Ok(match session.answer(told.key, told.answer, told.log) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(received) => (StatusCode::CONFLICT, Json(Received { received })).into_response(),
    })
}
