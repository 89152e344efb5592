//! A GitHub of one repository, as far as pull requests, check runs, commit statuses and an App go: it keeps the rules that a
//! client meets.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "ghp_good";

/// The App that is installed, and its installation.
pub(crate) const APP: &str = "Iv1.app";
const INSTALLATION: u64 = 5;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

/// An answer that comes in place of the right one.
pub(crate) struct Mood {
    pub(crate) status: u16,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Whether the request is done all the same.
    pub(crate) done: bool,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) pulls: Vec<Value>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) moods: VecDeque<Mood>,
    /// Check runs, as they are now.
    pub(crate) runs: Vec<Value>,
    /// Every state that a check run had: its number, status and conclusion.
    pub(crate) states: Vec<(u64, String, String)>,
    /// Commit statuses, in the order in which they came.
    pub(crate) statuses: Vec<Value>,
    /// What the App proved itself with.
    pub(crate) proofs: Vec<String>,
    /// Tokens that the App got.
    pub(crate) issued: Vec<String>,
    /// Those that are good no more.
    pub(crate) revoked: Vec<String>,
    /// When tokens of the App end; far away where nothing is said.
    pub(crate) ends: Option<String>,
}

/// The site. Its API is at `{url}/api/v3`.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) inner: Arc<Mutex<Inner>>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let inner = Arc::<Mutex<Inner>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner }
    }

    pub(crate) fn api(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    /// All pull requests: branch, title, state.
    pub(crate) fn pulls(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let inner = self.inner.lock().unwrap();
        inner.pulls.iter().map(|one| (text(&one["head"]["ref"]), text(&one["title"]), text(&one["state"]))).collect()
    }

    /// Closes all.
    pub(crate) fn close(&self) {
        for pull in &mut self.inner.lock().unwrap().pulls {
            pull["state"] = json!("closed");
        }
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().trim_start_matches("/api/v3").to_owned(),
        query: query
            .split('&')
            .filter_map(|part| part.split_once('='))
            .map(|(k, v)| (k.to_owned(), plain(v)))
            .collect(),
        body: read(&bytes),
    };
    let mut inner = inner.lock().unwrap();
    inner.asked.push(asked.clone());
    let mood = inner.moods.pop_front();
    let right =
        if mood.as_ref().is_none_or(|mood| mood.done) { Some(inner.right(&parts.headers, &asked)) } else { None };
    match (mood, right) {
        (Some(mood), _) => {
            let mut response =
                (StatusCode::from_u16(mood.status).unwrap(), Json(json!({ "message": "not now" }))).into_response();
            for (name, value) in mood.headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        (None, Some((status, body))) => (StatusCode::from_u16(status).unwrap(), Json(body)).into_response(),
        (None, None) => unreachable!("without a mood there is a right answer"),
    }
}

fn read(bytes: &Bytes) -> Option<Value> {
    (!bytes.is_empty()).then(|| serde_json::from_slice(bytes).unwrap())
}

fn plain(text: &str) -> String {
    text.replace('+', " ").replace("%2F", "/").replace("%3A", ":")
}

impl Inner {
    fn right(&mut self, headers: &HeaderMap, asked: &Asked) -> (u16, Value) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let bearer = text("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let app = self.issued.contains(&bearer) && !self.revoked.contains(&bearer);
        let proof = bearer.matches('.').count() == 2;
        if bearer != TOKEN && !app && !proof {
            return (401, json!({ "message": "Bad credentials" }));
        }
        if text("user-agent").is_empty() {
            return (403, json!({ "message": "Request forbidden by administrative rules." }));
        }
        if text("accept") != "application/vnd.github+json" || text("x-github-api-version") != "2022-11-28" {
            return (400, json!({ "message": "Which version?" }));
        }
        if proof {
            self.proofs.push(bearer);
            return self.of_the_app(asked);
        }
        let Some(rest) = asked.path.strip_prefix("/repos/PSL/publish") else {
            return (404, json!({ "message": "Not Found" }));
        };
        let Some(rest) = rest.strip_prefix("/pulls") else { return self.beside_a_commit(rest, app, asked) };
        match (asked.method.as_str(), rest) {
            ("GET", "") => (200, self.list(asked)),
            ("POST", "") => self.make(asked.body.as_ref().unwrap()),
            ("PATCH", number) => self.change(number.trim_start_matches('/'), asked.body.as_ref().unwrap()),
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    fn of_the_app(&mut self, asked: &Asked) -> (u16, Value) {
        let tokens = format!("/app/installations/{INSTALLATION}/access_tokens");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/repos/PSL/publish/installation") => (200, json!({ "id": INSTALLATION, "app_slug": "app" })),
            ("POST", path) if path == tokens => {
                let token = format!("ghs_{}", self.issued.len());
                self.issued.push(token.clone());
                let ends = self.ends.clone().unwrap_or_else(|| "2099-01-01T00:00:00Z".to_owned());
                (201, json!({ "token": token, "expires_at": ends }))
            }
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    fn beside_a_commit(&mut self, rest: &str, app: bool, asked: &Asked) -> (u16, Value) {
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        match (asked.method.as_str(), &parts[..]) {
            ("POST", ["statuses", sha]) => {
                let mut status = asked.body.clone().unwrap();
                status["sha"] = json!(sha);
                self.statuses.push(status);
                (201, json!({ "id": self.statuses.len() }))
            }
            ("POST", ["check-runs"]) | ("PATCH", ["check-runs", _]) if !app => {
                (403, json!({ "message": "You must authenticate via a GitHub App." }))
            }
            ("POST", ["check-runs"]) => {
                let id = u64::try_from(self.runs.len() + 1).unwrap();
                let mut run = asked.body.clone().unwrap();
                run["id"] = json!(id);
                self.runs.push(run);
                (201, self.noted(id))
            }
            ("PATCH", ["check-runs", id]) => {
                let id: u64 = id.parse().unwrap_or_default();
                let Some(run) = self.runs.iter_mut().find(|run| run["id"] == id) else {
                    return (404, json!({ "message": "Not Found" }));
                };
                for (key, value) in asked.body.as_ref().unwrap().as_object().unwrap() {
                    run[key] = value.clone();
                }
                (200, self.noted(id))
            }
            ("GET", ["commits", sha, "check-runs"]) => {
                let runs: Vec<_> = self.runs.iter().filter(|run| run["head_sha"] == *sha).cloned().collect();
                (200, json!({ "total_count": runs.len(), "check_runs": runs }))
            }
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    fn noted(&mut self, id: u64) -> Value {
        let run = self.runs.iter().find(|run| run["id"] == id).unwrap().clone();
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        self.states.push((id, text("status"), text("conclusion")));
        run
    }

    fn list(&self, asked: &Asked) -> Value {
        let of = |name: &str| asked.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let fits = |pull: &Value| {
            of("state").is_none_or(|state| state == "all" || pull["state"] == state)
                && of("head").is_none_or(|head| pull["head"]["label"] == head)
                && of("base").is_none_or(|base| pull["base"]["ref"] == base)
        };
        self.pulls.iter().filter(|pull| fits(pull)).cloned().collect()
    }

    fn make(&mut self, body: &Value) -> (u16, Value) {
        let same = |pull: &&Value| pull["state"] == "open" && pull["head"]["ref"] == body["head"];
        if self.pulls.iter().find(same).is_some() {
            let sentence = format!("A pull request already exists for PSL:{}.", body["head"].as_str().unwrap());
            let error = json!({ "resource": "PullRequest", "code": "custom", "message": sentence });
            return (422, json!({ "message": "Validation Failed", "errors": [error] }));
        }
        if body["head"] == "gone" {
            let error =
                json!({ "resource": "PullRequest", "field": "head", "code": "invalid", "message": "no such head" });
            return (422, json!({ "message": "Validation Failed", "errors": [error] }));
        }
        let number = self.pulls.len() + 1;
        let head = body["head"].as_str().unwrap();
        let pull = json!({
            "number": number, "html_url": format!("https://github.example/PSL/publish/pull/{number}"), "state": "open",
            "title": body["title"], "body": body["body"], "draft": false,
            "head": { "ref": head, "label": format!("PSL:{head}") }, "base": { "ref": body["base"] },
        });
        self.pulls.push(pull.clone());
        (201, pull)
    }

    fn change(&mut self, number: &str, body: &Value) -> (u16, Value) {
        let number: u64 = number.parse().unwrap_or_default();
        let found = self.pulls.iter_mut().find(|pull| pull["number"] == number);
        let Some(pull) = found else { return (404, json!({ "message": "Not Found" })) };
        for (key, value) in body.as_object().unwrap() {
            pull[key] = value.clone();
        }
        (200, pull.clone())
    }
}
