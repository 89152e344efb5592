//! `/push/`: the end of a run, on its way to the server.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_core::causes::chain;

use super::Inner;
use crate::{
    refusal::Refusal,
    wire::{END, LOG_BASE, PROCESS},
};

/// Passes an end on; what the server answers is the answer.
pub(super) async fn push(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    // Strangers are not passed on.
    inner.attempt(&headers)?;
    let text = axum::body::to_bytes(body, END).await.map_err(|error| Refusal::Later(error.to_string()))?;
    let mut request = inner.http.post(format!("{}/run/end", inner.server)).body(text);
    for name in [header::AUTHORIZATION.as_str(), PROCESS, LOG_BASE, header::CONTENT_TYPE.as_str()] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let away =
        |error: reqwest::Error| Refusal::Later(format!("the server is not there: {}", chain(&error.without_url())));
    let answer = request.send().await.map_err(away)?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let text = answer.bytes().await.map_err(away)?;
    let mut answer = (status, text).into_response();
    if let Some(kind) = kind {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(answer)
}
