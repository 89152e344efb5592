//! A model's source on this machine: what it says of itself, and its files as a tar.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

use csw_client::ModelDetails;
use serde::Deserialize;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::failure::{Failure, Outcome};

/// The file in which a model says what the publish form asks for.
const DETAILS: &str = "simulation.json";

/// Characters of a description.
const DESCRIPTION: usize = 10_000;

/// Names that are never source.
const NEVER: [&str; 6] = [".git", "__pycache__", ".venv", "node_modules", ".pytest_cache", ".mypy_cache"];

#[derive(Default, Deserialize)]
struct Said {
    oneliner: Option<String>,
    description: Option<String>,
    cpu: Option<Value>,
    memory: Option<Value>,
    exp_task_time: Option<u32>,
}

/// Source, packed for upload.
pub(crate) struct Packed {
    /// The tar, removed with this value.
    pub(crate) tar: NamedTempFile,
    /// The commit its files are of; empty where they were changed since, or are of none.
    pub(crate) commit: String,
    /// When they were committed; empty with the commit.
    pub(crate) committed_at: String,
    /// Where their repository came from, by which a reference to it is recognised; may be empty.
    pub(crate) origin: String,
    files: usize,
    bytes: u64,
}

impl Packed {
    /// For people.
    pub(crate) fn summary(&self) -> String {
        let of = match self.commit.get(..12) {
            Some(commit) => format!("of commit {commit}"),
            None => "of no commit".to_owned(),
        };
        format!("uploading {} files {of}, {} kB", self.files, self.bytes.div_ceil(1000))
    }
}

/// What the folder says of its model: `simulation.json`, and the README as description.
pub(crate) fn details(folder: &Path) -> Outcome<ModelDetails> {
    if !folder.is_dir() {
        return Err(Failure::local(
            format!("{} is no folder", folder.display()),
            "name the model's folder, or a URL with `://`",
        ));
    }
    let path = folder.join(DETAILS);
    let said: Said = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::local(format!("{}: {error}", path.display()), "docs/authors.md shows what it may say")
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Said::default(),
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    let readme = || fs::read_to_string(folder.join("README.md")).ok().filter(|text| !text.trim().is_empty());
    let description = said.description.or_else(readme).map(|text| text.chars().take(DESCRIPTION).collect());
    Ok(ModelDetails {
        oneliner: said.oneliner,
        description,
        cpu: said.cpu,
        memory: said.memory,
        exp_task_time: said.exp_task_time,
        ..ModelDetails::default()
    })
}

/// Packs the files that git tracks or does not ignore; of `reference`, where one is named.
pub(crate) fn pack(folder: &Path, reference: Option<&str>) -> Outcome<Packed> {
    match reference {
        Some(reference) => pack_commit(folder, reference),
        None => pack_tree(folder),
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn word(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn temporary() -> Outcome<NamedTempFile> {
    NamedTempFile::new().map_err(|error| Failure::file(&std::env::temp_dir(), &error))
}

fn pack_commit(folder: &Path, reference: &str) -> Outcome<Packed> {
    let unknown = || {
        Failure::local(
            format!("`{reference}` is no commit of {}", folder.display()),
            "`git tag` and `git branch` list what there is",
        )
    };
    let wanted = format!("{reference}^{{commit}}");
    let commit = word(&git(folder, &["rev-parse", "--verify", "--end-of-options", &wanted]).ok_or_else(unknown)?);
    let tar = temporary()?;
    let output = tar.path().display().to_string();
    git(folder, &["archive", "--format=tar", "-o", &output, &commit]).ok_or_else(unknown)?;
    let listed = git(folder, &["ls-tree", "-r", "--name-only", "-z", &commit, "."]).unwrap_or_default();
    let files = names(&listed).len();
    let bytes = tar.as_file().metadata().map_err(|error| Failure::file(tar.path(), &error))?.len();
    let (commit, committed_at) = last_change(folder, &commit);
    Ok(Packed { tar, commit, committed_at, origin: origin(folder), files, bytes })
}

/// The commit that a folder's files are of, and when it was made: a folder that is not the whole of its repository is of
/// the commit that changed it last, because others make no new version of it.
fn last_change(folder: &Path, commit: &str) -> (String, String) {
    let below = git(folder, &["rev-parse", "--show-prefix"]).is_some_and(|prefix| !word(&prefix).is_empty());
    let only: &[&str] = if below { &["--", "."] } else { &["--"] };
    let found = git(folder, &[&["log", "-1", "--format=%H %cI", commit], only].concat()).map(|line| word(&line));
    match found.as_deref().and_then(|line| line.split_once(' ')) {
        Some((commit, time)) => (commit.to_owned(), time.to_owned()),
        None => (commit.to_owned(), String::new()),
    }
}

/// The URL of the repository without what would let others in.
fn origin(folder: &Path) -> String {
    let url = git(folder, &["config", "--get", "remote.origin.url"]).map(|url| word(&url)).unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, place)| place)),
        None => url,
    }
}

fn pack_tree(folder: &Path) -> Outcome<Packed> {
    // A folder that its repository ignores is none of its files.
    let listed = git(folder, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .filter(|listed| !listed.is_empty());
    let (paths, commit, origin) = match listed {
        Some(listed) => {
            let clean = git(folder, &["status", "--porcelain", "--", "."]).is_some_and(|changes| changes.is_empty());
            let commit = if clean { git(folder, &["rev-parse", "HEAD"]) } else { None };
            (names(&listed), commit.map_or_else(String::new, |commit| word(&commit)), origin(folder))
        }
        None => (walk(folder)?, String::new(), String::new()),
    };
    let (commit, committed_at) = if commit.is_empty() { (commit, String::new()) } else { last_change(folder, &commit) };
    let mut tar = temporary()?;
    let mut builder = tar::Builder::new(std::io::BufWriter::new(tar.as_file_mut()));
    builder.follow_symlinks(false);
    let (mut files, mut bytes) = (0, 0);
    for path in paths {
        let full = folder.join(&path);
        // A file that git knows may have been removed since; a sub-module is a folder.
        let Ok(metadata) = fs::symlink_metadata(&full) else { continue };
        if metadata.is_dir() {
            continue;
        }
        builder.append_path_with_name(&full, &path).map_err(|error| Failure::file(&full, &error))?;
        files += 1;
        bytes += metadata.len();
    }
    let failed = |error: std::io::Error| Failure::file(&std::env::temp_dir(), &error);
    builder.into_inner().map_err(failed)?.flush().map_err(failed)?;
    if files == 0 {
        return Err(Failure::local(format!("{} has no files", folder.display()), "name the model's folder"));
    }
    Ok(Packed { tar, commit, committed_at, origin, files, bytes })
}

fn names(listed: &[u8]) -> Vec<PathBuf> {
    let parts = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    parts.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect()
}

/// Every file below a folder that git knows nothing of.
fn walk(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        let here = folder.join(&below);
        for entry in fs::read_dir(&here).map_err(|error| Failure::file(&here, &error))? {
            let entry = entry.map_err(|error| Failure::file(&here, &error))?;
            let name = entry.file_name();
            if NEVER.iter().any(|never| name == *never) || name.as_bytes().ends_with(b".pyc") {
                continue;
            }
            let path = below.join(&name);
            match entry.file_type().map_err(|error| Failure::file(&entry.path(), &error))? {
                kind if kind.is_dir() => waiting.push(path),
                _ => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(packed: &Packed) -> Vec<String> {
        let mut archive = tar::Archive::new(fs::File::open(packed.tar.path()).unwrap());
        let mut names: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        names.retain(|name| !name.ends_with('/') && name != "pax_global_header");
        names.sort();
        names
    }

    fn model() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("cs-config/__pycache__")).unwrap();
        fs::write(folder.path().join("cs-config/setup.py"), "setup()").unwrap();
        fs::write(folder.path().join("cs-config/__pycache__/x.pyc"), "x").unwrap();
        fs::write(folder.path().join("README.md"), "# A model\n").unwrap();
        folder
    }

    fn run(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
        let done = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn a_plain_folder_is_packed_without_what_python_leaves() {
        let folder = model();
        let packed = pack(folder.path(), None).unwrap();
        assert_eq!(members(&packed), ["README.md", "cs-config/setup.py"]);
        assert_eq!(packed.commit, "");
    }

    #[test]
    fn a_repository_gives_its_commit_only_while_clean() {
        let folder = model();
        let path = folder.path();
        run(path, &["init", "-q"]);
        fs::write(path.join(".gitignore"), "__pycache__/\n").unwrap();
        run(path, &["add", "."]);
        run(path, &["commit", "-q", "-m", "first"]);
        run(path, &["tag", "v1"]);
        let clean = pack(path, None).unwrap();
        assert_eq!(clean.commit.len(), 40);
        assert!(clean.committed_at.starts_with("20"), "{}", clean.committed_at);
        assert_eq!(members(&clean), [".gitignore", "README.md", "cs-config/setup.py"]);
        fs::write(path.join("new.py"), "").unwrap();
        fs::remove_file(path.join("README.md")).unwrap();
        let changed = pack(path, None).unwrap();
        assert_eq!((changed.commit.as_str(), changed.committed_at.as_str()), ("", ""));
        assert_eq!(members(&changed), [".gitignore", "cs-config/setup.py", "new.py"]);
        let tagged = pack(path, Some("v1")).unwrap();
        assert_eq!((&tagged.commit, &tagged.committed_at), (&clean.commit, &clean.committed_at));
        assert_eq!(members(&tagged), members(&clean));
        assert!(pack(path, Some("v2")).is_err());
    }

    #[test]
    fn a_folder_of_a_repository_is_of_the_commit_that_changed_it_last() {
        let repository = tempfile::tempdir().unwrap();
        let (root, folder) = (repository.path(), repository.path().join("models/one"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.py"), "").unwrap();
        run(root, &["init", "-q"]);
        run(root, &["add", "."]);
        run(root, &["commit", "-q", "-m", "first"]);
        run(root, &["tag", "v1"]);
        let first = pack(&folder, None).unwrap();
        fs::write(root.join("NEWS"), "").unwrap();
        run(root, &["add", "."]);
        run(root, &["commit", "-q", "-m", "of something else"]);
        let after = pack(&folder, None).unwrap();
        assert_eq!((&after.commit, &after.committed_at), (&first.commit, &first.committed_at));
        assert_eq!(pack(&folder, Some("HEAD")).unwrap().commit, first.commit);
        assert_ne!(pack(root, None).unwrap().commit, first.commit);
    }

    #[test]
    fn an_origin_is_told_without_its_password() {
        let folder = model();
        let path = folder.path();
        run(path, &["init", "-q"]);
        assert_eq!(origin(path), "");
        run(path, &["remote", "add", "origin", "https://me:t0k@en@example.org/me/model.git"]);
        assert_eq!(origin(path), "https://example.org/me/model.git");
        run(path, &["remote", "set-url", "origin", "git@example.org:me/model.git"]);
        assert_eq!(origin(path), "git@example.org:me/model.git");
    }

    #[test]
    fn a_folder_that_its_repository_ignores_is_packed_as_it_is() {
        let folder = model();
        run(folder.path(), &["init", "-q"]);
        fs::write(folder.path().join(".gitignore"), "*\n").unwrap();
        let packed = pack(folder.path(), None).unwrap();
        assert_eq!(members(&packed), [".gitignore", "README.md", "cs-config/setup.py"]);
        assert_eq!(packed.commit, "");
    }

    #[test]
    fn a_model_describes_itself() {
        let folder = model();
        assert_eq!(details(folder.path()).unwrap().description.as_deref(), Some("# A model\n"));
        fs::write(folder.path().join(DETAILS), r#"{"oneliner": "One", "cpu": 1, "example": {}}"#).unwrap();
        assert_eq!(details(folder.path()).unwrap().oneliner.as_deref(), Some("One"));
        fs::write(folder.path().join(DETAILS), "{").unwrap();
        assert!(details(folder.path()).is_err());
    }
}
