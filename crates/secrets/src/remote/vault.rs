//! Vault, or OpenBao: the KV engine, version 2. A scope is a path whose data are its secrets; it is written by
//! check-and-set.

use std::path::PathBuf;

use async_trait::async_trait;
use csw_core::{
    ports::{SecretError, SecretResult},
    secret::{SecretScope, SecretValue},
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{object, refused};
use crate::{
    documents::{Document, Documents, Revision},
    http::{self, Answer},
    token::{TokenSource, Tokens},
};

const WAY_OUT: &str = "Does the policy of its token allow create, read and update below data/ and metadata/, and update below \
                       destroy/, of this path?";

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultAuth {
    /// With a token that somebody else renews.
    Token(TokenSource),
    /// With the token of a Kubernetes service account.
    Kubernetes {
        /// Path of the auth method, usually `kubernetes`.
        mount: String,
        /// The role.
        role: String,
        /// Where the service account's token is.
        jwt: PathBuf,
    },
}

/// Where the secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultConfig {
    /// Address of the server.
    pub url: String,
    /// Path of the KV engine.
    pub mount: String,
    /// What our paths begin with.
    pub prefix: String,
    /// Namespace, where the server has those.
    pub namespace: Option<String>,
    /// Certificate authority of the server, where it is not a public one.
    pub ca_file: Option<PathBuf>,
    /// How to log in.
    pub auth: VaultAuth,
}

/// Vault or OpenBao.
pub struct Vault {
    config: VaultConfig,
    client: Client,
    tokens: Option<Tokens>,
    logged_in: Mutex<Option<SecretValue>>,
}

impl Vault {
    /// A client; nothing is asked yet.
    pub fn new(config: VaultConfig) -> SecretResult<Self> {
        let client = http::client(config.ca_file.as_deref())?;
        let tokens = match &config.auth {
            VaultAuth::Token(source) => Some(Tokens::new(source.clone())),
            VaultAuth::Kubernetes { .. } => None,
        };
        Ok(Self { config, client, tokens, logged_in: Mutex::default() })
    }

    fn path(&self, scope: &SecretScope) -> String {
        object(&self.config.prefix, scope)
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/v1/{rest}", self.config.url.trim_end_matches('/'))
    }

    /// A token; `renewed` where the last one was refused.
    async fn token(&self, renewed: bool) -> SecretResult<SecretValue> {
        let (mount, role, jwt) = match (&self.tokens, &self.config.auth) {
            (Some(tokens), _) => return tokens.get(&self.client, renewed).await,
            (None, VaultAuth::Kubernetes { mount, role, jwt }) => (mount, role, jwt),
            (None, VaultAuth::Token(source)) => {
                return Tokens::new(source.clone()).get(&self.client, renewed).await;
            }
        };
        let mut kept = self.logged_in.lock().await;
        if let Some(token) = kept.as_ref().filter(|_| !renewed) {
            return Ok(token.clone());
        }
        let what = format!("logging in to Vault with role {role}");
        let jwt = Tokens::new(TokenSource::File(jwt.clone())).get(&self.client, true).await?;
        let body = json!({ "role": role, "jwt": jwt.expose() });
        let url = self.url(&format!("auth/{mount}/login"));
        let answer = http::send(&what, || self.headers(self.client.post(&url)).json(&body)).await?;
        if let Some(token) = answer.body["auth"]["client_token"].as_str().filter(|_| answer.status.is_success()) {
            return Ok(kept.insert(SecretValue::from(token)).clone());
        }
        let way_out = "Is the role bound to this service account and namespace?";
        Err(refused(&what, answer.status, &errors(&answer), way_out))
    }

    fn headers(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = request.header("X-Vault-Request", "true");
        match &self.config.namespace {
            Some(namespace) => request.header("X-Vault-Namespace", namespace),
            None => request,
        }
    }

    async fn ask(&self, what: &str, method: Method, rest: &str, body: Option<&Value>) -> SecretResult<Answer> {
        let url = self.url(rest);
        let mut renewed = false;
        loop {
            let token = self.token(renewed).await?;
            let request = || {
                let request = self.client.request(method.clone(), &url).header("X-Vault-Token", token.expose());
                match body {
                    Some(body) => self.headers(request).json(body),
                    None => self.headers(request),
                }
            };
            let answer = http::send(what, request).await?;
            // An expired token is refused like a missing right.
            if answer.status != StatusCode::FORBIDDEN || renewed {
                return Ok(answer);
            }
            renewed = true;
        }
    }
}

fn errors(answer: &Answer) -> String {
    let errors = answer.body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    errors.collect::<Vec<_>>().join("; ")
}

#[async_trait]
impl Documents for Vault {
    async fn read(&self, scope: &SecretScope) -> SecretResult<Option<(Document, Revision)>> {
        let (mount, path) = (&self.config.mount, self.path(scope));
        let what = format!("reading {mount}/data/{path}");
        let answer = self.ask(&what, Method::GET, &format!("{mount}/data/{path}"), None).await?;
        let version = answer.body["data"]["metadata"]["version"].as_u64();
        match (answer.status, version) {
            // Version 404 with metadata is one that was deleted: the next write comes after it.
            (StatusCode::OK | StatusCode::NOT_FOUND, Some(version)) => {
                Ok(Some((Document::of_json(&answer.body["data"]["data"]), version.to_string())))
            }
            (StatusCode::NOT_FOUND, None) => Ok(None),
            (status, _) => Err(refused(&what, status, &errors(&answer), WAY_OUT)),
        }
    }

    async fn write(
        &self,
        scope: &SecretScope,
        document: &Document,
        after: Option<&Revision>,
    ) -> SecretResult<Option<Revision>> {
        let (mount, path) = (&self.config.mount, self.path(scope));
        let what = format!("writing {mount}/data/{path}");
        let after: u64 = after.map_or(Ok(0), |after| after.parse()).unwrap_or(0);
        let body = json!({ "options": { "cas": after }, "data": document.to_json() });
        let answer = self.ask(&what, Method::POST, &format!("{mount}/data/{path}"), Some(&body)).await?;
        if let Some(version) = answer.body["data"]["version"].as_u64().filter(|_| answer.status.is_success()) {
            return Ok(Some(version.to_string()));
        }
        let said = errors(&answer);
        if answer.status == StatusCode::BAD_REQUEST && said.contains("check-and-set") {
            return Ok(None);
        }
        Err(refused(&what, answer.status, &document.masked(&said), WAY_OUT))
    }

    async fn forget(&self, scope: &SecretScope, current: &Revision) -> SecretResult<()> {
        let (mount, path) = (&self.config.mount, self.path(scope));
        let what = format!("destroying former versions of {mount}/data/{path}");
        let answer = self.ask(&what, Method::GET, &format!("{mount}/metadata/{path}"), None).await?;
        if !answer.status.is_success() {
            return Err(refused(&what, answer.status, &errors(&answer), WAY_OUT));
        }
        let current: u64 = current.parse().map_err(|_| SecretError::Damaged {
            what: what.clone(),
            cause: "the version of the path is no number".to_owned(),
        })?;
        let versions = answer.body["data"]["versions"].as_object();
        let former: Vec<u64> = versions
            .into_iter()
            .flatten()
            .filter(|(_, about)| about["destroyed"] != true)
            .filter_map(|(number, _)| number.parse().ok())
            .filter(|number| *number < current)
            .collect();
        if former.is_empty() {
            return Ok(());
        }
        let body = json!({ "versions": former });
        let answer = self.ask(&what, Method::PUT, &format!("{mount}/destroy/{path}"), Some(&body)).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(refused(&what, answer.status, &errors(&answer), WAY_OUT))
    }

    fn title(&self) -> &'static str {
        "Vault"
    }
}
