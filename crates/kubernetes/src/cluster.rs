//! Writing to the API server.

use std::time::Duration;

use csw_core::causes::chain;
use http::Request;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::{config::KubernetesConfig, pace::Bucket};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the server did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It exists already.
    Exists,
    /// Somebody else has changed it.
    Conflict,
    /// It is not there.
    Missing,
    /// The namespace's quota is used up, in the server's words.
    Quota(String),
    /// It will never do that, in its own words.
    Never(String),
    /// Not now.
    Busy { after: Option<Duration>, cause: String },
}

/// The API server, as far as one namespace is concerned.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    namespace: String,
    bucket: Bucket,
}

impl Cluster {
    pub(crate) fn new(client: Client, config: &KubernetesConfig) -> Self {
        Self { client, namespace: config.namespace.clone(), bucket: Bucket::new(config.writes_per_second) }
    }

    /// Creates a Job. Fields that the server does not know are an error where it can tell.
    pub(crate) async fn create_job(&self, job: &Value) -> Result<(), Refused> {
        self.bucket.take().await;
        let path = self.path("batch/v1", "jobs?fieldManager=csw&fieldValidation=Strict");
        ask(&self.client, "POST", &path, job).await.map(drop)
    }

    /// Deletes a Job with its pods; it stays until they are gone.
    pub(crate) async fn delete_job(&self, name: &str) -> Result<(), Refused> {
        self.bucket.take().await;
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground" });
        ask(&self.client, "DELETE", &self.path("batch/v1", &format!("jobs/{name}")), &options).await.map(drop)
    }

    /// Gives a Deployment so many pods.
    pub(crate) async fn scale(&self, name: &str, replicas: u32) -> Result<(), Refused> {
        self.bucket.take().await;
        let path = self.path("apps/v1", &format!("deployments/{name}/scale?fieldManager=csw"));
        ask(&self.client, "PATCH", &path, &json!({ "spec": { "replicas": replicas } })).await.map(drop)
    }

    fn path(&self, group: &str, rest: &str) -> String {
        format!("/apis/{group}/namespaces/{}/{rest}", self.namespace)
    }
}

/// Sends a request, and reads the object that is answered.
pub(crate) async fn send(client: &Client, method: &str, path: &str, body: &Value) -> Result<Value, Refused> {
    let text = ask(client, method, path, body).await?;
    serde_json::from_str(&text).map_err(|error| Refused::Busy { after: None, cause: chain(&error) })
}

/// Sends a request, and understands why it was refused.
async fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Result<String, Refused> {
    let body = if body.is_null() { Ok(Vec::new()) } else { serde_json::to_vec(body) };
    let body = body.map_err(|error| Refused::Never(error.to_string()))?;
    let form = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", form).body(body);
    let request = request.map_err(|error| Refused::Never(error.to_string()))?;
    match tokio::time::timeout(PATIENCE, client.request_text(request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(understand(&error)),
        Err(_) => Err(Refused::Busy { after: None, cause: "the API server does not answer".to_owned() }),
    }
}

fn understand(error: &Error) -> Refused {
    let Error::Api(status) = error else { return Refused::Busy { after: None, cause: chain(error) } };
    let said = status.message.clone();
    match (status.code, status.reason.as_str()) {
        (409, "AlreadyExists") => Refused::Exists,
        (409, _) => Refused::Conflict,
        (404, _) => Refused::Missing,
        (403, _) if said.contains("exceeded quota") => Refused::Quota(said),
        (400 | 403 | 405 | 422, _) => Refused::Never(said),
        _ => {
            let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            let after = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
            Refused::Busy { after, cause: format!("{} ({})", said, status.code) }
        }
    }
}
