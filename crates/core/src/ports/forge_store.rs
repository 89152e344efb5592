//! What the database keeps of forges elsewhere: checks to be shown, deliveries of webhooks, trust in workflows.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreResult;
use crate::{
    check::KeptCheck,
    ids::{AccountId, CheckId, TrustId},
    trust::Trust,
};

/// Checks that forges are to be told of. Those of builds are made with the build, in one transaction.
#[async_trait]
pub trait CheckStore: Send + Sync {
    /// Adds one that has no build.
    async fn insert_check(&self, check: &KeptCheck) -> StoreResult<()>;
    /// By identifier.
    async fn check(&self, id: CheckId) -> StoreResult<Option<KeptCheck>>;
    /// Those beside a commit of a repository, newest first.
    async fn checks_of_commit(&self, repository: &str, commit: &str) -> StoreResult<Vec<KeptCheck>>;
    /// Those of which the forge does not know the end, oldest first.
    async fn open_checks(&self) -> StoreResult<Vec<KeptCheck>>;
    /// Takes the next attempt at one, and keeps others from it until then. False where it is not due.
    async fn claim_check(&self, id: CheckId, now: Timestamp, until: Timestamp) -> StoreResult<bool>;
    /// Stores what became of an attempt. One that is `over` is open no more.
    async fn note_check(&self, check: &KeptCheck, over: bool) -> StoreResult<()>;
    /// Forgets those that are over and older than this; how many.
    async fn forget_checks(&self, before: Timestamp) -> StoreResult<u64>;
}

/// Deliveries of webhooks that were taken, so that no server takes one twice.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Notes a delivery under its keys, and forgets those of before `forget`. False where one of them was noted already:
    /// then nothing is.
    async fn take_delivery(&self, keys: &[String], now: Timestamp, forget: Timestamp) -> StoreResult<bool>;
    /// Forgets a delivery that could not be handled.
    async fn give_back_delivery(&self, keys: &[String]) -> StoreResult<()>;
}

/// Trust of accounts in workflows.
#[async_trait]
pub trait TrustStore: Send + Sync {
    /// Adds one.
    async fn insert_trust(&self, trust: &Trust) -> StoreResult<()>;
    /// An account's, newest first.
    async fn trusts(&self, account: AccountId) -> StoreResult<Vec<Trust>>;
    /// Those in a repository, of any account.
    async fn trusts_in(&self, repository: &str) -> StoreResult<Vec<Trust>>;
    /// Removes one of an account; says whether it was there.
    async fn delete_trust(&self, account: AccountId, id: TrustId) -> StoreResult<bool>;
    /// Notes that a token of the repository with this number was accepted. The first number stays.
    async fn touch_trust(&self, id: TrustId, repository_id: &str, now: Timestamp) -> StoreResult<()>;
}
