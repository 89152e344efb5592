//! Webhooks: forges elsewhere tell of pushes. Nobody is logged in; a signature over the body is the credential.

mod deliveries;

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use csw_app::PushElsewhere;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) use self::deliveries::Deliveries;
use crate::{
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The most that GitHub sends.
const LIMIT: usize = 25 << 20;

/// What the names of signatures begin with.
const SCHEME: &str = "sha256=";

/// The routes of webhooks.
pub(crate) fn router() -> Router<WebState> {
    Router::new().route("/hooks/github/", post(github))
}

/// What a `push` says of itself, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    deleted: bool,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    clone_url: String,
    #[serde(default)]
    ssh_url: String,
    #[serde(default)]
    git_url: String,
}

async fn github(State(state): State<WebState>, request: Request) -> ApiResult<Json<Value>> {
    let Some(secret) = state.options.webhook_secret.clone() else { return Err(ApiError::not_found()) };
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    // Whoever has not even a signature is not listened to.
    let given = text(&headers, "x-hub-signature-256").and_then(|value| value.strip_prefix(SCHEME));
    let given = given.and_then(|digits| hex::decode(digits).ok()).ok_or_else(|| {
        refused("The delivery has no X-Hub-Signature-256: set the secret of the webhook, and send it again.")
    })?;
    let bytes = to_bytes(body, LIMIT).await.map_err(|_| {
        let sentence = format!("A delivery has at most {} MB.", LIMIT >> 20);
        ApiError::detail(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    })?;
    if !is_signed(secret.as_bytes(), &bytes, &given) {
        return Err(refused("The signature is wrong: is the webhook's secret the one that this site has?"));
    }
    let event = text(&headers, "x-github-event").unwrap_or_default().to_owned();
    match event.as_str() {
        "ping" => return Ok(Json(json!({ "detail": "pong" }))),
        "push" => {}
        "" => return Err(bad("The delivery has no X-GitHub-Event.")),
        other => return Ok(nothing(&format!("Events of the kind `{other}` lead to nothing here."))),
    }
    let delivery = text(&headers, "x-github-delivery").ok_or_else(|| bad("The delivery has no X-GitHub-Delivery."))?;
    // The identifier is not signed, the body is: a replay under another identifier has the same signature.
    let keys = [format!("id {delivery}"), format!("signature {}", hex::encode(&given))];
    let now = state.app.ports().clock.now();
    if !state.deliveries.take(&keys, now) {
        return Ok(nothing("This delivery was taken before."));
    }
    let done = pushed(&state, &headers, &bytes).await;
    if done.is_err() {
        // What failed may be sent again.
        state.deliveries.give_back(&keys);
    }
    done
}

async fn pushed(state: &WebState, headers: &HeaderMap, bytes: &Bytes) -> ApiResult<Json<Value>> {
    let push: Push = read(headers, bytes)?;
    let what = format!("{} of {}", push.reference, push.repository.full_name);
    if push.deleted {
        return Ok(nothing(&format!("{what} was deleted; versions that were built of it stay.")));
    }
    let Repository { html_url, clone_url, ssh_url, git_url, .. } = push.repository;
    let urls = [html_url, clone_url, ssh_url, git_url].into_iter().filter(|url| !url.is_empty()).collect();
    let told = state.app.pushed_elsewhere(&PushElsewhere { urls, reference: push.reference }).await?;
    if told.is_empty() {
        return Ok(nothing(&format!("No model is published from {what}.")));
    }
    let private = told.iter().filter(|one| !one.is_public).count();
    // Who looks at a repository's webhooks need not know which private models are made of it.
    let builds: Vec<Value> = told
        .iter()
        .filter(|one| one.is_public)
        .map(|one| match &one.outcome {
            Ok(build) => json!({ "model": one.model.to_string(), "build": build.to_string() }),
            Err(sentence) => json!({ "model": one.model.to_string(), "detail": sentence }),
        })
        .collect();
    let asked = told.iter().filter(|one| one.outcome.is_ok()).count();
    let detail = format!("{what} was pushed: {asked} of {} models are built.", told.len());
    Ok(Json(json!({ "detail": detail, "builds": builds, "private": private })))
}

/// The document of a delivery, which comes as JSON or as a field of a form, as the webhook's settings say.
fn read(headers: &HeaderMap, bytes: &Bytes) -> ApiResult<Push> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wrong = |error: serde_json::Error| bad(&format!("The delivery is no push event: {error}."));
    if kind.starts_with("application/x-www-form-urlencoded") {
        let fields: Vec<(String, String)> =
            serde_urlencoded::from_bytes(bytes).map_err(|error| bad(&format!("The delivery is no form: {error}.")))?;
        let payload = fields.into_iter().find(|(name, _)| name == "payload").map(|(_, value)| value);
        return serde_json::from_str(&payload.unwrap_or_default()).map_err(wrong);
    }
    serde_json::from_slice(bytes).map_err(wrong)
}

/// Whether the signature is that of the body; how long this takes tells nothing of the right one.
fn is_signed(secret: &[u8], body: &[u8], given: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(body);
    mac.verify_slice(given).is_ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn nothing(why: &str) -> Json<Value> {
    Json(json!({ "detail": why, "builds": [] }))
}

fn refused(sentence: &str) -> ApiError {
    ApiError::detail(StatusCode::UNAUTHORIZED, sentence)
}

fn bad(sentence: &str) -> ApiError {
    ApiError::detail(StatusCode::BAD_REQUEST, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation.
    #[test]
    fn a_signature_is_over_the_body_with_the_secret() {
        let signature = hex::decode("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17").unwrap();
        assert!(is_signed(b"It's a Secret to Everybody", b"Hello, World!", &signature));
        assert!(!is_signed(b"It's a Secret to Everybody", b"Hello, World?", &signature));
        assert!(!is_signed(b"another", b"Hello, World!", &signature));
        assert!(!is_signed(b"It's a Secret to Everybody", b"Hello, World!", &signature[..31]));
    }
}
