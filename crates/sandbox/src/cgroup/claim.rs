//! Whose a folder of groups is: it is locked as long as its process lives. So what is used can be told from what somebody
//! left who was killed.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How often a folder may be swept between the making and the locking of it.
const ATTEMPTS: u32 = 10;

/// A folder of groups in use. Its end is the end of its process, or of everything that holds it.
#[derive(Debug)]
pub(crate) struct Claim {
    #[expect(dead_code, reason = "it is held")]
    lock: File,
}

impl Claim {
    /// Makes a folder, or takes the one an earlier process of the same instance left.
    pub(super) fn make(folder: &Path) -> Option<Self> {
        for _ in 0..ATTEMPTS {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return None,
                _ => {}
            }
            let Ok(lock) = File::open(folder) else { continue };
            // Where there are no locks nobody sweeps either.
            let _ = lock.lock_shared();
            if is_at(&lock, folder) {
                return Some(Self { lock });
            }
        }
        None
    }

    /// Takes a folder that nobody uses.
    pub(super) fn of_nobody(folder: &Path) -> Option<Self> {
        let lock = File::open(folder).ok()?;
        lock.try_lock().ok()?;
        is_at(&lock, folder).then_some(Self { lock })
    }
}

/// Whether an open folder is still there by its name.
fn is_at(open: &File, folder: &Path) -> bool {
    let place = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((open.metadata(), fs::metadata(folder)), (Ok(one), Ok(other)) if place(&one) == place(&other))
}
