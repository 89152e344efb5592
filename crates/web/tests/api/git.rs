//! Repositories: who reaches them, and what a push leads to. Git itself is in the tests of the whole server.

use axum::{
    body::Body,
    http::{Request, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_app::Config;
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, OTHER, OWNER, READER, RETIRED, Rig, STRANGER, WRITER};

const CALLERS: [&str; 7] = ["", STRANGER, READER, WRITER, OWNER, ADMIN, RETIRED];

/// What git sends for somebody, who has a token in place of a password.
async fn ask(rig: &Rig, method: &str, path: &str, who: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("git-protocol", "version=2");
    if !who.is_empty() {
        let pair = STANDARD.encode(format!("{who}:{}", rig.token(who)));
        request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
    }
    rig.send(request.body(Body::empty()).unwrap()).await
}

async fn with_roles() -> Rig {
    let rig = Rig::new().await;
    for (name, role) in [(READER, "read"), (WRITER, "write"), (RETIRED, "write")] {
        rig.give(None, name, role).await;
    }
    rig.granted(200, "PUT", "/api/v1/accounts/retired/", ADMIN, json!({ "is_active": false })).await;
    rig.model("Hidden", false).await;
    rig
}

#[tokio::test]
async fn only_who_may_change_a_model_reaches_its_source() {
    let rig = with_roles().await;
    let rows = [
        ("GET", "/git/owner/Model.git/info/refs?service=git-upload-pack", [401, 403, 403, 200, 200, 200, 403]),
        ("GET", "/git/OWNER/mODEL/info/refs?service=git-receive-pack", [401, 403, 403, 200, 200, 200, 403]),
        ("POST", "/git/owner/Model.git/git-upload-pack", [401, 403, 403, 200, 200, 200, 403]),
        ("POST", "/git/owner/Model.git/git-receive-pack", [401, 403, 403, 200, 200, 200, 403]),
        ("GET", "/git/owner/Hidden.git/info/refs?service=git-upload-pack", [401, 404, 404, 404, 200, 200, 404]),
        ("POST", "/git/owner/Hidden.git/git-receive-pack", [401, 404, 404, 404, 200, 200, 404]),
        ("GET", "/git/owner/None.git/info/refs?service=git-upload-pack", [401, 404, 404, 404, 404, 404, 404]),
        ("GET", "/git/publish.git/info/refs?service=git-upload-pack", [401, 200, 200, 200, 200, 200, 403]),
        ("GET", "/git/publish/info/refs?service=git-receive-pack", [401, 200, 200, 200, 200, 200, 403]),
        ("POST", "/git/publish.git/git-upload-pack", [401, 200, 200, 200, 200, 200, 403]),
        ("POST", "/git/publish.git/git-receive-pack", [401, 200, 200, 200, 200, 200, 403]),
        ("GET", "/git/owner/Model.git/info/refs", [403; 7]),
        ("GET", "/git/owner/Model.git/info/refs?service=git-shell", [403; 7]),
    ];
    for (method, path, expected) in rows {
        for (who, expected) in CALLERS.iter().zip(expected) {
            let answer = ask(&rig, method, path, who).await;
            assert_eq!(answer.status.as_u16(), expected, "{method} {path} by {who:?}: {}", answer.text());
            assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), expected == 401, "{path} by {who:?}");
        }
    }
    let wrong = Request::builder().uri("/git/owner/Model.git/info/refs?service=git-upload-pack");
    let wrong = wrong.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode("owner:no")));
    assert_eq!(rig.send(wrong.body(Body::empty()).unwrap()).await.status, 401);
}

#[tokio::test]
async fn a_first_push_makes_the_model_of_who_pushes() {
    let rig = Rig::new().await;
    for (who, path, status, says) in [
        (OTHER, "owner/New", 404, "only owner can make it"),
        ("owner", "owner/New%20Model", 400, "push to owner/New-Model.git instead"),
        ("owner", "owner/..", 400, "title"),
    ] {
        let path = format!("/git/{path}.git/info/refs?service=git-receive-pack");
        let answer = ask(&rig, "GET", &path, who).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    let answer = ask(&rig, "GET", "/git/owner/New.git/info/refs?service=git-receive-pack", OWNER).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("builds what is pushed to main"), "{}", answer.text());
    let model = rig.granted(200, "GET", "/publish/api/owner/New/detail/", OWNER, Value::Null).await;
    assert_eq!((&model["status"], &model["repo_tag"]), (&json!("pending"), &json!("main")));
    assert_eq!(ask(&rig, "POST", "/git/owner/New.git/git-receive-pack", OWNER).await.status, 200);
    let builds = rig.granted(200, "GET", "/publish/api/owner/New/builds/", OWNER, Value::Null).await;
    let build = &builds["results"][0];
    assert_eq!((&build["trigger"], &build["source"]), (&json!("push"), &json!("commit c0ffee of main")));
}

#[tokio::test]
async fn a_push_to_another_branch_builds_nothing() {
    let rig = Rig::new().await;
    let builds = async || {
        let builds = rig.granted(200, "GET", "/publish/api/owner/Model/builds/", OWNER, Value::Null).await;
        builds["count"].as_u64().unwrap()
    };
    let before = builds().await;
    rig.granted(200, "PUT", "/publish/api/owner/Model/detail/", OWNER, json!({ "repo_tag": "release" })).await;
    ask(&rig, "POST", "/git/owner/Model.git/git-receive-pack", OWNER).await;
    assert_eq!(builds().await, before);
    // Settings that nobody touched name the branch that git once made, and the push the one that it makes today.
    rig.granted(200, "PUT", "/publish/api/owner/Model/detail/", OWNER, json!({ "repo_tag": "master" })).await;
    ask(&rig, "POST", "/git/owner/Model.git/git-receive-pack", OWNER).await;
    assert_eq!(builds().await, before + 1);
}

#[tokio::test]
async fn who_has_too_many_builds_is_told_before_the_push() {
    let rig = Rig::with(Config { builds_per_account: 1, ..Config::default() }, WebOptions::default()).await;
    rig.model("Second", true).await;
    let slow = json!({ "repo_url": "https://example.org/slow" });
    rig.granted(201, "POST", "/publish/api/owner/Second/builds/", OWNER, slow).await;
    let answer = ask(&rig, "GET", "/git/owner/Model.git/info/refs?service=git-receive-pack", OWNER).await;
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains("wait for one or cancel it"), "{}", answer.text());
}

#[tokio::test]
async fn what_may_be_pushed_to_the_publish_repository_depends_on_who_pushes() {
    let rig = with_roles().await;
    let path = "/git/publish.git/info/refs?service=git-receive-pack";
    for (who, names) in [
        (STRANGER, "refs/heads/stranger/\nrefs/heads/publish/stranger/"),
        (READER, "refs/heads/reader/\nrefs/heads/publish/reader/"),
        (WRITER, "refs/heads/writer/\nrefs/heads/publish/writer/\nrefs/heads/publish/owner/Model"),
        (OWNER, "refs/heads/owner/\nrefs/heads/publish/owner/"),
        (ADMIN, ""),
    ] {
        let text = ask(&rig, "GET", path, who).await.text();
        assert_eq!(text.split_once("/publish/pulls/\n").unwrap().1, names, "{who}");
    }
}
