//! Outputs that are half received.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use csw_core::ids::{Lease, RunId};
use sha2::{Digest, Sha256};

use crate::wire::Head;

/// Bytes that are read at once.
const PART: usize = 256 * 1024;

/// A folder of them.
pub(super) struct Partials {
    folder: PathBuf,
}

/// One of them, which nobody else writes meanwhile.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Bytes that are there.
    pub(super) received: u64,
}

impl Partials {
    pub(super) fn new(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, run: RunId, lease: Lease, head: &Head) -> PathBuf {
        let digest =
            Sha256::new().chain_update(run.as_uuid()).chain_update(lease.as_uuid()).chain_update(head.encode());
        self.folder.join(hex::encode(digest.finalize()))
    }

    /// How much of an output is there.
    pub(super) fn received(&self, run: RunId, lease: Lease, head: &Head) -> u64 {
        fs::metadata(self.path(run, lease, head)).map_or(0, |found| found.len())
    }

    /// An output to go on with; `None` where somebody else does so.
    pub(super) fn take(&self, run: RunId, lease: Lease, head: &Head) -> io::Result<Option<Partial>> {
        let path = self.path(run, lease, head);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let received = file.metadata()?.len();
        Ok(Some(Partial { path, file, received }))
    }

    /// Removes what was last written before so long.
    pub(super) fn remove_older(&self, age: Duration) -> io::Result<()> {
        let before = SystemTime::now() - age;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.metadata()?.modified()? < before {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The hash of a file, in hexadecimal digits.
pub(super) fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; PART]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&part[..read]),
        }
    }
}
