//! GitHub as a forge, over its REST API with a token or as a GitHub App: pull requests, checks beside commits, and the
//! tokens of its workflows.

mod actions;
mod app;
mod checks;
mod credential;
mod request;

use std::time::Duration;

use async_trait::async_trait;
use csw_core::{
    ports::{ForgeError, ForgeResult, NewPullRequest, PullRequest, PullRequests},
    repository::place,
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::{
    actions::{ActionsTokens, PUBLIC_ISSUER},
    app::App,
    checks::GitHubChecks,
    credential::Credential,
    request::{Secret, Waits},
};
use self::{
    credential::Repository,
    request::{Answer, Requests},
};

/// Where the public GitHub's API is.
pub const PUBLIC_API: &str = "https://api.github.com";

/// A repository on GitHub, and the right to open pull requests there.
pub struct GitHub {
    requests: Requests,
    credential: Credential,
    owner: String,
    name: String,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    title: String,
}

impl From<Pull> for PullRequest {
    fn from(pull: Pull) -> Self {
        Self { number: pull.number, url: pull.html_url, title: pull.title }
    }
}

/// Owner and name of a repository on a GitHub at `host`, of its URL; nothing where it is somewhere else.
#[must_use]
pub fn repository_on(host: &str, url: &str) -> Option<(String, String)> {
    let place = place(url);
    let (found, path) = place.split_once('/')?;
    // The ssh host behind a firewall.
    let found = if found.eq_ignore_ascii_case("ssh.github.com") { "github.com" } else { found };
    let (owner, name) = path.split_once('/')?;
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    (found.eq_ignore_ascii_case(host) && plain(owner) && plain(name)).then(|| (owner.to_owned(), name.to_owned()))
}

impl GitHub {
    /// The repository `owner/name` behind the API at `api`.
    pub fn new(api: &str, owner: &str, name: &str, credential: Credential, waits: Waits) -> ForgeResult<Self> {
        let requests = Requests::new(api, waits, Duration::from_secs(30))?;
        Ok(Self { requests, credential, owner: owner.to_owned(), name: name.to_owned() })
    }

    fn at(&self) -> Repository<'_> {
        Repository { requests: &self.requests, credential: &self.credential, owner: &self.owner, name: &self.name }
    }

    fn refused(&self, what: &str, answer: &Answer) -> ForgeError {
        let said = said(&answer.body);
        let repository = format!("{}/{}", self.owner, self.name);
        let sentence = match answer.status {
            StatusCode::UNAUTHORIZED => {
                "GitHub does not know the token; make a new one and give it as GITHUB_TOKEN".to_owned()
            }
            StatusCode::FORBIDDEN => format!(
                "GitHub says \"{said}\"; the token needs write access to pull requests of {repository}, and Actions need \
                 \"Allow GitHub Actions to create and approve pull requests\" in its settings"
            ),
            StatusCode::NOT_FOUND => format!(
                "GitHub has no repository {repository} that the token may see; check origin, and what the token may do"
            ),
            status => format!("GitHub answers {status}: {said}"),
        };
        ForgeError::Refused { what: what.to_owned(), sentence }
    }

    async fn pull(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> ForgeResult<Result<PullRequest, Answer>> {
        let answer = self.at().send(what, method, path, &[], Some(&body)).await?;
        if !answer.status.is_success() {
            return Ok(Err(answer));
        }
        Ok(Ok(read::<Pull>(what, answer)?.into()))
    }
}

#[async_trait]
impl PullRequests for GitHub {
    async fn of_branch(&self, branch: &str, into: &str) -> ForgeResult<Option<PullRequest>> {
        let what = format!("Looking for the pull request of {branch}");
        let head = format!("{}:{branch}", self.owner);
        let query = [("state", "open"), ("head", &head), ("base", into)];
        let answer = self.at().send(&what, Method::GET, "/pulls", &query, None).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&what, &answer));
        }
        Ok(read::<Vec<Pull>>(&what, answer)?.into_iter().next().map(Into::into))
    }

    async fn open(&self, wanted: &NewPullRequest) -> ForgeResult<PullRequest> {
        let what = format!("Opening the pull request of {}", wanted.branch);
        let body = json!({
            "title": wanted.title, "body": wanted.body, "head": wanted.branch, "base": wanted.into,
            "maintainer_can_modify": true,
        });
        match self.pull(&what, Method::POST, "/pulls", body).await? {
            Ok(made) => Ok(made),
            // Somebody was faster, or an answer was lost and the request was sent again.
            Err(answer) if answer.status == StatusCode::UNPROCESSABLE_ENTITY => {
                match self.of_branch(&wanted.branch, &wanted.into).await? {
                    Some(there) => Ok(there),
                    None => Err(self.refused(&what, &answer)),
                }
            }
            Err(answer) => Err(self.refused(&what, &answer)),
        }
    }

    async fn retitle(&self, number: u64, title: &str) -> ForgeResult<PullRequest> {
        let what = format!("Changing the title of pull request {number}");
        let done = self.pull(&what, Method::PATCH, &format!("/pulls/{number}"), json!({ "title": title })).await?;
        done.map_err(|answer| self.refused(&what, &answer))
    }
}

fn read<T: serde::de::DeserializeOwned>(what: &str, answer: Answer) -> ForgeResult<T> {
    serde_json::from_value(answer.body).map_err(|error| ForgeError::Refused {
        what: what.to_owned(),
        sentence: format!("the answer is not GitHub's: {error}. Is `github.api_url` the address of its API?"),
    })
}

/// What GitHub says of a refusal: its message, and that of each error.
fn said(body: &Value) -> String {
    let message = body["message"].as_str().unwrap_or("no reason");
    let errors = body["errors"].as_array().into_iter().flatten();
    let more: Vec<&str> = errors.filter_map(|error| error["message"].as_str().or_else(|| error.as_str())).collect();
    if more.is_empty() { message.to_owned() } else { format!("{message}: {}", more.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_on_github_is_told_from_others() {
        let found = Some(("PSL".to_owned(), "publish".to_owned()));
        for url in [
            "https://github.com/PSL/publish",
            "git@github.com:PSL/publish.git",
            "https://x:tok@github.com/PSL/publish.git/",
            "ssh://git@ssh.github.com:443/PSL/publish.git",
        ] {
            assert_eq!(repository_on("github.com", url), found, "{url}");
        }
        assert_eq!(repository_on("git.example.org", "https://git.example.org/PSL/publish"), found);
        for other in
            ["https://gitlab.com/a/b", "https://github.com/a", "/srv/github.com/a/b", "https://github.com/a/b/c"]
        {
            assert_eq!(repository_on("github.com", other), None, "{other}");
        }
    }

    #[test]
    fn every_reason_is_told() {
        let body = json!({ "message": "Validation Failed", "errors": [{ "message": "No commits" }, "x"] });
        assert_eq!(said(&body), "Validation Failed: No commits; x");
        assert_eq!(said(&Value::Null), "no reason");
    }
}
