//! What the processes of builds call: `wire` has the requests.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::{
    publisher::Inner,
    session::{NotHeard, Session},
    wire::{Answered, Next, Order, Progress},
};
use crate::{
    refusal::{Answer, Of, Refusal, bearer, just_started, process},
    wire::{LOG_PIECE, Received},
};

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

impl From<NotHeard> for Refusal {
    fn from(_: NotHeard) -> Self {
        Self::Gone(Of::Build)
    }
}

/// The session that a token is good for.
fn session(inner: &Inner, headers: &HeaderMap) -> Answer<Arc<Session>> {
    let (build, attempt) =
        bearer(headers).and_then(|token| inner.key.check_build(token)).ok_or(Refusal::Stranger(Of::Build))?;
    match inner.sessions.find(build, attempt) {
        Some(session) => Ok(session),
        None if inner.sessions.may_adopt(build) => Err(just_started()),
        None => Err(Refusal::Gone(Of::Build)),
    }
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
