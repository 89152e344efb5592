//! Secrets: what comes back to whom, what a run gets, and a store that has its moods.

use std::{collections::VecDeque, sync::Mutex};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, header},
};
use csw_app::Config;
use csw_core::{
    ports::{Rotation, SecretError, SecretResult, SecretStore},
    secret::{SecretInfo, SecretName, SecretScope, SecretValue, Secrets},
};
use csw_secrets::Embedded;
use csw_web::WebOptions;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rig::{ADMIN, OWNER, PASSWORD, Rig, WRITER};

/// What the next run that asks for its secrets meets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    Away,
    Refuses,
}

/// A store that can be away, or refuse.
pub(crate) struct Moody {
    pub(crate) inner: Embedded,
    pub(crate) moods: Mutex<VecDeque<Mood>>,
}

#[async_trait]
impl SecretStore for Moody {
    async fn set(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        value: &SecretValue,
        by: &str,
        at: Timestamp,
    ) -> SecretResult<SecretInfo> {
        self.inner.set(scope, name, value, by, at).await
    }

    async fn get(&self, scope: &SecretScope, name: &SecretName, version: Option<u32>) -> SecretResult<SecretValue> {
        self.inner.get(scope, name, version).await
    }

    async fn list(&self, scope: &SecretScope) -> SecretResult<Vec<SecretInfo>> {
        self.inner.list(scope).await
    }

    async fn all(&self, scope: &SecretScope) -> SecretResult<Secrets> {
        let what = "reading the secrets".to_owned();
        let mood = self.moods.lock().unwrap().pop_front();
        match mood {
            Some(Mood::Away) => Err(SecretError::Unavailable { what, cause: "it is away".to_owned() }),
            Some(Mood::Refuses) => {
                let way_out = "Ask for the role".to_owned();
                Err(SecretError::Refused { what, cause: "403 of the store".to_owned(), way_out })
            }
            None => self.inner.all(scope).await,
        }
    }

    async fn delete(&self, scope: &SecretScope, name: &SecretName) -> SecretResult<()> {
        self.inner.delete(scope, name).await
    }

    async fn rotate(&self) -> SecretResult<Rotation> {
        self.inner.rotate().await
    }
}

const SECRETS: &str = "/publish/api/owner/Model/secrets/";

async fn set(rig: &Rig, name: &str, value: &str) -> Value {
    rig.granted(200, "PUT", &format!("{SECRETS}{name}/"), OWNER, json!({ "value": value })).await
}

#[tokio::test]
async fn values_go_in_and_names_come_out() {
    let rig = Rig::new().await;
    rig.give(None, WRITER, "write").await;
    assert_eq!(set(&rig, "super", "hunter2").await["version"], 1);
    let again = set(&rig, "super", "hunter3").await;
    assert_eq!((&again["version"], &again["set_by"]), (&json!(2), &json!(OWNER)));
    for path in [
        SECRETS,
        "/owner/Model/settings/",
        "/publish/api/owner/Model/detail/",
        "/publish/api/owner/Model/secrets/audit/",
    ] {
        let seen = rig.get(path, WRITER).await;
        assert!(seen.status == 200 && !seen.text().contains("hunter"), "{path}: {}", seen.text());
    }
    assert_eq!(
        rig.granted(200, "GET", &format!("{SECRETS}values/"), OWNER, Value::Null).await,
        json!({ "super": "hunter3" })
    );
    let told = rig.get(&format!("{SECRETS}super/value/"), ADMIN).await;
    assert_eq!(
        (told.json(), told.headers[header::CACHE_CONTROL].to_str().unwrap()),
        (json!({ "super": "hunter3" }), "no-store")
    );
    let trail = rig.granted(200, "GET", &format!("{SECRETS}audit/"), WRITER, Value::Null).await;
    let lines: Vec<_> =
        trail["results"].as_array().unwrap().iter().map(|line| (&line["action"], &line["who"])).collect();
    let (read, set, by, chief) = (json!("read"), json!("set"), json!(OWNER), json!(ADMIN));
    assert_eq!(lines, [(&read, &chief), (&read, &by), (&set, &by), (&set, &by)]);
}

#[tokio::test]
async fn what_is_no_secret_is_refused_at_its_field() {
    let rig = Rig::new().await;
    for (name, value, field) in [
        ("PATH", "x", "name"),
        ("9a", "x", "name"),
        ("audit", "x", "name"),
        ("good", "", "value"),
        ("good", "a\0b", "value"),
        ("good", &"x".repeat(65_537), "value"),
    ] {
        let path = format!("{SECRETS}{name}/");
        let answer = rig.call("PUT", &path, OWNER, json!({ "value": value })).await;
        // `audit` has a route of its own, which takes nothing.
        if name == "audit" {
            assert_eq!(answer.status, 405);
            continue;
        }
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.json()[field][0].is_string(), "{name}: {}", answer.text());
    }
    for number in 0..8 {
        set(&rig, &format!("LONG_{number}"), &"x".repeat(65_000)).await;
    }
    let full =
        rig.granted(400, "PUT", &format!("{SECRETS}ONE_MORE/"), OWNER, json!({ "value": "x".repeat(65_000) })).await;
    assert!(full["value"][0].as_str().unwrap().contains("together"), "{full}");
}

#[tokio::test]
async fn a_session_and_a_closed_site_tell_no_values() {
    let rig = Rig::new().await;
    set(&rig, "super", "hunter2").await;
    let login = rig.call("POST", "/rest-auth/login/", "", json!({ "username": OWNER, "password": PASSWORD })).await;
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for (path, status) in [("super/value/", 403), ("values/", 403), ("", 200)] {
        let request = Request::get(format!("{SECRETS}{path}")).header("cookie", &cookie).body(Body::empty()).unwrap();
        let answer = rig.send(request).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(!answer.text().contains("hunter2"));
    }
    let closed = Rig::with(Config { readable_secrets: false, ..Config::default() }, WebOptions::default()).await;
    set(&closed, "super", "hunter2").await;
    for (path, who) in [("super/value/", OWNER), ("values/", ADMIN)] {
        let refused = closed.granted(403, "GET", &format!("{SECRETS}{path}"), who, Value::Null).await;
        assert!(refused["detail"].as_str().unwrap().contains("nobody reads"), "{refused}");
    }
    let run = closed.simulation(json!({})).await;
    assert!(log(&closed, run).await.contains("super=***\n"));
}

async fn log(rig: &Rig, number: u64) -> String {
    rig.get(&format!("/owner/Model/api/v1/{number}/log/"), OWNER).await.text()
}

#[tokio::test]
async fn a_log_shows_no_secret_however_it_is_written() {
    let rig = Rig::new().await;
    set(&rig, "super", "hunter2").await;
    set(&rig, "short", "abc").await;
    let run = rig.simulation(json!({})).await;
    assert_eq!(log(&rig, run).await, "half a € and\nthe rest\nshort=abc\nsuper=***\n");
    // What another model's run has is its own.
    rig.model("Second", true).await;
    let made = rig.granted(201, "POST", "/owner/Second/api/v1/", OWNER, json!({})).await;
    let path = format!("/owner/Second/api/v1/{}/", made["sim"]["model_pk"]);
    for _ in 0..1_000 {
        if rig.get(&format!("{path}remote/"), OWNER).await.json()["status"] == "SUCCESS" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(rig.get(&format!("{path}log/"), OWNER).await.text(), "half a € and\nthe rest\n");
}

#[tokio::test]
async fn runs_wait_for_a_store_that_is_away_and_end_where_it_refuses() {
    let rig = Rig::new().await;
    set(&rig, "super", "hunter2").await;
    // The schema is known from now on: only runs ask for secrets.
    rig.simulation(json!({})).await;
    rig.secrets.moods.lock().unwrap().extend([Mood::Away; 3]);
    let run = rig.simulation(json!({ "adjustment": { "policy": { "rate": 0.15 } } })).await;
    assert!(log(&rig, run).await.contains("super=***"));
    // The run gets past the store when it has become well again before its attempts are used up.
    rig.secrets.moods.lock().unwrap().extend([Mood::Refuses; 2]);
    rig.simulation(json!({ "adjustment": { "policy": { "rate": 0.2 } } })).await;
    rig.secrets.moods.lock().unwrap().extend([Mood::Refuses; 3]);
    let made = rig
        .granted(201, "POST", "/owner/Model/api/v1/", OWNER, json!({ "adjustment": { "policy": { "rate": 0.3 } } }))
        .await;
    let path = made["api_url"].as_str().unwrap().to_owned();
    let mut inputs = Value::Null;
    for _ in 0..2_000 {
        inputs = rig.granted(200, "GET", &path, OWNER, Value::Null).await;
        if inputs["status"] != "PENDING" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(inputs["status"], "WORKER_FAILURE", "{inputs}");
    let told = inputs["traceback"].as_str().unwrap();
    assert!(told.contains("secrets of its model can't be read") && !told.contains("403"), "{told}");
}
