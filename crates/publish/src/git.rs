//! A git repository on another machine: one commit of it, without its history.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use jiff::Timestamp;

use crate::{
    config::PublishConfig,
    failure::Failure,
    mask::{Log, mask},
    near::near,
    process::{Ended, Output, run, run_unless},
    repository::{RepositoryUrl, check_reference},
    tree,
};

/// The commit that was fetched.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// Its full name.
    pub(crate) id: String,
    /// When it was made.
    pub(crate) time: Option<Timestamp>,
}

/// Git with a configuration that no repository can change.
pub(crate) struct Git<'a> {
    config: &'a PublishConfig,
    log: &'a Log<'a>,
}

impl<'a> Git<'a> {
    /// Uses the operator's git.
    pub(crate) fn new(config: &'a PublishConfig, log: &'a Log<'a>) -> Self {
        Self { config, log }
    }

    fn command(&self, folder: Option<&Path>, args: &[&str]) -> Command {
        let mut command = Command::new(&self.config.git);
        let protocols =
            if self.config.allow_local_repositories { "https:http:ssh:git:file" } else { "https:http:ssh:git" };
        command
            .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"])
            .args(["-c", "safe.directory=*"])
            .args(args)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
            .env("GIT_ALLOW_PROTOCOL", protocols)
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("LC_ALL", "C")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .stdin(std::process::Stdio::null());
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        command
    }

    async fn ask(&self, folder: Option<&Path>, args: &[&str], output: Output) -> Result<Ended, Failure> {
        let what = format!("git {}", args.first().unwrap_or(&""));
        run(&what, self.command(folder, args), self.config.fetch_seconds, output, self.log).await
    }

    /// Brings objects into a folder, as long as they are no more than a model may have.
    async fn bring(&self, url: &RepositoryUrl, folder: &Path, args: &[&str]) -> Result<Ended, Failure> {
        let command = self.command(Some(folder), args);
        let large = self.grown(url, folder);
        let what = format!("git {}", args.first().unwrap_or(&""));
        let ended = run_unless(&what, command, self.config.fetch_seconds, Output::Logged, self.log, large).await;
        match ended {
            Err(Failure::TimedOut { seconds, .. }) => Err(Failure::Unusable(format!(
                "The repository {} was not fetched within {seconds} seconds. Try again; where it is large, publish a branch \
                 without data, or upload the files with `csw models publish --repo FOLDER`",
                mask(&url.url)
            ))),
            ended => ended,
        }
    }

    /// Waits until the folder has more bytes than a model's source may have.
    async fn grown(&self, url: &RepositoryUrl, folder: &Path) -> Failure {
        loop {
            tokio::time::sleep(LOOK_AT_SIZE).await;
            let place = folder.to_path_buf();
            // What is being written comes and goes; a look that fails is one that sees too little.
            let bytes = crate::background(move || tree::size(&place)).await.unwrap_or(0);
            // Objects and files lie side by side for a while.
            if bytes > self.config.source_bytes.saturating_mul(2) {
                return too_large(&url.url, self.config);
            }
        }
    }

    /// What a command in a folder prints; nothing where it fails.
    pub(crate) async fn answer(&self, folder: &Path, args: &[&str]) -> Option<Vec<u8>> {
        let ended = self.ask(Some(folder), args, Output::Quiet).await.ok()?;
        ended.status.success().then_some(ended.output)
    }

    /// Likewise, one line of text.
    pub(crate) async fn answer_line(&self, folder: &Path, args: &[&str]) -> Option<String> {
        let text = String::from_utf8(self.answer(folder, args).await?).ok()?;
        Some(text.trim().to_owned()).filter(|line| !line.is_empty())
    }

    /// Fetches a branch, tag or commit into an empty folder, and removes git's own files from it.
    pub(crate) async fn fetch(&self, url: &RepositoryUrl, reference: &str, folder: &Path) -> Result<Commit, Failure> {
        check_reference(reference)?;
        self.log.line(&format!("Looking at {}", url.url));
        let names = self.names(url).await?;
        let wanted = names.find(reference);
        if wanted.is_none() && !is_commit(reference) {
            return Err(names.not_found(url, reference));
        }
        fs::create_dir_all(folder).map_err(Failure::at("Making the folder", folder))?;
        self.ask(Some(folder), &["init", "--quiet", "--template="], Output::Logged).await?.success("git init")?;
        let found = match wanted {
            Some(name) => self.fetch_one(url, &name, folder).await?,
            None => self.fetch_commit(url, reference, folder, &names).await?,
        };
        let checkout = ["checkout", "--quiet", "--detach", &found];
        // A small pack may hold files without end.
        self.bring(url, folder, &checkout).await?.success("git checkout")?;
        let show = ["show", "--no-patch", "--format=%H %cI", "HEAD"];
        let line = self.answer_line(folder, &show).await.unwrap_or_default();
        let (id, time) = line.split_once(' ').unwrap_or((&line, ""));
        if folder.join(".gitmodules").exists() {
            self.log.line("The repository has submodules; they are not fetched.");
        }
        let hidden = folder.join(".git");
        fs::remove_dir_all(&hidden).map_err(Failure::at("Removing", &hidden))?;
        Ok(Commit { id: id.to_owned(), time: time.parse().ok() })
    }

    async fn fetch_one(&self, url: &RepositoryUrl, name: &str, folder: &Path) -> Result<String, Failure> {
        let args = ["fetch", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", &url.url, name];
        let ended = self.bring(url, folder, &args).await?;
        if !ended.status.success() {
            return Err(unreachable(url, &ended));
        }
        Ok("FETCH_HEAD^{commit}".to_owned())
    }

    /// A commit by its name: hosts give away full ones; for others all branches and tags are needed.
    async fn fetch_commit(
        &self,
        url: &RepositoryUrl,
        commit: &str,
        folder: &Path,
        names: &Names,
    ) -> Result<String, Failure> {
        if commit.len() >= 40 {
            match self.fetch_one(url, commit, folder).await {
                Ok(found) => return Ok(found),
                // Not every host gives a commit away by its name.
                Err(Failure::Unusable(_)) => {}
                Err(other) => return Err(other),
            }
        }
        self.log.line("Fetching all branches and tags to find the commit");
        let args = [
            "fetch",
            "--no-recurse-submodules",
            "--",
            &url.url,
            "+refs/heads/*:refs/csw/heads/*",
            "+refs/tags/*:refs/tags/*",
        ];
        let ended = self.bring(url, folder, &args).await?;
        if !ended.status.success() {
            return Err(unreachable(url, &ended));
        }
        let wanted = format!("{commit}^{{commit}}");
        let found = self.answer_line(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).await;
        found.ok_or_else(|| names.not_found(url, commit))
    }

    async fn names(&self, url: &RepositoryUrl) -> Result<Names, Failure> {
        let ended = self.ask(None, &["ls-remote", "--", &url.url], Output::Captured).await?;
        if !ended.status.success() {
            return Err(unreachable(url, &ended));
        }
        Ok(Names::parse(&String::from_utf8_lossy(&ended.output)))
    }
}

/// How often the size of what is fetched is looked at.
const LOOK_AT_SIZE: Duration = Duration::from_millis(500);

/// What is said of source that is more than a model may have.
pub(crate) fn too_large(what: &str, config: &PublishConfig) -> Failure {
    Failure::Unusable(format!(
        "{} has more than {} MB or {} files, which is the most that a model's source may have. Publish a branch without \
         data, and let `install.sh` or the model fetch what is large",
        mask(what),
        config.source_bytes / 1_000_000,
        config.source_entries
    ))
}

fn is_commit(reference: &str) -> bool {
    (7..=64).contains(&reference.len()) && reference.chars().all(|c| c.is_ascii_hexdigit())
}

/// Branches and tags that a repository offers.
struct Names(BTreeMap<String, String>);

impl Names {
    fn parse(listing: &str) -> Self {
        let line = |line: &str| line.split_once('\t').map(|(id, name)| (name.to_owned(), id.to_owned()));
        Self(listing.lines().filter_map(line).collect())
    }

    /// The full name of a reference.
    fn find(&self, reference: &str) -> Option<String> {
        if reference.is_empty() {
            return self.0.contains_key("HEAD").then(|| "HEAD".to_owned());
        }
        // As git does: a tag wins over a branch of the same name.
        let candidates = [reference.to_owned(), format!("refs/tags/{reference}"), format!("refs/heads/{reference}")];
        candidates.into_iter().find(|name| name.starts_with("refs/") && self.0.contains_key(name))
    }

    fn not_found(&self, url: &RepositoryUrl, reference: &str) -> Failure {
        if self.0.is_empty() {
            return Failure::Unusable(format!("The repository {} is empty: push a commit first", url.url));
        }
        if reference.is_empty() {
            return Failure::Unusable(format!(
                "The repository {} has no default branch: name a branch or tag",
                url.url
            ));
        }
        let short = |name: &str| {
            let cut = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/"))?;
            (!cut.ends_with("^{}")).then(|| cut.to_owned())
        };
        let known: Vec<String> = self.0.keys().filter_map(|name| short(name)).collect();
        let mut offered: Vec<String> =
            near(reference, known.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
        // Where nothing looks alike, the usual main branch is meant more often than not.
        if offered.is_empty() {
            offered = known.iter().filter(|name| ["master", "main", "dev"].contains(&name.as_str())).cloned().collect();
        }
        let hint = if offered.is_empty() {
            format!("It has {} branches and tags, none alike", known.len())
        } else {
            format!("Did you mean `{}`?", offered.join("` or `"))
        };
        Failure::Unusable(format!("`{reference}` is no branch, tag or commit of {}. {hint}", url.url))
    }
}

/// What git's own words mean for the person who gave the URL.
fn unreachable(url: &RepositoryUrl, ended: &Ended) -> Failure {
    let said = ended.tail.join("\n");
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // Git was given an empty login where there was none, and says that it was refused.
    let anonymous = url.url.starts_with("http") && !url.url.split('/').nth(2).is_some_and(|host| host.contains('@'));
    let url = mask(&url.url);
    let sentence = if has(&["Could not resolve host", "Temporary failure in name resolution", "unable to look up"]) {
        format!("The host of {url} was not found: check its spelling")
    } else if has(&[
        "not found",
        "does not exist",
        "could not read Username",
        "does not appear to be a git repository",
        "not accessible",
    ]) || anonymous && has(&["Authentication failed", "Invalid username", "403"])
    {
        format!(
            "The repository {url} was not found, or is not open to everybody. Check the address; a private repository needs a token in it (https://TOKEN@HOST/OWNER/REPOSITORY)"
        )
    } else if has(&["Authentication failed", "Permission denied", "Invalid username", "403"]) {
        format!("The repository {url} refused the login that was given. Check that the token is valid and may read it")
    } else if has(&["Host key verification failed"]) {
        format!(
            "The SSH key of the host of {url} is unknown here: the operator adds it to `known_hosts`, or use an https URL"
        )
    } else if has(&["transport", "not allowed"]) {
        format!("The repository {url} uses a protocol that is not allowed here: use https")
    } else {
        format!("The repository {url} could not be fetched: {}", ended.last_line())
    };
    Failure::Unusable(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_near_ones_offered() {
        let names = Names::parse("1\tHEAD\n1\trefs/heads/master\n2\trefs/tags/v1.2.0\n2\trefs/tags/v1.2.0^{}\n");
        assert_eq!(names.find("").as_deref(), Some("HEAD"));
        assert_eq!(names.find("v1.2.0").as_deref(), Some("refs/tags/v1.2.0"));
        assert_eq!(names.find("HEAD"), None);
        let url = RepositoryUrl { url: "https://h/a/b".into() };
        let sentence = |reference| names.not_found(&url, reference).to_string();
        assert!(sentence("1.2.0").ends_with("Did you mean `v1.2.0`?"));
        assert!(sentence("something-else").ends_with("Did you mean `master`?"));
    }
}
