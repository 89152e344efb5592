//! Repositories of the site's own forge: bare ones below the data folder, handed out by git's own HTTP back end. `work`
//! looks into them and joins their branches.

mod hooks;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use csw_core::{
    ports::{
        Comparison, GitAnswer, GitRequest, GitService, MergeResult, MergeWish, RefChange, Repositories, RepositoryError,
    },
    repository::RepositoryId,
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdout, Command},
};

use crate::config::PublishConfig;

/// The longest that git may be at one request.
const SECONDS: u64 = 3600;

/// Bytes of the headers that the back end begins with.
const HEADERS: usize = 16 << 10;

/// Bytes of the answer to a push: a line for each branch and tag.
const REPORT: usize = 8 << 20;

/// Bytes of what is said with a push.
const OPTIONS: u64 = 64 << 10;

/// Bare repositories in a folder.
#[derive(Debug, Clone)]
pub struct FolderRepositories {
    folder: PathBuf,
    git: PathBuf,
    largest_push: u64,
}

impl FolderRepositories {
    /// Those of this publisher. Nothing is touched before the first request.
    pub fn new(config: &PublishConfig) -> Self {
        Self { folder: config.repositories.clone(), git: config.git.clone(), largest_push: config.source_bytes }
    }

    fn place(&self, at: RepositoryId) -> PathBuf {
        self.folder.join(format!("{at}.git"))
    }

    /// Git with a configuration that no repository can change.
    fn git(&self) -> Command {
        let mut command = Command::new(&self.git);
        command
            .arg("-c")
            .arg(format!("core.hooksPath={}", hooks::folder(&self.folder).display()))
            .args(["-c", "core.fsmonitor=false", "-c", "safe.directory=*", "-c", "gc.auto=0"])
            .args(["-c", "http.receivepack=true", "-c", "transfer.fsckObjects=true"])
            .args(["-c", "uploadpack.allowAnySHA1InWant=true", "-c", "receive.denyDeleteCurrent=ignore"])
            .args(["-c", "receive.advertisePushOptions=true"])
            .arg("-c")
            .arg(format!("receive.maxInputSize={}", self.largest_push))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("HOME", &self.folder)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Makes the repository where it is missing.
    async fn ensure(&self, at: RepositoryId) -> Result<PathBuf, RepositoryError> {
        let place = self.place(at);
        hooks::ensure(&self.folder)?;
        if place.join("HEAD").exists() {
            return Ok(place);
        }
        // Whole or not at all, though the server be killed here or two clients come at once.
        let new = self.folder.join(format!(".new-{}", uuid::Uuid::now_v7()));
        let mut init = self.git();
        init.args(["init", "--quiet", "--bare", "--initial-branch=main", "--template="]).arg(&new);
        let done = init.output().await.map_err(|error| self.missing(&error))?;
        if !done.status.success() {
            return Err(said(&done.stderr));
        }
        if let Err(error) = fs::rename(&new, &place) {
            // Leftovers would stay for ever; that of another request is as good.
            let _ = fs::remove_dir_all(&new);
            if !place.join("HEAD").exists() {
                return Err(file(&place, &error));
            }
        }
        Ok(place)
    }

    fn missing(&self, error: &io::Error) -> RepositoryError {
        let cause = format!("`{}` could not be started: {error}; `csw doctor` lists all tools", self.git.display());
        RepositoryError::Unavailable { cause }
    }

    async fn refs_of(&self, place: &Path) -> Result<BTreeMap<String, String>, RepositoryError> {
        let mut command = self.git();
        command.arg("--git-dir").arg(place).args(["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"]);
        let done = command.output().await.map_err(|error| self.missing(&error))?;
        if !done.status.success() {
            return Err(said(&done.stderr));
        }
        let lines = String::from_utf8_lossy(&done.stdout).into_owned();
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            // What a tag with a message names comes last.
            Some((words.next()?.to_owned(), words.next_back()?.to_owned()))
        };
        Ok(lines.lines().filter_map(line).collect())
    }

    /// Whoever clones gets the branch that was pushed first.
    async fn point_head(&self, place: &Path, refs: &BTreeMap<String, String>) -> Result<(), RepositoryError> {
        let head = fs::read_to_string(place.join("HEAD")).map_err(|error| file(place, &error))?;
        let head = head.trim().trim_start_matches("ref: ");
        let Some(branch) = refs.keys().find(|name| name.starts_with("refs/heads/")) else { return Ok(()) };
        if refs.contains_key(head) {
            return Ok(());
        }
        let mut command = self.git();
        command.arg("--git-dir").arg(place).args(["symbolic-ref", "HEAD", branch]);
        command.output().await.map_err(|error| self.missing(&error))?;
        Ok(())
    }

    fn back_end(&self, at: RepositoryId, request: &GitRequest, options: &Path) -> Command {
        let mut command = self.git();
        let service = request.service.as_str();
        let (method, path, query) = if request.advertise {
            ("GET", "info/refs", format!("service={service}"))
        } else {
            ("POST", service, String::new())
        };
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.folder)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "client")
            .env("REQUEST_METHOD", method)
            .env("PATH_INFO", format!("/{at}.git/{path}"))
            .env("QUERY_STRING", query)
            .env("CSW_NOTE", &request.note)
            .env("CSW_ONLY", request.only.join("\n"))
            .env("CSW_REFUSAL", &request.refusal)
            .env("CSW_OPTIONS", options)
            .stdin(Stdio::piped());
        for (name, value) in [
            ("CONTENT_TYPE", &request.content_type),
            ("HTTP_CONTENT_ENCODING", &request.content_encoding),
            ("GIT_PROTOCOL", &request.protocol),
        ] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    async fn answer(&self, at: RepositoryId, request: GitRequest) -> Result<GitAnswer, RepositoryError> {
        let place = self.ensure(at).await?;
        let is_push = request.service == GitService::ReceivePack && !request.advertise;
        let before = if is_push { self.refs_of(&place).await? } else { BTreeMap::new() };
        let options = self.folder.join(format!(".said-{}", uuid::Uuid::now_v7()));
        let mut command = self.back_end(at, &request, &options);
        let mut child = command.spawn().map_err(|error| self.missing(&error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else {
            return Err(RepositoryError::Unavailable { cause: "git has no pipes".to_owned() });
        };
        let mut body = request.body;
        // Git may answer before it has read everything, and then closes its end.
        let feeding = tokio::spawn(async move {
            while let Some(part) = body.next().await {
                if stdin.write_all(&part?).await.is_err() {
                    break;
                }
            }
            Ok::<(), io::Error>(())
        });
        let (status, headers, rest) = head(&mut stdout).await?;
        if !is_push {
            return Ok(GitAnswer {
                status,
                headers,
                body: flow(child, stdout, rest),
                changed: vec![],
                options: vec![],
            });
        }
        let mut report = BytesMut::from(&rest[..]);
        let mut limited = stdout.take(REPORT as u64);
        while limited.read_buf(&mut report).await.map_err(|error| said(error.to_string().as_bytes()))? > 0 {}
        // A client that went away in the middle has pushed nothing; what git took counts.
        feeding.abort();
        let _ = child.wait().await;
        let after = self.refs_of(&place).await?;
        self.point_head(&place, &after).await?;
        let body = stream::once(async move { Ok(report.freeze()) }).boxed();
        let options = take_lines(&options).map_err(|error| file(&options, &error))?;
        Ok(GitAnswer { status, headers, body, changed: changes(&before, &after), options })
    }
}

#[async_trait]
impl Repositories for FolderRepositories {
    async fn serve(&self, at: RepositoryId, request: GitRequest) -> Result<GitAnswer, RepositoryError> {
        let limit = Duration::from_secs(SECONDS);
        let answered = tokio::time::timeout(limit, self.answer(at, request)).await;
        answered.unwrap_or(Err(RepositoryError::TimedOut { seconds: SECONDS }))
    }

    async fn refs(&self, at: RepositoryId) -> Result<Vec<(String, String)>, RepositoryError> {
        let place = self.place(at);
        if !place.join("HEAD").exists() {
            return Ok(Vec::new());
        }
        Ok(self.refs_of(&place).await?.into_iter().collect())
    }

    async fn begin(&self, at: RepositoryId, files: &[(&str, &str)], now: Timestamp) -> Result<(), RepositoryError> {
        let place = self.ensure(at).await?;
        if !self.refs_of(&place).await?.is_empty() {
            return Ok(());
        }
        let written = self.write_first_commit(&place, files, now).await;
        // Somebody else who came at the same time has done it as well.
        if self.refs_of(&place).await?.is_empty() { written } else { Ok(()) }
    }

    async fn compare(&self, at: RepositoryId, into: &str, head: &str) -> Result<Comparison, RepositoryError> {
        self.difference(&self.place(at), into, head).await
    }

    async fn files(&self, at: RepositoryId, commit: &str, folder: &str) -> Result<Vec<String>, RepositoryError> {
        self.list(&self.place(at), commit, folder).await
    }

    async fn text(&self, at: RepositoryId, commit: &str, path: &str) -> Result<Option<String>, RepositoryError> {
        self.read(&self.place(at), commit, path).await
    }

    async fn tree(&self, at: RepositoryId, commit: &str) -> Result<String, RepositoryError> {
        self.line(&self.place(at), &["rev-parse", "--verify", "--end-of-options", &format!("{commit}^{{tree}}")]).await
    }

    async fn contains(&self, at: RepositoryId, commit: &str, behind: &str) -> Result<bool, RepositoryError> {
        self.is_behind(&self.place(at), commit, behind).await
    }

    async fn merge(&self, at: RepositoryId, wish: &MergeWish) -> Result<MergeResult, RepositoryError> {
        self.join(&self.place(at), wish).await
    }

    async fn move_branch(
        &self,
        at: RepositoryId,
        branch: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        self.move_ref(&self.place(at), &format!("refs/heads/{branch}"), from, to).await
    }
}

fn file(path: &Path, error: &io::Error) -> RepositoryError {
    RepositoryError::Unavailable { cause: format!("{}: {error}", path.display()) }
}

fn said(text: &[u8]) -> RepositoryError {
    RepositoryError::Unavailable { cause: String::from_utf8_lossy(text).trim().to_owned() }
}

/// Status and headers of a CGI answer, and what came after them.
type Head = (u16, Vec<(String, String)>, Bytes);

/// Reads the headers of a CGI answer; returns what came after them, too.
async fn head(stdout: &mut ChildStdout) -> Result<Head, RepositoryError> {
    let mut read = BytesMut::new();
    loop {
        if let Some(answer) = parse_head(&read) {
            return Ok(answer);
        }
        let more = stdout.read_buf(&mut read).await.map_err(|error| said(error.to_string().as_bytes()))?;
        if more == 0 || read.len() > HEADERS {
            return Err(said(b"git gave no answer"));
        }
    }
}

fn parse_head(read: &[u8]) -> Option<Head> {
    let end = read.windows(4).position(|part| part == b"\r\n\r\n")?;
    let mut status = 200;
    let mut headers = Vec::new();
    for line in String::from_utf8_lossy(&read[..end]).split("\r\n") {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            status = value.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(500);
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut rest = Bytes::copy_from_slice(read);
    rest.advance(end + 4);
    Some((status, headers, rest))
}

/// The lines of a file that may not be there, which is removed.
fn take_lines(path: &Path) -> io::Result<Vec<String>> {
    use io::Read;
    let opened = match fs::File::open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    opened.take(OPTIONS).read_to_end(&mut text)?;
    fs::remove_file(path)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

/// What git writes, as it comes; git lives as long as somebody reads.
fn flow(child: Child, stdout: ChildStdout, first: Bytes) -> stream::BoxStream<'static, io::Result<Bytes>> {
    let rest = stream::unfold((child, stdout), |(child, mut stdout)| async move {
        let mut part = BytesMut::with_capacity(64 << 10);
        match stdout.read_buf(&mut part).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(part.freeze()), (child, stdout))),
            Err(error) => Some((Err(error), (child, stdout))),
        }
    });
    // An empty part would be taken for the end.
    let first = Some(Ok(first)).filter(|part: &io::Result<Bytes>| part.as_ref().is_ok_and(|bytes| !bytes.is_empty()));
    // Layers around the answer may ask again after its end.
    stream::iter(first).chain(rest).fuse().boxed()
}

fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<RefChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| RefChange { name: name.clone(), commit: after.get(name).cloned() };
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_back_end_are_read_whole_or_not_at_all() {
        let text = b"Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno";
        assert!((0..text.len() - 2).filter(|end| *end < 51).all(|end| parse_head(&text[..end]).is_none()));
        let (status, headers, rest) = parse_head(text).unwrap();
        assert_eq!((status, &rest[..]), (403, &b"no"[..]));
        assert_eq!(headers, [("Content-Type".to_owned(), "text/plain".to_owned())]);
    }

    #[test]
    fn a_push_changes_what_is_different_after_it() {
        let refs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, commit)| ((*name).to_owned(), (*commit).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let before = refs(&[("refs/heads/main", "a"), ("refs/heads/old", "b"), ("refs/heads/same", "c")]);
        let after = refs(&[("refs/heads/main", "d"), ("refs/heads/same", "c"), ("refs/tags/v1", "d")]);
        let told: Vec<_> = changes(&before, &after).into_iter().map(|change| (change.name, change.commit)).collect();
        assert_eq!(
            told,
            [
                ("refs/heads/main".to_owned(), Some("d".to_owned())),
                ("refs/heads/old".to_owned(), None),
                ("refs/tags/v1".to_owned(), Some("d".to_owned())),
            ]
        );
    }
}
