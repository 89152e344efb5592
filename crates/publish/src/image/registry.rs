//! A registry, by the OCI distribution protocol. Every request is asked again, with patience, where the registry is
//! down, slow, busy or failing; what it says against a request becomes a sentence.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{challenge::Challenge, credentials::Credentials, failure::ImageError};

static PROVIDER: Once = Once::new();

/// Where Docker Hub really is.
const DOCKER_HUB: &str = "registry-1.docker.io";
/// The longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a registry is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often a request is tried.
    pub attempts: u32,
    /// The pause after the first attempt; each next one is twice as long.
    pub pause: Duration,
    /// Without a byte moved for so long, a request is over.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 6, pause: Duration::from_millis(500), silence: Duration::from_secs(30) }
    }
}

/// What a request may do there; part of what a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Pull,
    Push,
}

/// What a request is about, for its token and for sentences.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// In words.
    pub(crate) what: &'a str,
    /// Which repository.
    pub(crate) repository: &'a str,
    /// Whether it changes it.
    pub(crate) action: Action,
    /// Another repository that is read from.
    pub(crate) from: Option<&'a str>,
}

impl About<'_> {
    fn scope(&self) -> String {
        let actions = if self.action == Action::Pull { "pull" } else { "pull,push" };
        let own = format!("repository:{}:{actions}", self.repository);
        self.from.map_or_else(|| own.clone(), |from| format!("{own} repository:{from}:pull"))
    }
}

/// A registry and who we are there.
pub(crate) struct Registry {
    http: reqwest::Client,
    host: String,
    base: String,
    insecure: bool,
    credentials: Option<Credentials>,
    /// `Authorization` by scope; the empty scope is that of name and password.
    known: Mutex<HashMap<String, String>>,
    pub(crate) patience: Patience,
    /// Bytes of bodies that were sent.
    pub(crate) sent: Arc<AtomicU64>,
    /// Bytes moved in any direction: the sign of life of a request.
    pub(crate) moved: Arc<AtomicU64>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    errors: Vec<SaidError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidError {
    code: String,
    message: String,
}

/// What an attempt came to.
pub(crate) enum Attempt {
    /// An answer: success, or that there is no such thing.
    Answered(Response),
    /// Worth another try after a pause: the failure if there is none, and the pause that was asked for.
    Again(ImageError, Option<Duration>),
}

impl Registry {
    /// A registry at `HOST[:PORT]`. On a loopback address or with `insecure` it is spoken to in the clear.
    pub(crate) fn new(
        host: &str,
        credentials: Option<Credentials>,
        insecure: bool,
        patience: Patience,
    ) -> Result<Self, ImageError> {
        // Another provider may be installed already; any will do.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("csw/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ImageError::Down { host: host.to_owned(), cause: chain(&error) })?;
        let insecure = insecure || is_loopback(host);
        let real = if host == "docker.io" { DOCKER_HUB } else { host };
        let base = format!("{}://{real}", if insecure { "http" } else { "https" });
        Ok(Self {
            http,
            host: host.to_owned(),
            base,
            insecure,
            credentials,
            known: Mutex::default(),
            patience,
            sent: Arc::default(),
            moved: Arc::default(),
        })
    }

    /// Its name.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether what is said to it is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        !self.insecure
    }

    /// The address of a path of a repository.
    pub(crate) fn url(&self, repository: &str, path: &str) -> String {
        format!("{}/v2/{repository}/{path}", self.base)
    }

    /// Where it says nothing but that it is one.
    pub(crate) fn greeting(&self) -> String {
        format!("{}/v2/", self.base)
    }

    /// An address that the registry gave, which may be relative, or of another server.
    pub(crate) fn resolve(&self, location: &str) -> String {
        if location.starts_with('/') { format!("{}{location}", self.base) } else { location.to_owned() }
    }

    fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(&self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }

    fn who(&self) -> Option<String> {
        self.credentials.as_ref().map(|known| known.user.clone())
    }

    /// Asks until there is an answer that is none of the passing kind. `make` fills each attempt's request.
    pub(crate) async fn ask(
        &self,
        about: About<'_>,
        method: Method,
        url: &str,
        make: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ImageError> {
        let mut attempt = 1;
        loop {
            let (error, pause) = match self.once(about, method.clone(), url, &make).await? {
                Attempt::Answered(response) => return Ok(response),
                Attempt::Again(error, pause) => (error, pause),
            };
            if attempt >= self.patience.attempts {
                return Err(error);
            }
            self.pause(attempt, pause).await;
            attempt += 1;
        }
    }

    /// Waits before attempt number `attempt` + 1.
    pub(crate) async fn pause(&self, attempt: u32, asked: Option<Duration>) {
        let usual = self.patience.pause.saturating_mul(1 << (attempt - 1).min(10));
        // Many clients that were thrown out together must not come back together.
        let random = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
        let usual = usual.mul_f64(0.75 + f64::from(random) / 512.0);
        tokio::time::sleep(asked.unwrap_or(usual).min(LONGEST_PAUSE)).await;
    }

    /// One attempt, but for the question who we are, which is answered at once.
    pub(crate) async fn once(
        &self,
        about: About<'_>,
        method: Method,
        url: &str,
        make: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Attempt, ImageError> {
        let scope = about.scope();
        let mut introduced = false;
        loop {
            let mut request = self.http.request(method.clone(), url);
            // Whoever uploads are handed on to gets no password of ours.
            if self.is_ours(url)
                && let Some(value) = self.authorization(&scope)
            {
                request = request.header("authorization", value);
            }
            let response = match self.watched(about.what, make(request)).await {
                Ok(response) => response,
                Err(error) => return Ok(Attempt::Again(error, None)),
            };
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !introduced && self.is_ours(url) {
                introduced = true;
                let challenge = challenge(response.headers());
                let said = said(response).await;
                self.introduce(challenge, &scope, &said).await?;
                continue;
            }
            if status.is_success() || status == StatusCode::NOT_FOUND || status == StatusCode::RANGE_NOT_SATISFIABLE {
                return Ok(Attempt::Answered(response));
            }
            return self.refused(about, response).await;
        }
    }

    async fn refused(&self, about: About<'_>, response: Response) -> Result<Attempt, ImageError> {
        let (status, host, what) = (response.status(), self.host.clone(), about.what.to_owned());
        let pause = pause_of(response.headers());
        let said = said(response).await;
        match status {
            StatusCode::UNAUTHORIZED => Err(ImageError::Unknown { host, who: self.who(), said }),
            StatusCode::FORBIDDEN => {
                let action = if about.action == Action::Pull { "read" } else { "write to" }.to_owned();
                let repository = about.repository.to_owned();
                let who = self.who().map_or_else(|| "strangers".to_owned(), |who| format!("`{who}`"));
                Err(ImageError::Denied { host, who, action, repository, said })
            }
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::INSUFFICIENT_STORAGE => {
                Err(ImageError::Full { host, what, bytes: 0, said })
            }
            // A registry on a full disk says 500, and the reason in words only.
            _ if said.contains("no space left") || said.contains("quota exceeded") => {
                Err(ImageError::Full { host, what, bytes: 0, said })
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let error = ImageError::Failing { host, what, said, times: self.patience.attempts };
                Ok(Attempt::Again(error, pause))
            }
            StatusCode::BAD_REQUEST if said.contains("DIGEST_INVALID") => {
                Ok(Attempt::Again(ImageError::Changed { host, what, said }, None))
            }
            status if status.is_redirection() || status.is_client_error() => {
                Err(ImageError::Strange { host, what, said })
            }
            _ => Err(ImageError::Strange { host, what, said: status.to_string() }),
        }
    }

    /// Sends; without a byte moved for too long the request is over.
    async fn watched(&self, what: &str, request: RequestBuilder) -> Result<Response, ImageError> {
        let sending = request.send();
        tokio::pin!(sending);
        let mut before = self.moved.load(Ordering::Relaxed);
        loop {
            tokio::select! {
                done = &mut sending => {
                    return done.map_err(|error| ImageError::Down { host: self.host.clone(), cause: chain(&error) });
                }
                () = tokio::time::sleep(self.patience.silence) => {
                    let now = self.moved.load(Ordering::Relaxed);
                    if now == before {
                        return Err(self.slow(what));
                    }
                    before = now;
                }
            }
        }
    }

    /// The failure of a registry that has fallen silent.
    pub(crate) fn slow(&self, what: &str) -> ImageError {
        let seconds = self.patience.silence.as_secs().max(1);
        ImageError::Slow { host: self.host.clone(), what: what.to_owned(), seconds }
    }

    fn authorization(&self, scope: &str) -> Option<String> {
        let known = self.known.lock().ok()?;
        known.get(scope).or_else(|| known.get("")).cloned()
    }

    fn remember(&self, scope: &str, authorization: String) {
        if let Ok(mut known) = self.known.lock() {
            known.insert(scope.to_owned(), authorization);
        }
    }

    /// Answers a challenge.
    async fn introduce(&self, challenge: Option<Challenge>, scope: &str, said: &str) -> Result<(), ImageError> {
        let unknown =
            |said: &str| ImageError::Unknown { host: self.host.clone(), who: self.who(), said: said.to_owned() };
        match challenge {
            None => Err(unknown(said)),
            Some(Challenge::Basic) => {
                let known = self.credentials.as_ref().ok_or_else(|| unknown(said))?;
                self.remember("", basic(known));
                Ok(())
            }
            Some(Challenge::Bearer { realm, service, scope: asked }) => {
                // A password goes over the wire in the clear only where the registry itself is spoken to so.
                if !(realm.starts_with("https://") || (self.insecure && realm.starts_with("http://"))) {
                    return Err(unknown(&format!("its tokens come from `{realm}`, which is not encrypted")));
                }
                let mut request = self.http.get(&realm);
                let own: Vec<&str> = scope.split(' ').collect();
                let asked: Vec<&str> = asked.iter().map(String::as_str).filter(|asked| !own.contains(asked)).collect();
                for wanted in own.into_iter().chain(asked) {
                    request = request.query(&[("scope", wanted)]);
                }
                if let Some(service) = &service {
                    request = request.query(&[("service", service.as_str())]);
                }
                if let Some(known) = &self.credentials {
                    request = request.header("authorization", basic(known));
                }
                let response = self.watched("the log-in", request).await?;
                if !response.status().is_success() {
                    let said = self::said(response).await;
                    return Err(unknown(&said));
                }
                let token: Token = response.json().await.map_err(|error| unknown(&chain(&error)))?;
                let token = token.token.or(token.access_token).ok_or_else(|| unknown("it gave no token"))?;
                self.remember(scope, format!("Bearer {token}"));
                Ok(())
            }
        }
    }
}

fn basic(known: &Credentials) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", known.user, known.password)))
}

fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let all: Vec<&str> = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
    Challenge::parse(&all)
}

fn pause_of(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// What a registry said against a request, in a line.
async fn said(response: Response) -> String {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let parsed: Said = serde_json::from_str(&text).unwrap_or_default();
    let mut words: Vec<String> = parsed
        .errors
        .into_iter()
        .map(|error| match (error.code.as_str(), error.message.as_str()) {
            ("", message) | (message, "") => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        })
        .filter(|words| !words.is_empty())
        .collect();
    // What was meant may be in the details only, as on a full disk.
    if text.contains("no space left") {
        words.push("no space left".to_owned());
    }
    let words = words.join("; ").chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    let number = status.as_u16();
    if words.is_empty() { number.to_string() } else { format!("{number}, {words}") }
}

/// An error by its causes: the outermost one of a connection says nothing that is not known.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![];
    let mut cause = error.source();
    if cause.is_none() {
        words.push(error.to_string());
    }
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    words.join(": ")
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_spoken_to_in_the_clear() {
        let base = |host: &str, insecure| Registry::new(host, None, insecure, Patience::default()).unwrap().base;
        assert_eq!(base("ghcr.io", false), "https://ghcr.io");
        assert_eq!(base("docker.io", false), "https://registry-1.docker.io");
        assert_eq!(base("ghcr.io", true), "http://ghcr.io");
        for host in ["127.0.0.1:5000", "localhost:5000", "[::1]:5000"] {
            assert!(base(host, false).starts_with("http://"), "{host}");
        }
    }

    #[test]
    fn a_password_is_for_its_registry_alone() {
        let registry = Registry::new("ghcr.io", None, false, Patience::default()).unwrap();
        assert!(registry.is_ours("https://ghcr.io/v2/x"));
        for other in ["https://ghcr.io.evil.org/v2/x", "https://evil.org/https://ghcr.io/", "http://ghcr.io/v2/"] {
            assert!(!registry.is_ours(other), "{other}");
        }
        assert_eq!(registry.resolve("/v2/x"), "https://ghcr.io/v2/x");
    }
}
