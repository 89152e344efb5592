//! A publish repository on this machine: git, called so that nothing in it becomes an option or a command.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use csw_app::publish_repository::{FOLDER, clash};

use crate::failure::{Failure, Outcome};

/// What git calls a commit that is none: the base of a branch that is new.
const NOTHING: char = '0';

/// A publish repository.
pub(super) struct Repository {
    root: PathBuf,
    /// Settings for git that are in no file, such as who asks a site.
    settings: Vec<(String, String)>,
}

/// Whom a push found in its way.
pub(super) enum Pushed {
    /// Nobody.
    Done,
    /// The branch has moved since it was looked at.
    Moved,
}

impl Repository {
    /// The one around a folder.
    pub(super) fn around(folder: &Path) -> Outcome<Self> {
        let output = run(folder, &["rev-parse", "--show-toplevel"], &[], None)?;
        let root = word(&output.stdout);
        if !output.status.success() || root.is_empty() {
            return Err(Failure::local(
                format!("{} is in no git repository", folder.display()),
                "go to your publish repository, or make one with `csw publish init DIR`",
            ));
        }
        let root = PathBuf::from(root);
        if !root.join(FOLDER).is_dir() {
            return Err(Failure::local(
                format!("{} has no folder `{FOLDER}`: it is no publish repository", root.display()),
                "go to your publish repository, or make one with `csw publish init DIR`",
            ));
        }
        Ok(Self { root, settings: Vec::new() })
    }

    /// Has git say who asks, where it asks below this address. Others don't see it: it is in no argument and no file.
    pub(super) fn introduce(&mut self, address: &str, authorization: &str) {
        self.settings = vec![(format!("http.{address}.extraHeader"), format!("Authorization: {authorization}"))];
    }

    fn run(&self, words: &[&str], variables: &[(&str, &OsStr)], input: Option<&[u8]>) -> Outcome<Output> {
        // Those that are there stay.
        let first = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0_usize);
        let mut own = vec![("GIT_CONFIG_COUNT".to_owned(), (first + self.settings.len()).to_string())];
        for (at, (key, value)) in self.settings.iter().enumerate() {
            own.push((format!("GIT_CONFIG_KEY_{}", first + at), key.clone()));
            own.push((format!("GIT_CONFIG_VALUE_{}", first + at), value.clone()));
        }
        let mut all: Vec<(&str, &OsStr)> =
            own.iter().map(|(name, value)| (name.as_str(), OsStr::new(value.as_str()))).collect();
        all.extend_from_slice(variables);
        run(&self.root, words, &all, input)
    }

    fn git(&self, words: &[&str]) -> Outcome<Vec<u8>> {
        self.fed(words, &[], None)
    }

    fn fed(&self, words: &[&str], variables: &[(&str, &OsStr)], input: Option<&[u8]>) -> Outcome<Vec<u8>> {
        let output = self.run(words, variables, input)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let said = masked(said.lines().last().unwrap_or("it gave no reason"));
        Err(Failure::local(format!("git {}: {said}", words[0]), "the same command of git tells more"))
    }

    fn line(&self, words: &[&str]) -> Outcome<String> {
        Ok(word(&self.git(words)?))
    }

    /// A commit by any of its names.
    pub(super) fn commit(&self, name: &str) -> Outcome<Option<String>> {
        let wanted = format!("{name}^{{commit}}");
        let output = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted], &[], None)?;
        Ok(output.status.success().then(|| word(&output.stdout)))
    }

    /// The files below `config/` that are not as they were at `base`, and those that are gone. The base of a branch
    /// that is new has none.
    pub(super) fn changed_since(&self, base: &str) -> Outcome<(Vec<String>, Vec<String>)> {
        if !base.is_empty() && base.chars().all(|c| c == NOTHING) {
            return Ok((self.files("HEAD")?, Vec::new()));
        }
        let base = self.commit(base)?.ok_or_else(|| {
            Failure::local(
                format!("`{base}` is no commit of this repository"),
                "fetch the whole history; in a workflow that is `fetch-depth: 0` of the checkout",
            )
        })?;
        let range = format!("{base}...HEAD");
        let changed = |filter: &str| {
            let listed = self.git(&["diff", "--name-only", "--no-renames", "-z", filter, &range, "--", FOLDER])?;
            paths(&listed)
        };
        Ok((changed("--diff-filter=d")?, changed("--diff-filter=D")?))
    }

    /// The files below `config/` in a commit.
    pub(super) fn files(&self, commit: &str) -> Outcome<Vec<String>> {
        paths(&self.git(&["ls-tree", "-r", "--name-only", "-z", commit, "--", FOLDER])?)
    }

    /// A sentence where two files of a commit are about one model.
    pub(super) fn clash(&self, commit: &str) -> Outcome<Option<String>> {
        let files = self.files(commit)?;
        Ok(clash(files.iter().map(String::as_str)))
    }

    /// The text of a file in a commit; nothing where it is not there.
    pub(super) fn text(&self, commit: &str, path: &str) -> Outcome<Option<String>> {
        // A link could point to any file of this machine, and must not be read as one.
        let listed = self.line(&["ls-tree", commit, "--", path])?;
        if listed.is_empty() {
            return Ok(None);
        }
        if !listed.starts_with("100") {
            return Err(Failure::usage(format!("{path} is no file"), "make it one: links and folders are not read"));
        }
        let bytes = self.git(&["show", "--end-of-options", &format!("{commit}:{path}")])?;
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Failure::usage(format!("{path} is no text"), "write it in UTF-8"))
    }

    /// The text of a file as it is in the working tree, where that is not what HEAD has.
    pub(super) fn edited(&self, path: &str) -> Outcome<Option<String>> {
        if self.git(&["status", "--porcelain", "-z", "--untracked-files=all", "--", path])?.is_empty() {
            return Ok(None);
        }
        let file = self.root.join(path);
        let is_file = file.symlink_metadata().is_ok_and(|found| found.is_file());
        is_file.then(|| std::fs::read_to_string(&file).map_err(|error| Failure::file(&file, &error))).transpose()
    }

    /// The message of the newest commit behind HEAD that is no merge.
    pub(super) fn newest_message(&self) -> Outcome<String> {
        self.line(&["log", "-1", "--no-merges", "--format=%B", "HEAD"])
    }

    /// The URL that `origin` was given, before git's own rewriting.
    pub(super) fn origin(&self) -> Outcome<String> {
        let output = self.run(&["config", "--get", "remote.origin.url"], &[], None)?;
        let url = word(&output.stdout);
        if url.is_empty() {
            return Err(Failure::local(
                "this publish repository has no remote `origin`",
                "make an empty repository on a forge, then `git remote add origin URL` and push",
            ));
        }
        Ok(url)
    }

    /// The branch that others are merged into, as origin says.
    pub(super) fn default_branch(&self) -> Outcome<String> {
        let listed = self.line(&["ls-remote", "--symref", "origin", "HEAD"])?;
        let found = listed.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.split('\t').next());
        found.map(str::to_owned).ok_or_else(|| {
            Failure::local(
                "origin has no default branch: it is empty",
                "push this repository to it first: `git push -u origin HEAD`",
            )
        })
    }

    /// Fetches branches of origin, as far as they are there; the commits they are at.
    pub(super) fn fetch(&self, branches: [&str; 2]) -> Outcome<[Option<String>; 2]> {
        let listed = self.line(&["ls-remote", "--heads", "origin"])?;
        let at = branches.map(|branch| {
            let name = format!("refs/heads/{branch}");
            listed.lines().find_map(|line| line.split_once('\t').filter(|(_, one)| *one == name)).map(|(id, _)| id)
        });
        let wanted: Vec<String> = branches
            .iter()
            .zip(at)
            .filter(|(_, found)| found.is_some())
            .map(|(branch, _)| format!("+refs/heads/{branch}:refs/remotes/origin/{branch}"))
            .collect();
        let mut words = vec!["fetch", "--quiet", "--no-tags", "origin"];
        words.extend(wanted.iter().map(String::as_str));
        self.git(&words)?;
        Ok(at.map(|id| id.map(str::to_owned)))
    }

    /// Whether `branch` has commits that `base` has not.
    pub(super) fn is_ahead(&self, branch: &str, base: &str) -> Outcome<bool> {
        Ok(self.line(&["rev-list", "--count", &format!("{base}..{branch}")])? != "0")
    }

    /// A commit upon `parent` that differs from it in one file. Neither the working tree nor its index change.
    pub(super) fn commit_file(&self, parent: &str, path: &str, text: &str, message: &str) -> Outcome<String> {
        let folder = tempfile::tempdir().map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
        let index = folder.path().join("index");
        let own: [(&str, &OsStr); 1] = [("GIT_INDEX_FILE", index.as_os_str())];
        let blob = word(&self.fed(&["hash-object", "-w", "--stdin"], &[], Some(text.as_bytes()))?);
        self.fed(&["read-tree", parent], &own, None)?;
        let entry = format!("100644,{blob},{path}");
        self.fed(&["update-index", "--add", "--cacheinfo", &entry], &own, None)?;
        let tree = word(&self.fed(&["write-tree"], &own, None)?);
        let made = self.fed(&["commit-tree", &tree, "-p", parent, "-F", "-"], &[], Some(message.as_bytes()));
        made.map(|id| word(&id)).map_err(|failure| {
            failure
                .hinted("git needs to know who you are: `git config user.name` and `git config user.email`".to_owned())
        })
    }

    /// Puts a commit on a branch of origin that is still where it was seen.
    pub(super) fn push(&self, commit: &str, branch: &str, seen: Option<&str>) -> Outcome<Pushed> {
        let lease = format!("--force-with-lease=refs/heads/{branch}:{}", seen.unwrap_or_default());
        let what = format!("{commit}:refs/heads/{branch}");
        let output = self.run(&["push", "--porcelain", &lease, "origin", &what], &[], None)?;
        if output.status.success() {
            return Ok(Pushed::Done);
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if said.contains("stale info") || said.contains("fetch first") {
            return Ok(Pushed::Moved);
        }
        let reason = said.lines().rfind(|line| !line.trim().is_empty() && *line != "Done").unwrap_or_default();
        Err(Failure::new(
            crate::failure::Code::Refused,
            format!("{branch} could not be pushed to origin: {}", masked(reason.trim())),
            format!("may you push there? `git push origin {commit}:refs/heads/{branch}` tells more"),
        ))
    }
}

/// Runs git to its end. It asks nobody anything.
fn run(folder: &Path, words: &[&str], variables: &[(&str, &OsStr)], input: Option<&[u8]>) -> Outcome<Output> {
    let missing = |error: std::io::Error| Failure::local(format!("git can't be started: {error}"), "install git");
    let mut child = Command::new("git")
        .args(["-c", "core.quotePath=false"])
        .args(words)
        .current_dir(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .envs(variables.iter().copied())
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // Where git ends before it has read all, its own words are the better ones.
        let _ = pipe.write_all(input);
    }
    child.wait_with_output().map_err(missing)
}

fn word(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn paths(listed: &[u8]) -> Outcome<Vec<String>> {
    let parts = listed.split(|byte| *byte == 0).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            String::from_utf8(part.to_vec()).map_err(|_| {
                let name = part.escape_ascii();
                Failure::usage(format!("`{name}` has letters that are no UTF-8"), "rename the file")
            })
        })
        .collect()
}

/// Without the password that a URL may have.
fn masked(text: &str) -> String {
    let words = text.split(' ').map(|word| match (word.split_once("://"), word.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Makes a repository of a folder that is in none; says whether it did.
pub(super) fn begin(folder: &Path) -> Outcome<bool> {
    if run(folder, &["rev-parse", "--git-dir"], &[], None)?.status.success() {
        return Ok(false);
    }
    let output = run(folder, &["init", "--quiet", "--initial-branch=main"], &[], None)?;
    if output.status.success() {
        return Ok(true);
    }
    Err(Failure::local(format!("git init: {}", word(&output.stderr)), "may you write there?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_not_told() {
        let said = masked("fatal: unable to access 'https://me:tok@h/a/b/': no");
        assert!(!said.contains("tok") && said.contains("@h/a/b/"), "{said}");
        assert_eq!(masked("fatal: a@b"), "fatal: a@b");
    }
}
