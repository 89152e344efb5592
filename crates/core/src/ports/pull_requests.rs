//! Pull requests of a repository on a forge.

use async_trait::async_trait;
use thiserror::Error;

/// A pull request that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Its title.
    pub title: String,
}

/// What a pull request is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    /// The branch that is to be merged.
    pub branch: String,
    /// The branch that it is to be merged into.
    pub into: String,
    /// Its title.
    pub title: String,
    /// Markdown.
    pub body: String,
}

/// Why a forge did not do as asked.
#[derive(Debug, Error)]
pub enum ForgeError {
    /// It does not answer, or not now.
    #[error("{what}: {cause}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// What happened.
        cause: String,
    },
    /// It has had too many requests.
    #[error("{what}: the forge takes no more requests for {seconds} s")]
    TooMany {
        /// What was being done.
        what: String,
        /// When to come back.
        seconds: u64,
    },
    /// It said no.
    #[error("{what}: {sentence}")]
    Refused {
        /// What was being done.
        what: String,
        /// Its reason, and the way out.
        sentence: String,
    },
}

/// Results of requests to a forge.
pub type ForgeResult<T> = Result<T, ForgeError>;

/// The pull requests of one repository.
#[async_trait]
pub trait PullRequests: Send + Sync {
    /// The open one of a branch of the repository itself, into another branch of it.
    async fn of_branch(&self, branch: &str, into: &str) -> ForgeResult<Option<PullRequest>>;
    /// Opens one. Where the branch has one already, that one is returned, unchanged.
    async fn open(&self, wanted: &NewPullRequest) -> ForgeResult<PullRequest>;
    /// Gives one another title; what people wrote below it stays.
    async fn retitle(&self, number: u64, title: &str) -> ForgeResult<PullRequest>;
}
