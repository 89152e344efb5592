//! Server-sent events of simulations and builds: `status`, `progress`, `log`, and `end` as the last one.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use csw_app::{AppResult, Progress};
use csw_core::{build::StageRecord, run::Reason, simulation::InputsStatus};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::log::LogQuery;
use crate::{
    api::extract::{AtSimulation, Query, SimulationPath},
    error::ApiResult,
    state::WebState,
};

/// What happens to a simulation, as it happens:
///
/// - `status`: `{"inputs", "status", "reason", "ahead", "eta", "original_eta", "final"}`, now and at each change;
/// - `progress`: `{"ahead", "eta", "original_eta", "fraction"}`;
/// - `log`: `{"offset", "text"}`, its id is where to go on from;
/// - `end`: nothing more will come, the client closes the connection.
///
/// After a lost connection `Last-Event-ID` goes on with the log where it stopped.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/{model_pk}/events/", operation_id = "simulation_events",
    tag = "simulations",
    params(SimulationPath, LogQuery),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 403),
        (status = 404),
    ),
)]
pub(super) async fn events(
    State(state): State<WebState>,
    at: AtSimulation,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let offset = begin(&headers, &query);
    Ok(stream(state.app.follow(&at.who.caller, &at.view, offset), offset))
}

/// Where the client wants the log to begin.
fn begin(headers: &HeaderMap, query: &LogQuery) -> u64 {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    last.or(query.offset).unwrap_or(0)
}

/// Answers with the events of a build.
pub(in crate::api) fn build_events(
    headers: &HeaderMap,
    query: &LogQuery,
    follow: impl FnOnce(u64) -> stream::BoxStream<'static, AppResult<Progress>>,
) -> Response {
    let offset = begin(headers, query);
    stream(follow(offset), offset)
}

/// Turns progress into events.
fn stream(progress: impl Stream<Item = AppResult<Progress>> + Send + 'static, offset: u64) -> Response {
    let text = Text { held: Vec::new(), next: offset };
    let progress = progress.map(|item| item.map(Some)).chain(stream::once(async { Ok(None) }));
    let events = progress.scan(text, |text, item| {
        let events = match item {
            Ok(Some(progress)) => Some(events_of(progress, text)),
            Ok(None) => Some(vec![event("end", &json!({}))]),
            // It breaks off without an end: clients come back for the rest.
            Err(error) => {
                tracing::warn!(%error, "events break off");
                None
            }
        };
        std::future::ready(events.map(stream::iter))
    });
    let events = events.flatten().map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    // Proxies that gather answers would hold events back.
    ([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive)).into_response()
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

fn events_of(progress: Progress, text: &mut Text) -> Vec<Event> {
    match progress {
        Progress::Log { text: part, .. } => {
            let offset = text.next - text.held.len() as u64;
            let shown = text.take(&part);
            if shown.is_empty() {
                return Vec::new();
            }
            let id = (text.next - text.held.len() as u64).to_string();
            vec![event("log", &json!({ "offset": offset, "text": shown })).id(id)]
        }
        Progress::Build(build) => {
            let end = build.state.is_final();
            let stage = |one: &StageRecord| json!({ "stage": one.stage.as_str(), "state": one.state.as_str() });
            let stages: Vec<_> = build.stages.iter().map(stage).collect();
            let data = json!({
                "status": build.state.as_str(),
                "stage": build.stage.as_str(),
                "stages": stages,
                "message": build.message,
                "version": build.version.map(|id| id.to_string()),
                "final": end,
            });
            vec![event("status", &data)]
        }
        Progress::Simulation { inputs, status, reason, ahead, eta_seconds, original_seconds } => {
            let refused = matches!(inputs, InputsStatus::Invalid | InputsStatus::Fail | InputsStatus::WorkerFailure);
            let data = json!({
                "inputs": inputs.as_str(),
                "status": status.as_str(),
                "reason": reason.map(Reason::as_str),
                "ahead": ahead,
                "eta": eta_seconds,
                "original_eta": original_seconds,
                "final": status.is_final() || refused,
            });
            let fraction = if status.is_final() {
                1.0
            } else if original_seconds > 0.0 {
                (1.0 - eta_seconds / original_seconds).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let progress = json!({
                "ahead": ahead, "eta": eta_seconds, "original_eta": original_seconds, "fraction": fraction,
            });
            vec![event("progress", &progress), event("status", &data)]
        }
    }
}

/// A log on its way into events, which are text: a character whose bytes come in two parts waits for the second.
struct Text {
    held: Vec<u8>,
    /// Bytes of the log that were read.
    next: u64,
}

impl Text {
    fn take(&mut self, part: &[u8]) -> String {
        self.next += part.len() as u64;
        self.held.extend_from_slice(part);
        let whole = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.held.len(),
        };
        let rest = self.held.split_off(whole);
        String::from_utf8_lossy(&std::mem::replace(&mut self.held, rest)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let all = "a€b😀c".as_bytes();
        for cut in 0..=all.len() {
            let mut text = Text { held: Vec::new(), next: 0 };
            let shown = text.take(&all[..cut]) + &text.take(&all[cut..]);
            assert_eq!(shown, "a€b😀c");
            assert_eq!(text.next, all.len() as u64);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hold_the_log_up() {
        let mut text = Text { held: Vec::new(), next: 0 };
        assert_eq!(text.take(b"a\xffb"), "a\u{fffd}b");
    }
}
