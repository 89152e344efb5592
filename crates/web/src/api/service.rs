//! What operators and tools ask of the server itself.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::reference;
use crate::{
    error::{ApiError, ApiResult},
    pages::visitor::Visitor,
    state::WebState,
};

/// The routes of the server.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi))
        .routes(routes!(page))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
    /// Its release.
    release: &'static str,
}

const WELL: Health = Health { status: "ok", release: env!("CARGO_PKG_VERSION") };

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(WELL)
}

/// Whether it can serve: the database answers.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses((status = 200, body = Health), (status = 503, description = "The database does not answer, or the server is being stopped")),
)]
async fn readyz(State(state): State<WebState>) -> ApiResult<Json<Health>> {
    let not_ready = |sentence| Err(ApiError::detail(axum::http::StatusCode::SERVICE_UNAVAILABLE, sentence));
    if state.options.leaving.is_cancelled() {
        return not_ready("This server is being stopped.");
    }
    match state.app.ports().store.ping().await {
        Ok(()) => Ok(Json(WELL)),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            not_ready("The database does not answer.")
        }
    }
}

/// Measurements in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
async fn metrics(State(state): State<WebState>) -> impl IntoResponse {
    state.app.measure().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.options.metrics)())
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], reference::json())
}

/// This document as a page.
#[utoipa::path(
    get,
    path = "/api/", operation_id = "openapi_page",
    tag = "service",
    responses((status = 200, description = "A page", content_type = "text/html")),
)]
async fn page(visitor: Visitor) -> Response {
    reference::page(visitor.page())
}
