//! An output on its way through the server: small ones in memory, others in a file, hashed as they come.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use csw_core::{
    ids::OutputId,
    run::{OutputBody, OutputDraft},
};
use sha2::{Digest, Sha256};
use tokio::{fs::File, io::AsyncWriteExt};
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
    file: Option<(File, TemporaryPath)>,
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

    pub(crate) async fn push(&mut self, folder: &Path, part: &Bytes) -> io::Result<()> {
        self.hash.update(part);
        self.size += part.len() as u64;
        if self.file.is_none() {
            if self.memory.len() + part.len() <= IN_MEMORY {
                self.memory.extend_from_slice(part);
                return Ok(());
            }
            let path = folder.join(format!("output-{}", Uuid::now_v7()));
            let mut file = File::create_new(&path).await?;
            let path = TemporaryPath(path);
            file.write_all(&self.memory).await?;
            self.memory = BytesMut::new();
            self.file = Some((file, path));
        }
        match &mut self.file {
            Some((file, _)) => file.write_all(part).await,
            None => Ok(()),
        }
    }

    /// The complete output; the file lives as long as the second part.
    pub(crate) async fn finish(self) -> io::Result<(OutputDraft, Option<TemporaryPath>)> {
        let (body, path) = match self.file {
            None => (OutputBody::Bytes(self.memory.freeze()), None),
            Some((mut file, path)) => {
                file.flush().await?;
                (OutputBody::File(path.0.clone()), Some(path))
            }
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
        Ok((draft, path))
    }
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
            let (draft, path) = outgoing.finish().await.unwrap();
            assert_eq!(draft.size, parts * 100_000);
            let bytes = match &draft.body {
                OutputBody::Bytes(bytes) => bytes.to_vec(),
                OutputBody::File(path) => std::fs::read(path).unwrap(),
            };
            assert_eq!(hex::encode(Sha256::digest(bytes)), draft.sha256);
            assert_eq!(path.is_some(), in_file);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files go with their owner");
    }
}
