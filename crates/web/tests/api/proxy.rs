//! Behind a proxy that ends TLS: cookies, links, and whose address a request counts for.

use axum::{
    body::Body,
    http::{HeaderMap, Request},
};
use csw_app::Config;
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::rig::{Answer, OWNER, PASSWORD, READER, Rig};

const PUBLIC: &str = "https://studio.example.org";

async fn site(trust_forwarded: bool) -> Rig {
    let config = Config { public_url: PUBLIC.to_owned(), logins_per_minute: 2, ..Config::default() };
    Rig::with(config, WebOptions { secure_cookies: true, trust_forwarded, ..WebOptions::default() }).await
}

async fn log_in(rig: &Rig, password: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post("/rest-auth/login/").header("host", "10.0.0.7:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = json!({ "username": OWNER, "password": password }).to_string();
    rig.send(request.header("content-type", "application/json").body(Body::from(body)).unwrap()).await
}

fn cookie(headers: &HeaderMap) -> String {
    headers["set-cookie"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn cookies_of_a_site_on_https_are_bound_to_it() {
    let rig = site(true).await;
    let opened = log_in(&rig, PASSWORD, &[("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.1")]).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    let text = cookie(&opened.headers);
    assert!(text.starts_with("__Host-csw_session="), "{text}");
    for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
        assert!(text.contains(attribute), "{text}");
    }
    assert!(!text.to_lowercase().contains("domain"), "a cookie of this name must not name a domain: {text}");
    let secret = text.split(';').next().unwrap();
    let ask = |cookie: &str| Request::get("/rest-auth/user/").header("cookie", cookie).body(Body::empty()).unwrap();
    assert_eq!(rig.send(ask(secret)).await.status, 200);
    let plain = secret.replace("__Host-", "");
    assert_eq!(rig.send(ask(&plain)).await.status, 403, "another page of this host could have set that one");
    let form = format!("username={OWNER}&password={}", PASSWORD.replace(' ', "+"));
    let page = Request::post("/users/login/").header("content-type", "application/x-www-form-urlencoded");
    let opened = rig.send(page.body(Body::from(form)).unwrap()).await;
    assert!(cookie(&opened.headers).starts_with("__Host-csw_session="), "{}", opened.status);
}

#[tokio::test]
async fn links_lead_to_the_public_address() {
    let rig = site(true).await;
    for _ in 0..2 {
        rig.granted(201, "POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
    }
    let page = rig.granted(200, "GET", "/api/v1/sims/?page_size=1&ordering=title", OWNER, Value::Null).await;
    assert_eq!(page["next"], format!("{PUBLIC}/api/v1/sims/?ordering=title&page_size=1&page=2"));
    rig.give(Some(1), READER, "read").await;
    let mail = rig.mail(READER, "read access").await;
    assert!(mail.body.contains(&format!("{PUBLIC}/owner/Model/1/")), "{}", mail.body);
    let sent = json!({ "email": "owner@example.org" });
    rig.granted(200, "POST", "/rest-auth/password/reset/", "", sent).await;
    let mail = rig.mail(OWNER, "password").await;
    assert!(mail.body.contains(&format!("{PUBLIC}/users/reset/#")), "{}", mail.body);
    let host = Request::get("/publish/api/?page_size=1").header("host", "evil.example").body(Body::empty()).unwrap();
    let listed = rig.send(host).await;
    assert!(!format!("{:?}{}", listed.headers, listed.text()).contains("evil.example"), "no link repeats a header");
}

#[tokio::test]
async fn our_own_pages_may_write_through_a_proxy_that_changes_the_host() {
    let rig = site(true).await;
    let opened = log_in(&rig, PASSWORD, &[("x-forwarded-for", "192.0.2.1")]).await;
    let secret = cookie(&opened.headers).split(';').next().unwrap().to_owned();
    let change = |origin: &str| {
        Request::patch("/rest-auth/user/")
            .header("cookie", &secret)
            .header("host", "10.0.0.7:8080")
            .header("origin", origin)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(rig.send(change(PUBLIC)).await.status, 200);
    for other in ["http://studio.example.org", "https://studio.example.org.evil.example", "null"] {
        assert_eq!(rig.send(change(other)).await.status, 403, "{other}");
    }
}

#[tokio::test]
async fn each_client_behind_the_proxy_has_its_own_limit() {
    let rig = site(true).await;
    let from = async |forwarded: &str| log_in(&rig, "wrong", &[("x-forwarded-for", forwarded)]).await.status.as_u16();
    assert_eq!([from("192.0.2.1").await, from("192.0.2.1").await, from("192.0.2.1").await], [400, 400, 429]);
    assert_eq!(from("192.0.2.2").await, 400);
    // Only the last entry is the proxy's; the others are what the client says.
    assert_eq!(from("198.51.100.9, 192.0.2.1").await, 429);
    assert_eq!(from("192.0.2.1, 192.0.2.3").await, 400);
    assert_eq!([from("2001:db8::1").await, from("2001:db8::2").await, from("2001:db8::3").await], [400, 400, 429]);
    let rig = site(false).await;
    let from = async |forwarded: &str| log_in(&rig, "wrong", &[("x-forwarded-for", forwarded)]).await.status.as_u16();
    assert_eq!(
        [from("192.0.2.1").await, from("192.0.2.2").await, from("192.0.2.3").await],
        [400, 400, 429],
        "nobody is believed"
    );
}
