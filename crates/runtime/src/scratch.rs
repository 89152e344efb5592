//! Folders of sandboxes and of runs.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, chown};

/// A folder that is removed, with all that is in it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new folder with this mode, of this user where one is given.
    pub(crate) fn create(path: PathBuf, mode: u32, owner: Option<u32>) -> io::Result<Self> {
        if path.exists() {
            remove(&path);
        }
        make(&path, mode, owner)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Makes a folder with this mode, of this user where one is given.
pub(crate) fn make(path: &Path, mode: u32, owner: Option<u32>) -> io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)?;
    // The mode again: the umask has had its say.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    let Some(id) = owner else { return Ok(()) };
    Ok(chown(path, Some(Uid::from_raw(id)), Some(Gid::from_raw(id)))?)
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes a folder, also one whose owner took the right to list it away.
fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_err() {
        open_up(path, 0);
        if let Err(error) = fs::remove_dir_all(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %path.display(), %error, "a scratch folder could not be removed");
        }
    }
}

fn open_up(path: &Path, depth: u32) {
    // Deeper than any path a system call takes: nothing a run could have made by name.
    if depth > 4096 {
        return;
    }
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if !metadata.is_dir() || fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_err() {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path(), depth + 1);
    }
}

/// Empties the folder of an executor that is starting: what is there was left by one that was killed.
pub(crate) fn prepare_root(root: &Path) -> io::Result<()> {
    if root.exists() {
        for entry in fs::read_dir(root)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    } else {
        fs::create_dir_all(root)?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o711))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_go_away_whatever_is_in_them() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let folder = Folder::create(path.clone(), 0o700, None).unwrap();
        fs::create_dir(path.join("closed")).unwrap();
        fs::write(path.join("closed/file"), "x").unwrap();
        fs::set_permissions(path.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
