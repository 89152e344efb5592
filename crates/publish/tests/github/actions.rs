//! Tokens of workflows, against an issuer of our own.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use csw_core::ports::{WorkflowTokenError, WorkflowTokens};
use csw_publish::github::ActionsTokens;
use jiff::{SignedDuration, Timestamp};
use ring::{hmac, signature::KeyPair};
use serde_json::{Value, json};

use crate::keys::{Keys, unsigned};

const SITE: &str = "https://site.example";

/// Keys, how often they were asked for, and whether they are out of reach.
type Known = Arc<Mutex<(Vec<Value>, usize, bool)>>;

/// Publishes keys.
struct Issuer {
    url: String,
    state: Known,
}

impl Issuer {
    async fn start(keys: Vec<Value>) -> Self {
        let state = Arc::new(Mutex::new((keys, 0, false)));
        let answer = async |State(state): State<Known>| {
            let mut state = state.lock().unwrap();
            state.1 += 1;
            if state.2 { Err(StatusCode::BAD_GATEWAY) } else { Ok(Json(json!({ "keys": state.0 }))) }
        };
        let router = Router::new().route("/.well-known/jwks", get(answer)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().1
    }

    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.url, "aud": SITE, "sub": "repo:PSL/publish:ref:refs/heads/main", "exp": now + 300,
            "nbf": now - 10, "iat": now, "repository": "PSL/publish", "repository_id": "7", "ref": "refs/heads/main",
            "environment": "production", "event_name": "push",
        })
    }
}

fn header(kid: &str) -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": kid })
}

#[tokio::test]
async fn a_good_token_says_who_it_is() {
    let keys = Keys::new();
    let issuer = Issuer::start(vec![json!({ "kty": "EC", "kid": "e" }), keys.jwk("k")]).await;
    let tokens = ActionsTokens::new(&issuer.url).unwrap();
    let now = Timestamp::now();
    let token = keys.token(&header("k"), &issuer.claims());
    let claims = tokens.verify(&token, &format!("{SITE}/"), now).await.unwrap();
    assert_eq!((claims.repository.as_str(), claims.repository_id.as_str()), ("PSL/publish", "7"));
    assert_eq!((claims.reference.as_str(), claims.environment.as_str()), ("refs/heads/main", "production"));
    let mut several = issuer.claims();
    several["aud"] = json!(["https://other.example", SITE]);
    several.as_object_mut().unwrap().remove("environment");
    let claims = tokens.verify(&keys.token(&header("k"), &several), SITE, now).await.unwrap();
    assert_eq!(claims.environment, "");
    // Clocks differ a little.
    let late = now + SignedDuration::from_secs(300 + 55);
    assert!(tokens.verify(&token, SITE, late).await.is_ok());
    assert_eq!(issuer.asked(), 1, "keys are kept");
}

#[tokio::test]
async fn what_is_not_good_is_not_believed() {
    let keys = Keys::new();
    let issuer = Issuer::start(vec![keys.jwk("k")]).await;
    let tokens = ActionsTokens::new(&issuer.url).unwrap();
    let now = Timestamp::now();
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        keys.token(&header("k"), &claims)
    };
    let claims = issuer.claims();
    let good = keys.token(&header("k"), &claims);
    let none = format!("{}.", unsigned(&json!({ "alg": "none", "typ": "JWT", "kid": "k" }), &claims));
    // The public key as the secret of a signature that anybody can make.
    let by_secret = |secret: &[u8]| {
        let head = unsigned(&json!({ "alg": "HS256", "typ": "JWT", "kid": "k" }), &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), head.as_bytes());
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let (head, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let mut other = claims.clone();
    other["repository"] = json!("evil/publish");
    let changed = format!("{}.{signature}", unsigned(&header("k"), &other));
    let cases = [
        (with("exp", json!(now.as_second() - 61)), "expired"),
        (with("nbf", json!(now.as_second() + 120)), "not good yet"),
        (with("aud", json!("https://other.example")), "audience is https://other.example"),
        (with("aud", json!([])), "audience"),
        (with("iss", json!("https://evil.example")), "it is of https://evil.example"),
        (with("exp", json!("soon")), "not one of GitHub Actions"),
        (with("repository", Value::Null), "not one of GitHub Actions"),
        (none, "RS256"),
        (by_secret(keys.pem.as_bytes()), "RS256"),
        (by_secret(keys.pair.public_key().as_ref()), "RS256"),
        (by_secret(&keys.public().n), "RS256"),
        (changed, "signature is wrong"),
        (Keys::new().token(&header("k"), &claims), "signature is wrong"),
        (keys.token(&header("another"), &claims), "a key that its issuer does not have"),
        (format!("{head}.{rest}x!"), "no JSON Web Token"),
        ("a.b.c".to_owned(), "no JSON Web Token"),
        ("..".to_owned(), "no JSON Web Token"),
        (format!("{head}.{}.x", "a".repeat(20_000)), "too long"),
    ];
    for (token, says) in cases {
        let error = tokens.verify(&token, SITE, now).await.unwrap_err();
        assert!(matches!(error, WorkflowTokenError::Bad(_)) && error.to_string().contains(says), "{says}: {error}");
    }
    assert!(tokens.verify(&good, SITE, now).await.is_ok());
}

#[tokio::test]
async fn keys_are_asked_for_when_they_may_be_new_and_not_more_often() {
    let (old, new) = (Keys::new(), Keys::new());
    let issuer = Issuer::start(vec![old.jwk("old")]).await;
    let tokens = ActionsTokens::new(&issuer.url).unwrap();
    let at = |seconds: i64| Timestamp::now() + SignedDuration::from_secs(seconds);
    let token = |keys: &Keys, kid: &str| {
        let mut claims = issuer.claims();
        claims["exp"] = json!(at(9_000).as_second());
        keys.token(&header(kid), &claims)
    };
    assert!(tokens.verify(&token(&old, "old"), SITE, at(0)).await.is_ok());
    issuer.state.lock().unwrap().0 = vec![new.jwk("new")];
    for _ in 0..5 {
        assert!(tokens.verify(&token(&new, "new"), SITE, at(30)).await.is_err(), "at most once a minute");
    }
    assert_eq!(issuer.asked(), 1);
    assert!(tokens.verify(&token(&new, "new"), SITE, at(61)).await.is_ok());
    assert!(tokens.verify(&token(&old, "old"), SITE, at(62)).await.is_err(), "one that was given up");
    assert_eq!(issuer.asked(), 2);
    // While the issuer is out of reach, the keys that are there stay good.
    issuer.state.lock().unwrap().2 = true;
    assert!(tokens.verify(&token(&new, "new"), SITE, at(4_000)).await.is_ok());
    let error = tokens.verify(&token(&old, "old"), SITE, at(4_001)).await.unwrap_err();
    assert!(matches!(error, WorkflowTokenError::Unavailable(_)), "{error}");
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn an_issuer_is_asked_over_https() {
    assert!(ActionsTokens::new("https://github.example/_services/token").is_ok());
    let error = ActionsTokens::new("http://github.example").err().unwrap().to_string();
    assert!(error.contains("no https URL"), "{error}");
    assert!(ActionsTokens::new("http://localhost.evil.example").is_err());
}
