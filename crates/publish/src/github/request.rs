//! Requests to GitHub: tried again while it is busy, within the limits it sets.

use std::{sync::Once, time::Duration};

use csw_core::{
    causes::chain,
    ports::{ForgeError, ForgeResult},
};
use jiff::Timestamp;
use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::Value;

/// Which of its API we speak.
const VERSION: &str = "2022-11-28";

static PROVIDER: Once = Once::new();

/// How patient a client is.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// Times that a request is made, at least one.
    pub tries: u32,
    /// Before the second time; twice as long before each further one.
    pub first: Duration,
    /// The longest that GitHub's own wish to wait is heeded; beyond, the request fails and says when to come back.
    pub longest: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { tries: 4, first: Duration::from_secs(1), longest: Duration::from_mins(1) }
    }
}

impl Waits {
    /// For who tries again by itself.
    #[must_use]
    pub const fn once() -> Self {
        Self { tries: 1, first: Duration::ZERO, longest: Duration::ZERO }
    }
}

/// An answer that is no passing trouble.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// What lets us in; no log and no error shows it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A client of one API.
pub(super) struct Requests {
    http: Client,
    api: String,
    waits: Waits,
}

/// Why a request may be made again.
enum Trouble {
    /// For a while it takes none.
    Limit(Duration),
    /// It is broken, or out of reach.
    Fault(String),
}

/// A client that waits at most so long for an answer.
pub(super) fn client(timeout: Duration) -> ForgeResult<Client> {
    // Another provider may be installed already; any will do.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::limited(3))
        .user_agent(concat!("csw/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ForgeError::Unavailable { what: "Preparing".to_owned(), cause: chain(&error) })
}

impl Requests {
    /// A client that waits for each answer so long at most.
    pub(super) fn new(api: &str, waits: Waits, answer: Duration) -> ForgeResult<Self> {
        let http = client(answer)?;
        Ok(Self { http, api: api.trim_end_matches('/').to_owned(), waits })
    }

    /// Sends until GitHub answers for good.
    pub(super) async fn send(
        &self,
        what: &str,
        bearer: &Secret,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> ForgeResult<Answer> {
        let mut pause = self.waits.first;
        for left in (0..self.waits.tries.max(1)).rev() {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.api))
                .bearer_auth(&bearer.0)
                .header(header::ACCEPT, "application/vnd.github+json")
                .header("X-GitHub-Api-Version", VERSION)
                .query(query);
            if let Some(body) = body {
                request = request.json(body);
            }
            let trouble = match request.send().await {
                Ok(response) => match read(response).await {
                    Ok(answer) => return Ok(answer),
                    Err(trouble) => trouble,
                },
                Err(error) => Trouble::Fault(chain(&error)),
            };
            let wait = match &trouble {
                Trouble::Limit(wait) => *wait,
                Trouble::Fault(_) => pause,
            };
            if left == 0 || wait > self.waits.longest {
                return Err(match trouble {
                    Trouble::Limit(wait) => {
                        ForgeError::TooMany { what: what.to_owned(), seconds: wait.as_secs().max(1) }
                    }
                    Trouble::Fault(cause) => ForgeError::Unavailable { what: what.to_owned(), cause },
                });
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        Err(ForgeError::Unavailable { what: what.to_owned(), cause: "no attempt was made".to_owned() })
    }
}

async fn read(response: Response) -> Result<Answer, Trouble> {
    let status = response.status();
    if status.is_server_error() {
        return Err(Trouble::Fault(format!("GitHub answers {status}")));
    }
    if let Some(wait) = limit(&response) {
        return Err(Trouble::Limit(wait));
    }
    let bytes = response.bytes().await.map_err(|error| Trouble::Fault(chain(&error)))?;
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

/// How long no request is taken, where that is why one was refused: 403 may as well mean that it never will be.
fn limit(response: &Response) -> Option<Duration> {
    if !matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let number = |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or_default());
    if let Some(wait) = number("retry-after") {
        return Some(seconds(wait));
    }
    if number("x-ratelimit-remaining") == Some(0)
        && let Some(reset) = number("x-ratelimit-reset")
    {
        return Some(seconds(reset - Timestamp::now().as_second()));
    }
    (response.status() == StatusCode::TOO_MANY_REQUESTS).then(|| Duration::from_mins(1))
}
