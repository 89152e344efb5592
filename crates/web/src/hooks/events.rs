//! The events of GitHub that lead to something, as far as they matter here.

use axum::{
    Json,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::{Asked, ElsewhereRepository, PullRequestNews, PushElsewhere, Told, Wish};
use csw_core::check::BUILD_BUTTON;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::bad;
use crate::{error::ApiResult, state::WebState};

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    default_branch: Option<String>,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    clone_url: String,
    #[serde(default)]
    ssh_url: String,
    #[serde(default)]
    git_url: String,
}

impl From<Repository> for ElsewhereRepository {
    fn from(one: Repository) -> Self {
        let urls = [one.html_url, one.clone_url, one.ssh_url, one.git_url];
        Self {
            name: one.full_name,
            urls: urls.into_iter().filter(|url| !url.is_empty()).collect(),
            is_private: one.private,
            default_branch: one.default_branch.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    after: String,
    /// Of an annotated tag, `after` is the tag and no commit.
    #[serde(default)]
    head_commit: Option<Commit>,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Commit {
    id: String,
}

#[derive(Debug, Deserialize)]
struct PullRequestEvent {
    action: String,
    number: u64,
    pull_request: PullRequest,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    #[serde(default)]
    merged: bool,
    head: Head,
    base: Base,
}

#[derive(Debug, Deserialize)]
struct Head {
    sha: String,
    /// Nothing where the fork is gone.
    repo: Option<HeadRepository>,
}

#[derive(Debug, Deserialize)]
struct HeadRepository {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct Base {
    #[serde(rename = "ref")]
    reference: String,
}

#[derive(Debug, Deserialize)]
struct CheckRunEvent {
    action: String,
    check_run: CheckRun,
    #[serde(default)]
    requested_action: Option<RequestedAction>,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct CheckRun {
    head_sha: String,
    #[serde(default)]
    external_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RequestedAction {
    identifier: String,
}

#[derive(Debug, Deserialize)]
struct CheckSuiteEvent {
    action: String,
    check_suite: CheckSuite,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct CheckSuite {
    head_sha: String,
}

/// What an event leads to. None is taken in vain: the answer says what was done, or why nothing was.
pub(super) async fn handle(state: &WebState, event: &str, headers: &HeaderMap, bytes: &Bytes) -> ApiResult<Response> {
    match event {
        "push" => pushed(state, read(event, headers, bytes)?).await,
        "pull_request" => pull_request(state, read(event, headers, bytes)?).await,
        "check_run" => check_run(state, read(event, headers, bytes)?).await,
        "check_suite" => check_suite(state, read(event, headers, bytes)?).await,
        other => {
            let detail = format!("Events of the kind `{other}` lead to nothing here; the webhook need not send them.");
            Ok((StatusCode::ACCEPTED, nothing(&detail)).into_response())
        }
    }
}

async fn pushed(state: &WebState, push: Push) -> ApiResult<Response> {
    let what = format!("{} of {}", push.reference, push.repository.full_name);
    let gone = |id: &str| id.is_empty() || id.bytes().all(|byte| byte == b'0');
    if push.deleted {
        return Ok(nothing(&format!("{what} was deleted; versions that were built of it stay.")).into_response());
    }
    let head = push.head_commit.map(|commit| commit.id).or(Some(push.after)).filter(|id| !gone(id));
    let news = PushElsewhere { repository: push.repository.into(), reference: push.reference, commit: head };
    let told = state.app.pushed_elsewhere(&news).await?;
    if told.is_empty() {
        return Ok(nothing(&format!("No model is published from {what}.")).into_response());
    }
    Ok(answer(&format!("{what} was pushed"), &told))
}

async fn pull_request(state: &WebState, event: PullRequestEvent) -> ApiResult<Response> {
    let PullRequestEvent { action, number, pull_request, repository } = event;
    let what = format!("Pull request {number} of {}", repository.full_name);
    let wish = match action.as_str() {
        "opened" | "synchronize" | "reopened" => Wish::Build,
        "closed" => Wish::End,
        other => return Ok(nothing(&format!("{what}: `{other}` changes nothing of its code.")).into_response()),
    };
    let from = pull_request.head.repo.map_or_else(|| "a repository that is gone".to_owned(), |repo| repo.full_name);
    let fork = (!from.eq_ignore_ascii_case(&repository.full_name)).then_some(from);
    let base = pull_request.base.reference;
    let news = PullRequestNews {
        repository: repository.into(),
        number,
        base: base.clone(),
        commit: pull_request.head.sha,
        fork,
        wish,
    };
    let told = state.app.pull_request_elsewhere(&news).await?;
    if wish == Wish::End {
        let more = if pull_request.merged { "; the push that merges it is built" } else { "" };
        return Ok(nothing(&format!("{what} is closed: its builds are over{more}.")).into_response());
    }
    if told.is_empty() {
        return Ok(nothing(&format!("No model is published from {base} of {}.", news.repository.name)).into_response());
    }
    Ok(answer(&what, &told))
}

async fn check_run(state: &WebState, event: CheckRunEvent) -> ApiResult<Response> {
    let pressed = event.requested_action.is_some_and(|action| action.identifier == BUILD_BUTTON);
    let allowed = match event.action.as_str() {
        "rerequested" => false,
        "requested_action" if pressed => true,
        other => {
            return Ok(nothing(&format!("A check run was {other}: nothing is asked of this site.")).into_response());
        }
    };
    // Checks of others have other identifiers, or none.
    let Some(check) = event.check_run.external_id.and_then(|id| id.parse().ok()) else {
        return Ok(nothing("This check is none of this site's.").into_response());
    };
    let (repository, commit) = (event.repository.full_name, event.check_run.head_sha);
    again(state, Asked { repository, commit, check: Some(check), allowed }).await
}

async fn check_suite(state: &WebState, event: CheckSuiteEvent) -> ApiResult<Response> {
    if event.action != "rerequested" {
        return Ok(
            nothing(&format!("A check suite was {}: nothing is asked of this site.", event.action)).into_response()
        );
    }
    let (repository, commit) = (event.repository.full_name, event.check_suite.head_sha);
    again(state, Asked { repository, commit, check: None, allowed: false }).await
}

async fn again(state: &WebState, asked: Asked) -> ApiResult<Response> {
    let told = state.app.check_asked_again(&asked).await?;
    let what = format!("Checks of {} in {}", asked.commit, asked.repository);
    if told.is_empty() {
        return Ok(nothing(&format!("{what}: this site has none that it remembers.")).into_response());
    }
    Ok(answer(&format!("{what} are asked for again"), &told))
}

/// What came of it for each model. Who looks at a repository's webhooks need not know which private models are made of it.
fn answer(what: &str, told: &[Told]) -> Response {
    let private = told.iter().filter(|one| !one.is_public).count();
    let builds: Vec<Value> = told
        .iter()
        .filter(|one| one.is_public)
        .map(|one| match &one.outcome {
            Ok(build) => json!({ "model": one.model.to_string(), "build": build.to_string() }),
            Err(sentence) => json!({ "model": one.model.to_string(), "detail": sentence }),
        })
        .collect();
    let asked = told.iter().filter(|one| one.outcome.is_ok()).count();
    let detail = format!("{what}: {asked} of {} models are built.", told.len());
    Json(json!({ "detail": detail, "builds": builds, "private": private })).into_response()
}

pub(super) fn nothing(why: &str) -> Json<Value> {
    Json(json!({ "detail": why, "builds": [] }))
}

/// The document of a delivery, which comes as JSON or as a field of a form, as the webhook's settings say.
fn read<T: DeserializeOwned>(event: &str, headers: &HeaderMap, bytes: &Bytes) -> ApiResult<T> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wrong = |error: serde_json::Error| bad(&format!("The delivery is no {event} event: {error}."));
    if kind.starts_with("application/x-www-form-urlencoded") {
        let fields: Vec<(String, String)> =
            serde_urlencoded::from_bytes(bytes).map_err(|error| bad(&format!("The delivery is no form: {error}.")))?;
        let payload = fields.into_iter().find(|(name, _)| name == "payload").map(|(_, value)| value);
        return serde_json::from_str(&payload.unwrap_or_default()).map_err(wrong);
    }
    serde_json::from_slice(bytes).map_err(wrong)
}
