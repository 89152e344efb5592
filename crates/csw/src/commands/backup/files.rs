//! Copying trees of immutable files, and git repositories.

use std::{
    fs::{self, File, FileTimes, Metadata},
    io,
    path::Path,
};

use crate::failure::{Failure, Outcome};

/// Copies what is below `from` to below `into`; a tree that is not there has no files. Links stay links, modes and
/// times stay what they were: byte code is good only beside source of the same time. With `durable`, each file is on
/// disk before the next one.
pub(crate) fn copy_tree(from: &Path, into: &Path, durable: bool) -> Outcome {
    let metadata = match fs::symlink_metadata(from) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file(from, &error)),
    };
    match copy_entry(from, into, &metadata, durable) {
        // It was deleted since it was listed; whoever checks the copy knows whether that matters.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(()),
        Err(error) => Err(Failure::file(from, &error)),
        Ok(false) => Ok(()),
        Ok(true) => {
            for entry in fs::read_dir(from).map_err(|error| Failure::file(from, &error))? {
                let entry = entry.map_err(|error| Failure::file(from, &error))?;
                copy_tree(&entry.path(), &into.join(entry.file_name()), durable)?;
            }
            // Last: a folder may be one that its owner may not write into.
            fs::set_permissions(into, metadata.permissions()).map_err(|error| Failure::file(into, &error))
        }
    }
}

/// The folder of the site's own git repositories, in the data folder and in a backup.
pub(crate) const REPOSITORIES: &str = "git";

/// Copies repositories that may be pushed to meanwhile: names first, so that what they name is there in the copy.
pub(crate) fn copy_repositories(from: &Path, into: &Path) -> Outcome {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file(from, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file(from, &error))?;
        let (from, into) = (entry.path(), into.join(entry.file_name()));
        if from.extension() != Some("git".as_ref()) {
            continue;
        }
        fs::create_dir_all(&into).map_err(|error| Failure::file(&into, &error))?;
        for part in ["HEAD", "config", "packed-refs", "refs", "objects"] {
            copy_tree(&from.join(part), &into.join(part), true)?;
        }
    }
    Ok(())
}

/// Copies one entry; says whether it is a folder.
fn copy_entry(from: &Path, into: &Path, metadata: &Metadata, durable: bool) -> io::Result<bool> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        fs::create_dir_all(into)?;
        return Ok(true);
    }
    if kind.is_symlink() {
        if fs::symlink_metadata(into).is_err() {
            std::os::unix::fs::symlink(fs::read_link(from)?, into)?;
        }
        return Ok(false);
    }
    if !kind.is_file() || fs::symlink_metadata(into).is_ok_and(|there| there.len() == metadata.len()) {
        return Ok(false);
    }
    fs::copy(from, into)?;
    let copy = File::options().read(true).open(into)?;
    copy.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
    if durable {
        copy.sync_all()?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn links_modes_and_times_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir_all(from.join("bin")).unwrap();
        fs::write(from.join("bin/python"), "x").unwrap();
        fs::set_permissions(from.join("bin/python"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("python", from.join("bin/python3")).unwrap();
        fs::set_permissions(from.join("bin"), fs::Permissions::from_mode(0o555)).unwrap();
        copy_tree(&from, &into, true).unwrap();
        copy_tree(&from, &into, true).unwrap();
        let original = fs::metadata(from.join("bin/python")).unwrap();
        let copy = fs::metadata(into.join("bin/python")).unwrap();
        assert_eq!(copy.permissions().mode(), original.permissions().mode());
        assert_eq!(copy.modified().unwrap(), original.modified().unwrap());
        assert_eq!(fs::read_link(into.join("bin/python3")).unwrap(), Path::new("python"));
        assert_eq!(fs::metadata(into.join("bin")).unwrap().permissions().mode() & 0o777, 0o555);
        copy_tree(&folder.path().join("none"), &into, false).unwrap();
        for folder in [from, into] {
            fs::set_permissions(folder.join("bin"), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}
