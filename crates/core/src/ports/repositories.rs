//! The site's own forge: bare git repositories, one for each model, that the server itself hands out.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;

use crate::ids::ModelId;

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
}

/// Keeps the repositories.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// Answers git. The repository is made where it is missing.
    async fn serve(&self, model: ModelId, request: GitRequest) -> Result<GitAnswer, RepositoryError>;
    /// Branches and tags with their commits, as full names; empty where there is no repository.
    async fn refs(&self, model: ModelId) -> Result<Vec<(String, String)>, RepositoryError>;
}
