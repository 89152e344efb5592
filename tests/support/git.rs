//! Git as somebody with an account uses it against a site.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{Account, Done, Result};

/// A working copy.
pub struct WorkingCopy {
    folder: PathBuf,
    account: Account,
}

impl WorkingCopy {
    /// The one in this folder, of this person.
    pub fn at(folder: &Path, account: &Account) -> Self {
        Self { folder: folder.to_path_buf(), account: account.clone() }
    }

    /// Begins a repository here, with all files in its first commit on `branch`.
    pub fn begin(self, branch: &str) -> Result<Self> {
        self.done(&["init", "-q", "-b", branch])?;
        self.commit("first")?;
        Ok(self)
    }

    /// Commits all changes; the name of the commit.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.done(&["add", "-A"])?;
        self.done(&["commit", "-q", "-m", message])?;
        Ok(self.done(&["rev-parse", "HEAD"])?.stdout.trim().to_owned())
    }

    /// Runs git, whatever comes of it. The token is in no argument, where everybody on the machine could read it.
    pub fn git(&self, words: &[&str]) -> Result<Done> {
        let pair = STANDARD.encode(format!("{}:{}", self.account.name, self.account.token));
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
            .args(words)
            .current_dir(&self.folder)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {pair}"));
        Ok(command.output()?.into())
    }

    /// Runs git, which must succeed.
    pub fn done(&self, words: &[&str]) -> Result<Done> {
        let done = self.git(words)?;
        anyhow::ensure!(done.code == 0, "git {words:?}: {}", done.stderr);
        Ok(done)
    }
}
