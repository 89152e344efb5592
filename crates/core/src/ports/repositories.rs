//! The site's own forge: bare git repositories, one for each model and one to publish
//! from, that the server itself hands out.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use thiserror::Error;

use crate::repository::RepositoryId;

/// The two things that git does over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GitService {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl GitService {
    /// Git's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// The service with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::UploadPack, Self::ReceivePack].into_iter().find(|service| service.as_str() == name)
    }
}

/// A request of git's smart HTTP protocol.
pub struct GitRequest {
    /// What it is part of.
    pub service: GitService,
    /// Whether it only asks for the names of branches and tags, as every conversation begins.
    pub advertise: bool,
    /// Of its body.
    pub content_type: Option<String>,
    /// Of its body.
    pub content_encoding: Option<String>,
    /// The version of the protocol that the client offers.
    pub protocol: Option<String>,
    /// Its body.
    pub body: BoxStream<'static, io::Result<Bytes>>,
    /// What those who push are told.
    pub note: String,
    /// What may be pushed: full names, or beginnings of names that end in a slash. Everything where there are none.
    pub only: Vec<String>,
    /// What those are told who push something else.
    pub refusal: String,
}

/// A branch or tag that a push changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// `refs/heads/main`, `refs/tags/v1`.
    pub name: String,
    /// The commit it names now; none where it was removed.
    pub commit: Option<String>,
}

/// The answer to such a request.
pub struct GitAnswer {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: BoxStream<'static, io::Result<Bytes>>,
    /// What a push changed.
    pub changed: Vec<RefChange>,
    /// What was said with the push: `git push -o stage`.
    pub options: Vec<String>,
}

/// Why git could not answer.
#[derive(Debug, Error)]
pub enum RepositoryError {
    /// git is not on this machine, or its files can't be used.
    #[error("the repository can't be used: {cause}")]
    Unavailable {
        /// What is wrong.
        cause: String,
    },
    /// It took too long.
    #[error("git took longer than {seconds} s")]
    TimedOut {
        /// How long it may take.
        seconds: u64,
    },
    /// What was asked for is not there, or is nothing that can be used.
    #[error("{sentence}")]
    Unusable {
        /// What is wrong with it.
        sentence: String,
    },
}

/// A commit in few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLine {
    /// Its full name.
    pub id: String,
    /// Who wrote it, as they say.
    pub author: String,
    /// When it was made, as they say.
    pub at: Option<Timestamp>,
    /// The first line of its message.
    pub summary: String,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another one.
    Changed,
    /// It is gone.
    Removed,
}

impl ChangeKind {
    /// The shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// A file that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Its place in the repository.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The lines that differ, as git shows them; none where that is too much.
    pub patch: Option<String>,
}

/// What a branch has that another has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Its commits, newest first, as far as a person would read them.
    pub commits: Vec<CommitLine>,
    /// The message of its newest commit that is no merge.
    pub message: String,
    /// What it changes since both were the same.
    pub files: Vec<FileChange>,
    /// Whether there are more files than these.
    pub more_files: bool,
}

/// Two commits that are to become one.
#[derive(Debug, Clone)]
pub struct MergeWish {
    /// What is merged into.
    pub into: String,
    /// What is merged.
    pub head: String,
    /// Of the commit that joins them, where one is needed.
    pub message: String,
    /// Who merges.
    pub name: String,
    /// The address of who merges.
    pub email: String,
    /// When.
    pub at: Timestamp,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeResult {
    /// The commit that has both. No branch names it yet, unless one of the two had the other already.
    Commit(String),
    /// Both have changed these files, each in its way.
    Conflicts(Vec<String>),
}

/// Keeps the repositories.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// Answers git. The repository is made where it is missing.
    async fn serve(&self, at: RepositoryId, request: GitRequest) -> Result<GitAnswer, RepositoryError>;
    /// Branches and tags with their commits, as full names; empty where there is no repository.
    async fn refs(&self, at: RepositoryId) -> Result<Vec<(String, String)>, RepositoryError>;
    /// Makes the repository with these files in a first commit on `main`, unless it has a branch.
    async fn begin(&self, at: RepositoryId, files: &[(&str, &str)], now: Timestamp) -> Result<(), RepositoryError>;
    /// What `head` has that `into` has not. `Unusable` where they have no commit in common.
    async fn compare(&self, at: RepositoryId, into: &str, head: &str) -> Result<Comparison, RepositoryError>;
    /// The files of a commit below a folder.
    async fn files(&self, at: RepositoryId, commit: &str, folder: &str) -> Result<Vec<String>, RepositoryError>;
    /// The text of a file in a commit; none where it is not there. `Unusable` where it is no text, or a long one.
    async fn text(&self, at: RepositoryId, commit: &str, path: &str) -> Result<Option<String>, RepositoryError>;
    /// The name of all files of a commit together: equal for equal files.
    async fn tree(&self, at: RepositoryId, commit: &str) -> Result<String, RepositoryError>;
    /// Whether a commit is another one, or behind it.
    async fn contains(&self, at: RepositoryId, commit: &str, behind: &str) -> Result<bool, RepositoryError>;
    /// Joins two commits. Branches stay where they are.
    async fn merge(&self, at: RepositoryId, wish: &MergeWish) -> Result<MergeResult, RepositoryError>;
    /// Moves a branch from one commit to another, or removes it; false where it is not at the first.
    async fn move_branch(
        &self,
        at: RepositoryId,
        branch: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<bool, RepositoryError>;
}
