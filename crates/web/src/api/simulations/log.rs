//! Logs as plain text, whole or from where the client has read to.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::AppResult;
use futures::StreamExt;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        extract::{AtSimulation, Query, SimulationPath},
        range::{Part, part, unsatisfiable},
    },
    error::ApiResult,
    state::WebState,
};

/// Bytes read from the database at once.
const PART: u64 = 256 * 1024;

/// Where to begin.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct LogQuery {
    /// Leave out this many bytes at the beginning; `Range: bytes=...` does the same with status 206.
    pub(in crate::api) offset: Option<u64>,
}

/// What the run printed. Before the run, what the validation printed. The header `X-Log-Length` has the length of the
/// whole, which is the `offset` to go on from.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/{model_pk}/log/", operation_id = "simulation_log",
    tag = "simulations",
    params(SimulationPath, LogQuery),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 206, description = "The range that was asked for"),
        (status = 403),
        (status = 404),
        (status = 416, description = "The log is shorter"),
    ),
)]
pub(super) async fn read_log(
    State(state): State<WebState>,
    at: AtSimulation,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    answer(&headers, &query, move |offset, limit| {
        let (app, view) = (state.app.clone(), at.view.clone());
        async move { app.log(&view, offset, limit).await }
    })
    .await
}

/// Answers with a log that `read` gives in parts: text from an offset, and the length of the whole.
pub(in crate::api) async fn answer<R, F>(headers: &HeaderMap, query: &LogQuery, read: R) -> ApiResult<Response>
where
    R: Fn(u64, u64) -> F + Send + 'static,
    F: Future<Output = AppResult<(Bytes, u64)>> + Send,
{
    let (_, length) = read(0, 0).await?;
    let (status, range) = match part(headers, length, None) {
        Part::Whole => (StatusCode::OK, query.offset.unwrap_or(0).min(length)..length),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Unsatisfiable => return Ok(unsatisfiable(length)),
    };
    let end = range.end;
    let content_range = format!("bytes {}-{}/{length}", range.start, end.saturating_sub(1));
    let text = futures::stream::try_unfold((range.start, read), move |(at, read)| async move {
        if at >= end {
            return Ok(None);
        }
        let (text, _) = read(at, PART.min(end - at)).await.map_err(std::io::Error::other)?;
        let read_bytes = text.len() as u64;
        if read_bytes == 0 {
            return Ok(None);
        }
        Ok::<_, std::io::Error>(Some((text, (at + read_bytes, read))))
    });
    let mut response = (status, Body::from_stream(text.boxed())).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-log-length"), HeaderValue::from(length));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&content_range)
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}
