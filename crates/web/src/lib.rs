//! The face of Compute Studio on the web: the REST API, and the pages.
//!
//! It turns requests into calls of the use cases of [`csw_app`], and their answers into JSON and HTML. It decides nothing
//! about who may do what, knows no database and no executor, and keeps nothing but caches that may be lost.
//!
//! Start reading at [`router`], then `api` (one module for each kind of thing) and `pages`.

mod api;
mod auth;
mod error;
mod git;
mod hooks;
mod layers;
mod pages;
mod state;
mod tasks;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tower::ServiceExt;

pub use crate::{
    state::{SignedDownloads, WebOptions, WebState},
    tasks::{TaskOptions, state_router, task_router},
};

/// Everything the server answers over HTTP, with limits, headers and log lines around it. Serve it with connection
/// information (`into_make_service_with_connect_info::<SocketAddr>`): rate limits are by address.
pub fn router(state: WebState) -> Router {
    let public_url = state.app.config().public_url.clone();
    let leaving = state.options.leaving.clone();
    let routes = api::router(&state.options)
        .merge(pages::router())
        .merge(git::router())
        .merge(hooks::router())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .route_layer(middleware::from_fn(layers::note_route))
        .with_state(state);
    let again = routes.clone();
    let routes = routes.fallback(move |request: Request| other_slash(again.clone(), request));
    layers::around(routes, &public_url).layer(middleware::from_fn_with_state(leaving, layers::part))
}

/// The OpenAPI document of the API, as it is committed.
pub fn openapi() -> &'static str {
    api::reference::json()
}

/// Routes end with a slash or not, as they are declared; a request with the other ending means the same.
async fn other_slash(routes: Router, mut request: Request) -> Response {
    if let Some(uri) = toggled(request.uri()) {
        *request.uri_mut() = uri;
    }
    routes.oneshot(request).await.into_response()
}

fn toggled(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let path = match path.strip_suffix('/') {
        Some("") => return None,
        Some(bare) => bare.to_owned(),
        None => format!("{path}/"),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{query}").parse().ok()
}

async fn not_found(State(state): State<WebState>, request: Request) -> Response {
    if pages::is_for_a_person(request.uri().path(), request.headers()) {
        return pages::lost(request, &state).await;
    }
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not found." }))).into_response()
}

async fn method_not_allowed(State(state): State<WebState>, request: Request) -> Response {
    if request.method() == Method::GET && pages::is_for_a_person(request.uri().path(), request.headers()) {
        return pages::forms_only(request, &state).await;
    }
    let sentence = format!("Method \"{}\" not allowed.", request.method());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "detail": sentence }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_ending_keeps_the_query() {
        assert_eq!(toggled(&"/a/b?x=1".parse().unwrap()).unwrap(), "/a/b/?x=1");
        assert_eq!(toggled(&"/a/b/?x=1".parse().unwrap()).unwrap(), "/a/b?x=1");
        assert_eq!(toggled(&"/".parse().unwrap()), None);
    }
}
