//! Check runs of an App, and commit statuses of a token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use csw_core::{
    check::{Check, CheckState, Conclusion},
    ids::CheckId,
    ports::{Checks, ForgeError, PullRequests},
};
use csw_publish::github::{App, Credential, GitHub, GitHubChecks};
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::{
    WAITS,
    keys::Keys,
    mood, openapi,
    site::{APP, Site, TOKEN},
};

const COMMIT: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

fn check(n: u8, state: CheckState) -> Check {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Check {
        id: CheckId::new(at, [n; 10]),
        repository: "PSL/publish".to_owned(),
        commit: COMMIT.to_owned(),
        name: "Compute Studio: ada/Model".to_owned(),
        state,
        title: "x".repeat(300),
        summary: "| stage |".to_owned(),
        url: "https://site.example/ada/Model/builds/1/".to_owned(),
        started_at: at,
        finished_at: matches!(state, CheckState::Completed(_)).then_some(at),
    }
}

fn app(keys: &Keys) -> Credential {
    Credential::App(Box::new(App::new(APP, &keys.pem).unwrap()))
}

#[tokio::test]
async fn a_check_run_goes_through_its_states_and_all_requests_are_as_github_describes_them() {
    let (site, keys) = (Site::start().await, Keys::new());
    let github = GitHubChecks::new(&site.api(), app(&keys)).unwrap();
    let number = github.show(&check(1, CheckState::Queued), None, false).await.unwrap();
    for state in [
        CheckState::InProgress,
        CheckState::Completed(Conclusion::Success),
        CheckState::Completed(Conclusion::ActionRequired),
    ] {
        assert_eq!(github.show(&check(1, state), Some(&number), false).await.unwrap(), number);
    }
    {
        let site = site.inner.lock().unwrap();
        let states: Vec<_> = site.states.iter().map(|(_, status, end)| (status.as_str(), end.as_str())).collect();
        let completed = [("completed", "success"), ("completed", "action_required")];
        assert_eq!(states, [("queued", ""), ("in_progress", ""), completed[0], completed[1]]);
        let run = &site.runs[0];
        assert_eq!(run["head_sha"], COMMIT);
        assert_eq!(run["details_url"], "https://site.example/ada/Model/builds/1/");
        assert_eq!(run["completed_at"], "2027-01-15T08:00:00Z");
        assert_eq!(run["actions"][0]["identifier"], csw_core::check::BUILD_BUTTON);
        assert_eq!((site.issued.len(), site.proofs.len()), (1, 2), "one token serves all");
    }
    // An attempt whose answer was lost made one; another check of the same commit is not it.
    let other = github.show(&check(2, CheckState::Queued), None, true).await.unwrap();
    assert_ne!(other, number);
    assert_eq!(github.show(&check(2, CheckState::InProgress), None, true).await.unwrap(), other);
    assert_eq!(site.inner.lock().unwrap().runs.len(), 2);

    let Some(description) = openapi::description() else {
        eprintln!("skipped: GitHub's description is not installed; `scripts/setup test` does that");
        return;
    };
    for one in &site.inner.lock().unwrap().asked {
        assert_eq!(openapi::problems(&description, one), Vec::<String>::new(), "{one:?}");
    }
}

#[tokio::test]
async fn an_app_proves_itself_and_renews_its_tokens() {
    let (site, keys) = (Site::start().await, Keys::new());
    let github = GitHubChecks::new(&site.api(), app(&keys)).unwrap();
    let show = async || github.show(&check(1, CheckState::Queued), None, false).await.unwrap();
    let issued = || site.inner.lock().unwrap().issued.len();
    show().await;
    let proof = site.inner.lock().unwrap().proofs[0].clone();
    let (signed, signature) = proof.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, ring::signature::KeyPair::public_key(&keys.pair));
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let (from, to) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(claims["iss"] == APP && to - from <= 600 && from < Timestamp::now().as_second(), "{claims}");
    show().await;
    assert_eq!(issued(), 1);
    // Somebody ended it.
    site.inner.lock().unwrap().revoked.push("ghs_0".to_owned());
    show().await;
    assert_eq!(issued(), 2);
    // One that ends within a minute is not used any more.
    site.inner.lock().unwrap().revoked.push("ghs_1".to_owned());
    let soon = (Timestamp::now() + jiff::SignedDuration::from_secs(59)).to_string();
    site.inner.lock().unwrap().ends = Some(soon);
    show().await;
    show().await;
    assert_eq!(issued(), 4);
    // Pull requests are opened by an App as well.
    let pulls = GitHub::new(&site.api(), "PSL", "publish", app(&keys), WAITS).unwrap();
    assert_eq!(pulls.open(&crate::wanted("publish/a/B")).await.unwrap().number, 1);
}

#[tokio::test]
async fn a_token_shows_commit_statuses() {
    let site = Site::start().await;
    let github = GitHubChecks::new(&site.api(), Credential::token(TOKEN)).unwrap();
    let mut known: Option<String> = None;
    for state in [
        CheckState::Queued,
        CheckState::InProgress,
        CheckState::Completed(Conclusion::Success),
        CheckState::Completed(Conclusion::Failure),
        CheckState::Completed(Conclusion::Cancelled),
        CheckState::Completed(Conclusion::ActionRequired),
    ] {
        known = Some(github.show(&check(1, state), known.as_deref(), false).await.unwrap());
    }
    let site = site.inner.lock().unwrap();
    let states: Vec<&str> = site.statuses.iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pending", "pending", "success", "failure", "error", "pending"]);
    let last = &site.statuses[0];
    assert_eq!((&last["sha"], &last["context"]), (&json!(COMMIT), &json!("Compute Studio: ada/Model")));
    assert!(last["description"].as_str().unwrap().len() <= 140, "{last}");
    if let Some(description) = openapi::description() {
        for one in &site.asked {
            assert_eq!(openapi::problems(&description, one), Vec::<String>::new(), "{one:?}");
        }
    }
}

#[tokio::test]
async fn one_attempt_is_one_request_and_says_when_to_come_back() {
    let site = Site::start().await;
    let github = GitHubChecks::new(&site.api(), Credential::token(TOKEN)).unwrap();
    let show = async || github.show(&check(1, CheckState::Queued), None, false).await.unwrap_err();
    mood(&site, 502, &[], false);
    assert!(matches!(show().await, ForgeError::Unavailable { .. }));
    mood(&site, 403, &[("retry-after", "90")], false);
    assert!(matches!(show().await, ForgeError::TooMany { seconds: 90, .. }));
    assert_eq!(crate::requests(&site), 2);
    mood(&site, 422, &[], false);
    assert!(matches!(show().await, ForgeError::Refused { .. }));
    let bad = GitHubChecks::new(&site.api(), Credential::token("bad")).unwrap();
    let error = bad.show(&check(1, CheckState::Queued), None, false).await.unwrap_err();
    assert!(error.to_string().contains("does not know the token") && !error.to_string().contains("bad"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_an_app_is_said() {
    let (site, keys) = (Site::start().await, Keys::new());
    let github = GitHubChecks::new(&site.api(), app(&keys)).unwrap();
    let elsewhere = Check { repository: "PSL/other".to_owned(), ..check(1, CheckState::Queued) };
    let error = github.show(&elsewhere, None, false).await.unwrap_err().to_string();
    assert!(error.contains("not installed in PSL/other"), "{error}");
    let ec = "-----BEGIN EC PRIVATE KEY-----\nMAo=\n-----END EC PRIVATE KEY-----\n";
    for pem in ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", ec] {
        let error = App::new(APP, pem).err().unwrap().to_string();
        assert!(error.contains("a PEM file of an RSA key"), "{error}");
    }
}
