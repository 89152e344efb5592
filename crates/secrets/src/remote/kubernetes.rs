//! Kubernetes Secrets. A scope is a Secret of the cluster, replaced under its `resourceVersion`.

use std::path::PathBuf;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_core::{
    ports::{SecretError, SecretResult},
    secret::{SecretScope, SecretValue},
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{object, refused};
use crate::{
    documents::{Document, Documents, Revision},
    http::{self, Answer},
    token::{TokenSource, Tokens},
};

/// The annotation that tells who set which secret.
const ABOUT: &str = "compute.studio/about";

const WAY_OUT: &str = "Does the service account have a Role with get, create and update on secrets in this namespace?";

/// Where the secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Address of the API server.
    pub url: String,
    /// Namespace of our Secrets.
    pub namespace: String,
    /// What their names begin with.
    pub prefix: String,
    /// Certificate authority of the API server.
    pub ca_file: Option<PathBuf>,
    /// Where the token comes from.
    pub token: TokenSource,
}

impl KubernetesConfig {
    /// Where every pod finds the files of its service account.
    pub const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// The cluster that this process runs in, if it runs in one.
    pub fn in_cluster() -> Option<Self> {
        let host = std::env::var("KUBERNETES_SERVICE_HOST").ok()?;
        let port = std::env::var("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".to_owned());
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let account = PathBuf::from(Self::ACCOUNT);
        let namespace = std::fs::read_to_string(account.join("namespace")).ok()?.trim().to_owned();
        Some(Self {
            url: format!("https://{host}:{port}"),
            namespace,
            prefix: "csw-secrets-".to_owned(),
            ca_file: Some(account.join("ca.crt")),
            token: TokenSource::File(account.join("token")),
        })
    }
}

/// Kubernetes Secrets.
pub struct Kubernetes {
    config: KubernetesConfig,
    client: Client,
    tokens: Tokens,
}

impl Kubernetes {
    /// A client; nothing is asked yet.
    pub fn new(config: KubernetesConfig) -> SecretResult<Self> {
        let client = http::client(config.ca_file.as_deref())?;
        Ok(Self { client, tokens: Tokens::new(config.token.clone()), config })
    }

    fn name(&self, scope: &SecretScope) -> String {
        object(&self.config.prefix, scope)
    }

    async fn ask(&self, what: &str, method: Method, rest: &str, body: Option<&Value>) -> SecretResult<Answer> {
        let (base, namespace) = (self.config.url.trim_end_matches('/'), &self.config.namespace);
        let url = format!("{base}/api/v1/namespaces/{namespace}/secrets{rest}");
        self.tokens.ask(&self.client, what, (method, &url), body).await
    }

    fn no(what: &str, answer: &Answer, document: &Document) -> SecretError {
        let said = answer.body["message"].as_str().unwrap_or_default();
        refused(what, answer.status, &document.masked(said), WAY_OUT)
    }
}

/// The values of a Secret's `data`.
fn document(secret: &Value, what: &str) -> SecretResult<Document> {
    let mut document = Document::default();
    for (name, data) in secret["data"].as_object().into_iter().flatten() {
        let bytes = STANDARD.decode(data.as_str().unwrap_or_default()).map(Zeroizing::new).ok();
        let text = bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok().map(SecretValue::from));
        let text = text.ok_or_else(|| SecretError::Damaged {
            what: format!("`{name}`, {what}"),
            cause: "it is no text; only texts can be environment variables".to_owned(),
        })?;
        document.values.insert(name.clone(), text);
    }
    let about = secret["metadata"]["annotations"][ABOUT].as_str();
    document.about = about.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Ok(document)
}

#[async_trait]
impl Documents for Kubernetes {
    async fn read(&self, scope: &SecretScope) -> SecretResult<Option<(Document, Revision)>> {
        let name = self.name(scope);
        let what = format!("reading the Secret {}/{name}", self.config.namespace);
        let answer = self.ask(&what, Method::GET, &format!("/{name}"), None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let revision = answer.body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
                Ok(Some((document(&answer.body, &what)?, revision)))
            }
            _ => Err(Self::no(&what, &answer, &Document::default())),
        }
    }

    async fn write(
        &self,
        scope: &SecretScope,
        document: &Document,
        after: Option<&Revision>,
    ) -> SecretResult<Option<Revision>> {
        let name = self.name(scope);
        let what = format!("writing the Secret {}/{name}", self.config.namespace);
        let encoded = |value: &SecretValue| json!(STANDARD.encode(value.expose()));
        let data: Map<String, Value> =
            document.values.iter().map(|(name, value)| (name.clone(), encoded(value))).collect();
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "labels": { "app.kubernetes.io/managed-by": "compute-studio" },
                "annotations": { "compute.studio/scope": scope.title(), ABOUT: json!(document.about).to_string() },
            },
            "data": data,
        });
        let answer = match after {
            Some(revision) => {
                body["metadata"]["resourceVersion"] = json!(revision);
                self.ask(&what, Method::PUT, &format!("/{name}"), Some(&body)).await?
            }
            None => self.ask(&what, Method::POST, "", Some(&body)).await?,
        };
        match answer.status {
            // Changed, made, or deleted since it was read.
            StatusCode::CONFLICT => Ok(None),
            StatusCode::NOT_FOUND if after.is_some() => Ok(None),
            status if status.is_success() => {
                Ok(Some(answer.body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()))
            }
            _ => Err(Self::no(&what, &answer, document)),
        }
    }

    async fn forget(&self, _: &SecretScope, _: &Revision) -> SecretResult<()> {
        // The API server keeps no former states of a Secret.
        Ok(())
    }

    fn title(&self) -> &'static str {
        "Kubernetes"
    }
}
