//! Pull requests elsewhere, and the checks beside their commits.

use std::{
    collections::{HashSet, VecDeque},
    sync::Mutex,
};

use async_trait::async_trait;
use csw_app::Config;
use csw_core::{
    check::{Check, CheckState, Conclusion},
    ports::{Checks, ForgeError, ForgeResult},
};
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::{
    hooks::{Delivery, REPOSITORY, SECRET, builds, push_of, source},
    rig::{OWNER, Rig},
};

/// Keeps what it is shown; fails first, as often as it is told to.
#[derive(Default)]
pub(crate) struct Forge {
    pub(crate) shown: Mutex<Vec<Shown>>,
    pub(crate) moods: Mutex<VecDeque<ForgeError>>,
    /// Commits of which it has taken the end of a check.
    ends: Mutex<HashSet<String>>,
}

/// A check, what it was called, and whether an earlier attempt may have made it.
type Shown = (Check, Option<String>, bool);

#[async_trait]
impl Checks for Forge {
    async fn show(&self, check: &Check, known: Option<&str>, again: bool) -> ForgeResult<String> {
        self.shown.lock().unwrap().push((check.clone(), known.map(str::to_owned), again));
        if let Some(error) = self.moods.lock().unwrap().pop_front() {
            return Err(error);
        }
        if matches!(check.state, CheckState::Completed(_)) {
            self.ends.lock().unwrap().insert(check.commit.clone());
        }
        Ok("7".to_owned())
    }
}

impl Forge {
    /// What it has been shown once a check of the commit is completed.
    async fn completed(&self, commit: &str) -> Vec<Shown> {
        for _ in 0..2_000 {
            if self.ends.lock().unwrap().contains(commit) {
                let shown = self.shown.lock().unwrap().clone();
                return shown.into_iter().filter(|one| one.0.commit == commit).collect();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("no check of {commit} is completed: {:?}", self.shown.lock().unwrap());
    }
}

const HEAD: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

async fn rig() -> Rig {
    with(Config::default()).await
}

async fn with(config: Config) -> Rig {
    let options = WebOptions { webhook_secret: Some(SECRET.into()), ..WebOptions::default() };
    let rig = Rig::with(Config { submissions_per_minute: 100_000, ..config }, options).await;
    source(&rig, "Model", &format!("{REPOSITORY}.git"), "master").await;
    rig
}

fn news(action: &str, commit: &str, from: Option<&str>) -> Value {
    json!({
        "action": action, "number": 2, "before": "x",
        "pull_request": {
            "number": 2, "merged": action == "closed",
            "head": { "ref": "changes", "sha": commit, "repo": from.map(|name| json!({ "full_name": name })) },
            "base": { "ref": "master", "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e" },
        },
        "repository": {
            "full_name": "Codertocat/Hello-World", "private": false, "html_url": REPOSITORY, "default_branch": "master",
            "clone_url": format!("{REPOSITORY}.git"),
        },
    })
}

const OWN: Option<&str> = Some("codertocat/hello-world");
const FORK: Option<&str> = Some("stranger/Hello-World");

async fn tell(rig: &Rig, event: &str, id: &str, body: &Value) -> Value {
    let answer = Delivery::of(event, id, body.to_string().into_bytes()).to(rig).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn the_head_of_a_pull_request_is_built_with_a_check_beside_it() {
    let rig = rig().await;
    let told = tell(&rig, "pull_request", "a", &news("opened", HEAD, OWN)).await;
    assert_eq!(told["builds"][0]["model"], "owner/Model", "{told}");
    let id = told["builds"][0]["build"].as_str().unwrap();
    let build = rig.granted(200, "GET", &format!("/publish/api/owner/Model/builds/{id}/"), OWNER, Value::Null).await;
    assert_eq!((&build["trigger"], &build["promote"]), (&json!("pull_request"), &json!(false)), "{build}");
    assert!(build["source"].as_str().unwrap().ends_with(HEAD), "{build}");
    let shown = rig.forge.completed(HEAD).await;
    let (last, known, _) = shown.last().unwrap();
    assert_eq!(last.state, CheckState::Completed(Conclusion::Failure));
    assert_eq!((last.name.as_str(), last.id.to_string().as_str()), ("Compute Studio: owner/Model", id));
    assert_eq!(last.url, format!("{}/owner/Model/builds/{id}/", Config::default().public_url));
    assert_eq!(last.title, "Failed in stage fetch: There is no network here.");
    assert!(last.summary.contains("| fetch | **failed** |") && last.summary.contains(&last.url), "{}", last.summary);
    assert!(shown.len() == 1 || known.as_deref() == Some("7"), "the same one is changed: {shown:?}");

    for (n, action) in ["labeled", "edited", "review_requested"].into_iter().enumerate() {
        let told = tell(&rig, "pull_request", &format!("b{n}"), &news(action, HEAD, OWN)).await;
        assert_eq!(told["builds"], json!([]), "{told}");
    }
    let mut elsewhere = news("opened", HEAD, OWN);
    elsewhere["pull_request"]["base"]["ref"] = json!("other");
    let told = tell(&rig, "pull_request", "c", &elsewhere).await;
    assert!(told["detail"].as_str().unwrap().starts_with("No model is published from other"), "{told}");
}

#[tokio::test]
async fn a_check_is_shown_though_the_forge_fails_at_first() {
    let rig = rig().await;
    let what = || "Showing".to_owned();
    rig.forge.moods.lock().unwrap().extend([
        ForgeError::TooMany { what: what(), seconds: 1 },
        ForgeError::Unavailable { what: what(), cause: "GitHub answers 502".to_owned() },
    ]);
    tell(&rig, "push", "a", &push_of("refs/heads/master", HEAD)).await;
    let shown = rig.forge.completed(HEAD).await;
    assert!(shown.len() >= 3, "{shown:?}");
    let again: Vec<bool> = shown.iter().take(3).map(|(_, _, again)| *again).collect();
    assert_eq!(again, [false, true, true], "what may have been made is looked for");
    assert_eq!(builds(&rig, "Model").await[0].0, "webhook");
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_hurts_no_build() {
    let rig = rig().await;
    let refused = || ForgeError::Refused { what: "Showing".to_owned(), sentence: "not installed".to_owned() };
    rig.forge.moods.lock().unwrap().push_back(refused());
    let told = tell(&rig, "push", "a", &push_of("refs/heads/master", HEAD)).await;
    let id = told["builds"][0]["build"].as_str().unwrap();
    let path = format!("/publish/api/owner/Model/builds/{id}/");
    while rig.granted(200, "GET", &path, OWNER, Value::Null).await["state"] != "failed" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // One that comes later is shown; of the first there was one attempt.
    let later = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e";
    tell(&rig, "push", "b", &push_of("refs/heads/master", later)).await;
    rig.forge.completed(later).await;
    let shown = rig.forge.shown.lock().unwrap();
    assert_eq!(shown.iter().filter(|(check, ..)| check.commit == HEAD).count(), 1, "{shown:?}");
}

#[tokio::test]
async fn a_fork_is_built_when_somebody_says_so_and_without_secrets() {
    let rig = rig().await;
    let before = builds(&rig, "Model").await.len();
    let told = tell(&rig, "pull_request", "a", &news("opened", HEAD, FORK)).await;
    assert!(told["builds"][0]["detail"].as_str().unwrap().contains("comes from a fork"), "{told}");
    assert_eq!(builds(&rig, "Model").await.len(), before);
    let (check, ..) = rig.forge.completed(HEAD).await.remove(0);
    assert_eq!(check.state, CheckState::Completed(Conclusion::ActionRequired));
    assert!(check.summary.contains("stranger/Hello-World") && check.summary.contains("github.build_forks"));

    // The repository of a fork may be gone.
    let told = tell(&rig, "pull_request", "b", &news("synchronize", HEAD, None)).await;
    assert!(told["builds"][0]["detail"].is_string(), "{told}");

    let asked = |action: &str, more: Value| {
        let mut body = json!({
            "action": action, "repository": { "full_name": "Codertocat/Hello-World" },
            "check_run": { "id": 1, "head_sha": HEAD, "external_id": check.id.to_string() },
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    // Anybody who may write there may ask again; to build foreign code takes the button that says so.
    let told = tell(&rig, "check_run", "c", &asked("rerequested", json!({}))).await;
    assert!(told["builds"][0]["detail"].is_string(), "{told}");
    let pressed = asked("requested_action", json!({ "requested_action": { "identifier": "build" } }));
    let told = tell(&rig, "check_run", "d", &pressed).await;
    let id = told["builds"][0]["build"].as_str().unwrap_or_else(|| panic!("{told}"));
    let path = format!("/publish/api/owner/Model/builds/{id}/");
    let build = rig.granted(200, "GET", &path, OWNER, Value::Null).await;
    assert_eq!((&build["trigger"], &build["promote"]), (&json!("pull_request"), &json!(false)), "{build}");
    let mut elsewhere = pressed.clone();
    elsewhere["repository"]["full_name"] = json!("evil/repository");
    let told = tell(&rig, "check_run", "e", &elsewhere).await;
    assert!(told["detail"].as_str().unwrap().contains("has none"), "{told}");

    let rig = with(Config { build_forks: true, ..Config::default() }).await;
    let told = tell(&rig, "pull_request", "a", &news("opened", HEAD, FORK)).await;
    assert!(told["builds"][0]["build"].is_string(), "{told}");
    let shown = rig.forge.completed(HEAD).await;
    assert!(shown.last().unwrap().0.summary.contains("without the model's secrets"), "{shown:?}");
}

#[tokio::test]
async fn checks_are_built_again_on_request() {
    let rig = rig().await;
    let told = tell(&rig, "push", "a", &push_of("refs/heads/master", HEAD)).await;
    let first = told["builds"][0]["build"].clone();
    let check = rig.forge.completed(HEAD).await.pop().unwrap().0;
    let repository = json!({ "full_name": "Codertocat/Hello-World" });
    let body = json!({
        "action": "rerequested", "repository": repository,
        "check_run": { "id": 1, "head_sha": HEAD, "external_id": check.id.to_string() },
    });
    let again = tell(&rig, "check_run", "b", &body).await;
    assert!(again["builds"][0]["build"].is_string() && again["builds"][0]["build"] != first, "{again}");
    let suite = json!({ "action": "rerequested", "repository": repository, "check_suite": { "head_sha": HEAD } });
    let all = tell(&rig, "check_suite", "c", &suite).await;
    assert_eq!(all["builds"].as_array().unwrap().len(), 1, "one of each model: {all}");
    let triggers: Vec<String> = builds(&rig, "Model").await.into_iter().take(3).map(|(trigger, _)| trigger).collect();
    assert_eq!(triggers, ["webhook"; 3]);
    for (event, action) in [("check_run", "created"), ("check_run", "completed"), ("check_suite", "requested")] {
        let mut body = if event == "check_run" { body.clone() } else { suite.clone() };
        body["action"] = json!(action);
        let told = tell(&rig, event, &format!("{event} {action}"), &body).await;
        assert_eq!(told["builds"], json!([]), "{told}");
    }
}

#[tokio::test]
async fn pull_requests_and_pushes_do_not_stop_each_other_and_a_closed_one_ends() {
    let rig = rig().await;
    // Its builds are at work until they are stopped.
    source(&rig, "Model", &format!("{REPOSITORY}/slow"), "master").await;
    let slow = |mut body: Value| {
        body["repository"]["html_url"] = json!(format!("{REPOSITORY}/slow"));
        body
    };
    let state = async |id: &Value| {
        let path = format!("/publish/api/owner/Model/builds/{}/", id.as_str().unwrap());
        let build = rig.granted(200, "GET", &path, OWNER, Value::Null).await;
        (build["state"].as_str().unwrap().to_owned(), build["message"].as_str().unwrap_or_default().to_owned())
    };
    let push = tell(&rig, "push", "a", &slow(push_of("refs/heads/master", HEAD))).await["builds"][0]["build"].clone();
    let first = tell(&rig, "pull_request", "b", &slow(news("opened", HEAD, OWN))).await["builds"][0]["build"].clone();
    let other = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e";
    let second =
        tell(&rig, "pull_request", "c", &slow(news("synchronize", other, OWN))).await["builds"][0]["build"].clone();
    assert!(["queued", "running"].contains(&state(&push).await.0.as_str()), "a pull request stops no push");
    assert_eq!(state(&first).await.0, "cancelled", "a newer head replaces the older one");
    assert_eq!(state(&second).await.0, "queued", "one build of a model at a time");
    let told = tell(&rig, "pull_request", "d", &slow(news("closed", other, OWN))).await;
    assert!(told["detail"].as_str().unwrap().contains("the push that merges it is built"), "{told}");
    let (ended, why) = state(&second).await;
    assert_eq!((ended.as_str(), why.contains("was closed")), ("cancelled", true), "{why}");
    assert!(["queued", "running"].contains(&state(&push).await.0.as_str()));
    let shown = rig.forge.completed(other).await;
    assert_eq!(shown.last().unwrap().0.state, CheckState::Completed(Conclusion::Cancelled));
}

#[tokio::test]
async fn no_check_tells_of_a_private_model_where_everybody_reads() {
    let rig = rig().await;
    rig.model("Hidden", false).await;
    source(&rig, "Hidden", REPOSITORY, "dev").await;
    let mut body = push_of("refs/heads/dev", HEAD);
    let told = tell(&rig, "push", "a", &body).await;
    assert_eq!((told["private"].as_u64(), told["builds"].as_array().unwrap().len()), (Some(1), 0), "{told}");
    body["repository"]["private"] = json!(true);
    let other = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e";
    body["after"] = json!(other);
    tell(&rig, "push", "b", &body).await;
    let shown = rig.forge.completed(other).await;
    assert_eq!(shown[0].0.name, "Compute Studio: owner/Hidden");
    assert!(rig.forge.shown.lock().unwrap().iter().all(|(check, ..)| check.commit != HEAD));
}
