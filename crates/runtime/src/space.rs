//! Room on the disk of runs. Where there is little nothing is started, and what is on its way waits: a full disk makes
//! runs late and ends none.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::statvfs::statvfs;

/// Bytes that stay free for the ends of runs that are at work; on a small disk less.
const SPARE_BYTES: u64 = 64 << 20;

/// The same in files and folders.
const SPARE_FILES: u64 = 256;

/// A small disk spares one part of so many.
const SPARE_PART: u64 = 8;

/// How often a full disk is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the operator is told.
const REMINDER: Duration = Duration::from_mins(1);

/// Whether something failed for want of room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether a folder's disk has too little room for another run. One that can't be asked is taken to have enough.
pub(crate) fn is_short(folder: &Path) -> bool {
    let Ok(disk) = statvfs(folder) else { return false };
    let spare = |least: u64, all: u64| least.min(all / SPARE_PART);
    // A file system that counts no files has none to run out of.
    disk.blocks_available() * disk.fragment_size() < spare(SPARE_BYTES, disk.blocks() * disk.fragment_size())
        || disk.files_available() < spare(SPARE_FILES, disk.files())
}

/// Waits until a folder's disk has room for another run.
pub(crate) async fn wait_for_room(folder: &Path) {
    let mut told: Option<Instant> = None;
    while is_short(folder) {
        if told.is_none_or(|at| at.elapsed() >= REMINDER) {
            tracing::warn!(folder = %folder.display(), "the disk is full: runs wait until there is room again");
            told = Some(Instant::now());
        }
        pause().await;
    }
}

/// The time until another look at a full disk.
pub(crate) async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// Whether what is in a folder takes more than runs have to leave to each other.
pub(crate) fn is_greedy(folder: &Path) -> bool {
    fn used(path: &Path, left: u64) -> u64 {
        let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
        let mut sum = metadata.blocks() * 512;
        if metadata.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                if sum >= left {
                    break;
                }
                sum += used(&entry.path(), left - sum);
            }
        }
        sum
    }
    used(folder, SPARE_BYTES) >= SPARE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_troubles() {
        assert!(is_full(&io::Error::from_raw_os_error(nix::libc::ENOSPC)));
        assert!(is_full(&io::Error::from_raw_os_error(nix::libc::EDQUOT)));
        assert!(!is_full(&io::Error::from_raw_os_error(nix::libc::EACCES)));
        assert!(!is_short(Path::new("/nowhere/at/all")));
    }

    #[test]
    fn a_folder_is_measured_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        for name in ["a", "inner/b"] {
            fs::write(folder.path().join(name), vec![1; 40 << 20]).unwrap();
        }
        assert!(is_greedy(folder.path()));
        fs::remove_file(folder.path().join("inner/b")).unwrap();
        assert!(!is_greedy(folder.path()));
    }
}
