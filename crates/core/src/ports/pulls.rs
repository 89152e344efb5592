//! Pull requests of the site's own forge, as the database has them.

use async_trait::async_trait;

use crate::{
    page::{Page, PageRequest},
    ports::StoreResult,
    pull::Pull,
    repository::RepositoryId,
};

/// Pull requests.
#[async_trait]
pub trait PullStore: Send + Sync {
    /// Adds an open one under the next number of its repository. Where the branch has one that is open, that is returned.
    async fn insert_pull(&self, pull: &Pull) -> StoreResult<Pull>;
    /// Stores how one stands, unless it has changed since it was read: false. The stored one has the next revision.
    async fn update_pull(&self, pull: &Pull) -> StoreResult<bool>;
    /// By its number.
    async fn pull(&self, repository: RepositoryId, number: u32) -> StoreResult<Option<Pull>>;
    /// The open one of a branch.
    async fn open_pull(&self, repository: RepositoryId, branch: &str) -> StoreResult<Option<Pull>>;
    /// Those of a repository, newest first: the open ones, or those that are over.
    async fn pulls(&self, repository: RepositoryId, open: bool, page: PageRequest) -> StoreResult<Page<Pull>>;
    /// Those that are being merged.
    async fn merging_pulls(&self) -> StoreResult<Vec<Pull>>;
}
