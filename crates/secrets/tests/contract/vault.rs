//! Vault's KV engine, version 2, and its Kubernetes login, as <https://developer.hashicorp.com/vault/api-docs> describes
//! them; OpenBao has the same.

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
use serde_json::{Value, json};

use crate::server::{Server, Troubles};

/// The token of the service account that may log in.
pub const JWT: &str = "header.claims.signature";

/// Versions that the engine keeps by itself.
const VERSIONS: usize = 10;

#[derive(Default)]
struct Entry {
    current: u64,
    /// Data by version; destroyed ones are null.
    versions: BTreeMap<u64, Value>,
}

#[derive(Clone)]
struct Site {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    troubles: Arc<Mutex<Troubles>>,
}

fn errors(status: StatusCode, sentences: &[&str]) -> Response {
    (status, Json(json!({ "errors": sentences }))).into_response()
}

pub async fn serve() -> Server {
    let entries: Arc<Mutex<BTreeMap<String, Entry>>> = Arc::default();
    let known = Arc::clone(&entries);
    let kept = move || {
        let entries = known.lock().unwrap();
        entries.values().flat_map(|entry| entry.versions.values()).map(Value::to_string).collect::<String>()
    };
    let routes = |troubles| {
        Router::new()
            .route("/v1/auth/kubernetes/login", post(login))
            .route("/v1/kv/data/{*path}", any(data))
            .route("/v1/kv/metadata/{*path}", any(metadata))
            .route("/v1/kv/destroy/{*path}", any(destroy))
            .with_state(Site { entries, troubles })
    };
    Server::start(routes, kept).await
}

impl Site {
    fn stranger(&self, headers: &HeaderMap) -> Option<Response> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let expected = self.troubles.lock().unwrap().token.clone();
        let good = header("x-vault-token") == Some(expected) && header("x-vault-namespace").as_deref() == Some("team");
        (!good).then(|| errors(StatusCode::FORBIDDEN, &["permission denied"]))
    }
}

async fn login(State(site): State<Site>, Json(body): Json<Value>) -> Response {
    if body["role"] != "studio" {
        return errors(StatusCode::BAD_REQUEST, &["invalid role name"]);
    }
    if body["jwt"] != JWT {
        return errors(StatusCode::FORBIDDEN, &["permission denied"]);
    }
    let token = site.troubles.lock().unwrap().token.clone();
    Json(json!({ "auth": { "client_token": token, "lease_duration": 3600, "renewable": true } })).into_response()
}

async fn data(
    State(site): State<Site>,
    method: Method,
    headers: HeaderMap,
    Path(path): Path<String>,
    body: Option<Json<Value>>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let mut entries = site.entries.lock().unwrap();
    if method == Method::GET {
        let Some(entry) = entries.get(&path) else { return errors(StatusCode::NOT_FOUND, &[]) };
        let data = &entry.versions[&entry.current];
        let metadata = json!({ "version": entry.current, "destroyed": data.is_null(), "deletion_time": "" });
        let status = if data.is_null() { StatusCode::NOT_FOUND } else { StatusCode::OK };
        return (status, Json(json!({ "data": { "data": data, "metadata": metadata } }))).into_response();
    }
    let body = body.map(|Json(body)| body).unwrap_or_default();
    if method != Method::POST || !body["data"].is_object() {
        return errors(StatusCode::BAD_REQUEST, &["no data provided"]);
    }
    let current = entries.get(&path).map_or(0, |entry| entry.current);
    match body["options"]["cas"].as_u64() {
        None => return errors(StatusCode::BAD_REQUEST, &["check-and-set parameter required for this call"]),
        Some(cas) if cas != current => {
            return errors(StatusCode::BAD_REQUEST, &["check-and-set parameter did not match the current version"]);
        }
        Some(_) => {}
    }
    let entry = entries.entry(path).or_default();
    entry.current += 1;
    entry.versions.insert(entry.current, body["data"].clone());
    while entry.versions.len() > VERSIONS {
        entry.versions.pop_first();
    }
    Json(json!({ "data": { "version": entry.current, "destroyed": false } })).into_response()
}

async fn metadata(State(site): State<Site>, method: Method, headers: HeaderMap, Path(path): Path<String>) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let entries = site.entries.lock().unwrap();
    let Some(entry) = entries.get(&path).filter(|_| method == Method::GET) else {
        return errors(StatusCode::NOT_FOUND, &[]);
    };
    let versions: BTreeMap<String, Value> = entry
        .versions
        .iter()
        .map(|(number, data)| (number.to_string(), json!({ "destroyed": data.is_null(), "deletion_time": "" })))
        .collect();
    Json(json!({ "data": { "current_version": entry.current, "versions": versions } })).into_response()
}

async fn destroy(
    State(site): State<Site>,
    method: Method,
    headers: HeaderMap,
    Path(path): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    if method != Method::PUT {
        return errors(StatusCode::METHOD_NOT_ALLOWED, &["unsupported operation"]);
    }
    if let Some(entry) = site.entries.lock().unwrap().get_mut(&path) {
        for number in body["versions"].as_array().unwrap().iter().filter_map(Value::as_u64) {
            if let Some(data) = entry.versions.get_mut(&number) {
                *data = Value::Null;
            }
        }
    }
    StatusCode::NO_CONTENT.into_response()
}
