//! A publish repository that the site itself hosts: its pull requests, by the REST API.

use async_trait::async_trait;
use csw_client::{Client, ClientError, Pull};
use csw_core::{
    ports::{ForgeError, ForgeResult, NewPullRequest, PullRequest, PullRequests},
    repository::PUBLISH,
};
use serde_json::json;

/// Pull requests of a site's own publish repository.
pub(super) struct SitePulls {
    client: Client,
}

impl SitePulls {
    /// Those of the site that a client asks, if it is the one which a repository comes from.
    pub(super) fn of(client: &Client, origin: &str) -> Option<Self> {
        let place = |url: &str| {
            let (scheme, rest) = url.split_once("://")?;
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next()?.to_lowercase();
            Some(format!("{scheme}://{host}/{}", path.trim_end_matches('/').trim_end_matches(".git")))
        };
        let own = place(&format!("{}/git/{PUBLISH}", client.url()))?;
        (place(origin)? == own).then(|| Self { client: client.clone() })
    }

    fn told(&self, pull: Pull) -> PullRequest {
        PullRequest {
            number: u64::from(pull.number),
            url: format!("{}{}", self.client.url(), pull.url),
            title: pull.title,
        }
    }
}

fn failed(what: &str, error: ClientError) -> ForgeError {
    let what = what.to_owned();
    match error {
        ClientError::Refused { status: 429, retry_after, .. } => {
            ForgeError::TooMany { what, seconds: retry_after.unwrap_or(60) }
        }
        ClientError::Refused { sentence, .. } => ForgeError::Refused { what, sentence },
        other => ForgeError::Unavailable { what, cause: other.to_string() },
    }
}

#[async_trait]
impl PullRequests for SitePulls {
    async fn of_branch(&self, branch: &str, _: &str) -> ForgeResult<Option<PullRequest>> {
        let found = self.client.pull_of_branch(PUBLISH, branch).await;
        let found = found.map_err(|error| failed("looking for the pull request", error))?;
        Ok(found.map(|pull| self.told(pull)))
    }

    async fn open(&self, wanted: &NewPullRequest) -> ForgeResult<PullRequest> {
        let opened = self.client.open_pull(PUBLISH, &wanted.branch, &wanted.title, &wanted.body).await;
        opened.map(|pull| self.told(pull)).map_err(|error| failed("opening the pull request", error))
    }

    async fn retitle(&self, number: u64, title: &str) -> ForgeResult<PullRequest> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let changed = self.client.change_pull(PUBLISH, number, &json!({ "title": title })).await;
        changed.map(|pull| self.told(pull)).map_err(|error| failed("changing the pull request", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_of_the_site_is_told_from_others() {
        let client = Client::new("http://Site.example:8080/", None).unwrap();
        for origin in [
            "http://site.example:8080/git/publish.git",
            "http://ada@site.example:8080/git/publish",
            "http://site.example:8080/git/publish.git/",
        ] {
            assert!(SitePulls::of(&client, origin).is_some(), "{origin}");
        }
        for origin in [
            "https://site.example:8080/git/publish.git",
            "http://site.example/git/publish.git",
            "http://site.example:8080/git/ada/publish.git",
            "http://site.example:8080.evil.org/git/publish.git",
            "git@site.example:git/publish.git",
            "/srv/publish.git",
        ] {
            assert!(SitePulls::of(&client, origin).is_none(), "{origin}");
        }
    }
}
