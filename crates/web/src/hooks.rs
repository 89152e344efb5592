//! Webhooks: forges elsewhere tell of pushes. Nobody is logged in; a signature over the body is the credential.

mod events;

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

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

async fn github(State(state): State<WebState>, request: Request) -> ApiResult<Response> {
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
        "ping" => return Ok(Json(json!({ "detail": "pong" })).into_response()),
        "" => return Err(bad("The delivery has no X-GitHub-Event.")),
        _ => {}
    }
    let delivery = text(&headers, "x-github-delivery").ok_or_else(|| bad("The delivery has no X-GitHub-Delivery."))?;
    // The identifier is not signed, the body is: a replay under another identifier has the same signature.
    let keys = [format!("id {delivery}"), format!("signature {}", hex::encode(&given))];
    if !state.app.take_delivery(&keys).await? {
        return Ok(events::nothing("This delivery was taken before.").into_response());
    }
    let done = events::handle(&state, &event, &headers, &bytes).await;
    if done.is_err() {
        // What failed may be sent again.
        state.app.give_back_delivery(&keys).await?;
    }
    done
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
