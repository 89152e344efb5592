//! Builds: passes of the publishing pipeline, from source to a version.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    check::{ForgeCommit, KeptCheck},
    ids::{AccountId, BuildId, CheckId, ModelId, PullId, VersionId},
};

/// How often a build is begun again after the server that was at it has ended.
pub const MAX_BUILD_ATTEMPTS: u32 = 3;

/// Where source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A git repository and a branch, tag or commit.
    Git {
        /// `https`, `git` or `ssh` URL, or a local repository where the operator allows it.
        url: String,
        /// What to check out; empty is the default branch.
        reference: String,
    },
    /// A repository of this site's own forge, and a commit in it.
    Own {
        /// Whose.
        model: ModelId,
        /// The full name of the commit.
        commit: String,
        /// The branch it was pushed to, for people.
        branch: String,
    },
    /// A tar of files that a client packed, and the commit it says they are of.
    Archive {
        /// The tar on this machine; removed when the build is over.
        file: PathBuf,
        /// Empty where the files are no clean commit.
        commit: String,
        /// When they were committed, as far as the client knows.
        committed_at: Option<Timestamp>,
        /// Where their repository is, so that a `git+` reference to it means these files.
        url: Option<String>,
    },
    /// A folder as it is, for an author's own check.
    Folder(PathBuf),
}

impl Source {
    /// Whether it is on the disk of the server that was asked for the build: no other one can carry it out.
    #[must_use]
    pub fn is_here(&self) -> bool {
        !matches!(self, Self::Git { .. })
    }
}

/// Why a build is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// A newer one takes its place.
    Superseded,
    /// Somebody said so.
    OnRequest,
    /// Its pull request was closed.
    Closed,
    /// Its pull request asks for something else by now.
    NotWanted,
}

impl StopReason {
    const ALL: [Self; 4] = [Self::Superseded, Self::OnRequest, Self::Closed, Self::NotWanted];

    /// The word by which servers tell each other.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::OnRequest => "on_request",
            Self::Closed => "closed",
            Self::NotWanted => "not_wanted",
        }
    }

    /// The reason with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// What people are told.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Superseded => "Cancelled: a newer build of this model was asked for.",
            Self::OnRequest => "Cancelled on request.",
            Self::Closed => "Cancelled: the pull request was closed.",
            Self::NotWanted => "Cancelled: its pull request does not ask for it any more.",
        }
    }
}

/// What led to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody asked, on the page, by the API or on the command line.
    Request,
    /// A push to the model's repository on this site.
    Push,
    /// A push elsewhere, which the forge there told.
    Webhook,
    /// A pull request, of the publish repository or of the model's own, here or elsewhere.
    PullRequest,
}

impl Trigger {
    /// The stored and shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Push => "push",
            Self::Webhook => "webhook",
            Self::PullRequest => "pull_request",
        }
    }

    /// The trigger with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Request, Self::Push, Self::Webhook, Self::PullRequest].into_iter().find(|one| one.as_str() == word)
    }
}

/// What runs of a model would get, where that is proposed and not decided yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// CPUs.
    pub cpus: Option<f64>,
    /// Gigabytes of memory.
    pub memory_gigabytes: Option<f64>,
}

/// All that a build needs to be carried out, again if need be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildOrder {
    /// What is built.
    pub source: Source,
    /// Resolve packages as they were at this time.
    pub as_of: Option<Timestamp>,
    /// Leave the model's own tests out. The four functions are checked anyway.
    pub skip_tests: bool,
    /// Make the version live where every stage succeeds; otherwise it stays staged.
    pub promote: bool,
    /// Whether a model that has no simulation yet gets one of its default inputs, as an example.
    pub example: bool,
    /// The commit on a forge elsewhere that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeCommit>,
    /// Whether that forge is to show a check of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
    /// Make it live without running simulations of the live version again.
    #[serde(default)]
    pub skip_comparison: bool,
    /// The pull request that it checks. Builds of other ones, and those of none, do not supersede it.
    #[serde(default)]
    pub pull: Option<PullId>,
    /// What the tests get in place of the model's settings.
    #[serde(default)]
    pub proposed: Proposed,
}

impl BuildOrder {
    /// An order that makes its version live.
    #[must_use]
    pub const fn of(source: Source) -> Self {
        Self {
            source,
            as_of: None,
            skip_tests: false,
            promote: true,
            example: true,
            skip_comparison: false,
            forge: None,
            check: false,
            pull: None,
            proposed: Proposed { cpus: None, memory_gigabytes: None },
        }
    }

    /// Whether it is of code that came from outside of the model's repository: that is never given secrets.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.forge.as_ref().is_some_and(|forge| forge.fork.is_some())
    }

    /// Builds of one line replace each other: those of a pull request here, those of one elsewhere
    /// ([`ForgeCommit::line`]), and all others of a model.
    #[must_use]
    pub fn line(&self) -> String {
        match (self.pull, &self.forge) {
            (Some(pull), _) => format!("pull {pull}"),
            (None, Some(forge)) => forge.line(),
            (None, None) => String::new(),
        }
    }
}

/// A stage of the publishing pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Get the source and pin its commit.
    Fetch,
    /// Make environment and code folders.
    Build,
    /// Conformance check and the model's own tests.
    Test,
    /// Put the artifact where executors find it.
    Push,
    /// Record the version.
    Stage,
    /// Run simulations of the live version again, before it is made live.
    Compare,
    /// Make it live.
    Promote,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 7] =
        [Self::Fetch, Self::Build, Self::Test, Self::Push, Self::Stage, Self::Compare, Self::Promote];

    /// The stored and shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Build => "build",
            Self::Test => "test",
            Self::Push => "push",
            Self::Stage => "stage",
            Self::Compare => "compare",
            Self::Promote => "promote",
        }
    }

    /// The stage with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

/// How a stage that was entered stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageState {
    /// The build is in it.
    Running,
    /// It is done.
    Passed,
    /// The build stopped in it.
    Failed,
    /// Somebody, or a newer build, stopped it.
    Cancelled,
}

impl StageState {
    /// The shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stage that a build has entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Which.
    pub stage: Stage,
    /// How it stands.
    pub state: StageState,
    /// When the build entered it.
    pub started_at: Timestamp,
    /// When the build left it.
    pub finished_at: Option<Timestamp>,
}

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildState {
    /// Waits for its turn.
    Queued,
    /// At work in its stage.
    Running,
    /// Its version is live or staged.
    Succeeded,
    /// Stopped in its stage; the live version is untouched.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl BuildState {
    const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The stored and shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether it stays so.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// One pass of the publishing pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// Its identifier.
    pub id: BuildId,
    /// Of which model.
    pub model: ModelId,
    /// Who asked.
    pub requested_by: AccountId,
    /// What led to it.
    pub trigger: Trigger,
    /// What is built, for people: a URL and reference, or "uploaded files".
    pub source: String,
    /// What is to be done.
    pub order: BuildOrder,
    /// The commit, once it is pinned.
    pub commit: Option<String>,
    /// Where it is, or where it stopped.
    pub stage: Stage,
    /// The stages it has entered, in order.
    pub stages: Vec<StageRecord>,
    /// How it stands.
    pub state: BuildState,
    /// What went wrong and what to do, or the result in a sentence.
    pub message: Option<String>,
    /// What it made.
    pub version: Option<VersionId>,
    /// How often it was begun.
    pub attempt: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Build {
    /// The check that it is to have on a forge, where it is to have one.
    #[must_use]
    pub fn check(&self) -> Option<KeptCheck> {
        let on = self.order.forge.clone().filter(|_| self.order.check)?;
        Some(KeptCheck::new(CheckId::from_uuid(self.id.as_uuid()), self.model, on, self.created_at))
    }

    /// Leaves the stage it is in, if any, and enters this one.
    pub fn enter(&mut self, stage: Stage, now: Timestamp) {
        self.leave(StageState::Passed, now);
        self.stage = stage;
        self.stages.push(StageRecord { stage, state: StageState::Running, started_at: now, finished_at: None });
    }

    /// Ends the stage it is in, and itself.
    pub fn end(&mut self, state: BuildState, message: String, now: Timestamp) {
        self.leave(
            match state {
                BuildState::Failed => StageState::Failed,
                BuildState::Cancelled => StageState::Cancelled,
                _ => StageState::Passed,
            },
            now,
        );
        self.state = state;
        self.message = Some(message);
        self.finished_at = Some(now);
    }

    /// Goes back to the queue, to be carried out from its beginning.
    pub fn begin_again(&mut self) {
        self.stages.clear();
        self.stage = Stage::Fetch;
        self.state = BuildState::Queued;
    }

    fn leave(&mut self, state: StageState, now: Timestamp) {
        if let Some(last) = self.stages.last_mut().filter(|record| record.state == StageState::Running) {
            last.state = state;
            last.finished_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn build() -> Build {
        let ten = [7; 10];
        Build {
            id: BuildId::new(at(0), ten),
            model: ModelId::new(at(0), ten),
            requested_by: AccountId::new(at(0), ten),
            trigger: Trigger::Push,
            source: String::new(),
            order: BuildOrder::of(Source::Git {
                url: "https://example.org/m.git".to_owned(),
                reference: String::new(),
            }),
            commit: None,
            stage: Stage::Fetch,
            stages: vec![],
            state: BuildState::Running,
            message: None,
            version: None,
            attempt: 1,
            created_at: at(0),
            finished_at: None,
        }
    }

    fn told(build: &Build) -> Vec<(Stage, StageState, Option<Timestamp>)> {
        build.stages.iter().map(|record| (record.stage, record.state, record.finished_at)).collect()
    }

    #[test]
    fn stages_follow_each_other_and_the_last_ends_as_the_build_does() {
        let mut build = build();
        build.enter(Stage::Fetch, at(1));
        build.enter(Stage::Build, at(3));
        assert_eq!(
            told(&build),
            [(Stage::Fetch, StageState::Passed, Some(at(3))), (Stage::Build, StageState::Running, None)]
        );
        build.end(BuildState::Failed, "no".to_owned(), at(4));
        assert_eq!(told(&build)[1], (Stage::Build, StageState::Failed, Some(at(4))));
        assert_eq!((build.stage, build.state, build.finished_at), (Stage::Build, BuildState::Failed, Some(at(4))));
        build.begin_again();
        assert_eq!((told(&build), build.state), (vec![], BuildState::Queued));
    }

    #[test]
    fn words_come_back_as_what_they_were() {
        assert!(Stage::ALL.into_iter().all(|one| Stage::parse(one.as_str()) == Some(one)));
        assert!(BuildState::ALL.into_iter().all(|one| BuildState::parse(one.as_str()) == Some(one)));
        let order = build().order;
        let older = r#"{"source":{"git":{"url":"u","reference":""}},"as_of":null,"skip_tests":false,"promote":true,"example":true}"#;
        assert_eq!(serde_json::from_str::<BuildOrder>(older).unwrap().pull, None);
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<BuildOrder>(&text).unwrap(), order);
    }
}
