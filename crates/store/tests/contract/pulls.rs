//! Pull requests: their numbers, the one that a branch may have open, and changes that meet.

use std::collections::BTreeSet;

use csw_core::{
    ids::AccountId,
    page::PageRequest,
    ports::PullStore,
    pull::{Check, Merge, Pull, PullState},
    repository::RepositoryId,
};
use csw_store::SqlStore;

use crate::world::{World, id, now};

const PAGE: PageRequest = PageRequest { number: 1, size: 2 };

fn pull(author: AccountId, repository: RepositoryId, branch: &str) -> Pull {
    let at = now();
    Pull {
        id: id!(PullId),
        repository,
        number: 0,
        author,
        author_name: "Publisher".to_owned(),
        title: "A title".to_owned(),
        body: "Why".to_owned(),
        branch: branch.to_owned(),
        into: "main".to_owned(),
        head: "c0ffee".to_owned(),
        state: PullState::Open,
        checks: vec![],
        skip_tests: false,
        merge: None,
        outcome: None,
        revision: 1,
        created_at: at,
        updated_at: at,
        closed_at: None,
    }
}

pub async fn numbers_and_branches(store: &SqlStore) {
    let world = World::new(store).await;
    let (author, own) = (world.owner, RepositoryId::Model(world.model));
    let wanted = pull(author, own, "idea");
    let first = store.insert_pull(&wanted).await.unwrap();
    assert_eq!(first, Pull { number: 1, ..wanted });
    // The branch has one; another repository counts for itself.
    let again = store.insert_pull(&pull(author, own, "idea")).await.unwrap();
    assert_eq!(again, first);
    let second = store.insert_pull(&pull(author, own, "other")).await.unwrap();
    let elsewhere = store.insert_pull(&pull(author, RepositoryId::Publish, "idea")).await.unwrap();
    assert_eq!((second.number, elsewhere.number), (2, 1));
    assert_eq!(store.pull(own, 1).await.unwrap(), Some(first.clone()));
    assert_eq!(store.pull(own, 3).await.unwrap(), None);
    assert_eq!(store.open_pull(RepositoryId::Publish, "idea").await.unwrap(), Some(elsewhere));
    // Once that is over, the branch may have another.
    assert!(store.update_pull(&Pull { state: PullState::Closed, ..first }).await.unwrap());
    assert_eq!(store.open_pull(own, "idea").await.unwrap(), None);
    assert_eq!(store.insert_pull(&pull(author, own, "idea")).await.unwrap().number, 3);
}

pub async fn revisions(store: &SqlStore) {
    let world = World::new(store).await;
    let author = world.owner;
    let read = store.insert_pull(&pull(author, RepositoryId::Publish, "idea")).await.unwrap();
    let merge = Merge { commit: "b".to_owned(), from: "a".to_owned(), by: author, delete_branch: true };
    let check = Check {
        model: Some(world.model),
        name: "a/B".to_owned(),
        build: Some(id!(BuildId)),
        problem: Some("none".to_owned()),
    };
    let changed = Pull {
        title: "Other".to_owned(),
        body: String::new(),
        head: "decade".to_owned(),
        state: PullState::Merging,
        checks: vec![check],
        skip_tests: true,
        merge: Some(merge),
        outcome: Some("said".to_owned()),
        updated_at: now(),
        closed_at: Some(now()),
        ..read.clone()
    };
    assert!(store.update_pull(&changed).await.unwrap());
    assert_eq!(store.merging_pulls().await.unwrap(), [Pull { revision: 2, ..changed }]);
    // Who has read it before may not store what they made of it.
    assert!(!store.update_pull(&Pull { title: "Late".to_owned(), ..read }).await.unwrap());
}

pub async fn lists(store: &SqlStore) {
    let world = World::new(store).await;
    for branch in ["a", "b", "c"] {
        store.insert_pull(&pull(world.owner, RepositoryId::Publish, branch)).await.unwrap();
    }
    let first = store.pull(RepositoryId::Publish, 1).await.unwrap().unwrap();
    assert!(store.update_pull(&Pull { state: PullState::Merged, ..first }).await.unwrap());
    let open = store.pulls(RepositoryId::Publish, true, PAGE).await.unwrap();
    let numbers: Vec<_> = open.items.iter().map(|pull| pull.number).collect();
    assert_eq!((open.total, numbers), (2, vec![3, 2]));
    let over = store.pulls(RepositoryId::Publish, false, PAGE).await.unwrap();
    assert_eq!((over.total, over.items[0].number), (1, 1));
    let other = store.pulls(RepositoryId::Model(world.model), true, PAGE).await.unwrap();
    assert_eq!(other.total, 0);
}

pub async fn numbers_under_concurrency(store: &SqlStore) {
    let world = World::new(store).await;
    let wanted: Vec<_> =
        (0..6).map(|n| pull(world.owner, RepositoryId::Publish, &format!("branch-{}", n % 3))).collect();
    let made = futures::future::join_all(wanted.iter().map(|pull| store.insert_pull(pull))).await;
    let made: BTreeSet<_> = made.into_iter().map(Result::unwrap).map(|pull| (pull.branch, pull.number)).collect();
    assert_eq!(made.len(), 3, "a branch has one: {made:?}");
    let numbers: BTreeSet<_> = made.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, BTreeSet::from([1, 2, 3]));
}
