//! An output on its way through the server: small ones in memory, others in a file, hashed as they come.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use csw_core::{
    ids::OutputId,
    run::{OutputBody, OutputDraft},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::frame::Head;

/// Larger outputs go through a file.
const IN_MEMORY: usize = 256 * 1024;

/// An output that is not complete.
pub(crate) struct Outgoing {
    head: Head,
    hash: Sha256,
    size: u64,
    memory: BytesMut,
    file: Option<(Arc<File>, TemporaryPath)>,
}

/// A file that is removed unless its receiver has moved it away.
pub(crate) struct TemporaryPath(PathBuf);

impl Drop for TemporaryPath {
    fn drop(&mut self) {
        // Moved away is as good as removed.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Outgoing {
    pub(crate) fn new(head: Head) -> Self {
        Self { head, hash: Sha256::new(), size: 0, memory: BytesMut::new(), file: None }
    }

    /// Keeps a part. One that could not be kept may be given again.
    pub(crate) async fn push(&mut self, folder: &Path, part: &Bytes) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + part.len() > IN_MEMORY {
            let path = folder.join(format!("output-{}", Uuid::now_v7()));
            let file = Arc::new(File::create_new(&path)?);
            let path = TemporaryPath(path);
            write(&file, 0, Bytes::copy_from_slice(&self.memory)).await?;
            self.memory = BytesMut::new();
            self.file = Some((file, path));
        }
        match &self.file {
            Some((file, _)) => write(file, self.size, part.clone()).await?,
            None => self.memory.extend_from_slice(part),
        }
        self.hash.update(part);
        self.size += part.len() as u64;
        Ok(())
    }

    /// The complete output; the file lives as long as the second part.
    pub(crate) fn finish(self) -> (OutputDraft, Option<TemporaryPath>) {
        let (body, path) = match self.file {
            None => (OutputBody::Bytes(self.memory.freeze()), None),
            Some((_, path)) => (OutputBody::File(path.0.clone()), Some(path)),
        };
        let draft = OutputDraft {
            id: OutputId::from_uuid(self.head.id.unwrap_or_else(Uuid::now_v7)),
            kind: self.head.kind,
            position: self.head.position,
            title: self.head.title,
            media_type: self.head.media_type,
            body,
            size: self.size,
            sha256: hex::encode(self.hash.finalize()),
        };
        (draft, path)
    }
}

/// Writes bytes where they belong, so that it can be done again.
async fn write(file: &Arc<File>, at: u64, bytes: Bytes) -> io::Result<()> {
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || file.write_all_at(&bytes, at)).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use csw_core::output::{MediaType, OutputKind};

    use super::*;

    fn head() -> Head {
        let (kind, media_type) = (OutputKind::Renderable, MediaType::Text);
        Head { kind, position: 0, title: String::new(), media_type, id: None }
    }

    #[tokio::test]
    async fn small_outputs_stay_in_memory_and_large_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let part = Bytes::from(vec![7; 100_000]);
        for (parts, in_file) in [(2, false), (5, true)] {
            let mut outgoing = Outgoing::new(head());
            for _ in 0..parts {
                outgoing.push(folder.path(), &part).await.unwrap();
            }
            let (draft, path) = outgoing.finish();
            assert_eq!(draft.size, parts * 100_000);
            let bytes = match &draft.body {
                OutputBody::Bytes(bytes) => bytes.to_vec(),
                OutputBody::File(path) => std::fs::read(path).unwrap(),
                OutputBody::Stored => panic!("nobody has stored it"),
            };
            assert_eq!(hex::encode(Sha256::digest(bytes)), draft.sha256);
            assert_eq!(path.is_some(), in_file);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files go with their owner");
    }
}
