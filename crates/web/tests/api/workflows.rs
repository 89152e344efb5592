//! Workflows that accounts trust: what they may do in whose name, and that they may do nothing else. Their tokens are
//! checked for real in the adapter's own tests; here a token says in plain words what it claims.

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, header},
};
use csw_app::Config;
use csw_core::{
    ports::{WorkflowTokenError, WorkflowTokens},
    trust::WorkflowClaims,
};
use csw_web::WebOptions;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, OTHER, OWNER, Rig, STRANGER, WRITER};

/// Believes every token that has the form of one.
pub(crate) struct Words;

#[async_trait]
impl WorkflowTokens for Words {
    async fn verify(&self, token: &str, audience: &str, _: Timestamp) -> Result<WorkflowClaims, WorkflowTokenError> {
        let bad = || WorkflowTokenError::Bad("its signature is wrong".to_owned());
        assert_eq!(audience, Config::default().public_url);
        let middle = token.strip_prefix("w.").and_then(|rest| rest.strip_suffix(".w")).ok_or_else(bad)?;
        let claims: Value = serde_json::from_slice(&hex::decode(middle).unwrap()).unwrap();
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        Ok(WorkflowClaims {
            repository: text("repository"),
            repository_id: text("id"),
            reference: text("ref"),
            environment: text("environment"),
        })
    }
}

fn token(repository: &str, reference: &str) -> String {
    let claims = json!({ "repository": repository, "id": "7", "ref": reference });
    format!("w.{}.w", hex::encode(claims.to_string()))
}

async fn ask(rig: &Rig, method: &str, path: &str, token: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    rig.send(request.body(body).unwrap()).await
}

async fn trust(rig: &Rig, who: &str, body: Value) -> String {
    let made = rig.granted(201, "POST", "/api/v1/trust/", who, body).await;
    made["id"].as_str().unwrap().to_owned()
}

const MAIN: &str = "refs/heads/main";
const BUILDS: &str = "/publish/api/owner/Model/builds/";

fn source() -> Value {
    json!({ "repo_url": "https://example.org/owner/model", "repo_tag": "main" })
}

#[tokio::test]
async fn a_trusted_workflow_publishes_in_the_name_of_the_account() {
    let rig = Rig::new().await;
    let main = token("PSL/publish", MAIN);
    let refused = ask(&rig, "POST", BUILDS, &main, source()).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("csw accounts trust add --repository PSL/publish"), "{}", refused.text());
    let wrong = ask(&rig, "POST", BUILDS, "a.b.c", source()).await;
    assert_eq!((wrong.status.as_u16(), wrong.text().contains("signature is wrong")), (401, true), "{}", wrong.text());

    let id = trust(&rig, OWNER, json!({ "repository": "psl/Publish", "ref": "main" })).await;
    let built = ask(&rig, "POST", BUILDS, &main, source()).await;
    assert_eq!(built.status, 201, "{}", built.text());
    let path = format!("{BUILDS}{}/", built.json()["id"].as_str().unwrap());
    assert_eq!(ask(&rig, "GET", &path, &main, Value::Null).await.status, 200);
    assert_eq!(ask(&rig, "GET", &format!("{path}log/"), &main, Value::Null).await.status, 200);
    let details = json!({ "repo_tag": "v2" });
    assert_eq!(ask(&rig, "PUT", "/publish/api/owner/Model/detail/", &main, details).await.status, 200);
    let version = json!({ "version": rig.version.to_string() });
    let promoted = ask(&rig, "POST", "/publish/api/owner/Model/promote/", &main, version).await;
    assert_eq!(promoted.status, 200, "{}", promoted.text());
    // A model of its own, made as the files of a publish repository say.
    let new = json!({ "owner": "owner", "title": "New", "oneliner": "n", "description": "n" });
    let made = ask(&rig, "POST", "/publish/api/", &main, new).await;
    assert_eq!((made.status.as_u16(), &made.json()["owner"]), (201, &json!("owner")), "{}", made.text());

    let listed = rig.granted(200, "GET", "/api/v1/trust/", OWNER, Value::Null).await;
    assert!(listed[0]["last_used_at"].is_string(), "{listed}");
    // Another repository that came to have the name.
    let claims = json!({ "repository": "PSL/publish", "id": "8", "ref": MAIN });
    let other = format!("w.{}.w", hex::encode(claims.to_string()));
    assert_eq!(ask(&rig, "POST", BUILDS, &other, source()).await.status, 403);
    rig.granted(204, "DELETE", &format!("/api/v1/trust/{id}/"), OWNER, Value::Null).await;
    assert_eq!(ask(&rig, "POST", BUILDS, &main, source()).await.status, 403);
}

#[tokio::test]
async fn it_does_nothing_else() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    trust(&rig, OWNER, json!({ "repository": "PSL/publish", "ref": "*" })).await;
    // Not even the rights of an admin are more than publishing.
    trust(&rig, ADMIN, json!({ "repository": "PSL/publish", "ref": "*" })).await;
    let main = token("PSL/publish", MAIN);
    let simulation = format!("/owner/Model/api/v1/{number}/");
    for (method, path, body) in [
        ("GET", "/api/v1/tokens/", Value::Null),
        ("POST", "/api/v1/tokens/", json!({ "name": "x" })),
        ("GET", "/api/v1/trust/", Value::Null),
        ("POST", "/api/v1/trust/", json!({ "repository": "a/b", "ref": "*" })),
        ("GET", "/api/v1/accounts/", Value::Null),
        ("GET", "/api/v1/secrets/", Value::Null),
        ("GET", "/rest-auth/user/", Value::Null),
        ("PATCH", "/rest-auth/user/", json!({ "email": "x@example.org" })),
        ("GET", "/api/v1/sims/", Value::Null),
        ("GET", simulation.as_str(), Value::Null),
        ("PUT", simulation.as_str(), json!({ "title": "x" })),
        ("DELETE", simulation.as_str(), Value::Null),
        ("POST", "/owner/Model/api/v1/", json!({})),
        ("GET", "/publish/api/owner/Model/secrets/", Value::Null),
        ("PUT", "/publish/api/owner/Model/secrets/super/", json!({ "value": "x" })),
        ("GET", "/publish/api/owner/Model/secrets/values/", Value::Null),
        ("GET", "/publish/api/owner/Model/access/", Value::Null),
        ("PUT", "/publish/api/owner/Model/access/", json!({ "username": OTHER, "role": "write" })),
        ("PUT", "/publish/api/owner/Model/detail/", json!({ "is_public": false })),
        ("PUT", "/publish/api/owner/Model/detail/", json!({ "status": "requires fixes" })),
        ("GET", "/git/owner/Model.git/info/refs?service=git-receive-pack", Value::Null),
    ] {
        let answer = ask(&rig, method, path, &main, body).await;
        assert!([401, 403].contains(&answer.status.as_u16()), "{method} {path}: {} {}", answer.status, answer.text());
    }
    let page = ask(&rig, "GET", "/users/settings/", &main, Value::Null).await;
    assert_ne!(page.status, 200, "{}", page.text());
}

#[tokio::test]
async fn a_grant_is_for_its_branch_its_models_and_its_verbs() {
    let rig = Rig::new().await;
    rig.model("Second", true).await;
    let body =
        json!({ "repository": "PSL/publish", "ref": "refs/pull/*", "models": ["owner/model"], "promote": false });
    trust(&rig, OWNER, body).await;
    let pull = token("PSL/publish", "refs/pull/7/merge");
    let second = "/publish/api/owner/Second/builds/";
    assert_eq!(ask(&rig, "POST", BUILDS, &token("PSL/publish", MAIN), source()).await.status, 403);
    assert_eq!(ask(&rig, "POST", BUILDS, &token("PSL/other", "refs/pull/7/merge"), source()).await.status, 403);
    let refused = ask(&rig, "POST", second, &pull, source()).await;
    assert!(refused.status == 403 && refused.text().contains("lets them publish owner/Second"), "{}", refused.text());
    let built = ask(&rig, "POST", BUILDS, &pull, source()).await;
    assert_eq!(built.status, 201, "{}", built.text());
    let version = json!({ "version": rig.version.to_string() });
    let refused = ask(&rig, "POST", "/publish/api/owner/Model/promote/", &pull, version).await;
    assert!(refused.status == 403 && refused.text().contains("trusted to stage versions"), "{}", refused.text());
    let new = json!({ "title": "New", "oneliner": "n", "description": "n" });
    assert_eq!(ask(&rig, "POST", "/publish/api/", &pull, new).await.status, 403);
    // The trust of somebody who may not change the model is worth nothing for it.
    trust(&rig, STRANGER, json!({ "repository": "evil/repo", "ref": "*" })).await;
    assert_eq!(ask(&rig, "POST", BUILDS, &token("evil/repo", MAIN), source()).await.status, 403);
    rig.give(None, WRITER, "write").await;
    trust(&rig, WRITER, json!({ "repository": "writer/repo", "ref": "*" })).await;
    assert_eq!(ask(&rig, "POST", BUILDS, &token("writer/repo", MAIN), source()).await.status, 201);
    rig.granted(200, "PUT", "/api/v1/accounts/writer/", ADMIN, json!({ "is_active": false })).await;
    assert_eq!(ask(&rig, "POST", BUILDS, &token("writer/repo", MAIN), source()).await.status, 403);
}

#[tokio::test]
async fn where_maintainers_approve_a_workflow_promotes_in_the_name_of_one() {
    let config = Config { approval_required: true, submissions_per_minute: 100_000, ..Config::default() };
    let rig = Rig::with(config, WebOptions::default()).await;
    trust(&rig, OWNER, json!({ "repository": "owner/repo", "ref": "*" })).await;
    trust(&rig, ADMIN, json!({ "repository": "site/publish", "ref": "main" })).await;
    let version = json!({ "version": rig.version.to_string() });
    for (repository, status) in [("owner/repo", 403), ("site/publish", 200)] {
        let path = "/publish/api/owner/Model/promote/";
        let answer = ask(&rig, "POST", path, &token(repository, MAIN), version.clone()).await;
        assert_eq!(answer.status, status, "{repository}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_trusted_is_checked_and_admins_decide_for_others() {
    let rig = Rig::new().await;
    for (body, field) in [
        (json!({ "ref": "main" }), "repository"),
        (json!({ "repository": "nothing", "ref": "main" }), "repository"),
        (json!({ "repository": "a/b" }), "ref"),
        (json!({ "repository": "a/b", "ref": "x y" }), "ref"),
        (json!({ "repository": "a/b", "ref": "main", "models": ["x"] }), "models"),
        (json!({ "repository": "a/b", "ref": "main", "models": 7 }), "models"),
        (json!({ "repository": "a/b", "ref": "main", "promote": "perhaps" }), "promote"),
    ] {
        let answer = rig.granted(400, "POST", "/api/v1/trust/", OWNER, body.clone()).await;
        assert!(answer[field].is_array(), "{body}: {answer}");
    }
    let body = json!({ "repository": "a/b", "ref": "main", "username": "owner" });
    rig.granted(403, "POST", "/api/v1/trust/", STRANGER, body.clone()).await;
    let id = trust(&rig, ADMIN, body).await;
    assert_eq!(rig.granted(200, "GET", "/api/v1/trust/", OWNER, Value::Null).await[0]["id"], id.as_str());
    assert_eq!(rig.granted(200, "GET", "/api/v1/trust/", ADMIN, Value::Null).await, json!([]));
    rig.granted(404, "DELETE", &format!("/api/v1/trust/{id}/"), STRANGER, Value::Null).await;
    rig.granted(204, "DELETE", &format!("/api/v1/trust/{id}/?username=owner"), ADMIN, Value::Null).await;
}
