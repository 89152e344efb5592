//! Pull requests, checks and Apps on GitHub, against a local server that keeps its rules; what is sent is compared with GitHub's own
//! description of its API, where `scripts/setup test` has installed that.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod actions;
mod checks;
mod keys;
mod openapi;
mod site;

use std::time::{Duration, Instant};

use csw_core::ports::{ForgeError, NewPullRequest, PullRequests};
use csw_publish::github::{Credential, GitHub, Waits};
use site::{Mood, Site, TOKEN};

const WAITS: Waits = Waits { tries: 3, first: Duration::from_millis(10), longest: Duration::from_secs(2) };

fn client(site: &Site, token: &str) -> GitHub {
    GitHub::new(&site.api(), "PSL", "publish", Credential::token(token), WAITS).unwrap()
}

fn wanted(branch: &str) -> NewPullRequest {
    NewPullRequest {
        branch: branch.to_owned(),
        into: "main".to_owned(),
        title: "Publish a/B".to_owned(),
        body: "Builds it.".to_owned(),
    }
}

fn mood(site: &Site, status: u16, headers: &'static [(&'static str, &'static str)], done: bool) {
    site.inner.lock().unwrap().moods.push_back(Mood { status, headers, done });
}

fn requests(site: &Site) -> usize {
    site.inner.lock().unwrap().asked.len()
}

#[tokio::test]
async fn a_branch_has_one_pull_request_and_all_requests_are_as_github_describes_them() {
    let site = Site::start().await;
    let github = client(&site, TOKEN);
    assert_eq!(github.of_branch("publish/a/B", "main").await.unwrap(), None);
    let made = github.open(&wanted("publish/a/B")).await.unwrap();
    assert_eq!((made.number, made.url.as_str()), (1, "https://github.example/PSL/publish/pull/1"));
    assert_eq!(github.of_branch("publish/a/B", "main").await.unwrap().as_ref(), Some(&made));
    assert_eq!(github.of_branch("publish/a/B", "release").await.unwrap(), None);
    assert_eq!(github.of_branch("publish/a/C", "main").await.unwrap(), None);
    // Somebody opened it between the look and the request.
    assert_eq!(github.open(&wanted("publish/a/B")).await.unwrap(), made);
    let changed = github.retitle(1, "Publish a/B [skip test]").await.unwrap();
    assert_eq!((changed.number, changed.title.as_str()), (1, "Publish a/B [skip test]"));
    assert_eq!(site.pulls().len(), 1);
    assert_eq!(site.inner.lock().unwrap().pulls[0]["body"], "Builds it.");
    site.close();
    assert_eq!(github.open(&wanted("publish/a/B")).await.unwrap().number, 2);

    let Some(description) = openapi::description() else {
        eprintln!("skipped: GitHub's description is not installed; `scripts/setup test` does that");
        return;
    };
    let asked = site.inner.lock().unwrap().asked.clone();
    let methods: std::collections::BTreeSet<_> = asked.iter().map(|one| one.method.as_str()).collect();
    assert_eq!(methods.into_iter().collect::<Vec<_>>(), ["GET", "PATCH", "POST"]);
    for one in &asked {
        assert_eq!(openapi::problems(&description, one), Vec::<String>::new(), "{one:?}");
    }
    // The comparison itself can fail.
    let mut broken = asked.iter().find(|one| one.method == "POST").unwrap().clone();
    broken.body.as_mut().unwrap()["heads"] = broken.body.as_mut().unwrap()["head"].take();
    broken.query.push(("stat".to_owned(), "open".to_owned()));
    assert_eq!(openapi::problems(&description, &broken).len(), 3, "{:?}", openapi::problems(&description, &broken));
}

#[tokio::test]
async fn a_busy_or_broken_github_is_asked_again_and_no_request_is_doubled() {
    let site = Site::start().await;
    let github = client(&site, TOKEN);
    for (status, headers) in [
        (502, &[][..]),
        (503, &[]),
        (429, &[("retry-after", "0")]),
        (403, &[("retry-after", "0")]),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")]),
    ] {
        mood(&site, status, headers, false);
        assert_eq!(github.of_branch("publish/a/B", "main").await.unwrap(), None, "{status}");
    }
    // It was done, and the answer was lost.
    mood(&site, 502, &[], true);
    assert_eq!(github.open(&wanted("publish/a/B")).await.unwrap().number, 1);
    assert_eq!(site.pulls().len(), 1);
    mood(&site, 429, &[("retry-after", "1")], false);
    let begin = Instant::now();
    github.of_branch("publish/a/B", "main").await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn patience_ends_with_a_sentence() {
    let site = Site::start().await;
    let github = client(&site, TOKEN);
    for _ in 0..3 {
        mood(&site, 500, &[], false);
    }
    let error = github.of_branch("publish/a/B", "main").await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Unavailable { .. }) && error.to_string().contains("GitHub answers 500"),
        "{error}"
    );
    assert_eq!(requests(&site), 3);
    mood(&site, 403, &[("retry-after", "3600")], false);
    let error = github.open(&wanted("publish/a/B")).await.unwrap_err();
    assert!(matches!(error, ForgeError::TooMany { seconds: 3600, .. }), "{error}");
    assert_eq!(requests(&site), 4);
    let nobody = GitHub::new("http://127.0.0.1:9", "PSL", "publish", Credential::token(TOKEN), WAITS).unwrap();
    let error = nobody.of_branch("b", "main").await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let site = Site::start().await;
    let said = async |github: GitHub, branch: &str| {
        let error = github.open(&wanted(branch)).await.unwrap_err();
        assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
        error.to_string()
    };
    assert!(said(client(&site, "bad"), "b").await.contains("give it as GITHUB_TOKEN"));
    let other = GitHub::new(&site.api(), "PSL", "other", Credential::token(TOKEN), WAITS).unwrap();
    assert!(said(other, "b").await.contains("no repository PSL/other that the token may see"));
    assert!(said(client(&site, TOKEN), "gone").await.contains("Validation Failed: no such head"));
    mood(&site, 403, &[], false);
    assert!(said(client(&site, TOKEN), "b").await.contains("needs write access to pull requests of PSL/publish"));
    assert_eq!(site.pulls(), []);
}
