//! What happens to every request, whatever it asks: limits, origin check, headers, identifiers, log lines.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, Predicate,
        predicate::{DefaultPredicate, NotForContentType},
    },
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};

/// Bytes of a body, where a route says nothing else.
pub(crate) const BODY_LIMIT: usize = 10 << 20;

/// How long an answer may take to begin. Schemas of slow models take up to a minute, uploads longer.
const ANSWER: Duration = Duration::from_mins(10);

/// How long a client may be silent in the middle of its body.
const SILENCE: Duration = Duration::from_secs(30);

const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; \
                      frame-ancestors 'self'";

/// Puts the layers around a router whose handlers are all in place. `public_url` is where browsers find it.
pub(crate) fn around(router: Router, public_url: &str) -> Router {
    let ours: Arc<str> = Arc::from(public_url);
    let same_origin = move |request: Request, next: Next| same_origin(Arc::clone(&ours), request, next);
    let id = HeaderName::from_static("x-request-id");
    // Outputs that are compressed already, and events, gain nothing.
    let worthwhile = DefaultPredicate::new()
        .and(NotForContentType::const_new("application/zip"))
        .and(NotForContentType::const_new("application/x-git"))
        .and(NotForContentType::const_new("audio/"))
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("application/pdf"))
        // A part of what was sent compressed would be a part of something else.
        .and(|_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
            !headers.contains_key(header::ACCEPT_RANGES)
        });
    router
        .layer(middleware::from_fn(same_origin))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(RequestBodyTimeoutLayer::new(SILENCE))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| defect()))
        .layer(CompressionLayer::new().compress_when(worthwhile))
        .layer(middleware::map_response(headers))
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(middleware::from_fn(observe))
        .layer(SetRequestIdLayer::new(id, MakeRequestUuid))
}

fn defect() -> Response<Body> {
    let sentence = "This is a defect of the server; its operator finds the cause in the log, by the request's id.";
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "detail": sentence }))).into_response()
}

/// Notes which route answered, for [`observe`], which stands outside of routing.
pub(crate) async fn note_route(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(path);
    }
    response
}

/// One log line and one measurement for each request. Neither query strings nor headers nor bodies: they hold secrets.
async fn observe(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).map(str::to_owned);
    let response = next.run(request).await;
    let elapsed = begin.elapsed();
    let status = response.status().as_u16();
    let route = response.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    let id = id.unwrap_or_default();
    if status >= 500 {
        tracing::warn!(%id, %method, %path, status, milliseconds, "request failed");
    } else {
        tracing::debug!(%id, %method, %path, status, milliseconds, "request");
    }
    let labels = [("method", known(&method).to_owned()), ("route", route), ("status", status.to_string())];
    metrics::histogram!("csw_http_request_seconds", &labels).record(elapsed.as_secs_f64());
    response
}

/// A method as a label: clients may invent others, and each would be a series of its own.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Headers of every answer; a handler that sets one of them itself is right.
async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        // Nearly every answer depends on who asks.
        (header::CACHE_CONTROL, "private, no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Refuses requests that change something, carry no credential of their own, and come from another site's page: a
/// browser would lend them its cookie. Programs that are not browsers send neither `Sec-Fetch-Site` nor `Origin`.
async fn same_origin(ours: Arc<str>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    if safe || request.headers().contains_key(header::AUTHORIZATION) || is_same_origin(request.headers(), &ours) {
        return next.run(request).await;
    }
    let sentence = "CSRF Failed: the request comes from a page of another site.";
    (StatusCode::FORBIDDEN, Json(json!({ "detail": sentence }))).into_response()
}

/// Whether a page of ours, at `ours` or at the host that was asked, sent this. A proxy may ask by another host.
fn is_same_origin(headers: &HeaderMap, ours: &str) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match (text(&header::ORIGIN), text(&header::HOST)) {
        (None, _) => true,
        (Some(origin), _) if origin.eq_ignore_ascii_case(ours) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, authority)| authority == host),
        (Some(_), None) => false,
    }
}

/// A connection to a server that is to be stopped soon is not used again.
pub(crate) async fn part(State(leaving): State<CancellationToken>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if leaving.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter();
        is_same_origin(
            &pairs.map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect::<HeaderMap>(),
            "https://public.example",
        )
    }

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        assert!(of(&[]));
        assert!(of(&[("sec-fetch-site", "same-origin")]));
        assert!(of(&[("sec-fetch-site", "none")]));
        assert!(!of(&[("sec-fetch-site", "same-site")]));
        assert!(!of(&[("sec-fetch-site", "cross-site"), ("origin", "https://a"), ("host", "a")]));
        assert!(of(&[("origin", "https://a.example"), ("host", "a.example")]));
        assert!(!of(&[("origin", "https://b.example"), ("host", "a.example")]));
        assert!(!of(&[("origin", "null"), ("host", "a.example")]));
        assert!(of(&[("origin", "https://public.example"), ("host", "10.0.0.7:8080")]));
        assert!(!of(&[("origin", "http://public.example"), ("host", "10.0.0.7:8080")]));
    }
}
