//! Checks on GitHub: check runs where we are an App, commit statuses where we have a token only.

use std::time::Duration;

use async_trait::async_trait;
use csw_core::{
    check::{BUILD_BUTTON, Check, CheckState, Conclusion},
    ports::{Checks, ForgeError, ForgeResult},
};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    credential::{Credential, Repository},
    read,
    request::{Answer, Requests, Waits},
    said,
};

/// Characters that GitHub takes.
const SUMMARY: usize = 60_000;
const DESCRIPTION: usize = 140;

/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What a commit status is called in place of a number: it can't be asked for again.
const STATUS: &str = "status";

/// Shows checks on a GitHub.
pub struct GitHubChecks {
    requests: Requests,
    credential: Credential,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    #[serde(default)]
    external_id: Option<String>,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

impl GitHubChecks {
    /// Checks on the GitHub whose API is at `api`.
    pub fn new(api: &str, credential: Credential) -> ForgeResult<Self> {
        // Who asks for a check to be shown tries again by itself, so that others need not wait.
        Ok(Self { requests: Requests::new(api, Waits::once(), ANSWER)?, credential })
    }

    async fn show_run(
        &self,
        at: &Repository<'_>,
        check: &Check,
        known: Option<&str>,
        again: bool,
    ) -> ForgeResult<String> {
        let what = format!("Showing the check {} of {}", check.name, check.repository);
        let known = match known {
            Some(known) => Some(known.to_owned()),
            None if again => Self::look(at, &what, check).await?,
            None => None,
        };
        let mut body = run_body(check);
        let answer = if let Some(number) = &known {
            at.send(&what, Method::PATCH, &format!("/check-runs/{number}"), &[], Some(&body)).await?
        } else {
            body["head_sha"] = json!(check.commit);
            at.send(&what, Method::POST, "/check-runs", &[], Some(&body)).await?
        };
        if !answer.status.is_success() {
            return Err(refused(&what, check, &answer));
        }
        Ok(read::<CheckRun>(&what, answer)?.id.to_string())
    }

    /// The number of a check run that an attempt made of which we know nothing.
    async fn look(at: &Repository<'_>, what: &str, check: &Check) -> ForgeResult<Option<String>> {
        let path = format!("/commits/{}/check-runs", check.commit);
        let query = [("check_name", check.name.as_str()), ("filter", "all"), ("per_page", "100")];
        let answer = at.send(what, Method::GET, &path, &query, None).await?;
        if !answer.status.is_success() {
            return Err(refused(what, check, &answer));
        }
        let ours = check.id.to_string();
        let runs = read::<CheckRuns>(what, answer)?.check_runs;
        let found = runs.iter().find(|run| run.external_id.as_deref() == Some(&ours));
        Ok(found.map(|run| run.id.to_string()))
    }

    async fn show_status(at: &Repository<'_>, check: &Check) -> ForgeResult<String> {
        let what = format!("Showing the status {} of {}", check.name, check.repository);
        let state = match check.state {
            CheckState::Completed(Conclusion::Success | Conclusion::Neutral) => "success",
            CheckState::Completed(Conclusion::Failure) => "failure",
            CheckState::Completed(Conclusion::Cancelled) => "error",
            CheckState::Completed(Conclusion::ActionRequired) | CheckState::Queued | CheckState::InProgress => {
                "pending"
            }
        };
        let description: String = check.title.chars().take(DESCRIPTION).collect();
        let body =
            json!({ "state": state, "target_url": check.url, "description": description, "context": check.name });
        let path = format!("/statuses/{}", check.commit);
        let answer = at.send(&what, Method::POST, &path, &[], Some(&body)).await?;
        if answer.status.is_success() { Ok(STATUS.to_owned()) } else { Err(refused(&what, check, &answer)) }
    }
}

#[async_trait]
impl Checks for GitHubChecks {
    async fn show(&self, check: &Check, known: Option<&str>, again: bool) -> ForgeResult<String> {
        let (owner, name) = check.repository.split_once('/').ok_or_else(|| ForgeError::Refused {
            what: format!("Showing the check {}", check.name),
            sentence: format!("`{}` is no repository", check.repository),
        })?;
        let at = Repository { requests: &self.requests, credential: &self.credential, owner, name };
        match &self.credential {
            Credential::App(_) => self.show_run(&at, check, known.filter(|known| *known != STATUS), again).await,
            Credential::Token(_) => Self::show_status(&at, check).await,
        }
    }
}

fn run_body(check: &Check) -> Value {
    let summary: String = check.summary.chars().take(SUMMARY).collect();
    let mut body = json!({
        "name": check.name, "details_url": check.url, "external_id": check.id.to_string(),
        "started_at": second(check.started_at),
        "output": { "title": check.title, "summary": summary },
    });
    match check.state {
        CheckState::Queued => body["status"] = json!("queued"),
        CheckState::InProgress => body["status"] = json!("in_progress"),
        CheckState::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion.as_str());
            body["completed_at"] = json!(second(check.finished_at.unwrap_or(check.started_at)));
            if conclusion == Conclusion::ActionRequired {
                let button = json!({
                    "label": "Build it", "description": "Build this commit, tests included",
                    "identifier": BUILD_BUTTON,
                });
                body["actions"] = json!([button]);
            }
        }
    }
    body
}

/// A time as GitHub writes it.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn refused(what: &str, check: &Check, answer: &Answer) -> ForgeError {
    let said = said(&answer.body);
    let sentence = match answer.status {
        StatusCode::UNAUTHORIZED => "GitHub does not know the token that this site has".to_owned(),
        StatusCode::FORBIDDEN => {
            format!("GitHub says \"{said}\"; an App needs write access to checks, a token to commit statuses")
        }
        StatusCode::NOT_FOUND => {
            format!("GitHub has no repository {} that this site may see, or no such commit", check.repository)
        }
        status => format!("GitHub answers {status}: {said}"),
    };
    ForgeError::Refused { what: what.to_owned(), sentence }
}
