//! The token that GitHub gives to a job of a workflow, in place of a stored one. It lasts some minutes, and a build may
//! take longer, so it is asked for again in time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::error::{ClientError, ClientResult};

/// A token is replaced so long before it ends.
const MARGIN: Duration = Duration::from_mins(1);

/// Where a job gets its token, as GitHub's runner tells it.
#[derive(Clone)]
pub struct Workflow {
    url: String,
    secret: String,
    token: Arc<Mutex<Option<(String, SystemTime)>>>,
}

#[derive(Deserialize)]
struct Given {
    value: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

impl Workflow {
    /// `url` and `secret` are what the runner has in `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub fn new(url: &str, secret: &str) -> Self {
        Self { url: url.to_owned(), secret: secret.to_owned(), token: Arc::default() }
    }

    /// A token that is good for `audience`, and for a while.
    pub(crate) async fn token(&self, http: &reqwest::Client, audience: &str) -> ClientResult<String> {
        let mut kept = self.token.lock().await;
        if let Some((token, until)) = &*kept
            && *until > SystemTime::now() + MARGIN
        {
            return Ok(token.clone());
        }
        let place = self.url.split('?').next().unwrap_or_default().to_owned();
        let failed = |cause: String| ClientError::Unreachable { url: place.clone(), cause };
        let request = http.get(&self.url).query(&[("audience", audience)]).bearer_auth(&self.secret);
        let response = request.send().await.and_then(reqwest::Response::error_for_status);
        // The runner's address has no secret in it, but nobody promises that.
        let response = response.map_err(|error| failed(error.without_url().to_string()))?;
        let given: Given = response.json().await.map_err(|error| failed(error.without_url().to_string()))?;
        let until = expiry(&given.value).unwrap_or_else(SystemTime::now);
        *kept = Some((given.value.clone(), until));
        Ok(given.value)
    }
}

/// When a token ends, as it says itself.
fn expiry(token: &str) -> Option<SystemTime> {
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&body).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_when_it_ends() {
        let body = URL_SAFE_NO_PAD.encode("{\"exp\":60,\"sub\":\"x\"}");
        assert_eq!(expiry(&format!("h.{body}.s")), Some(UNIX_EPOCH + Duration::from_mins(1)));
        assert_eq!(expiry("opaque"), None);
    }
}
