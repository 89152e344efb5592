//! Rows of sealed secrets, and the trail. The store keeps what it is given; it opens nothing.

use csw_core::{
    page::PageRequest,
    ports::{AccountStore, SealedSecret, SecretRows, SecretTrail, StoreError},
    secret::{SecretAction, SecretEvent},
};
use csw_store::SqlStore;

use crate::world::{World, now};

fn row(scope: &str, name: &str, version: u32) -> SealedSecret {
    SealedSecret {
        scope: scope.to_owned(),
        name: name.to_owned(),
        version,
        key: "k-1".to_owned(),
        sealed: vec![0, 255, u8::try_from(version).unwrap()],
        set_by: "Publisher".to_owned(),
        set_at: now(),
    }
}

pub async fn rows(store: &SqlStore) {
    assert!(!store.has_secrets().await.unwrap());
    let first = row("site", "a", 1);
    store.insert_secret(&first, 10).await.unwrap();
    assert_eq!(store.secret("site", "a", None).await.unwrap(), Some(first.clone()));
    let taken = store.insert_secret(&first, 10).await;
    assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{taken:?}");
    store.insert_secret(&row("model:x", "a", 1), 10).await.unwrap();
    store.insert_secret(&row("site", "A", 1), 10).await.unwrap();
    store.insert_secret(&row("site", "a", 2), 10).await.unwrap();
    let newest = store.secrets("site").await.unwrap();
    let newest: Vec<_> = newest.iter().map(|row| (row.name.as_str(), row.version)).collect();
    assert_eq!(newest, [("A", 1), ("a", 2)], "names are told apart by their case");
    assert_eq!(store.secret("site", "a", Some(1)).await.unwrap(), Some(first));
    assert_eq!(store.secret("site", "a", Some(3)).await.unwrap(), None);
    assert!(store.delete_secret("site", "a").await.unwrap());
    assert!(!store.delete_secret("site", "a").await.unwrap());
    assert_eq!(store.secret("site", "a", Some(1)).await.unwrap(), None);
    assert_eq!(store.secrets("model:x").await.unwrap().len(), 1);
    assert!(store.has_secrets().await.unwrap());
}

pub async fn old_versions_go(store: &SqlStore) {
    for version in 1..=12 {
        store.insert_secret(&row("site", "a", version), 3).await.unwrap();
    }
    for (version, kept) in [(9, false), (10, true), (12, true)] {
        assert_eq!(store.secret("site", "a", Some(version)).await.unwrap().is_some(), kept, "{version}");
    }
}

pub async fn other_seals(store: &SqlStore) {
    for version in 1..=3 {
        store.insert_secret(&row("site", "a", version), 10).await.unwrap();
    }
    assert!(store.secrets_of_other_keys("k-1", 10).await.unwrap().is_empty());
    let others = store.secrets_of_other_keys("k-2", 2).await.unwrap();
    assert_eq!(others.len(), 2, "no more than asked for");
    assert!(store.reseal_secret(&others[0], "k-2", b"other").await.unwrap());
    assert!(!store.reseal_secret(&others[0], "k-2", b"again").await.unwrap(), "it has another seal by now");
    let changed = store.secret("site", "a", Some(1)).await.unwrap().unwrap();
    assert_eq!((changed.key.as_str(), changed.sealed.as_slice()), ("k-2", b"other".as_slice()));
    assert_eq!(changed.set_at, others[0].set_at);
    let left: Vec<_> = store.secrets_of_other_keys("k-2", 10).await.unwrap().iter().map(|row| row.version).collect();
    assert_eq!(left, [2, 3]);
}

pub async fn trail(store: &SqlStore) {
    let world = World::new(store).await;
    let event = |scope: &str, action, version| SecretEvent {
        at: now(),
        who: "Publisher".to_owned(),
        action,
        scope: scope.to_owned(),
        secret: "a".to_owned(),
        version,
    };
    let set = event("site", SecretAction::Set, Some(1));
    let read = event("site", SecretAction::Read, None);
    for event in [&set, &event("model:x", SecretAction::Delete, None), &read] {
        store.note_secret_event(event).await.unwrap();
    }
    let all = PageRequest::default();
    assert_eq!(store.secret_events(Some("site"), all).await.unwrap().items, [read, set], "newest first");
    assert_eq!(store.secret_events(None, all).await.unwrap().total, 3);
    let second = store.secret_events(None, PageRequest { number: 2, size: 2 }).await.unwrap();
    assert_eq!((second.total, second.items.len()), (3, 1));
    // Whoever leaves is named by nothing that stays.
    store.insert_secret(&row("site", "a", 1), 10).await.unwrap();
    store.delete_account(world.owner).await.unwrap();
    let left = store.secret_events(None, all).await.unwrap();
    assert!(left.items.iter().all(|event| event.who.starts_with("deleted-")), "{left:?}");
    let kept = store.secret("site", "a", None).await.unwrap().unwrap();
    assert!(kept.set_by.starts_with("deleted-"), "{}", kept.set_by);
}
