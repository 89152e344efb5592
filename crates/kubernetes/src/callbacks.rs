//! What Jobs call: `wire` has the requests.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use csw_core::run::{OutputBody, RunEnd, RunOrder};
use futures::StreamExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::{io::AsyncWriteExt, sync::MutexGuard, time::Instant};
use uuid::Uuid;

use crate::{
    attempt::{Attempt, Told, milliseconds},
    executor::Inner,
    lingering::Word,
    refusal::{Answer, Of, Refusal, bearer, just_started, process, text},
    wire::{END, End, Head, IN_MEMORY, LOG_BASE, LOG_PIECE, Missing, Next, OUTPUT, Order, OutputPlace, Received},
};

/// A Job that waits for another run asks again after so long.
const HELD: Duration = Duration::from_secs(20);

pub(crate) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/run/order", get(order))
        .route("/run/log", post(log))
        .route("/run/output", put(output))
        .route("/run/end", post(end))
        .route("/run/next", get(next))
        .with_state(inner)
}

/// The attempt that a token is good for.
fn attempt(inner: &Inner, headers: &HeaderMap) -> Answer<Arc<Attempt>> {
    let (run, lease) = bearer(headers).and_then(|token| inner.key.check(token)).ok_or(Refusal::Stranger(Of::Run))?;
    match inner.attempts.find(run, lease) {
        Some(attempt) => Ok(attempt),
        None if inner.may_adopt() => Err(just_started()),
        None => Err(Refusal::Gone(Of::Run)),
    }
}

/// The turn of a process that is heard. One that the server has forgotten tells its log from the beginning.
async fn turn<'a>(attempt: &'a Attempt, headers: &HeaderMap) -> Answer<MutexGuard<'a, Told>> {
    let process = process(headers)?;
    let mut told = attempt.told.lock().await;
    if told.over || told.process.is_some_and(|heard| heard != process) {
        return Err(Refusal::Gone(Of::Run));
    }
    if told.process.is_none() {
        let base = text(headers, LOG_BASE).and_then(|text| text.parse().ok()).unwrap_or_default();
        attempt.events.log_resumes(&attempt.order, base).await;
        begin(attempt, &mut told, process);
    }
    Ok(told)
}

fn begin(attempt: &Attempt, told: &mut Told, process: Uuid) {
    told.process = Some(process);
    told.received = 0;
    told.outputs.clear();
    told.fetched = Some(Instant::now());
    attempt.see(|seen| seen.fetched = true);
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    without: String,
}

async fn order(
    State(inner): State<Arc<Inner>>,
    Query(Wanted { without }): Query<Wanted>,
    headers: HeaderMap,
) -> Answer<Json<Order>> {
    let attempt = attempt(&inner, &headers)?;
    let process = process(&headers)?;
    let mut told = attempt.told.lock().await;
    if told.over {
        return Err(Refusal::Gone(Of::Run));
    }
    let log_base = attempt.events.begins(&attempt.order).await?;
    begin(&attempt, &mut told, process);
    Ok(Json(Order::new(&attempt.order, log_base, without != "arguments")))
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
    let attempt = attempt(&inner, &headers)?;
    let piece = axum::body::to_bytes(body, LOG_PIECE).await.map_err(|error| Refusal::Later(error.to_string()))?;
    let mut told = turn(&attempt, &headers).await?;
    // What is known is left out; before what is missing nothing is taken.
    if let Some(known) = told.received.checked_sub(offset)
        && let Ok(known) = usize::try_from(known)
        && known < piece.len()
    {
        let new = piece.slice(known..);
        told.received += new.len() as u64;
        attempt.events.log(&attempt.order, new).await;
    }
    Ok(Json(Received { received: told.received }))
}

async fn output(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Body) -> Answer<StatusCode> {
    let attempt = attempt(&inner, &headers)?;
    let head = text(&headers, OUTPUT).and_then(Head::decode);
    let head = head.ok_or_else(|| Refusal::Nonsense(format!("the header {OUTPUT} can't be read")))?;
    // Whoever is not heard need not send it all.
    if turn(&attempt, &headers).await?.outputs.contains(&head.place()) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let (body, _file) = received(&inner, &head, body).await?;
    let mut told = turn(&attempt, &headers).await?;
    attempt.events.output(&attempt.order, head.draft(body)).await?;
    told.outputs.insert(head.place());
    Ok(StatusCode::NO_CONTENT)
}

/// The bytes of an output, once they are what their hash says. The file lives as long as the second part.
async fn received(inner: &Inner, head: &Head, body: Body) -> Answer<(OutputBody, Option<NamedTempFile>)> {
    let mut memory = Vec::new();
    let mut file = None;
    if head.size > IN_MEMORY {
        let named = NamedTempFile::new_in(&inner.config.uploads)?;
        let writer = tokio::fs::File::from_std(named.reopen()?);
        file = Some((named, writer));
    }
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part: Bytes = part.map_err(|error| Refusal::Later(error.to_string()))?;
        size += part.len() as u64;
        if size > head.size {
            break;
        }
        hash.update(&part);
        match &mut file {
            Some((_, writer)) => writer.write_all(&part).await?,
            None => memory.extend_from_slice(&part),
        }
    }
    if size != head.size || hex::encode(hash.finalize()) != head.sha256 {
        return Err(Refusal::Later("the output arrived damaged; send it again".to_owned()));
    }
    match file {
        None => Ok((OutputBody::Bytes(memory.into()), None)),
        Some((named, mut writer)) => {
            writer.flush().await?;
            Ok((OutputBody::File(named.path().to_owned()), Some(named)))
        }
    }
}

async fn end(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Body) -> Answer<Response> {
    let attempt = attempt(&inner, &headers)?;
    let text = axum::body::to_bytes(body, END).await.map_err(|error| Refusal::Later(error.to_string()))?;
    let end: End = serde_json::from_slice(&text).map_err(|error| Refusal::Nonsense(error.to_string()))?;
    let mut told = turn(&attempt, &headers).await?;
    for stored in end.stored.iter().filter(|stored| !told.outputs.contains(&stored.head.place())).collect::<Vec<_>>() {
        if !inner.key.is_receipt(attempt.order.run, attempt.order.lease, &stored.head, &stored.receipt) {
            continue;
        }
        attempt.events.output(&attempt.order, stored.head.draft(OutputBody::Stored)).await?;
        told.outputs.insert(stored.head.place());
    }
    let missing: Vec<OutputPlace> =
        end.outputs.iter().filter(|output| !told.outputs.contains(output)).cloned().collect();
    if !missing.is_empty() || told.received < end.log {
        return Ok((StatusCode::CONFLICT, Json(Missing { missing, received: told.received })).into_response());
    }
    let job = attempt.carrier().unwrap_or_else(|| Arc::clone(&attempt));
    let lingers = end.lingers && !inner.config.linger.is_zero() && job.made.load(Ordering::Relaxed);
    let mut end = RunEnd::from(end);
    if let Some(fetched) = told.fetched {
        end.phases.start += milliseconds(fetched.duration_since(attempt.begun));
    }
    if lingers {
        // Before the end is known: what follows from it may be the next run.
        job.see(|seen| seen.lingers = true);
        job.swap_offer(Some(inner.lingering.offer(&job, inner.config.linger)));
    }
    if let Err(error) = attempt.settle(&mut told, end).await {
        job.swap_offer(None);
        return Err(error.into());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Another run for a Job whose own is over.
async fn next(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Answer<Response> {
    let job = attempt(&inner, &headers)?;
    let Some(mut offer) = job.swap_offer(None) else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let told = match tokio::time::timeout_at(offer.until.min(Instant::now() + HELD), &mut offer.word).await {
        Ok(told) => told.ok(),
        Err(_) if Instant::now() < offer.until => {
            job.swap_offer(Some(offer));
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        Err(_) => {
            offer.word.close();
            // It may have come at the last moment.
            offer.word.try_recv().ok()
        }
    };
    let Some(Word::Run(given)) = told else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let RunOrder { run, lease, task, .. } = given.order;
    Ok(Json(Next { run, task, token: inner.key.token(run, lease) }).into_response())
}
