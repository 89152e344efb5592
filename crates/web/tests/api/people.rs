//! Log-in, tokens, sessions, and where requests come from.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_app::Config;
use csw_web::WebOptions;
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
    for (method, path, body) in [
        ("POST", "/owner/Model/api/v1/", json!({})),
        ("POST", "/api/v1/tokens/", json!({ "name": "x" })),
        ("PATCH", "/rest-auth/user/", json!({ "first_name": "x" })),
        ("GET", "/users/autocomplete/?username=o", Value::Null),
    ] {
        let refused = rig.granted(403, method, path, STRANGER, body).await;
        assert!(refused["detail"].as_str().unwrap().contains("deactivated"), "{path}: {refused}");
    }
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

#[tokio::test]
async fn tokens_and_sessions_end() {
    let rig = Rig::new().await;
    let made = rig.granted(201, "POST", "/api/v1/tokens/", OWNER, json!({ "name": "laptop", "days": 7 })).await;
    let token = made["token"].as_str().unwrap().to_owned();
    assert_eq!(made["prefix"], token[..6]);
    let forever = rig.granted(201, "POST", "/api/v1/tokens/", OWNER, json!({ "name": "server" })).await;
    assert_eq!(forever["expires_at"], Value::Null);
    let credentials = json!({ "username": "OWNER", "password": PASSWORD });
    let login = rig.call("POST", "/rest-auth/login/", "", credentials).await;
    let key = login.json()["key"].as_str().unwrap().to_owned();
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let by_cookie = || Request::get("/rest-auth/user/").header("cookie", &cookie).body(Body::empty()).unwrap();
    let works = async |secret: &str| rig.send(whoami(&format!("Token {secret}"))).await.status == StatusCode::OK;
    assert!(works(&token).await && works(&key).await);
    assert_eq!(rig.send(by_cookie()).await.status, StatusCode::OK);
    // A use is noted some time, and not while another one is being noted.
    for attempt in 0.. {
        let listed = rig.granted(200, "GET", "/api/v1/tokens/", OWNER, Value::Null).await;
        let laptop = listed.as_array().unwrap().iter().find(|token| token["name"] == "laptop").unwrap();
        if laptop["last_used_at"].is_string() {
            break;
        }
        assert!(attempt < 500, "{laptop}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(works(&token).await);
    }
    rig.hours_pass(7 * 24 + 1);
    assert!(!works(&token).await, "its time is over");
    assert!(works(&key).await);
    rig.hours_pass(24 * 24);
    assert!(!works(&key).await);
    assert_eq!(rig.send(by_cookie()).await.status, StatusCode::FORBIDDEN);
    assert!(works(forever["token"].as_str().unwrap()).await);
    for wrong in [json!({ "name": "x", "days": 0 }), json!({ "name": " " }), json!({ "name": "x", "days": "soon" })] {
        rig.granted(400, "POST", "/api/v1/tokens/", OWNER, wrong).await;
    }
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let rig = Rig::new().await;
    let credentials = json!({ "username": OWNER, "password": PASSWORD });
    let login = rig.call("POST", "/rest-auth/login/", "", credentials).await;
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let ask = |method: &str, path: &str| {
        Request::builder().method(method).uri(path).header("cookie", &cookie).body(Body::empty()).unwrap()
    };
    assert_eq!(rig.send(ask("GET", "/rest-auth/user/")).await.status, 200);
    let out = rig.send(ask("POST", "/rest-auth/logout/")).await;
    assert_eq!(out.json()["detail"], "Successfully logged out.");
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(rig.send(ask("GET", "/rest-auth/user/")).await.status, 403);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail() {
    let rig = Rig::new().await;
    let signup = json!({
        "username": "grace", "email": "grace@example.org", "password1": "nanoseconds", "password2": "nanoseconds",
    });
    rig.granted(201, "POST", "/rest-auth/registration/", "", signup).await;
    assert!(rig.mail("grace", "Welcome").await.body.contains("http://127.0.0.1:8080"));
    let told =
        rig.granted(200, "POST", "/rest-auth/password/reset/", "", json!({ "email": "GRACE@example.org" })).await;
    let unknown =
        rig.granted(200, "POST", "/rest-auth/password/reset/", "", json!({ "email": "no@example.org" })).await;
    assert_eq!(told, unknown, "who has an account is nobody's business");
    let mail = rig.mail("grace", "password").await;
    let token = mail.body.split('#').nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let confirm = "/rest-auth/password/reset/confirm/";
    let body = |password: &str| json!({ "token": token, "new_password1": password, "new_password2": password });
    let differing = json!({ "token": token, "new_password1": "one two three", "new_password2": "one two four" });
    rig.granted(400, "POST", confirm, "", differing).await;
    rig.granted(400, "POST", confirm, "", body("short")).await;
    let login = |password: &str| json!({ "username": "grace", "password": password });
    rig.granted(200, "POST", confirm, "", body("microseconds")).await;
    rig.granted(400, "POST", confirm, "", body("picoseconds")).await;
    rig.granted(400, "POST", "/rest-auth/login/", "", login("nanoseconds")).await;
    rig.granted(200, "POST", "/rest-auth/login/", "", login("microseconds")).await;
}

#[tokio::test]
async fn a_password_that_is_refused_leaves_the_link_good() {
    let rig = Rig::new().await;
    let signup = json!({
        "username": "margaret", "email": "margaret@example.org", "password1": "moonlanding", "password2": "moonlanding",
    });
    rig.granted(201, "POST", "/rest-auth/registration/", "", signup).await;
    rig.granted(200, "POST", "/rest-auth/password/reset/", "", json!({ "email": "margaret@example.org" })).await;
    let mail = rig.mail("margaret", "password").await;
    let token = mail.body.split('#').nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let body = |password: &str| json!({ "token": token, "new_password1": password, "new_password2": password });
    let refused = rig.granted(400, "POST", "/rest-auth/password/reset/confirm/", "", body("Margaret")).await;
    assert!(refused["new_password1"].is_array(), "{refused}");
    rig.granted(200, "POST", "/rest-auth/password/reset/confirm/", "", body("apollo eleven")).await;
}

#[tokio::test]
async fn a_changed_password_ends_other_sessions() {
    let rig = Rig::new().await;
    let open = async || {
        let login = rig.call("POST", "/rest-auth/login/", "", json!({ "username": OWNER, "password": PASSWORD })).await;
        login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let (mine, other) = (open().await, open().await);
    let send = async |cookie: &str, method: &str, path: &str, body: Value| {
        let request = Request::builder().method(method).uri(path).header("cookie", cookie);
        rig.send(request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()).await
    };
    let body = |old: &str| json!({ "old_password": old, "new_password1": "battery staple", "new_password2": "battery staple" });
    let change = "/rest-auth/password/change/";
    assert_eq!(
        send(&mine, "POST", change, body("wrong")).await.json(),
        json!({ "old_password": ["Invalid password"] })
    );
    assert_eq!(send(&mine, "POST", change, body(PASSWORD)).await.status, 200);
    assert_eq!(send(&mine, "GET", "/rest-auth/user/", Value::Null).await.status, 200);
    assert_eq!(send(&other, "GET", "/rest-auth/user/", Value::Null).await.status, 403);
    let basic = format!("Basic {}", STANDARD.encode(format!("owner:{PASSWORD}")));
    assert_eq!(rig.send(whoami(&basic)).await.status, 403, "what was right a moment ago is not remembered");
}

#[tokio::test]
async fn a_sign_up_hears_of_all_its_errors() {
    let rig = Rig::new().await;
    let taken = json!({ "username": "Owner", "email": "OWNER@example.org", "password1": "12345678", "password2": "1" });
    let errors = rig.granted(400, "POST", "/rest-auth/registration/", "", taken.clone()).await;
    assert_eq!(errors["non_field_errors"], json!(["The two password fields didn't match."]));
    let mut taken = taken;
    taken["password2"] = json!("12345678");
    let errors = rig.granted(400, "POST", "/rest-auth/registration/", "", taken).await;
    assert_eq!(errors.as_object().unwrap().keys().collect::<Vec<_>>(), ["username", "email", "password1"]);
    for name in ["", "a b", "a/b", ".hidden", "nul\u{0}", &"x".repeat(151), "Robots.TXT", "unsigned"] {
        let body = json!({ "username": name, "password1": "analytical", "password2": "analytical" });
        let errors = rig.granted(400, "POST", "/rest-auth/registration/", "", body).await;
        assert!(errors["username"].is_array(), "{name:?}: {errors}");
    }
    let body = json!({ "username": "Zoë@home", "password1": "analytical", "password2": "analytical" });
    rig.granted(201, "POST", "/rest-auth/registration/", "", body).await;
    rig.granted(200, "GET", "/api/v1/sims/ZO%C3%8B@HOME/", "", Value::Null).await;
}

#[tokio::test]
async fn closed_sites_take_no_strangers() {
    let rig = Rig::with(Config { open_registration: false, ..Config::default() }, WebOptions::default()).await;
    let body = json!({ "username": "eve", "password1": "analytical", "password2": "analytical" });
    let refused = rig.granted(403, "POST", "/rest-auth/registration/", "", body).await;
    assert!(refused["detail"].as_str().unwrap().contains("invitation"), "{refused}");
}

#[tokio::test]
async fn whoever_asks_too_much_hears_when_to_come_back() {
    let config = Config {
        logins_per_minute: 3,
        submissions_per_minute: 4,
        schema_computations_per_minute: 1,
        pending_runs_per_account: 2,
        ..Config::default()
    };
    let rig = Rig::with(config, WebOptions::default()).await;
    let refused = async |method: &str, path: &str, who: &str, body: Value| {
        let answer = rig.call(method, path, who, body).await;
        assert_eq!(answer.status, 429, "{path}: {}", answer.text());
        let seconds: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=61).contains(&seconds), "{seconds}");
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    for _ in 0..3 {
        rig.granted(400, "POST", "/rest-auth/login/", "", json!({ "username": OWNER, "password": "guess" })).await;
    }
    for (path, body) in [
        ("/rest-auth/login/", json!({ "username": OWNER, "password": PASSWORD })),
        ("/api-token-auth/", json!({ "username": OWNER, "password": PASSWORD })),
        ("/rest-auth/password/reset/", json!({ "email": "owner@example.org" })),
        (
            "/rest-auth/registration/",
            json!({ "username": "eve", "password1": "analytical", "password2": "analytical" }),
        ),
    ] {
        assert!(refused("POST", path, "", body).await.contains("3 a minute"));
    }
    let inputs = "/owner/Model/api/v1/inputs/";
    rig.granted(200, "GET", inputs, "", Value::Null).await;
    assert!(refused("POST", inputs, "", json!({ "meta_parameters": { "year": 2029 } })).await.contains("1 a minute"));
    rig.granted(200, "GET", inputs, "", Value::Null).await;
    let hold = |rate: f64| json!({ "adjustment": { "policy": { "hold": true, "rate": rate } } });
    for rate in [0.1, 0.2] {
        let made = rig.granted(201, "POST", "/owner/Model/api/v1/", OWNER, hold(rate)).await;
        rig.until(made["sim"]["model_pk"].as_u64().unwrap(), |simulation| simulation["status"] == "PENDING").await;
    }
    assert!(refused("POST", "/owner/Model/api/v1/", OWNER, hold(0.3)).await.contains("2 simulations"));
    rig.granted(201, "POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
    assert!(refused("POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await.contains("4 a minute"));
    // Others are not concerned.
    rig.granted(201, "POST", "/owner/Model/api/v1/", STRANGER, json!({})).await;
}
