//! Google Secret Manager. A scope is a secret whose payload is a JSON object. Which of its versions counts is an alias,
//! and the alias is moved under the secret's ETag: of two who write at once, one starts again.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_core::{
    ports::{SecretError, SecretResult},
    secret::SecretScope,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{object, refused};
use crate::{
    documents::{Document, Documents, Revision},
    http::{self, Answer},
    token::{TokenSource, Tokens},
};

/// The alias of the version that counts.
const ALIAS: &str = "current";

/// Bytes that a payload may have.
const PAYLOAD_LIMIT: usize = 65_536;

const WAY_OUT: &str = "Does the service account have the role Secret Manager Admin in this project, and is the API on?";

/// Where the secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleConfig {
    /// Address of the API; `https://secretmanager.googleapis.com` but for tests and private endpoints.
    pub url: String,
    /// The project.
    pub project: String,
    /// What the names of our secrets begin with.
    pub prefix: String,
    /// Where tokens come from.
    pub token: TokenSource,
}

/// Google Secret Manager.
pub struct Google {
    config: GoogleConfig,
    client: Client,
    tokens: Tokens,
}

impl Google {
    /// A client; nothing is asked yet.
    pub fn new(config: GoogleConfig) -> SecretResult<Self> {
        Ok(Self { client: http::client(None)?, tokens: Tokens::new(config.token.clone()), config })
    }

    fn id(&self, scope: &SecretScope) -> String {
        object(&self.config.prefix, scope)
    }

    async fn ask(&self, what: &str, method: Method, path: &str, body: Option<&Value>) -> SecretResult<Answer> {
        let url = format!("{}/v1/projects/{}/{path}", self.config.url.trim_end_matches('/'), self.config.project);
        self.tokens.ask(&self.client, what, (method, &url), body).await
    }

    fn no(what: &str, answer: &Answer, document: &Document) -> SecretError {
        let said = answer.body["error"]["message"].as_str().unwrap_or_default();
        refused(what, answer.status, &document.masked(said), WAY_OUT)
    }

    /// Destroys versions; what is not there any more is no trouble.
    async fn destroy(&self, what: &str, id: &str, versions: &[String]) -> SecretResult<()> {
        for version in versions {
            let path = format!("secrets/{id}/versions/{version}:destroy");
            let answer = self.ask(what, Method::POST, &path, Some(&json!({}))).await?;
            let gone = is(&answer, "FAILED_PRECONDITION") || answer.status == StatusCode::NOT_FOUND;
            if !answer.status.is_success() && !gone {
                return Err(Self::no(what, &answer, &Document::default()));
            }
        }
        Ok(())
    }

    /// The versions that are not destroyed.
    async fn versions(&self, what: &str, id: &str) -> SecretResult<Vec<String>> {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let path = format!("secrets/{id}/versions?pageSize=100&pageToken={token}");
            let answer = self.ask(what, Method::GET, &path, None).await?;
            if !answer.status.is_success() {
                return Err(Self::no(what, &answer, &Document::default()));
            }
            let versions = answer.body["versions"].as_array().cloned().unwrap_or_default();
            let alive = versions.iter().filter(|version| version["state"] != "DESTROYED");
            found.extend(alive.filter_map(|version| version["name"].as_str()).map(last_part));
            match answer.body["nextPageToken"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut token),
                _ => return Ok(found),
            }
        }
    }

    /// Makes the secret, without any version; its ETag, or `None` where somebody was faster.
    async fn create(&self, what: &str, id: &str, scope: &SecretScope) -> SecretResult<Option<Revision>> {
        let body = json!({
            "replication": { "automatic": {} },
            "labels": { "managed-by": "compute-studio" },
            "annotations": { "compute-studio-scope": scope.title() },
        });
        let answer = self.ask(what, Method::POST, &format!("secrets?secretId={id}"), Some(&body)).await?;
        match answer.status {
            StatusCode::CONFLICT => Ok(None),
            status if status.is_success() => Ok(Some(text(&answer.body["etag"]))),
            _ => Err(Self::no(what, &answer, &Document::default())),
        }
    }
}

/// Whether an error has this status of Google's.
fn is(answer: &Answer, status: &str) -> bool {
    answer.body["error"]["status"] == status
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn last_part(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

#[async_trait]
impl Documents for Google {
    async fn read(&self, scope: &SecretScope) -> SecretResult<Option<(Document, Revision)>> {
        let id = self.id(scope);
        let what = format!("reading secret {id} of project {}", self.config.project);
        let answer = self.ask(&what, Method::GET, &format!("secrets/{id}"), None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(Self::no(&what, &answer, &Document::default()));
        }
        let etag = text(&answer.body["etag"]);
        // JSON writes 64-bit numbers as text.
        let current = match &answer.body["versionAliases"][ALIAS] {
            Value::Null => return Ok(Some((Document::default(), etag))),
            Value::String(number) => number.clone(),
            other => other.to_string(),
        };
        let path = format!("secrets/{id}/versions/{current}:access");
        let answer = self.ask(&what, Method::GET, &path, None).await?;
        if !answer.status.is_success() {
            return Err(Self::no(&what, &answer, &Document::default()));
        }
        let data = answer.body["payload"]["data"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(data).map(Zeroizing::new).ok();
        let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let value = value.ok_or_else(|| SecretError::Damaged {
            what: format!("version {current} of secret {id}"),
            cause: "its payload is no JSON object; move the alias `current` to a version that is".to_owned(),
        })?;
        Ok(Some((Document::of_json(&value), etag)))
    }

    async fn write(
        &self,
        scope: &SecretScope,
        document: &Document,
        after: Option<&Revision>,
    ) -> SecretResult<Option<Revision>> {
        let id = self.id(scope);
        let what = format!("writing secret {id} of project {}", self.config.project);
        let payload = Zeroizing::new(document.to_json().to_string());
        if payload.len() > PAYLOAD_LIMIT {
            return Err(SecretError::Refused {
                what,
                cause: format!("all of its values together have {} of {PAYLOAD_LIMIT} bytes", payload.len()),
                way_out: "Delete some, or shorten them".to_owned(),
            });
        }
        let etag = match after {
            Some(etag) => etag.clone(),
            None => match self.create(&what, &id, scope).await? {
                Some(etag) => etag,
                None => return Ok(None),
            },
        };
        let body = json!({ "payload": { "data": STANDARD.encode(payload.as_bytes()) } });
        let answer = self.ask(&what, Method::POST, &format!("secrets/{id}:addVersion"), Some(&body)).await?;
        if !answer.status.is_success() {
            return Err(Self::no(&what, &answer, document));
        }
        let version = last_part(&text(&answer.body["name"]));
        let body = json!({ "etag": etag, "versionAliases": { ALIAS: version } });
        let path = format!("secrets/{id}?updateMask=versionAliases");
        let answer = self.ask(&what, Method::PATCH, &path, Some(&body)).await?;
        if answer.status.is_success() {
            return Ok(Some(text(&answer.body["etag"])));
        }
        self.destroy(&what, &id, &[version]).await?;
        if is(&answer, "FAILED_PRECONDITION") || is(&answer, "ABORTED") {
            return Ok(None);
        }
        Err(Self::no(&what, &answer, document))
    }

    async fn forget(&self, scope: &SecretScope, _current: &Revision) -> SecretResult<()> {
        let id = self.id(scope);
        let what = format!("destroying former versions of secret {id}");
        let answer = self.ask(&what, Method::GET, &format!("secrets/{id}"), None).await?;
        let current = match &answer.body["versionAliases"][ALIAS] {
            Value::String(number) => number.clone(),
            other => other.to_string(),
        };
        // One that is newer belongs to somebody who is at work.
        let former = |version: &String| match (version.parse::<u64>(), current.parse::<u64>()) {
            (Ok(version), Ok(current)) => version < current,
            _ => false,
        };
        let versions: Vec<String> = self.versions(&what, &id).await?.into_iter().filter(former).collect();
        self.destroy(&what, &id, &versions).await
    }

    fn title(&self) -> &'static str {
        "Google Secret Manager"
    }
}
