//! Object storage in a folder. A put is a file elsewhere in it, brought to disk, then renamed: whole or not at all.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::ports::{DownloadHeaders, ObjectError, ObjectStorage};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::is_key;

/// Bytes read at once.
const PART: usize = 256 * 1024;

/// What is being written; no key begins with a dot.
const INCOMING: &str = ".incoming";

/// A folder.
#[derive(Debug, Clone)]
pub struct FolderObjects {
    root: PathBuf,
}

impl FolderObjects {
    /// Objects below this folder, which is made if missing. What an earlier process left half-written is removed.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        let incoming = root.join(INCOMING);
        if incoming.exists() {
            std::fs::remove_dir_all(&incoming)?;
        }
        std::fs::create_dir_all(&incoming)?;
        Ok(Self { root: root.to_owned() })
    }

    fn place(&self, key: &str) -> Result<PathBuf, ObjectError> {
        if is_key(key) { Ok(self.root.join(key)) } else { Err(ObjectError::NotFound { key: key.to_owned() }) }
    }

    /// The folder of a place, made durably: the folders themselves are entries of the ones above.
    async fn folder_of(&self, place: &Path) -> std::io::Result<PathBuf> {
        let folder = place.parent().unwrap_or(&self.root).to_owned();
        if !tokio::fs::try_exists(&folder).await? {
            tokio::fs::create_dir_all(&folder).await?;
            for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.root)) {
                sync(above).await?;
            }
        }
        Ok(folder)
    }

    async fn receive(&self, key: &str, source: Source<'_>) -> std::io::Result<()> {
        let place = self.place(key).map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        match touch(&place).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            there => return there,
        }
        let folder = self.folder_of(&place).await?;
        if let Source::File(file) = source {
            sync(file).await?;
            match tokio::fs::rename(file, &place).await {
                Ok(()) => return sync(&folder).await,
                Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {}
                Err(error) => return Err(error),
            }
        }
        let incoming = Incoming(self.root.join(INCOMING).join(uuid::Uuid::new_v4().to_string()));
        write(&incoming.0, source).await?;
        tokio::fs::rename(&incoming.0, &place).await?;
        sync(&folder).await
    }
}

/// A file that is removed unless it was moved away, also when nobody waits for it any more.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // Moved away is as good as removed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Notes that an object was put again: whoever removes old ones that nobody names has to know.
async fn touch(place: &Path) -> std::io::Result<()> {
    let file = tokio::fs::File::open(place).await?.into_std().await;
    let touched = tokio::task::spawn_blocking(move || file.set_modified(SystemTime::now())).await;
    touched.map_err(std::io::Error::other)?
}

/// The files two folders below this one that were last changed before a time, as `prefix/a/b`.
fn old_files(root: &Path, prefix: &str, time: SystemTime) -> std::io::Result<Vec<String>> {
    let mut keys = Vec::new();
    let folder = root.join(prefix);
    if !folder.exists() {
        return Ok(keys);
    }
    for middle in std::fs::read_dir(folder)? {
        let middle = middle?;
        if !middle.file_type()?.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(middle.path())? {
            let entry = entry?;
            // It may have been removed since it was listed.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file()
                && metadata.modified()? < time
                && let (Some(middle), Some(name)) = (middle.file_name().to_str(), entry.file_name().to_str())
            {
                keys.push(format!("{prefix}/{middle}/{name}"));
            }
        }
    }
    Ok(keys)
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.as_microsecond()).unwrap_or_default())
}

/// Brings a file, or the entries of a folder, to disk.
async fn sync(path: &Path) -> std::io::Result<()> {
    tokio::fs::File::open(path).await?.sync_all().await
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Bytes(&'a Bytes),
    File(&'a Path),
}

async fn write(incoming: &Path, source: Source<'_>) -> std::io::Result<()> {
    let mut target = tokio::fs::File::create_new(incoming).await?;
    match source {
        Source::Bytes(bytes) => target.write_all(bytes).await?,
        Source::File(file) => {
            let mut from = tokio::fs::File::open(file).await?;
            tokio::io::copy(&mut from, &mut target).await?;
        }
    }
    target.flush().await?;
    target.sync_all().await
}

fn unavailable(key: &str, error: &std::io::Error) -> ObjectError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ObjectError::NotFound { key: key.to_owned() },
        _ => ObjectError::Unavailable { key: key.to_owned(), cause: error.to_string() },
    }
}

#[async_trait]
impl ObjectStorage for FolderObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.receive(key, Source::Bytes(&bytes)).await.map_err(|error| unavailable(key, &error))
    }

    async fn put_file(&self, key: &str, file: &Path) -> Result<(), ObjectError> {
        self.receive(key, Source::File(file)).await.map_err(|error| unavailable(key, &error))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, ObjectError> {
        match tokio::fs::metadata(self.place(key)?).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(key, &error)),
        }
    }

    async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        let failed = |error: std::io::Error| unavailable(key, &error);
        let mut file = tokio::fs::File::open(self.place(key)?).await.map_err(failed)?;
        let range = range.unwrap_or(0..u64::MAX);
        if range.start > 0 {
            file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(failed)?;
        }
        let key = key.to_owned();
        let part = file.take(range.end.saturating_sub(range.start));
        let stream = ReaderStream::with_capacity(part, PART);
        Ok(stream.map(move |bytes| bytes.map_err(|error| unavailable(&key, &error))).boxed())
    }

    async fn put_before(
        &self,
        prefix: &str,
        time: Timestamp,
    ) -> Result<BoxStream<'static, Result<String, ObjectError>>, ObjectError> {
        let (root, below, time) = (self.root.clone(), prefix.to_owned(), system_time(time));
        let listed = tokio::task::spawn_blocking(move || old_files(&root, &below, time)).await;
        let keys = listed.map_err(std::io::Error::other).flatten().map_err(|error| unavailable(prefix, &error))?;
        Ok(stream::iter(keys.into_iter().map(Ok)).boxed())
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        match tokio::fs::remove_file(self.place(key)?).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unavailable(key, &error)),
            _ => Ok(()),
        }
    }

    async fn delete_put_before(&self, key: &str, time: Timestamp) -> Result<bool, ObjectError> {
        match tokio::fs::metadata(self.place(key)?).await.and_then(|metadata| metadata.modified()) {
            Ok(put) if put < system_time(time) => self.delete(key).await.map(|()| true),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unavailable(key, &error)),
            _ => Ok(false),
        }
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn signed_download(&self, _: &str, _: &DownloadHeaders, _: Duration) -> Result<Option<String>, ObjectError> {
        Ok(None)
    }
}
