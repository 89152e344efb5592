//! Looking into a repository, and joining two of its branches: git on bare objects, without any working tree. No
//! configuration, filter, driver or hook of a repository is used.

use std::{
    fmt::Write,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use csw_core::ports::{ChangeKind, CommitLine, Comparison, FileChange, MergeResult, MergeWish, RepositoryError};
use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{FolderRepositories, said};

/// The longest that git may be at one question.
const SECONDS: u64 = 120;

/// Commits of a branch that are told.
const COMMITS: usize = 100;

/// Files of a comparison that are told.
const FILES: usize = 300;

/// Bytes of all lines of a comparison.
const PATCHES: usize = 512 << 10;

/// Bytes of any other answer.
const ANSWER: usize = 4 << 20;

/// Bytes of a file that is read.
const TEXT: usize = 64 << 10;

/// What stands between the parts of a line, and between lines.
const UNIT: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// What git said.
struct Answer {
    status: ExitStatus,
    text: Vec<u8>,
    errors: Vec<u8>,
    /// Whether there was more.
    cut: bool,
}

impl Answer {
    fn success(self) -> Result<Self, RepositoryError> {
        if self.status.success() { Ok(self) } else { Err(said(&self.errors)) }
    }

    /// Likewise, but that nobody read all of it is no failure.
    fn success_or_cut(self) -> Result<Self, RepositoryError> {
        if self.cut { Ok(self) } else { self.success() }
    }

    fn line(&self) -> String {
        String::from_utf8_lossy(&self.text).trim().to_owned()
    }

    /// Parts that end in a NUL; a last one that was cut is left out.
    fn parts(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.text);
        text.split_terminator('\0').map(str::to_owned).collect()
    }
}

impl FolderRepositories {
    async fn ask(&self, place: &Path, words: &[&str], limit: usize) -> Result<Answer, RepositoryError> {
        let mut command = self.git();
        command.arg("--git-dir").arg(place).args(words);
        self.run(command, "", limit).await
    }

    pub(super) async fn line(&self, place: &Path, words: &[&str]) -> Result<String, RepositoryError> {
        Ok(self.ask(place, words, ANSWER).await?.success()?.line())
    }

    async fn run(&self, mut command: Command, input: &str, limit: usize) -> Result<Answer, RepositoryError> {
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| self.missing(&error))?;
        let (Some(mut stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(said(b"git has no pipes"));
        };
        let input = input.to_owned();
        let work = async {
            // Where git ends before it has read all, its own words are the better ones.
            let feed = async move {
                let _ = stdin.write_all(input.as_bytes()).await;
            };
            let (mut text, mut errors) = (Vec::new(), Vec::new());
            let read = async {
                let mut limited = stdout.take(limit as u64 + 1);
                let read = limited.read_to_end(&mut text).await;
                // What is too much is not waited for: git ends where nobody reads.
                drop(limited);
                read
            };
            let ((), read, _) = tokio::join!(feed, read, stderr.read_to_end(&mut errors));
            read?;
            let status = child.wait().await?;
            let cut = text.len() > limit;
            text.truncate(limit);
            Ok::<Answer, std::io::Error>(Answer { status, text, errors, cut })
        };
        match tokio::time::timeout(Duration::from_secs(SECONDS), work).await {
            Ok(done) => done.map_err(|error| said(error.to_string().as_bytes())),
            Err(_) => Err(RepositoryError::TimedOut { seconds: SECONDS }),
        }
    }

    pub(super) async fn write_first_commit(
        &self,
        place: &Path,
        files: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let mut stream =
            format!("commit refs/heads/main\ncommitter Compute Studio <> {} +0000\ndata 6\nBegin\n\n", now.as_second());
        for (path, text) in files {
            // Writing to a string does not fail.
            let _ = write!(stream, "M 100644 inline {path}\ndata {}\n{text}\n", text.len());
        }
        let mut command = self.git();
        command.arg("--git-dir").arg(place).args(["fast-import", "--quiet"]);
        self.run(command, &stream, ANSWER).await?.success().map(drop)
    }

    pub(super) async fn difference(&self, place: &Path, into: &str, head: &str) -> Result<Comparison, RepositoryError> {
        let base = self.ask(place, &["merge-base", into, head], ANSWER).await?;
        if !base.status.success() {
            let sentence = "The two branches have no commit in common: begin the branch from the one it is meant for.";
            return Err(RepositoryError::Unusable { sentence: sentence.to_owned() });
        }
        let base = base.line();
        let format = format!("--format=%H{UNIT}%an{UNIT}%cI{UNIT}%s{RECORD}");
        let most = format!("--max-count={COMMITS}");
        let log = self.ask(place, &["log", &most, &format, &format!("{into}..{head}")], ANSWER).await?.success()?;
        let message = self.line(place, &["log", "-1", "--no-merges", "--format=%B", head]).await?;
        let diff = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"];
        let names = [&diff[..], &["--name-status", "-z", &base, head]].concat();
        let names = self.ask(place, &names, ANSWER).await?.success_or_cut()?;
        let patches = self.ask(place, &[&diff[..], &["--patch", &base, head]].concat(), PATCHES).await?;
        let patches = patches.success_or_cut()?;
        let mut files = changes(&names.parts());
        for (file, patch) in files.iter_mut().zip(split(&patches.text, patches.cut)) {
            file.patch = Some(patch);
        }
        let more_files = files.len() > FILES || names.cut;
        files.truncate(FILES);
        Ok(Comparison { commits: commits(&String::from_utf8_lossy(&log.text)), message, files, more_files })
    }

    pub(super) async fn list(&self, place: &Path, commit: &str, folder: &str) -> Result<Vec<String>, RepositoryError> {
        let words = ["ls-tree", "-r", "--name-only", "-z", commit, "--", folder];
        Ok(self.ask(place, &words, ANSWER).await?.success()?.parts())
    }

    pub(super) async fn read(&self, place: &Path, commit: &str, path: &str) -> Result<Option<String>, RepositoryError> {
        let unusable = |what: &str| RepositoryError::Unusable { sentence: format!("{} {what}", path.escape_debug()) };
        let listed = self.line(place, &["ls-tree", commit, "--", path]).await?;
        if listed.is_empty() {
            return Ok(None);
        }
        if !listed.starts_with("100") {
            return Err(unusable("is no file: links and folders are not read"));
        }
        let object = format!("{commit}:{path}");
        let found = self.ask(place, &["cat-file", "blob", &object], TEXT).await?;
        if found.cut {
            return Err(unusable(&format!("has more than {} kB", TEXT >> 10)));
        }
        let text = found.success()?.text;
        String::from_utf8(text).map(Some).map_err(|_| unusable("is no text: write it in UTF-8"))
    }

    pub(super) async fn is_behind(&self, place: &Path, commit: &str, behind: &str) -> Result<bool, RepositoryError> {
        let answer = self.ask(place, &["merge-base", "--is-ancestor", behind, commit], ANSWER).await?;
        match answer.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(said(&answer.errors)),
        }
    }

    pub(super) async fn join(&self, place: &Path, wish: &MergeWish) -> Result<MergeResult, RepositoryError> {
        let MergeWish { into, head, .. } = wish;
        if self.is_behind(place, into, head).await? {
            return Ok(MergeResult::Commit(into.clone()));
        }
        if self.is_behind(place, head, into).await? {
            return Ok(MergeResult::Commit(head.clone()));
        }
        let words = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", into, head];
        let joined = self.ask(place, &words, ANSWER).await?;
        let mut parts = joined.parts().into_iter();
        let tree = parts.next().unwrap_or_default();
        match joined.status.code() {
            Some(0) => {}
            Some(1) => return Ok(MergeResult::Conflicts(parts.filter(|path| !path.is_empty()).collect())),
            _ => return Err(said(&joined.errors)),
        }
        let mut command = self.git();
        command.arg("--git-dir").arg(place).args(["commit-tree", &tree, "-p", into, "-p", head, "-F", "-"]);
        let date = format!("@{} +0000", wish.at.as_second());
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), &wish.name)
                .env(format!("GIT_{who}_EMAIL"), &wish.email)
                .env(format!("GIT_{who}_DATE"), &date);
        }
        let made = self.run(command, &wish.message, ANSWER).await?.success()?;
        Ok(MergeResult::Commit(made.line()))
    }

    pub(super) async fn move_ref(
        &self,
        place: &Path,
        name: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        let answer = match to {
            Some(to) => self.ask(place, &["update-ref", name, to, from], ANSWER).await?,
            None => self.ask(place, &["update-ref", "-d", name, from], ANSWER).await?,
        };
        if answer.status.success() {
            return Ok(true);
        }
        let now = self.refs_of(place).await?;
        if now.get(name).map(String::as_str) == Some(from) { Err(said(&answer.errors)) } else { Ok(false) }
    }
}

fn commits(listed: &str) -> Vec<CommitLine> {
    let line = |line: &str| {
        let mut parts = line.trim_start().splitn(4, UNIT);
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let (id, author, at, summary) = (next(), next(), next(), next());
        CommitLine { id, author, at: at.parse().ok(), summary }
    };
    listed.split(RECORD).filter(|part| !part.trim().is_empty()).map(line).collect()
}

/// Pairs of a letter and a path.
fn changes(parts: &[String]) -> Vec<FileChange> {
    let pair = |pair: &[String]| {
        let kind = match pair[0].as_str() {
            "A" => ChangeKind::Added,
            "D" => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        };
        FileChange { path: pair[1].clone(), kind, patch: None }
    };
    parts.chunks_exact(2).map(pair).collect()
}

/// The patches of files, one behind the other. Lines of files begin with a space, a sign or a backslash, so what begins
/// with a letter is git's own.
fn split(text: &[u8], cut: bool) -> Vec<String> {
    const HEAD: &str = "diff --git ";
    let text = String::from_utf8_lossy(text);
    let mut found: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with(HEAD) {
            found.push(String::new());
        }
        if let Some(last) = found.last_mut() {
            last.push_str(line);
        }
    }
    if cut {
        found.pop();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_told_apart_by_what_no_line_of_a_file_can_be() {
        let text = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+diff --git y\ndiff --git a/b b/b\nnew\n";
        let found = split(text, false);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("+diff --git y\n") && found[1].ends_with("new\n"), "{found:?}");
        assert_eq!(split(text, true).len(), 1, "half a patch is none");
        assert!(split(b"", false).is_empty());
    }
}
