//! The master keys of the embedded store: rotation, interruptions, and files that are not as they were.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use csw_core::{
    ports::{SealedSecret, SecretError, SecretRows, SecretStore, StoreError, StoreResult},
    secret::{SecretScope, SecretValue},
};
use csw_secrets::Embedded;
use csw_store::SqlStore;
use jiff::Timestamp;

use crate::bench::{RealRandomness, model, name};

/// Rows that stop to be written after some seals were changed, as when a process is killed.
struct Killed {
    rows: Arc<SqlStore>,
    left: AtomicU32,
}

#[async_trait]
impl SecretRows for Killed {
    async fn insert_secret(&self, row: &SealedSecret, keep: u32) -> StoreResult<()> {
        self.rows.insert_secret(row, keep).await
    }

    async fn secret(&self, scope: &str, name: &str, version: Option<u32>) -> StoreResult<Option<SealedSecret>> {
        self.rows.secret(scope, name, version).await
    }

    async fn secrets(&self, scope: &str) -> StoreResult<Vec<SealedSecret>> {
        self.rows.secrets(scope).await
    }

    async fn delete_secret(&self, scope: &str, name: &str) -> StoreResult<bool> {
        self.rows.delete_secret(scope, name).await
    }

    async fn secrets_of_other_keys(&self, key: &str, limit: u32) -> StoreResult<Vec<SealedSecret>> {
        self.rows.secrets_of_other_keys(key, limit).await
    }

    async fn reseal_secret(&self, before: &SealedSecret, key: &str, sealed: &[u8]) -> StoreResult<bool> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return Err(StoreError::Unavailable { cause: "killed".to_owned() });
        }
        self.rows.reseal_secret(before, key, sealed).await
    }

    async fn has_secrets(&self) -> StoreResult<bool> {
        self.rows.has_secrets().await
    }
}

struct Place {
    folder: tempfile::TempDir,
    rows: Arc<SqlStore>,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = Arc::new(SqlStore::open_sqlite(&folder.path().join("csw.db")).await.unwrap());
        Self { folder, rows }
    }

    fn keys(&self) -> std::path::PathBuf {
        self.folder.path().join("secrets.key")
    }

    /// A store as a new process has it.
    fn store(&self) -> Embedded {
        Embedded::new(Arc::<SqlStore>::clone(&self.rows), self.keys(), Arc::new(RealRandomness))
    }

    fn key_names(&self) -> Vec<String> {
        let text = fs::read_to_string(self.keys()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split_once(' ').unwrap().0.to_owned()).collect()
    }
}

async fn set(store: &Embedded, scope: &SecretScope, secret: &str, value: &str) {
    store.set(scope, &name(secret), &SecretValue::from(value), "ann", Timestamp::now()).await.unwrap();
}

async fn fill(store: &Embedded) {
    for number in 0..5 {
        set(store, &model(number), "super", "first").await;
        set(store, &model(number), "super", &format!("value-{number}")).await;
    }
}

async fn check(store: &Embedded) {
    for number in 0..5 {
        let scope = model(number);
        assert_eq!(store.get(&scope, &name("super"), None).await.unwrap().expose(), format!("value-{number}"));
        assert_eq!(store.get(&scope, &name("super"), Some(1)).await.unwrap().expose(), "first");
        assert_eq!(store.all(&scope).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_leaves_nothing_to_the_old_key() {
    let place = Place::new().await;
    let (store, other) = (place.store(), place.store());
    fill(&store).await;
    check(&other).await;
    let old_file = fs::read(place.keys()).unwrap();
    assert_eq!(fs::metadata(place.keys()).unwrap().permissions().mode() & 0o777, 0o600);
    let old = place.key_names();
    let done = store.rotate().await.unwrap();
    assert_eq!((done.resealed, done.resumed), (10, false), "all versions count");
    assert_eq!(place.key_names(), std::slice::from_ref(&done.key));
    assert_ne!(old, place.key_names());
    check(&store).await;
    check(&other).await;
    check(&place.store()).await;
    // A process that was there before the rotation stores with the new key.
    set(&other, &SecretScope::Site, "late", "value").await;
    assert!(place.rows.secrets_of_other_keys(&done.key, 1).await.unwrap().is_empty());
    fs::write(place.keys(), old_file).unwrap();
    let refused = place.store().get(&model(1), &name("super"), None).await.unwrap_err();
    assert!(matches!(refused, SecretError::Damaged { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_rotation_is_finished_by_the_next() {
    for killed_after in [0, 1, 7] {
        let place = Place::new().await;
        fill(&place.store()).await;
        let rows = Arc::new(Killed { rows: Arc::clone(&place.rows), left: AtomicU32::new(killed_after) });
        let dying = Embedded::new(rows, place.keys(), Arc::new(RealRandomness));
        assert!(dying.rotate().await.is_err());
        assert_eq!(place.key_names().len(), 2);
        let store = place.store();
        check(&store).await;
        set(&store, &SecretScope::Site, "meanwhile", "value").await;
        let done = store.rotate().await.unwrap();
        assert_eq!((done.resealed, done.resumed), (u64::from(10 - killed_after), true));
        assert_eq!(place.key_names(), [done.key]);
        check(&place.store()).await;
        assert_eq!(store.all(&SecretScope::Site).await.unwrap()["meanwhile"].expose(), "value");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_and_changes_at_once_lose_nothing() {
    let place = Arc::new(Place::new().await);
    fill(&place.store()).await;
    let writer = {
        let place = Arc::clone(&place);
        tokio::spawn(async move {
            let store = place.store();
            for number in 0..30 {
                set(&store, &SecretScope::Site, "busy", &format!("busy-{number}")).await;
                let read = store.get(&SecretScope::Site, &name("busy"), None).await.unwrap();
                assert_eq!(read.expose(), format!("busy-{number}"));
            }
        })
    };
    for _ in 0..5 {
        place.store().rotate().await.unwrap();
    }
    writer.await.unwrap();
    let done = place.store().rotate().await.unwrap();
    assert!(place.rows.secrets_of_other_keys(&done.key, 1).await.unwrap().is_empty());
    check(&place.store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_key_is_told_and_never_replaced() {
    let place = Place::new().await;
    assert_eq!(
        place.store().rotate().await.unwrap().resealed,
        0,
        "with nothing in it there is a first key, then another"
    );
    fill(&place.store()).await;
    let kept = fs::read(place.keys()).unwrap();
    fs::remove_file(place.keys()).unwrap();
    let store = place.store();
    for refused in [
        store.get(&model(1), &name("super"), None).await.map(drop),
        store.set(&model(1), &name("new"), &"value".into(), "ann", Timestamp::now()).await.map(drop),
        store.rotate().await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("secrets.key"), "{refused}");
    }
    assert!(!place.keys().exists());
    fs::write(place.keys(), &kept).unwrap();
    let refused = store.get(&model(1), &name("super"), None).await.unwrap_err();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    fs::set_permissions(place.keys(), fs::Permissions::from_mode(0o600)).unwrap();
    check(&store).await;
    assert_eq!(store.list(&model(1)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_change_places_do_not_open() {
    let place = Place::new().await;
    let store = place.store();
    set(&store, &model(1), "super", "of one").await;
    let row = place.rows.secret(&model(1).key(), "super", None).await.unwrap().unwrap();
    let stolen = SealedSecret { scope: model(2).key(), ..row.clone() };
    place.rows.insert_secret(&stolen, 10).await.unwrap();
    let refused = store.get(&model(2), &name("super"), None).await.unwrap_err();
    assert!(matches!(refused, SecretError::Damaged { .. }), "{refused}");
    assert!(!format!("{refused:?}").contains("of one"));
    // It can be set again, or deleted; until then a rotation says which row it can't seal.
    let refused = store.rotate().await.unwrap_err();
    assert!(refused.to_string().contains(&model(2).key()), "{refused}");
    store.delete(&model(2), &name("super")).await.unwrap();
    assert!(store.rotate().await.unwrap().resumed);
}
