//! Object storage: immutable bytes under keys that contain their hash.

use std::{ops::Range, path::Path, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use thiserror::Error;

/// Why an object could not be stored or read.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// There is none.
    #[error("there is no object {key}")]
    NotFound {
        /// Its key.
        key: String,
    },
    /// The storage can't be used now: full, or out of reach.
    #[error("object storage failed for {key}: {cause}")]
    Unavailable {
        /// Its key.
        key: String,
        /// What the storage said.
        cause: String,
    },
}

/// Stores bytes by key. Puts are atomic and idempotent: a key that exists already holds the same bytes.
#[async_trait]
pub trait ObjectStorage: Send + Sync {
    /// Stores bytes.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;
    /// Stores a file, never holding more than a part of it in memory. The file may be moved away.
    async fn put_file(&self, key: &str, file: &Path) -> Result<(), ObjectError>;
    /// Length of an object in bytes, or `None` where there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>, ObjectError>;
    /// Streams an object or a range of it in parts.
    async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError>;
    /// Keys that were last put before this time, of those that begin with `prefix/`.
    async fn put_before(
        &self,
        prefix: &str,
        time: Timestamp,
    ) -> Result<BoxStream<'static, Result<String, ObjectError>>, ObjectError>;
    /// Removes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;
    /// Removes an object that was last put before this time; whether it did. Who put it again since it was listed keeps it.
    async fn delete_put_before(&self, key: &str, time: Timestamp) -> Result<bool, ObjectError>;
    /// Whether other processes, of which this one does not know, may be putting objects too.
    fn is_shared(&self) -> bool;
    /// An address that gives an object to whoever has it, for a short time and with these headers; `None` where this
    /// storage, or its credentials, can't make one.
    async fn signed_download(
        &self,
        key: &str,
        headers: &DownloadHeaders,
        valid: Duration,
    ) -> Result<Option<String>, ObjectError>;
}

/// What a signed download is sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadHeaders {
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Disposition`.
    pub content_disposition: String,
}
