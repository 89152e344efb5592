//! Pull requests.

use serde::{Deserialize, Serialize};

/// A wish to merge a branch of a model's repository, or of the one that models are published from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pull {
    /// Its number in the repository.
    pub number: u32,
    /// Its page, below the server's address.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Markdown.
    #[serde(default)]
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// The branch that is to be merged.
    pub branch: String,
    /// The branch that it is to be merged into.
    pub into: String,
    /// The commit that is proposed.
    pub head: String,
    /// `open`, `merging`, `merged` or `closed`.
    pub state: String,
    /// Of that commit.
    #[serde(default)]
    pub checks: Vec<PullCheck>,
    /// Whether all checks have passed.
    #[serde(default)]
    pub passed: bool,
    /// Whether the models' own tests are left out.
    #[serde(default)]
    pub skip_tests: bool,
    /// The commit that joined both branches.
    #[serde(default)]
    pub merge_commit: Option<String>,
    /// Who merged it.
    #[serde(default)]
    pub merged_by: Option<String>,
    /// What came of it.
    #[serde(default)]
    pub message: Option<String>,
    /// Its commits, newest first; none in lists.
    #[serde(default)]
    pub commits: Option<Vec<PullCommit>>,
    /// What it changes; none in lists.
    #[serde(default)]
    pub files: Option<Vec<PullFile>>,
    /// When it was opened.
    #[serde(default)]
    pub created_at: String,
}

/// How one model stands that a pull request changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullCheck {
    /// The model, or the file that should be about one.
    pub model: String,
    /// `waiting`, `running`, `passed` or `failed`.
    pub state: String,
    /// What came of it, or what is wrong and what to do.
    #[serde(default)]
    pub message: String,
    /// The build that tells.
    #[serde(default)]
    pub build: Option<String>,
}

impl PullCheck {
    /// Whether it stays as it is.
    pub fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "waiting" | "running")
    }
}

/// A commit that is proposed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullCommit {
    /// Its full name.
    pub id: String,
    /// Who wrote it, as they say.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
}

/// A file that is different.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullFile {
    /// Its place in the repository.
    pub path: String,
    /// `added`, `changed` or `removed`.
    pub change: String,
    /// The lines that differ; none where that is too much.
    #[serde(default)]
    pub patch: Option<String>,
}
