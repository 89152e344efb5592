//! Folders of files from strangers: copied, measured, named by digest, sealed and removed.
//!
//! Nothing here follows a link. A link that leads out of its folder, a device or a pipe is left out.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

/// Folders of tools, never part of a model.
const LEFT_OUT: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "node_modules",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
    ".eggs",
];

/// Whether files below this name stay behind when a folder is copied.
pub(crate) fn is_left_out(name: &str, folder: &Path) -> bool {
    // Only the marker tells the output of a compiler from a folder of data with that name.
    let compiled = name == "target" && folder.join("CACHEDIR.TAG").is_file();
    compiled || LEFT_OUT.contains(&name) || name.ends_with(".egg-info") || folder.join("pyvenv.cfg").is_file()
}

/// How much may be copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// Files, links and folders.
    pub(crate) entries: u64,
}

impl Room {
    /// Uses some of it up.
    pub(crate) fn take(&mut self, bytes: u64) -> io::Result<()> {
        let full = |what| io::Error::new(io::ErrorKind::FileTooLarge, what);
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| full("there are more bytes than a model may have"))?;
        self.entries = self.entries.checked_sub(1).ok_or_else(|| full("there are more files than a model may have"))?;
        Ok(())
    }
}

/// Whether a link at this place inside its folder stays inside, read as text: what it leads to may come later.
pub(crate) fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Copies files into a new folder; returns the names of what was left behind for safety.
///
/// With `only`, just these files, named relative to `from`.
pub(crate) fn copy(from: &Path, to: &Path, only: Option<&[PathBuf]>, mut room: Room) -> io::Result<Vec<String>> {
    let mut refused = vec![];
    fs::create_dir_all(to)?;
    match only {
        Some(names) => {
            for name in names {
                copy_entry(from, to, name, &mut room, &mut refused)?;
            }
        }
        None => copy_folder(from, to, Path::new(""), &mut room, &mut refused)?,
    }
    refused.extend(purge(to)?);
    Ok(refused)
}

fn copy_folder(from: &Path, to: &Path, inside: &Path, room: &mut Room, refused: &mut Vec<String>) -> io::Result<()> {
    for entry in sorted(&from.join(inside))? {
        let name = entry.file_name();
        let path = inside.join(&name);
        if entry.file_type()?.is_dir() {
            if is_left_out(&name.to_string_lossy(), &entry.path()) {
                continue;
            }
            room.take(0)?;
            fs::create_dir_all(to.join(&path))?;
            copy_folder(from, to, &path, room, refused)?;
        } else {
            copy_entry(from, to, &path, room, refused)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &Path, to: &Path, inside: &Path, room: &mut Room, refused: &mut Vec<String>) -> io::Result<()> {
    let (source, target) = (from.join(inside), to.join(inside));
    // Git lists what was deleted in the working tree as well.
    let Ok(metadata) = fs::symlink_metadata(&source) else { return Ok(()) };
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        let leads = fs::read_link(&source)?;
        room.take(0)?;
        if stays_inside(inside, &leads) {
            return symlink(leads, target);
        }
        refused.push(inside.display().to_string());
    } else if metadata.is_file() {
        room.take(metadata.len())?;
        fs::copy(&source, &target)?;
        // A file that its author made read-only must not stop a later step.
        let mode = if metadata.mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    } else {
        refused.push(inside.display().to_string());
    }
    Ok(())
}

fn sorted(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Calls back for everything below a folder, parents first, links unfollowed.
pub(crate) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<()> {
    for entry in sorted(folder)? {
        let (path, metadata) = (entry.path(), entry.metadata()?);
        visit(&path, &metadata)?;
        if metadata.is_dir() {
            walk(&path, visit)?;
        }
    }
    Ok(())
}

/// Removes from a folder what may not be in one: links that lead out, devices, pipes, sockets. Returns their names.
///
/// A chain of links can lead out although each of them alone seems to stay, so the real end counts.
pub(crate) fn purge(folder: &Path) -> io::Result<Vec<String>> {
    let mut refused = vec![];
    let root = folder.canonicalize()?;
    walk(folder, &mut |path, metadata| {
        let inside = path.strip_prefix(folder).map_err(io::Error::other)?;
        let keep = if metadata.is_symlink() {
            stays_inside(inside, &fs::read_link(path)?) && path.canonicalize().is_ok_and(|end| end.starts_with(&root))
        } else {
            metadata.is_dir() || metadata.is_file()
        };
        if !keep {
            refused.push(inside.display().to_string());
            fs::remove_file(path)?;
        }
        Ok(())
    })?;
    Ok(refused)
}

/// SHA-256 over names, executable bits and contents.
pub(crate) fn digest(folder: &Path) -> io::Result<String> {
    let mut all = Sha256::new();
    walk(folder, &mut |path, metadata| {
        let name = path.strip_prefix(folder).map_err(io::Error::other)?.as_os_str().as_encoded_bytes();
        let (kind, content) = if metadata.is_symlink() {
            ("link", Sha256::digest(fs::read_link(path)?.as_os_str().as_encoded_bytes()))
        } else if metadata.is_file() {
            let mut file = Sha256::new();
            io::copy(&mut fs::File::open(path)?, &mut io::BufWriter::new(Hashing(&mut file)))?;
            (if metadata.mode() & 0o111 == 0 { "file" } else { "program" }, file.finalize())
        } else {
            return Ok(());
        };
        all.update(format!("{kind} {} ", name.len()));
        all.update(name);
        all.update(content);
        Ok(())
    })?;
    Ok(hex::encode(all.finalize()))
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of all files.
pub(crate) fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    walk(folder, &mut |_, metadata| {
        bytes += if metadata.is_file() { metadata.len() } else { 0 };
        Ok(())
    })?;
    Ok(bytes)
}

/// Takes the right to write away from everybody; everybody may read.
pub(crate) fn seal(folder: &Path) -> io::Result<()> {
    walk(folder, &mut |path, metadata| {
        if metadata.is_symlink() {
            return Ok(());
        }
        let mode = if metadata.is_dir() || metadata.mode() & 0o111 != 0 { 0o555 } else { 0o444 };
        if metadata.mode() & 0o7777 == mode {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    })
}

/// Gives everything, the folder too, to a user, and to nobody else.
pub(crate) fn give(folder: &Path, user: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(folder, Some(user), Some(user))?;
    walk(folder, &mut |path, _| std::os::unix::fs::lchown(path, Some(user), Some(user)))
}

/// Puts a finished folder at its final place, unless an equal one came first.
pub(crate) fn settle(staging: &Path, place: &Path) -> io::Result<()> {
    seal(staging)?;
    match fs::rename(staging, place) {
        // Only after the move: a folder without the right to write can't change its parent.
        Ok(()) => fs::set_permissions(place, fs::Permissions::from_mode(0o555)),
        Err(_) if place.is_dir() => remove(staging),
        Err(error) => Err(error),
    }
}

/// Removes a folder, sealed or not; or a file.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(folder),
        Ok(_) => {}
    }
    if fs::remove_dir_all(folder).is_ok() {
        return Ok(());
    }
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, open.clone())?;
    walk(folder, &mut |path, metadata| {
        if metadata.is_dir() { fs::set_permissions(path, open.clone()) } else { Ok(()) }
    })?;
    fs::remove_dir_all(folder)
}

/// Removes what builds that were interrupted a day ago left in a folder.
pub(crate) fn sweep(folder: &Path, prefix: &str) {
    let day = Duration::from_hours(24);
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let old = entry.metadata().and_then(|metadata| metadata.modified());
        let old = old.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > day));
        if old && entry.file_name().to_string_lossy().starts_with(prefix) {
            // The next build tries again.
            let _ = remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { bytes: 1 << 20, entries: 100 };

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn tools_and_escapes_stay_behind() {
        let from = folder(&[
            ("a.py", "1"),
            (".git/config", ""),
            ("p/__pycache__/x.pyc", ""),
            ("env/pyvenv.cfg", ""),
            ("m.egg-info/PKG-INFO", ""),
        ]);
        symlink("a.py", from.path().join("good")).unwrap();
        symlink("/etc/passwd", from.path().join("bad")).unwrap();
        symlink("../../x", from.path().join("p/climbs")).unwrap();
        let out = tempfile::tempdir().unwrap();
        let to = out.path().join("copy");
        let refused = copy(from.path(), &to, None, ROOM).unwrap();

        assert_eq!(refused, ["bad", "p/climbs"]);
        assert!(to.join("a.py").is_file() && to.join("good").is_symlink());
        for gone in [".git", "p/__pycache__", "env", "m.egg-info", "bad"] {
            assert!(!to.join(gone).exists(), "{gone}");
        }
    }

    #[test]
    fn a_chain_of_links_that_leads_out_is_cut() {
        let from = folder(&[("d/e/file", "1")]);
        symlink("../../", from.path().join("d/e/p")).unwrap();
        symlink("d/e/p/..", from.path().join("q")).unwrap();
        assert_eq!(purge(from.path()).unwrap(), ["q"]);
        assert!(from.path().join("d/e/p").is_symlink());
    }

    #[test]
    fn the_room_is_a_limit() {
        let from = folder(&[("a", "0123456789")]);
        let to = tempfile::tempdir().unwrap();
        let error = copy(from.path(), &to.path().join("x"), None, Room { bytes: 9, entries: 9 }).unwrap_err();
        assert!(error.to_string().contains("more bytes"));
    }

    #[test]
    fn the_digest_sees_names_bits_and_contents() {
        let digests: Vec<String> = [&[("a", "b")], &[("b", "b")], &[("a", "c")], &[("a", "b")]]
            .map(|files| digest(folder(files).path()).unwrap())
            .into();
        assert_eq!(digests[0], digests[3]);
        assert!(digests[0] != digests[1] && digests[0] != digests[2]);
        let program = folder(&[("a", "b")]);
        fs::set_permissions(program.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(digest(program.path()).unwrap(), digests[0]);
    }

    #[test]
    fn a_settled_folder_is_sealed_and_the_first_one_wins() {
        let place = tempfile::tempdir().unwrap();
        let (one, two, end) = (place.path().join("1"), place.path().join("2"), place.path().join("end"));
        for (path, text) in [(&one, "1"), (&two, "2")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("f"), text).unwrap();
            settle(path, &end).unwrap();
        }
        assert_eq!(fs::read_to_string(end.join("f")).unwrap(), "1");
        assert!(!two.exists());
        assert_eq!(fs::metadata(end.join("f")).unwrap().mode() & 0o777, 0o444);
        remove(&end).unwrap();
        assert!(!end.exists());
    }

    proptest! {
        #[test]
        fn a_link_that_is_kept_stays_inside(
            link in "[ab]{1,2}(/[ab]{1,2}){0,3}", target in "(\\.\\.|[ab]{1,2}|\\.)(/(\\.\\.|[ab]{1,2}|\\.)){0,5}",
        ) {
            let mut place: Vec<&str> = link.split('/').collect();
            place.pop();
            let mut left = false;
            for part in target.split('/') {
                match part {
                    "." => {}
                    ".." => left |= place.pop().is_none(),
                    name => place.push(name),
                }
            }
            prop_assert_eq!(stays_inside(Path::new(&link), Path::new(&target)), !left);
        }
    }
}
