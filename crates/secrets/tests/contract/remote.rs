//! What the stores over a network do when it is not its day.

use std::time::Duration;

use csw_core::{
    ports::{SecretError, SecretStore},
    secret::{SecretScope, SecretValue},
};
use csw_secrets::{DocumentStore, Google, GoogleConfig, TokenSource, Vault, VaultAuth};
use jiff::Timestamp;

use crate::bench::{self, Bench, model, name};

async fn all() -> [Bench; 3] {
    [bench::google().await, bench::vault().await, bench::kubernetes().await]
}

async fn set(bench: &Bench, secret: &str, value: &str) -> Result<u32, SecretError> {
    let value = SecretValue::from(value);
    Ok(bench.store.set(&model(1), &name(secret), &value, "ann", Timestamp::now()).await?.version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passing_trouble_is_waited_out() {
    for bench in all().await {
        let server = bench.server.as_ref().unwrap();
        server.trouble(&[503, 429, 500]);
        assert_eq!(set(&bench, "super", "secret").await.unwrap(), 1);
        server.trouble(&[502]);
        assert_eq!(bench.store.get(&model(1), &name("super"), None).await.unwrap().expose(), "secret");
        server.trouble(&[503; 5]);
        let failed = bench.store.all(&model(1)).await.unwrap_err();
        assert!(matches!(failed, SecretError::Unavailable { .. }), "{failed}");
        assert!(failed.to_string().contains("503"), "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_is_renewed() {
    for bench in all().await {
        let server = bench.server.as_ref().unwrap();
        set(&bench, "super", "secret").await.unwrap();
        server.renew("token-2");
        // Whoever writes the file renews it; the others give a new one when asked.
        std::fs::write(bench.folder.path().join("token"), "token-2").unwrap();
        assert_eq!(set(&bench, "super", "other").await.unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_the_object_and_a_way_out_and_no_value() {
    let refusals = [
        (403, r#"{"error": {"code": 403, "message": "Permission denied on {}", "status": "PERMISSION_DENIED"}}"#),
        (403, r#"{"errors": ["permission denied: {}"]}"#),
        (422, r#"{"kind": "Status", "message": "Secret is invalid: {}", "reason": "Invalid", "code": 422}"#),
    ];
    let objects = ["secret csw-model-", "kv/data/compute-studio/model-", "Secret studio/csw-secrets-model-"];
    for ((bench, (status, body)), object) in all().await.into_iter().zip(refusals).zip(objects) {
        set(&bench, "other", "an older value").await.unwrap();
        bench.server.as_ref().unwrap().refuse(status, body);
        let refused = set(&bench, "super", "hunter2-very-secret").await.unwrap_err();
        let said = format!("{refused} {refused:?}");
        assert!(matches!(refused, SecretError::Refused { .. }), "{said}");
        assert!(said.contains(object) && said.contains(&status.to_string()) && said.contains('?'), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("an older value"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_reached_is_told_without_a_value() {
    let bench = bench::google().await;
    let server = bench.server.as_ref().unwrap();
    let config = GoogleConfig { url: "http://127.0.0.1:9".to_owned(), ..bench::google_config(server) };
    let config = GoogleConfig { token: TokenSource::Metadata(server.url.clone()), ..config };
    let store = DocumentStore::new(Google::new(config).unwrap(), Duration::ZERO);
    let value = SecretValue::from("hunter2");
    let refused = store.set(&SecretScope::Site, &name("super"), &value, "ann", Timestamp::now()).await.unwrap_err();
    assert!(matches!(refused, SecretError::Unavailable { .. }), "{refused}");
    assert!(
        refused.to_string().contains("can't be reached") && !format!("{refused:?}").contains("hunter2"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_spared_the_network_for_a_while() {
    let server = crate::vault::serve().await;
    drop(rustls::crypto::ring::default_provider().install_default());
    let token = TokenSource::Command(vec!["printf".to_owned(), "token-1".to_owned()]);
    let config = bench::vault_config(&server, VaultAuth::Token(token));
    let store = DocumentStore::new(Vault::new(config).unwrap(), Duration::from_mins(1));
    let scope = model(1);
    store.set(&scope, &name("super"), &"secret".into(), "ann", Timestamp::now()).await.unwrap();
    assert_eq!(store.all(&scope).await.unwrap()["super"].expose(), "secret");
    server.asked();
    for _ in 0..3 {
        store.all(&scope).await.unwrap();
    }
    assert!(server.asked().is_empty());
    store.set(&scope, &name("super"), &"other".into(), "ann", Timestamp::now()).await.unwrap();
    assert_eq!(store.all(&scope).await.unwrap()["super"].expose(), "other", "what changed here is known at once");
    store.delete(&scope, &name("super")).await.unwrap();
    assert!(store.all(&scope).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_takes_64_kib_in_all() {
    let bench = bench::google().await;
    set(&bench, "one", &"x".repeat(40_000)).await.unwrap();
    let refused = set(&bench, "two", &"y".repeat(40_000)).await.unwrap_err();
    assert!(refused.to_string().contains("65536"), "{refused}");
    assert_eq!(bench.store.list(&model(1)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_as_the_apis_want_them() {
    let expected: [&[&str]; 3] = [
        &[
            "GET /v1/projects/studio/secrets/csw-site",
            "POST /v1/projects/studio/secrets?secretId=csw-site",
            "POST /v1/projects/studio/secrets/csw-site:addVersion",
            "PATCH /v1/projects/studio/secrets/csw-site?updateMask=versionAliases",
        ],
        &[
            "POST /v1/auth/kubernetes/login",
            "GET /v1/kv/data/compute-studio/site",
            "POST /v1/kv/data/compute-studio/site",
        ],
        &["GET /api/v1/namespaces/studio/secrets/csw-secrets-site", "POST /api/v1/namespaces/studio/secrets"],
    ];
    for (bench, expected) in all().await.into_iter().zip(expected) {
        let value = SecretValue::from("secret");
        bench.store.set(&SecretScope::Site, &name("super"), &value, "ann", Timestamp::now()).await.unwrap();
        let mut asked = bench.server.as_ref().unwrap().asked();
        asked.retain(|request| !request.contains("computeMetadata"));
        assert_eq!(asked, expected);
        let refused = bench.store.rotate().await.unwrap_err();
        assert!(matches!(refused, SecretError::Unsupported { .. }), "{refused}");
    }
}
