//! Checks: what a forge shows of a build beside the commit that the build is of.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{BuildId, CheckId, ModelId};

/// The button of a check that somebody has to allow, as the forge tells of its use.
pub const BUILD_BUTTON: &str = "build";

/// A commit on a forge elsewhere that told us of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgeCommit {
    /// `owner/name` of the repository on the forge.
    pub repository: String,
    /// The full name of the commit.
    pub commit: String,
    /// The number of the pull request that it is the head of, if that is why we were told.
    pub pull_request: Option<u64>,
    /// The repository that it comes from, where that is another one: foreign code.
    pub fork: Option<String>,
}

impl ForgeCommit {
    /// What keeps builds of one pull request apart from those of others and from those of pushes: of each line the
    /// newest build wins, and none stops another line's.
    #[must_use]
    pub fn line(&self) -> String {
        match self.pull_request {
            Some(number) => format!("{}#{number}", self.repository.to_lowercase()),
            None => String::new(),
        }
    }

    /// The first digits of the commit.
    #[must_use]
    pub fn short(&self) -> String {
        self.commit.chars().take(12).collect()
    }
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Its build waits for its turn.
    Queued,
    /// Its build is at work.
    InProgress,
    /// It is over.
    Completed(Conclusion),
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// The version is staged or live.
    Success,
    /// The build stopped in a stage.
    Failure,
    /// It says nothing of this commit: another one was built.
    Neutral,
    /// Somebody, or a newer build, stopped it.
    Cancelled,
    /// Somebody has to say that it may be built.
    ActionRequired,
}

impl Conclusion {
    /// The word that forges have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
            Self::Cancelled => "cancelled",
            Self::ActionRequired => "action_required",
        }
    }
}

/// A check, as a forge is to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Ours; forges keep it beside their own number.
    pub id: CheckId,
    /// `owner/name` of the repository.
    pub repository: String,
    /// The full name of the commit.
    pub commit: String,
    /// What the check is called: the same for every commit.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// The page with the log.
    pub url: String,
    /// When the build began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A check that a forge has to be told of, as it is kept: durable, so that a server that ends in between still completes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheck {
    /// Its identifier: that of its build, where it has one.
    pub id: CheckId,
    /// Of which model.
    pub model: ModelId,
    /// Beside which commit it is shown.
    pub on: ForgeCommit,
    /// What the forge calls it, once it has it.
    pub remote: Option<String>,
    /// The state that the forge was last told, in a form of our own.
    pub told: String,
    /// Attempts since the forge last took one; not zero also where the server ended during one.
    pub attempts: u32,
    /// When the next attempt may be made.
    pub retry_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

impl KeptCheck {
    /// One that no forge was told of yet.
    #[must_use]
    pub fn new(id: CheckId, model: ModelId, on: ForgeCommit, now: Timestamp) -> Self {
        Self { id, model, on, remote: None, told: String::new(), attempts: 0, retry_at: now, created_at: now }
    }

    /// The build that it tells of, if there is one.
    #[must_use]
    pub const fn build(&self) -> BuildId {
        BuildId::from_uuid(self.id.as_uuid())
    }
}
