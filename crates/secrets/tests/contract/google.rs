//! Google Secret Manager, as <https://cloud.google.com/secret-manager/docs/reference/rest> describes it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::server::{Server, Troubles};

#[derive(Default)]
struct Secret {
    etag: u64,
    labels: Value,
    aliases: BTreeMap<String, String>,
    /// Payloads by number from 1; destroyed ones are none.
    versions: Vec<Option<Vec<u8>>>,
}

#[derive(Default)]
struct Cloud {
    secrets: BTreeMap<String, Secret>,
}

#[derive(Clone)]
struct Site {
    cloud: Arc<Mutex<Cloud>>,
    troubles: Arc<Mutex<Troubles>>,
}

fn error(code: u16, status: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message, "status": status } });
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

impl Secret {
    fn body(&self, id: &str) -> Value {
        json!({
            "name": format!("projects/42/secrets/{id}"),
            "etag": format!("\"{:x}\"", self.etag),
            "labels": self.labels,
            "versionAliases": self.aliases,
            "replication": { "automatic": {} },
        })
    }
}

pub async fn serve() -> Server {
    let cloud = Arc::new(Mutex::new(Cloud::default()));
    let known = Arc::clone(&cloud);
    let kept = move || {
        let cloud = known.lock().unwrap();
        let versions = cloud.secrets.values().flat_map(|secret| secret.versions.iter().flatten());
        versions.map(|payload| String::from_utf8_lossy(payload).into_owned()).collect::<Vec<_>>().join("\n")
    };
    let routes = |troubles| {
        let site = Site { cloud, troubles };
        Router::new()
            .route("/computeMetadata/v1/instance/service-accounts/default/token", get(token))
            .route("/v1/projects/studio/secrets", post(create))
            .route("/v1/projects/studio/secrets/{id}", any(secret))
            .route("/v1/projects/studio/secrets/{id}/versions", get(list))
            .route("/v1/projects/studio/secrets/{id}/versions/{version}", any(version))
            .with_state(site)
    };
    Server::start(routes, kept).await
}

async fn token(State(site): State<Site>, headers: HeaderMap) -> Response {
    if headers.get("metadata-flavor").is_none_or(|flavor| flavor != "Google") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let token = site.troubles.lock().unwrap().token.clone();
    Json(json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" })).into_response()
}

impl Site {
    fn stranger(&self, headers: &HeaderMap) -> Option<Response> {
        let expected = format!("Bearer {}", self.troubles.lock().unwrap().token);
        let given = headers.get("authorization").and_then(|value| value.to_str().ok());
        (given != Some(&expected))
            .then(|| error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."))
    }
}

async fn create(
    State(site): State<Site>,
    headers: HeaderMap,
    Query(query): Query<BTreeMap<String, String>>,
    Json(body): Json<Value>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let id = query["secretId"].clone();
    let good = !id.is_empty() && id.len() <= 255 && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
    if !good || !body["replication"].is_object() {
        return error(400, "INVALID_ARGUMENT", "Secret ID or replication is invalid.");
    }
    let mut cloud = site.cloud.lock().unwrap();
    if cloud.secrets.contains_key(&id) {
        return error(409, "ALREADY_EXISTS", &format!("Secret [projects/42/secrets/{id}] already exists."));
    }
    let secret = Secret { etag: 1, labels: body["labels"].clone(), ..Secret::default() };
    let answer = secret.body(&id);
    cloud.secrets.insert(id, secret);
    Json(answer).into_response()
}

async fn secret(
    State(site): State<Site>,
    method: Method,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    body: Option<Json<Value>>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let (id, verb) = id.split_once(':').map_or((id.as_str(), ""), |(id, verb)| (id, verb));
    let mut cloud = site.cloud.lock().unwrap();
    let Some(secret) = cloud.secrets.get_mut(id) else {
        return error(404, "NOT_FOUND", &format!("Secret [projects/42/secrets/{id}] not found."));
    };
    match (method.as_str(), verb) {
        ("GET", "") => Json(secret.body(id)).into_response(),
        ("POST", "addVersion") => {
            let data = body["payload"]["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
            let Some(data) = data.filter(|data| data.len() <= 65_536) else {
                return error(400, "INVALID_ARGUMENT", "The payload exceeds 64 KiB.");
            };
            secret.versions.push(Some(data));
            let name = format!("projects/42/secrets/{id}/versions/{}", secret.versions.len());
            Json(json!({ "name": name, "state": "ENABLED", "etag": "\"0\"" })).into_response()
        }
        ("PATCH", "") => {
            if query.get("updateMask").is_none_or(|mask| mask != "versionAliases") {
                return error(400, "INVALID_ARGUMENT", "The update mask is invalid.");
            }
            if body["etag"].as_str().is_some_and(|etag| etag != format!("\"{:x}\"", secret.etag)) {
                return error(400, "FAILED_PRECONDITION", "The etag is not up to date.");
            }
            let aliases: BTreeMap<String, String> = serde_json::from_value(body["versionAliases"].clone()).unwrap();
            let there = |number: &String| {
                let number = number.parse::<usize>().unwrap();
                secret.versions.get(number - 1).is_some_and(Option::is_some)
            };
            let taken = |name: &String| ["latest", "new"].contains(&name.to_lowercase().as_str());
            if !aliases.values().all(there) || aliases.keys().any(taken) {
                return error(400, "INVALID_ARGUMENT", "An alias is invalid.");
            }
            secret.aliases = aliases;
            secret.etag += 1;
            Json(secret.body(id)).into_response()
        }
        _ => error(404, "NOT_FOUND", "No such method."),
    }
}

async fn list(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let cloud = site.cloud.lock().unwrap();
    let Some(secret) = cloud.secrets.get(&id) else { return error(404, "NOT_FOUND", "Secret not found.") };
    // Newest first, and in small pages whatever is asked for.
    let skip: usize = query.get("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let all: Vec<Value> = secret
        .versions
        .iter()
        .enumerate()
        .rev()
        .map(|(at, payload)| {
            let state = if payload.is_some() { "ENABLED" } else { "DESTROYED" };
            json!({ "name": format!("projects/42/secrets/{id}/versions/{}", at + 1), "state": state })
        })
        .collect();
    let page: Vec<_> = all.iter().skip(skip).take(2).cloned().collect();
    let next = if skip + 2 < all.len() { (skip + 2).to_string() } else { String::new() };
    Json(json!({ "versions": page, "nextPageToken": next, "totalSize": all.len() })).into_response()
}

async fn version(
    State(site): State<Site>,
    method: Method,
    headers: HeaderMap,
    Path((id, version)): Path<(String, String)>,
) -> Response {
    if let Some(stranger) = site.stranger(&headers) {
        return stranger;
    }
    let (version, verb) = version.split_once(':').map_or((version.as_str(), ""), |(version, verb)| (version, verb));
    let mut cloud = site.cloud.lock().unwrap();
    let Some(secret) = cloud.secrets.get_mut(&id) else { return error(404, "NOT_FOUND", "Secret not found.") };
    let number = secret.aliases.get(version).map_or(version, String::as_str).parse::<usize>().unwrap_or(0);
    let Some(payload) = number.checked_sub(1).and_then(|at| secret.versions.get_mut(at)) else {
        return error(404, "NOT_FOUND", "Secret Version not found.");
    };
    match (method.as_str(), verb, &payload) {
        ("GET", "access", Some(data)) => {
            let name = format!("projects/42/secrets/{id}/versions/{number}");
            Json(json!({ "name": name, "payload": { "data": STANDARD.encode(data), "dataCrc32c": "0" } }))
                .into_response()
        }
        ("POST", "destroy", Some(_)) => {
            *payload = None;
            Json(json!({ "state": "DESTROYED" })).into_response()
        }
        ("GET", "access", None) | ("POST", "destroy", None) => {
            error(400, "FAILED_PRECONDITION", "Secret Version is in DESTROYED state.")
        }
        _ => error(404, "NOT_FOUND", "No such method."),
    }
}
