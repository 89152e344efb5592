//! What every store keeps.

use std::{collections::BTreeSet, sync::Arc};

use csw_core::{
    ports::SecretError,
    secret::{SecretScope, SecretValue},
};
use jiff::Timestamp;

use crate::bench::{Bench, model, name};

fn now() -> Timestamp {
    // Databases keep microseconds.
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap()
}

async fn set(bench: &Bench, scope: &SecretScope, secret: &str, value: &str) -> u32 {
    bench.store.set(scope, &name(secret), &value.into(), "ann", now()).await.unwrap().version
}

async fn get(bench: &Bench, scope: &SecretScope, secret: &str) -> String {
    bench.store.get(scope, &name(secret), None).await.unwrap().expose().to_owned()
}

pub async fn what_is_set_is_there(bench: &Bench) {
    let scope = model(1);
    let before = now();
    let info = bench.store.set(&scope, &name("super"), &"secret".into(), "ann", before).await.unwrap();
    assert_eq!((info.version, info.set_by.as_deref(), info.set_at), (1, Some("ann"), Some(before)));
    assert_eq!(get(bench, &scope, "super").await, "secret");
    let later = now();
    let info = bench.store.set(&scope, &name("super"), &"other".into(), "bob", later).await.unwrap();
    assert_eq!(info.version, 2);
    set(bench, &scope, "API_KEY", "hunter2").await;
    let listed = bench.store.list(&scope).await.unwrap();
    let names: Vec<_> = listed.iter().map(|info| (info.name.as_str(), info.version)).collect();
    assert_eq!(names, [("API_KEY", 1), ("super", 2)]);
    assert_eq!((listed[1].set_by.as_deref(), listed[1].set_at), (Some("bob"), Some(later)));
    assert!(!format!("{listed:?}").contains("hunter2"));
    let all = bench.store.all(&scope).await.unwrap();
    let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(all, [("API_KEY", "hunter2"), ("super", "other")]);
}

pub async fn what_is_not_there_is_told(bench: &Bench) {
    let scope = model(1);
    assert!(bench.store.list(&scope).await.unwrap().is_empty());
    assert!(bench.store.all(&scope).await.unwrap().is_empty());
    let missing = bench.store.get(&scope, &name("super"), None).await.unwrap_err();
    assert!(matches!(missing, SecretError::NotFound { .. }), "{missing}");
    assert!(missing.to_string().contains("`super` of PSLmodels/Tax-Cruncher"), "{missing}");
    let missing = bench.store.delete(&scope, &name("super")).await;
    assert!(matches!(missing, Err(SecretError::NotFound { .. })), "{missing:?}");
    set(bench, &scope, "other", "value").await;
    let missing = bench.store.get(&scope, &name("super"), None).await;
    assert!(matches!(missing, Err(SecretError::NotFound { .. })), "{missing:?}");
}

pub async fn scopes_are_apart(bench: &Bench) {
    let scopes = [SecretScope::Site, model(1), model(2)];
    for (number, scope) in scopes.iter().enumerate() {
        set(bench, scope, "super", &format!("value-{number}")).await;
    }
    bench.store.delete(&scopes[1], &name("super")).await.unwrap();
    assert_eq!(get(bench, &scopes[0], "super").await, "value-0");
    assert_eq!(get(bench, &scopes[2], "super").await, "value-2");
    assert!(bench.store.list(&scopes[1]).await.unwrap().is_empty());
}

pub async fn deleting_takes_all_versions(bench: &Bench) {
    let scope = model(1);
    for value in ["first-value", "second-value"] {
        set(bench, &scope, "super", value).await;
    }
    set(bench, &scope, "other", "stays").await;
    bench.store.delete(&scope, &name("super")).await.unwrap();
    let names: Vec<_> = bench.store.all(&scope).await.unwrap().into_keys().collect();
    assert_eq!(names, ["other"]);
    let gone = bench.store.get(&scope, &name("super"), Some(1)).await;
    assert!(matches!(gone, Err(SecretError::NotFound { .. })), "{gone:?}");
    if let Some(server) = &bench.server {
        let kept = server.kept();
        assert!(!kept.contains("first-value") && !kept.contains("second-value"), "{kept}");
        assert!(kept.contains("stays"));
    }
    bench.store.delete(&scope, &name("other")).await.unwrap();
    assert!(bench.store.list(&scope).await.unwrap().is_empty());
    set(bench, &scope, "super", "third-value").await;
    assert_eq!(get(bench, &scope, "super").await, "third-value");
}

pub async fn values_may_be_any_text(bench: &Bench) {
    let scope = SecretScope::Site;
    let long = "x".repeat(32 * 1024);
    for value in ["-----BEGIN KEY-----\nabc\n\tdef\n", "größe \u{1f511} \"quoted\" \\n {}", " ", &long] {
        set(bench, &scope, "super", value).await;
        assert_eq!(get(bench, &scope, "super").await, value);
    }
}

pub async fn nobody_is_lost_among_many(bench: &Bench) {
    let scope = model(1);
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let (store, scope) = (Arc::clone(&bench.store), scope.clone());
            tokio::spawn(async move {
                let (secret, value) = (format!("S{number}"), SecretValue::from(format!("value-{number}")));
                store.set(&scope, &name(&secret), &value, "ann", now()).await.map(drop)
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let all = bench.store.all(&scope).await.unwrap();
    assert_eq!(all.len(), 8, "{:?}", all.keys());
    assert!((0..8).all(|number| all[&format!("S{number}")].expose() == format!("value-{number}")));
}

pub async fn one_secret_set_by_many(bench: &Bench) {
    let scope = model(1);
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let (store, scope) = (Arc::clone(&bench.store), scope.clone());
            tokio::spawn(async move {
                let value = SecretValue::from(format!("value-{number}"));
                store.set(&scope, &name("super"), &value, "ann", now()).await.unwrap().version
            })
        })
        .collect();
    let mut versions = BTreeSet::new();
    for writer in writers {
        versions.insert(writer.await.unwrap());
    }
    assert_eq!(versions, (1..=6).collect(), "each is a version of its own");
    assert!(get(bench, &scope, "super").await.starts_with("value-"));
}

pub async fn former_versions(bench: &Bench) {
    let scope = model(1);
    for number in 1..=12 {
        assert_eq!(set(bench, &scope, "super", &format!("value-{number}")).await, number);
    }
    let read = async |version| bench.store.get(&scope, &name("super"), Some(version)).await;
    assert_eq!(read(12).await.unwrap().expose(), "value-12");
    for version in [1, 2, 13] {
        let gone = read(version).await;
        assert!(matches!(gone, Err(SecretError::NotKept { .. })), "{gone:?}");
    }
    match read(3).await {
        Ok(value) => assert!(bench.keeps_versions() && value.expose() == "value-3"),
        Err(SecretError::NotKept { .. }) => assert!(!bench.keeps_versions()),
        other => panic!("{other:?}"),
    }
}
