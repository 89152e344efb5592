//! What is kept of forges elsewhere: checks, deliveries of webhooks, trust in workflows.

use csw_core::{
    build::{Build, BuildOrder, BuildState, Source, Stage, Trigger},
    check::{ForgeCommit, KeptCheck},
    ports::{Store, StoreError},
    trust::Trust,
};

use crate::world::{World, id, later, now, person};

fn beside(pull_request: Option<u64>) -> ForgeCommit {
    ForgeCommit {
        repository: "PSL/Model".to_owned(),
        commit: "c0ffee".to_owned(),
        pull_request,
        fork: Some("ada/Model".to_owned()),
    }
}

fn build(world: &World<'_>, pull_request: Option<u64>) -> Build {
    let source = Source::Git { url: "https://example.org".to_owned(), reference: "c0ffee".to_owned() };
    Build {
        id: id!(BuildId),
        model: world.model,
        requested_by: world.owner,
        trigger: Trigger::PullRequest,
        source: String::new(),
        order: BuildOrder { forge: Some(beside(pull_request)), check: true, ..BuildOrder::of(source) },
        commit: None,
        stage: Stage::Fetch,
        stages: vec![],
        state: BuildState::Queued,
        message: None,
        version: None,
        attempt: 0,
        created_at: now(),
        finished_at: None,
    }
}

pub async fn builds_of_a_line_replace_each_other(store: &dyn Store) {
    let world = World::new(store).await;
    let (push, first, other) = (build(&world, None), build(&world, Some(1)), build(&world, Some(2)));
    for one in [&push, &first, &other] {
        assert_eq!(store.insert_build(one, false).await.unwrap(), []);
    }
    let second = build(&world, Some(1));
    let superseded = store.insert_build(&second, false).await.unwrap();
    assert_eq!(superseded.iter().map(|build| build.id).collect::<Vec<_>>(), [first.id]);
    let kept = store.build(second.id).await.unwrap().unwrap();
    assert_eq!(kept.order, second.order);
    assert_eq!(store.unfinished_builds().await.unwrap().len(), 3);
}

pub async fn checks(store: &dyn Store) {
    let world = World::new(store).await;
    let made = build(&world, Some(1));
    store.insert_build(&made, false).await.unwrap();
    let silent = Build { order: BuildOrder { check: false, ..made.order.clone() }, ..build(&world, None) };
    store.insert_build(&silent, false).await.unwrap();
    let of_build = made.check().unwrap();
    assert_eq!(store.open_checks().await.unwrap(), std::slice::from_ref(&of_build), "only where one is wanted");
    assert_eq!((of_build.build(), &of_build.on), (made.id, &beside(Some(1))));
    let alone = KeptCheck::new(id!(CheckId), world.model, beside(Some(2)), now());
    store.insert_check(&alone).await.unwrap();
    assert_eq!(store.checks_of_commit("psl/model", "c0ffee").await.unwrap(), [alone.clone(), of_build.clone()]);
    assert_eq!(store.checks_of_commit("psl/other", "c0ffee").await.unwrap(), []);

    // An attempt is taken by one, and counted.
    let (at, until) = (now(), later(now(), 1));
    assert!(store.claim_check(alone.id, at, until).await.unwrap());
    assert!(!store.claim_check(alone.id, at, until).await.unwrap());
    assert!(store.claim_check(alone.id, later(at, 2), until).await.unwrap(), "it is due again");
    assert_eq!(store.check(alone.id).await.unwrap().unwrap().attempts, 2);
    let told = KeptCheck { remote: Some("7".to_owned()), told: "queued".to_owned(), ..of_build.clone() };
    store.note_check(&told, false).await.unwrap();
    assert_eq!(store.check(told.id).await.unwrap().as_ref(), Some(&told));
    assert_eq!(store.open_checks().await.unwrap().len(), 2);
    store.note_check(&told, true).await.unwrap();
    assert_eq!(store.open_checks().await.unwrap().len(), 1);
    assert!(!store.claim_check(told.id, later(at, 2), until).await.unwrap(), "it is over");
    assert_eq!(store.forget_checks(later(now(), 1)).await.unwrap(), 1, "open ones stay");
    assert_eq!(store.check(told.id).await.unwrap(), None);
}

pub async fn deliveries(store: &dyn Store) {
    let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (long_ago, first) = (now(), now());
    assert!(store.take_delivery(&keys(&["a", "b"]), first, long_ago).await.unwrap());
    assert!(!store.take_delivery(&keys(&["c", "b"]), now(), long_ago).await.unwrap());
    assert!(store.take_delivery(&keys(&["c"]), now(), long_ago).await.unwrap(), "what was refused left nothing");
    store.give_back_delivery(&keys(&["a", "b"])).await.unwrap();
    assert!(store.take_delivery(&keys(&["b"]), now(), long_ago).await.unwrap());
    assert!(store.take_delivery(&keys(&["c"]), now(), later(now(), 1)).await.unwrap(), "old ones are forgotten");
}

/// Several servers get the same delivery at once: one takes it.
pub async fn a_delivery_is_taken_by_one(store: &dyn Store) {
    let keys = ["id 1".to_owned(), "signature 1".to_owned()];
    let (forget, at) = (now(), now());
    let takes = (0..8).map(|_| store.take_delivery(&keys, at, forget));
    let taken = futures::future::join_all(takes).await;
    assert_eq!(taken.into_iter().filter(|taken| matches!(taken, Ok(true))).count(), 1);
}

pub async fn trusts(store: &dyn Store) {
    let (ada, bob) = (person(store, "ada").await, person(store, "bob").await);
    let trust = Trust {
        id: id!(TrustId),
        account: ada,
        repository: "PSL/Publish".to_owned(),
        reference: "refs/heads/main".to_owned(),
        environment: "production".to_owned(),
        models: vec!["ada/One".to_owned(), "ada/Two".to_owned()],
        promote: true,
        repository_id: None,
        created_at: now(),
        last_used_at: None,
    };
    let other = Trust { id: id!(TrustId), account: bob, models: vec![], promote: false, ..trust.clone() };
    store.insert_trust(&trust).await.unwrap();
    store.insert_trust(&other).await.unwrap();
    assert_eq!(store.trusts(ada).await.unwrap(), std::slice::from_ref(&trust));
    assert_eq!(store.trusts_in("psl/PUBLISH").await.unwrap(), [trust.clone(), other.clone()]);
    assert_eq!(store.trusts_in("psl/publish2").await.unwrap(), []);
    let (first, second) = (now(), now());
    store.touch_trust(trust.id, "7", first).await.unwrap();
    store.touch_trust(trust.id, "8", second).await.unwrap();
    let used = store.trusts(ada).await.unwrap().remove(0);
    assert_eq!((used.repository_id.as_deref(), used.last_used_at), (Some("7"), Some(second)), "the first number stays");
    assert!(!store.delete_trust(bob, trust.id).await.unwrap());
    assert!(store.delete_trust(ada, trust.id).await.unwrap());
    store.delete_account(bob).await.unwrap();
    assert_eq!(store.trusts_in("psl/publish").await.unwrap(), [], "nobody acts for an account that is gone");
    let orphan = Trust { id: id!(TrustId), account: id!(AccountId), ..other };
    let refused = store.insert_trust(&orphan).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
}
