//! Secrets of the core API, as <https://kubernetes.io/docs/reference/kubernetes-api> describes them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::server::{Server, Troubles};

#[derive(Default)]
struct Cluster {
    revision: u64,
    secrets: BTreeMap<String, Value>,
}

#[derive(Clone)]
struct Site {
    cluster: Arc<Mutex<Cluster>>,
    troubles: Arc<Mutex<Troubles>>,
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code,
    });
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

pub async fn serve() -> Server {
    let cluster = Arc::new(Mutex::new(Cluster::default()));
    let known = Arc::clone(&cluster);
    let kept = move || {
        let cluster = known.lock().unwrap();
        let data = cluster.secrets.values().flat_map(|secret| secret["data"].as_object().into_iter().flatten());
        data.map(|(_, value)| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()).collect()
    };
    let routes = |troubles| {
        Router::new()
            .route("/api/v1/namespaces/studio/secrets", post(create))
            .route("/api/v1/namespaces/studio/secrets/{name}", any(secret))
            .with_state(Site { cluster, troubles })
    };
    Server::start(routes, kept).await
}

impl Site {
    fn stranger(&self, headers: &HeaderMap) -> Option<Response> {
        let expected = format!("Bearer {}", self.troubles.lock().unwrap().token);
        let given = headers.get("authorization").and_then(|value| value.to_str().ok());
        (given != Some(&expected)).then(|| status(401, "Unauthorized", "Unauthorized"))
    }
}

/// What the API server would refuse of a Secret.
fn problem(secret: &Value) -> Option<String> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.is_empty() || name.len() > 253 || !name.chars().all(plain) {
        return Some(format!("Secret \"{name}\" is invalid: metadata.name"));
    }
    for (key, value) in secret["data"].as_object()? {
        let good = key.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
        if !good || value.as_str().is_none_or(|value| STANDARD.decode(value).is_err()) {
            return Some(format!("Secret \"{name}\" is invalid: data[{key}]"));
        }
    }
    (secret["kind"] != "Secret" || secret["apiVersion"] != "v1").then(|| "no Secret of v1".to_owned())
}

impl Cluster {
    fn store(&mut self, name: &str, mut secret: Value) -> Value {
        self.revision += 1;
        secret["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.secrets.insert(name.to_owned(), secret.clone());
        secret
    }
}

async fn create(State(site): State<Site>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    if let Some(problem) = problem(&body) {
        return status(422, "Invalid", &problem);
    }
    let name = body["metadata"]["name"].as_str().unwrap().to_owned();
    let mut cluster = site.cluster.lock().unwrap();
    if cluster.secrets.contains_key(&name) {
        return status(409, "AlreadyExists", &format!("secrets \"{name}\" already exists"));
    }
    (StatusCode::CREATED, Json(cluster.store(&name, body))).into_response()
}

async fn secret(
    State(site): State<Site>,
    method: Method,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Option<Json<Value>>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let mut cluster = site.cluster.lock().unwrap();
    let Some(known) = cluster.secrets.get(&name).cloned() else {
        return status(404, "NotFound", &format!("secrets \"{name}\" not found"));
    };
    if method == Method::GET {
        return Json(known).into_response();
    }
    let body = body.map(|Json(body)| body).unwrap_or_default();
    if method != Method::PUT {
        return status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
    }
    if let Some(problem) = problem(&body) {
        return status(422, "Invalid", &problem);
    }
    let revision = &body["metadata"]["resourceVersion"];
    if !revision.is_null() && *revision != known["metadata"]["resourceVersion"] {
        let message = "the object has been modified; please apply your changes to the latest version and try again";
        return status(409, "Conflict", message);
    }
    Json(cluster.store(&name, body)).into_response()
}
