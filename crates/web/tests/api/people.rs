//! Log-in, tokens, sessions, and where requests come from.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::rig::{ADMIN, OWNER, PASSWORD, Rig, STRANGER};

fn whoami(authorization: &str) -> Request<Body> {
    Request::get("/rest-auth/user/").header("authorization", authorization).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_way_to_say_who_one_is() {
    let rig = Rig::new().await;
    let token = rig.token(OWNER).to_owned();
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("Owner:{password}")));
    for good in [format!("Token {token}"), format!("bearer {token}"), basic(&token), basic(PASSWORD), basic(PASSWORD)] {
        assert_eq!(rig.send(whoami(&good)).await.json()["username"], OWNER, "{good}");
    }
    for bad in ["Token nonsense", "Basic !", "Digest x", &basic("wrong"), "Token"] {
        assert_eq!(rig.send(whoami(bad)).await.status, StatusCode::FORBIDDEN, "{bad}");
    }
    assert_eq!(rig.send(whoami("Token x")).await.json()["detail"], "Invalid token.");
}

#[tokio::test]
async fn tokens_are_named_listed_and_revoked() {
    let rig = Rig::new().await;
    let credentials = json!({ "username": OWNER, "password": PASSWORD });
    let token =
        rig.call("POST", "/api-token-auth/", "", credentials).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 40);
    let listed = rig.get("/api/v1/tokens/", OWNER).await.json();
    assert_eq!(listed[0]["name"], "api-token-auth");
    assert!(listed[0]["expires_at"].is_string());
    assert!(!listed.to_string().contains(&token), "a token is shown once");
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(rig.call("DELETE", &format!("/api/v1/tokens/{id}/"), STRANGER, Value::Null).await.status, 404);
    assert_eq!(rig.call("DELETE", &format!("/api/v1/tokens/{id}/"), OWNER, Value::Null).await.status, 204);
    assert_eq!(rig.send(whoami(&format!("Token {token}"))).await.status, 403);
    let wrong = json!({ "username": OWNER, "password": "wrong" });
    let refused = rig.call("POST", "/api-token-auth/", "", wrong).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["non_field_errors"][0], "Unable to log in with provided credentials.");
    assert_eq!(rig.call("POST", "/api/v1/tokens/", OWNER, json!({})).await.status, 400);
}

#[tokio::test]
async fn sessions_serve_our_own_pages_only() {
    let rig = Rig::new().await;
    let signup =
        json!({ "username": "Ada", "email": "ada@example.org", "password1": "analytical", "password2": "analytical" });
    let made = rig.call("POST", "/rest-auth/registration/", "", signup.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let cookie = made.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let change = |headers: &[(&str, &str)]| {
        let mut request = Request::patch("/rest-auth/user/")
            .header("cookie", &cookie)
            .header("host", "here.example")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from("{\"first_name\": \"A\"}")).unwrap()
    };
    assert_eq!(rig.send(change(&[])).await.status, 200);
    assert_eq!(rig.send(change(&[("origin", "https://here.example")])).await.status, 200);
    for other in [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]] {
        let refused = rig.send(change(&other)).await;
        assert_eq!(refused.status, 403);
        assert!(refused.json()["detail"].as_str().unwrap().starts_with("CSRF Failed:"));
    }
    let twice = rig.call("POST", "/rest-auth/registration/", "", signup).await;
    assert_eq!((twice.status.as_u16(), twice.json().is_object()), (400, true));
    for name in ["ADA", "publish", "api", "users"] {
        let body = json!({ "username": name, "password1": "analytical", "password2": "analytical" });
        let refused = rig.call("POST", "/rest-auth/registration/", "", body).await;
        assert_eq!((refused.status.as_u16(), refused.json()["username"].is_array()), (400, true), "{name}");
    }
}

#[tokio::test]
async fn deactivated_accounts_may_look_only() {
    let rig = Rig::new().await;
    let off = rig.call("PUT", "/api/v1/accounts/stranger/", ADMIN, json!({ "is_active": false })).await;
    assert_eq!(off.json()["is_active"], false);
    assert_eq!(rig.get("/users/status/", STRANGER).await.json()["user_status"], "inactive");
    assert_eq!(rig.call("POST", "/owner/Model/api/v1/", STRANGER, json!({})).await.status, 403);
    assert_eq!(rig.get("/users/status/owner/model/", STRANGER).await.json()["can_run"], false);
    assert_eq!(rig.get("/api/v1/sims/", STRANGER).await.status, 200);
}

#[tokio::test]
async fn status_has_exactly_the_keys_of_1_6() {
    let rig = Rig::new().await;
    let status = rig.get("/users/status/owner/model/", OWNER).await.json();
    let mut keys: Vec<_> = status.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "api_url",
        "can_run",
        "exp_cost",
        "exp_time",
        "is_sponsored",
        "plan",
        "server_cost",
        "sponsor_message",
        "user_status",
        "username",
    ];
    assert_eq!(keys, expected);
    assert_eq!(status["exp_cost"], 0.01);
    let anonymous = rig.get("/users/status/", "").await.json();
    assert_eq!(anonymous["user_status"], "anon");
    assert_eq!(anonymous["plan"], json!({ "name": "free", "plan_duration": null }));
    let found = rig.get("/users/autocomplete?username=OWN", OWNER).await.json();
    assert_eq!(found, json!([{ "username": OWNER }]));
    assert_eq!(rig.get("/users/autocomplete?username=", OWNER).await.json(), json!([]));
}

#[tokio::test]
async fn bodies_that_are_no_good_say_why() {
    let rig = Rig::new().await;
    let post = |kind: &str, body: Vec<u8>| {
        Request::post("/owner/Model/api/v1/")
            .header("authorization", format!("Token {}", rig.token(OWNER)))
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap()
    };
    let broken = rig.send(post("application/json", b"{".to_vec())).await;
    assert_eq!(broken.status, 400);
    assert!(broken.json()["detail"].as_str().unwrap().starts_with("JSON parse error"));
    assert_eq!(rig.send(post("text/csv", b"a".to_vec())).await.status, 415);
    let large = rig.send(post("application/json", vec![b' '; 11 << 20])).await;
    assert_eq!(large.status, 413);
    assert!(large.json()["detail"].as_str().unwrap().contains("10 MB"));
    let list = rig.send(post("application/json", b"[]".to_vec())).await;
    assert!(list.json()["non_field_errors"].is_array());
    let lost = rig.get("/api/v1/nothing/here/", "").await;
    assert_eq!((lost.status.as_u16(), lost.json()), (404, json!({ "detail": "Not found." })));
    let method = rig.call("PATCH", "/publish/api/", "", Value::Null).await;
    assert_eq!(method.json()["detail"], "Method \"PATCH\" not allowed.");
}
