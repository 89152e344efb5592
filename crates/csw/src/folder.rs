//! A folder that one process at a time works in.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Outcome};

/// A folder that is this process's own until this value is dropped.
pub(crate) struct Folder {
    path: PathBuf,
    /// None where others work in it too.
    lock: Option<File>,
}

impl Folder {
    /// Makes the folder if need be, and takes it. Two servers on one folder would both give runs back to the queue that
    /// the other one has; `way_out` says what to do then.
    pub(crate) fn take(path: &Path, way_out: &str) -> Outcome<Self> {
        let taken = Self::take_if_free(path)?;
        taken.ok_or_else(|| Failure::local(format!("another process works in {}", path.display()), way_out))
    }

    /// The same; `None` where another process works in it.
    pub(crate) fn take_if_free(path: &Path) -> Outcome<Option<Self>> {
        let path = Self::made(path)?;
        let file = path.join("csw.lock");
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&file);
        let lock = opened.map_err(|error| Failure::file(&file, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, lock: Some(lock) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Failure::file(&file, &error)),
        }
    }

    /// A folder in which another process works, or will: for one that does nothing there that could be done twice.
    pub(crate) fn share(path: &Path) -> Outcome<Self> {
        let path = Self::made(path)?;
        Ok(Self { path, lock: None })
    }

    fn made(path: &Path) -> Outcome<PathBuf> {
        // Users of the sandbox pass through to environments; they may not look around.
        let made = fs::DirBuilder::new().recursive(true).mode(0o711).create(path);
        made.map_err(|error| Failure::file(path, &error))?;
        path.canonicalize().map_err(|error| Failure::file(path, &error))
    }

    /// Where it is, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A short name that no other folder of this machine has, and that this one has again at the next start; where others
    /// work in it too, one of this process's own.
    pub(crate) fn instance(&self) -> String {
        let digest = hex::encode(Sha256::digest(self.path.as_os_str().as_encoded_bytes()));
        let name: String = digest.chars().take(12).collect();
        if self.lock.is_some() { name } else { format!("{name}-{}", std::process::id()) }
    }
}

/// Writes a file that, where it is new, nobody else may read.
pub(crate) fn write_privately(path: &Path, text: &str) -> Outcome {
    let opened = File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| Failure::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = Folder::take(&path, "wait").unwrap();
        assert!(Folder::take(&path, "wait").is_err_and(|error| error.to_string().contains("another process")));
        let name = first.instance();
        let shared = Folder::share(&path).unwrap();
        assert_ne!(shared.instance(), name);
        drop(first);
        assert_eq!(Folder::take(&path, "wait").unwrap().instance(), name);
    }
}
