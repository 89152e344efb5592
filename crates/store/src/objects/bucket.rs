//! Object storage in a bucket: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.
//!
//! Keys hold the hash of their bytes, so a second put of a key changes nothing but its time, which whoever removes old
//! objects that nobody names goes by.

use std::{ops::Range, path::Path as FilePath, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use csw_core::{
    causes,
    ports::{DownloadHeaders, ObjectError, ObjectStorage},
};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart,
    path::Path,
    signer::{Method, SignedUrlOptions},
};
use tokio::{fs::File, io::AsyncReadExt};

use super::{
    is_key,
    place::{BucketConfig, BucketCredentials, Opened, Sign},
};

/// Bytes that are sent at once, and the size from which a file is sent in parts.
const PART: u64 = 8 << 20;

/// Parts of one file that are on their way.
const AT_ONCE: usize = 3;

/// Parts that one object may have; S3 takes 10,000.
const MOST_PARTS: u64 = 9_000;

/// Characters of what a storage says that go into an error.
const SAID: usize = 400;

/// A bucket. Cheap to clone.
#[derive(Clone)]
pub struct BucketObjects {
    config: Arc<BucketConfig>,
    store: Arc<dyn ObjectStore>,
    signer: Option<Sign>,
}

impl std::fmt::Debug for BucketObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BucketObjects").field(&self.config.name()).finish()
    }
}

impl BucketObjects {
    /// Objects in a bucket. Nothing is asked of it yet; what the settings lack is an error.
    pub fn open(config: BucketConfig) -> Result<Self, ObjectError> {
        let config = config.resolved();
        let Opened { store, signer } = config.open()?;
        Ok(Self { config: Arc::new(config), store, signer })
    }

    /// The bucket's name with its prefix, as a URL.
    pub fn name(&self) -> String {
        self.config.name()
    }

    /// Whether somebody without any credentials may read this object.
    pub async fn is_public(&self, key: &str) -> Result<bool, ObjectError> {
        let config = BucketConfig { credentials: BucketCredentials::Anonymous, ..(*self.config).clone() };
        let stranger = config.open()?.store;
        Ok(stranger.head(&self.path(key)?).await.is_ok())
    }

    fn path(&self, key: &str) -> Result<Path, ObjectError> {
        let whole =
            if self.config.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.config.prefix) };
        let path = if is_key(key) { Path::parse(whole).ok() } else { None };
        path.ok_or_else(|| ObjectError::NotFound { key: key.to_owned() })
    }

    /// Key of a path.
    fn key(&self, path: &Path) -> String {
        let whole = path.as_ref();
        let below = whole.strip_prefix(&self.config.prefix).map(|rest| rest.trim_start_matches('/'));
        below.unwrap_or(whole).to_owned()
    }

    /// When an object was last put.
    async fn last_put(&self, path: &Path, key: &str) -> Result<Option<Timestamp>, ObjectError> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(timestamp(&meta))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(key, &error)),
        }
    }

    /// Whether it was put so lately that nobody will take it for an old one.
    fn is_fresh(&self, put: Timestamp) -> bool {
        let age = Timestamp::now().duration_since(put);
        age.unsigned_abs() < self.config.fresh || age.is_negative()
    }

    async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        if self.config.conditional_puts {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.store.put_opts(&path, bytes.clone().into(), options).await {
                Ok(_) => return Ok(()),
                Err(Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(failed(key, &error)),
            }
        }
        if self.last_put(&path, key).await?.is_some_and(|put| self.is_fresh(put)) {
            return Ok(());
        }
        self.store.put(&path, bytes.into()).await.map_err(|error| failed(key, &error))?;
        Ok(())
    }

    async fn put_in_parts(&self, key: &str, mut file: File, length: u64) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        if self.last_put(&path, key).await?.is_some_and(|put| self.is_fresh(put)) {
            return Ok(());
        }
        let part = part_size(length);
        let upload = self.store.put_multipart(&path).await.map_err(|error| failed(key, &error))?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, part);
        let sent = send(&mut file, &mut writer, part, key).await;
        match sent {
            Ok(()) => writer.finish().await.map(|_| ()).map_err(|error| failed(key, &error)),
            Err(error) => {
                if let Err(left) = writer.abort().await {
                    tracing::warn!(key, error = %left, "parts of an upload are left in the bucket");
                }
                Err(error)
            }
        }
    }

    /// What is known of an object whose range could not be read: nothing is there to read behind its end.
    async fn is_behind(&self, path: &Path, range: Option<&Range<u64>>) -> bool {
        match (range, self.store.head(path).await) {
            (Some(range), Ok(meta)) => range.start >= meta.size || range.is_empty(),
            _ => false,
        }
    }
}

async fn send(file: &mut File, writer: &mut WriteMultipart, part: usize, key: &str) -> Result<(), ObjectError> {
    loop {
        let mut buffer = BytesMut::with_capacity(part);
        while buffer.len() < part && file.read_buf(&mut buffer).await.map_err(|error| unreadable(key, &error))? > 0 {}
        if buffer.is_empty() {
            return Ok(());
        }
        writer.wait_for_capacity(AT_ONCE).await.map_err(|error| failed(key, &error))?;
        writer.put(buffer.freeze());
    }
}

/// Bytes of each part of an object of this length.
fn part_size(length: u64) -> usize {
    usize::try_from(length.div_ceil(MOST_PARTS).max(PART)).unwrap_or(usize::MAX)
}

fn timestamp(meta: &object_store::ObjectMeta) -> Timestamp {
    Timestamp::from_microsecond(meta.last_modified.timestamp_micros()).unwrap_or(Timestamp::MIN)
}

fn unreadable(key: &str, error: &std::io::Error) -> ObjectError {
    ObjectError::Unavailable { key: key.to_owned(), cause: error.to_string() }
}

/// What a storage said, in one line: it may answer with a whole document.
fn failed(key: &str, error: &Error) -> ObjectError {
    if matches!(error, Error::NotFound { .. }) {
        return ObjectError::NotFound { key: key.to_owned() };
    }
    let said = causes::chain(error).split_whitespace().collect::<Vec<_>>().join(" ");
    let cause = match error {
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => {
            format!("the credentials are refused: {said}")
        }
        _ => said,
    };
    ObjectError::Unavailable { key: key.to_owned(), cause: cause.chars().take(SAID).collect() }
}

#[async_trait]
impl ObjectStorage for BucketObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.put_bytes(key, bytes).await
    }

    async fn put_file(&self, key: &str, file: &FilePath) -> Result<(), ObjectError> {
        let failed = |error: std::io::Error| unreadable(key, &error);
        let mut open = File::open(file).await.map_err(failed)?;
        let length = open.metadata().await.map_err(failed)?.len();
        if length > PART {
            return self.put_in_parts(key, open, length).await;
        }
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes).await.map_err(failed)?;
        self.put_bytes(key, bytes.into()).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, ObjectError> {
        match self.store.head(&self.path(key)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(key, &error)),
        }
    }

    async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        let path = self.path(key)?;
        let wanted = range.clone().map(|range| match range.end {
            u64::MAX => GetRange::Offset(range.start),
            _ => GetRange::Bounded(range),
        });
        match self.store.get_opts(&path, GetOptions { range: wanted, ..GetOptions::default() }).await {
            Ok(found) => {
                let key = key.to_owned();
                Ok(found.into_stream().map_err(move |error| failed(&key, &error)).boxed())
            }
            Err(error @ Error::NotFound { .. }) => Err(failed(key, &error)),
            Err(_) if self.is_behind(&path, range.as_ref()).await => Ok(stream::empty().boxed()),
            Err(error) => Err(failed(key, &error)),
        }
    }

    async fn put_before(
        &self,
        prefix: &str,
        time: Timestamp,
    ) -> Result<BoxStream<'static, Result<String, ObjectError>>, ObjectError> {
        let (bucket, below) = (self.clone(), prefix.to_owned());
        let listed = self.store.list(Some(&self.path(prefix)?));
        let old = listed.try_filter(move |meta| futures::future::ready(timestamp(meta) < time));
        let keys =
            old.map(move |meta| meta.map(|meta| bucket.key(&meta.location)).map_err(|error| failed(&below, &error)));
        Ok(keys.boxed())
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        match self.store.delete(&self.path(key)?).await {
            Err(error) if !matches!(error, Error::NotFound { .. }) => Err(failed(key, &error)),
            _ => Ok(()),
        }
    }

    async fn delete_put_before(&self, key: &str, time: Timestamp) -> Result<bool, ObjectError> {
        match self.last_put(&self.path(key)?, key).await? {
            Some(put) if put < time => self.delete(key).await.map(|()| true),
            _ => Ok(false),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn signed_download(
        &self,
        key: &str,
        headers: &DownloadHeaders,
        valid: Duration,
    ) -> Result<Option<String>, ObjectError> {
        let path = self.path(key)?;
        match &self.signer {
            None => Ok(None),
            Some(Sign::Sas(signer)) => Ok(signer.sign(path.as_ref(), headers, Timestamp::now(), valid)),
            Some(Sign::Query(signer)) => {
                let options = SignedUrlOptions::default().with_query([
                    ("response-content-type", &headers.content_type),
                    ("response-content-disposition", &headers.content_disposition),
                ]);
                let signed = signer.signed_url_opts(Method::GET, &path, valid, &options).await;
                signed.map(|url| Some(url.to_string())).map_err(|error| failed(key, &error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_no_more_parts_than_a_storage_takes() {
        assert_eq!(part_size(PART + 1) as u64, PART);
        for length in [PART, 100 << 30, 5 << 40] {
            assert!(length.div_ceil(part_size(length) as u64) <= MOST_PARTS, "{length}");
        }
    }
}
