//! Webhooks: what is believed, and what it leads to.

use axum::{
    body::Body,
    http::{Request, header},
};
use csw_app::Config;
use csw_web::{WebOptions, WebState};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::rig::{Answer, OWNER, Rig};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
pub(crate) const REPOSITORY: &str = "https://github.com/Codertocat/Hello-World";

async fn rig() -> Rig {
    let options = WebOptions { webhook_secret: Some(SECRET.into()), ..WebOptions::default() };
    let rig = Rig::with(Config { submissions_per_minute: 100_000, ..Config::default() }, options).await;
    source(&rig, "Model", &format!("{REPOSITORY}.git"), "simple-tag").await;
    rig
}

pub(crate) async fn source(rig: &Rig, title: &str, url: &str, tag: &str) {
    let body = json!({ "repo_url": url, "repo_tag": tag });
    rig.granted(200, "PUT", &format!("/publish/api/owner/{title}/detail/"), OWNER, body).await;
}

fn push(reference: &str, deleted: bool, pushed_at: u32) -> Vec<u8> {
    json!({
        "ref": reference, "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "deleted": deleted,
        "after": "0000000000000000000000000000000000000000", "created": false, "forced": false,
        "repository": {
            "id": 186_853_002, "name": "Hello-World", "full_name": "Codertocat/Hello-World", "private": false,
            "html_url": REPOSITORY, "clone_url": format!("{REPOSITORY}.git"), "pushed_at": pushed_at,
            "git_url": "git://github.com/Codertocat/Hello-World.git",
            "ssh_url": "git@github.com:Codertocat/Hello-World.git", "default_branch": "master",
        },
        "pusher": { "name": "Codertocat" },
    })
    .to_string()
    .into_bytes()
}

/// A push of a commit.
pub(crate) fn push_of(reference: &str, commit: &str) -> Value {
    let mut body: Value = serde_json::from_slice(&push(reference, false, 1)).unwrap();
    body["after"] = json!(commit);
    body
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) struct Delivery<'a> {
    event: &'a str,
    id: &'a str,
    kind: &'a str,
    signature: Option<String>,
    body: Vec<u8>,
}

impl<'a> Delivery<'a> {
    pub(crate) fn of(event: &'a str, id: &'a str, body: Vec<u8>) -> Self {
        Self { event, id, kind: "application/json", signature: Some(signature(&body)), body }
    }

    pub(crate) async fn to(self, rig: &Rig) -> Answer {
        let mut request = Request::builder().method("POST").uri("/hooks/github/");
        request = request.header(header::CONTENT_TYPE, self.kind).header("x-github-event", self.event);
        if !self.id.is_empty() {
            request = request.header("x-github-delivery", self.id);
        }
        if let Some(signature) = self.signature {
            request = request.header("x-hub-signature-256", signature);
        }
        rig.send(request.body(Body::from(self.body)).unwrap()).await
    }
}

/// The builds of a model, newest first: what led to them, and of what.
pub(crate) async fn builds(rig: &Rig, title: &str) -> Vec<(String, String)> {
    let path = format!("/publish/api/owner/{title}/builds/");
    let builds = rig.granted(200, "GET", &path, OWNER, Value::Null).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    builds["results"].as_array().unwrap().iter().map(|one| (text(&one["trigger"]), text(&one["source"]))).collect()
}

#[tokio::test]
async fn a_push_builds_the_models_of_its_repository_and_branch() {
    let rig = rig().await;
    for (title, public) in [("Second", true), ("Hidden", false), ("Branch", true), ("Another", true)] {
        rig.model(title, public).await;
    }
    source(&rig, "Second", "ssh://git@github.com/codertocat/hello-world", "simple-tag").await;
    source(&rig, "Hidden", REPOSITORY, "simple-tag").await;
    source(&rig, "Branch", REPOSITORY, "other").await;
    source(&rig, "Another", "https://github.com/Codertocat/Hello-World-2", "simple-tag").await;
    let before = builds(&rig, "Branch").await.len();
    let answer = Delivery::of("push", "a", push("refs/tags/simple-tag", false, 1)).to(&rig).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    let mut names: Vec<_> = told["builds"].as_array().unwrap().iter().map(|one| one["model"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["owner/Model", "owner/Second"]);
    assert_eq!(told["private"], 1);
    assert!(told["detail"].as_str().unwrap().contains("3 of 3 models are built"), "{told}");
    assert!(!answer.text().contains("Hidden"), "{told}");
    for title in ["Model", "Hidden"] {
        let (trigger, source) = builds(&rig, title).await.remove(0);
        assert_eq!(trigger, "webhook");
        assert!(source.ends_with(" at simple-tag"), "{source}");
    }
    for title in ["Branch", "Another"] {
        assert_eq!(builds(&rig, title).await.len(), before, "{title}");
    }
}

#[tokio::test]
async fn what_is_not_signed_is_not_believed() {
    let rig = rig().await;
    let before = builds(&rig, "Model").await.len();
    let body = push("refs/heads/simple-tag", false, 1);
    let other = signature(b"something else");
    for (signature, says) in [
        (None, "no X-Hub-Signature-256"),
        (Some(String::new()), "no X-Hub-Signature-256"),
        (Some("sha256=zz".to_owned()), "no X-Hub-Signature-256"),
        (Some("sha1=757107ea".to_owned()), "no X-Hub-Signature-256"),
        (Some("sha256=00".to_owned()), "signature is wrong"),
        (Some(other), "signature is wrong"),
    ] {
        let answer = Delivery { signature, ..Delivery::of("push", "a", body.clone()) }.to(&rig).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    assert_eq!(builds(&rig, "Model").await.len(), before);
    let unset = Rig::new().await;
    assert_eq!(Delivery::of("ping", "a", b"{}".to_vec()).to(&unset).await.status, 404);
    assert_eq!(rig.get("/hooks/github/", "").await.status, 405);
}

#[tokio::test]
async fn a_delivery_counts_once_whatever_it_is_called() {
    let mut rig = rig().await;
    let body = push("refs/heads/simple-tag", false, 1);
    let first = Delivery::of("push", "a", body.clone()).to(&rig).await;
    assert_eq!(first.json()["builds"].as_array().unwrap().len(), 1, "{}", first.text());
    let after = builds(&rig, "Model").await.len();
    // The identifier is outside of what is signed.
    for (id, body) in [("a", body.clone()), ("b", body), ("a", push("refs/heads/simple-tag", false, 2))] {
        let again = Delivery::of("push", id, body).to(&rig).await;
        assert_eq!((again.status.as_u16(), &again.json()["detail"]), (200, &json!("This delivery was taken before.")));
    }
    assert_eq!(builds(&rig, "Model").await.len(), after);
    // Not this server alone remembers it.
    let options = WebOptions { webhook_secret: Some(SECRET.into()), ..WebOptions::default() };
    rig.router = csw_web::router(WebState::new(rig.app.clone(), options));
    let elsewhere = Delivery::of("push", "b", push("refs/heads/simple-tag", false, 1)).to(&rig).await;
    assert_eq!(elsewhere.json()["detail"], "This delivery was taken before.");
    rig.hours_pass(31 * 24);
    let later = Delivery::of("push", "a", push("refs/heads/simple-tag", false, 1)).to(&rig).await;
    assert_eq!(later.json()["builds"].as_array().unwrap().len(), 1, "{}", later.text());
}

#[tokio::test]
async fn other_news_lead_to_nothing_and_say_so() {
    let rig = rig().await;
    let before = builds(&rig, "Model").await.len();
    let cases = [
        ("ping", push("", false, 1), 200, "pong"),
        ("issues", b"{\"action\":\"opened\"}".to_vec(), 202, "Events of the kind `issues` lead to nothing"),
        ("pull_request", b"{\"action\":\"closed\"}".to_vec(), 400, "no pull_request event"),
        ("push", push("refs/heads/elsewhere", false, 1), 200, "No model is published from refs/heads/elsewhere"),
        ("push", push("refs/heads/simple-tag", true, 1), 200, "was deleted"),
        ("push", b"{}".to_vec(), 400, "no push event"),
        ("push", b"\xff\x00".to_vec(), 400, "no push event"),
    ];
    for (n, (event, body, status, says)) in cases.into_iter().enumerate() {
        let answer = Delivery::of(event, &n.to_string(), body).to(&rig).await;
        assert_eq!(answer.status, status, "{event}: {}", answer.text());
        assert!(answer.text().contains(says), "{event}: {}", answer.text());
    }
    let nameless = Delivery::of("push", "", push("refs/heads/simple-tag", false, 3)).to(&rig).await;
    assert_eq!(nameless.status, 400);
    assert_eq!(builds(&rig, "Model").await.len(), before);
}

#[tokio::test]
async fn a_delivery_may_be_a_form_and_may_be_large_but_not_larger() {
    let rig = rig().await;
    let payload = String::from_utf8(push("refs/heads/simple-tag", false, 1)).unwrap();
    let form = serde_urlencoded::to_string([("payload", &payload)]).unwrap().into_bytes();
    let delivery = Delivery { kind: "application/x-www-form-urlencoded", ..Delivery::of("push", "form", form) };
    assert_eq!(delivery.to(&rig).await.json()["builds"].as_array().unwrap().len(), 1);
    let mut large: Value = serde_json::from_slice(&push("refs/heads/simple-tag", false, 2)).unwrap();
    large["commits"] = json!(vec!["x".repeat(1000); 10_500]);
    let large = large.to_string().into_bytes();
    assert!(large.len() > 10_000_000);
    let answer = Delivery::of("push", "large", large).to(&rig).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["builds"].as_array().unwrap().len(), 1);
    let answer = Delivery::of("push", "huge", vec![b' '; (25 << 20) + 1]).to(&rig).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
}

/// GitHub's own examples of what it sends, where `scripts/setup test` has installed them.
#[tokio::test]
async fn the_published_examples_are_understood() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let file = root.join(".tools/github/node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let Ok(text) = std::fs::read(file) else {
        eprintln!("skipped: the examples are not installed; `scripts/setup test` does that");
        return;
    };
    let rig = rig().await;
    rig.model("Head", true).await;
    source(&rig, "Head", REPOSITORY, "master").await;
    let events: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let (mut pings, mut built, mut deleted, mut pulled) = (0, 0, 0, 0);
    for event in events {
        let name = event["name"].as_str().unwrap();
        for (n, example) in event["examples"].as_array().unwrap().iter().enumerate() {
            // Each with a body of its own, as GitHub sends them.
            let mut body = example.clone();
            body["n"] = json!(n);
            let id = format!("{name} {n}");
            let answer = Delivery::of(name, &id, body.to_string().into_bytes()).to(&rig).await;
            let handled = ["ping", "push", "pull_request", "check_run", "check_suite"].contains(&name);
            assert_eq!(answer.status, if handled { 200 } else { 202 }, "{id}: {}", answer.text());
            let told = answer.json();
            pings += usize::from(told["detail"] == "pong");
            deleted += usize::from(told["detail"].as_str().unwrap().contains("was deleted"));
            let some = told["builds"].as_array().map_or(0, Vec::len);
            built += if name == "push" { some } else { 0 };
            pulled += if name == "pull_request" { some } else { 0 };
            assert!(["push", "pull_request"].contains(&name) || some == 0, "{id}: {told}");
        }
    }
    assert!(pings > 0 && deleted > 0 && built > 0, "{pings} pings, {deleted} deletions, {built} builds");
    assert!(pulled > 0, "no pull request was understood");
    let triggers: Vec<_> = builds(&rig, "Model").await.into_iter().map(|(trigger, _)| trigger).collect();
    assert!(triggers.contains(&"webhook".to_owned()), "{triggers:?}");
}
