//! Pull requests of the site's own forge: wishes to merge a branch, and the builds that check them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    build::{Build, BuildState},
    ids::{AccountId, BuildId, ModelId, PullId},
    repository::RepositoryId,
};

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PullState {
    /// It waits for its checks, or for somebody who merges it.
    Open,
    /// It is decided: the branch is being moved, and versions are made live. The next start of the server goes on here.
    Merging,
    /// Its commits are in the branch it was meant for.
    Merged,
    /// Somebody closed it without merging.
    Closed,
}

impl PullState {
    const ALL: [Self; 4] = [Self::Open, Self::Merging, Self::Merged, Self::Closed];

    /// The stored and shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merging => "merging",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What is found out about one model that a pull request changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which, where it exists.
    pub model: Option<ModelId>,
    /// Its name, or that of the file which should be about it.
    pub name: String,
    /// The build that tells.
    pub build: Option<BuildId>,
    /// Why there is none.
    pub problem: Option<String>,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckState {
    /// Its build waits for its turn.
    Waiting,
    /// Its build is at work.
    Running,
    /// Its version is staged.
    Passed,
    /// It can't be merged like this.
    Failed,
}

impl CheckState {
    /// The shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

impl Check {
    /// How it stands, by the build it names.
    #[must_use]
    pub fn state(&self, build: Option<&Build>) -> CheckState {
        match build.filter(|_| self.problem.is_none()).map(|build| build.state) {
            Some(BuildState::Queued) => CheckState::Waiting,
            Some(BuildState::Running) => CheckState::Running,
            Some(BuildState::Succeeded) => CheckState::Passed,
            Some(BuildState::Failed | BuildState::Cancelled) | None => CheckState::Failed,
        }
    }
}

/// The decision to merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// What the branch is to name.
    pub commit: String,
    /// What it named when that was decided.
    pub from: String,
    /// Who decided.
    pub by: AccountId,
    /// Whether the branch that was proposed is to go.
    pub delete_branch: bool,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its identifier.
    pub id: PullId,
    /// Where it is.
    pub repository: RepositoryId,
    /// Its number there, which people see.
    pub number: u32,
    /// Who opened it.
    pub author: AccountId,
    /// The author's name.
    pub author_name: String,
    /// Its title.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch that is to be merged.
    pub branch: String,
    /// The branch that it is to be merged into.
    pub into: String,
    /// The commit that is proposed.
    pub head: String,
    /// Where it stands.
    pub state: PullState,
    /// Of that commit.
    pub checks: Vec<Check>,
    /// Whether the models' own tests are left out.
    pub skip_tests: bool,
    /// Once somebody decided.
    pub merge: Option<Merge>,
    /// What came of it, in a sentence.
    pub outcome: Option<String>,
    /// Grows with every change, so that of two at once only one is stored.
    pub revision: u64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
    /// When it was merged or closed.
    pub closed_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_what_they_were() {
        assert!(PullState::ALL.into_iter().all(|one| PullState::parse(one.as_str()) == Some(one)));
        assert_eq!(PullState::parse("lost"), None);
    }

    #[test]
    fn a_check_without_a_build_has_failed() {
        let check = Check { model: None, name: "config/x".to_owned(), build: None, problem: None };
        assert_eq!(check.state(None), CheckState::Failed);
    }
}
