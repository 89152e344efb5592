//! Models and their versions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::{AccountId, ModelId, VersionId},
    names::{AccountName, ModelName, ModelTitle},
};

/// Where a model stands in the eyes of its users; section 2.6 of the 1.6 behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModelStatus {
    /// It has no live version yet.
    #[serde(rename = "pending")]
    Pending,
    /// It can be run.
    #[serde(rename = "live")]
    Live,
    /// It can be run, and a new version is on its way.
    #[serde(rename = "updating")]
    Updating,
    /// An admin took it off.
    #[serde(rename = "requires fixes")]
    RequiresFixes,
}

impl ModelStatus {
    /// The stored and shown words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Live => "live",
            Self::Updating => "updating",
            Self::RequiresFixes => "requires fixes",
        }
    }

    /// The status with these words.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Live, Self::Updating, Self::RequiresFixes].into_iter().find(|s| s.as_str() == word)
    }

    /// Whether simulations may be made.
    #[must_use]
    pub const fn is_runnable(self) -> bool {
        matches!(self, Self::Live | Self::Updating)
    }
}

/// What a build may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BuildLimits {
    /// CPUs.
    pub cpus: f64,
    /// Gigabytes of memory.
    pub memory_gigabytes: f64,
    /// Minutes for each of its steps.
    pub minutes: u32,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self { cpus: 2.0, memory_gigabytes: 8.0, minutes: 60 }
    }
}

/// What a publisher decides about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSettings {
    /// One line.
    pub oneliner: String,
    /// Markdown, at most 10,000 characters.
    pub description: String,
    /// Where its source is; empty while versions are uploaded.
    pub repo_url: String,
    /// Branch, tag or commit.
    pub repo_tag: String,
    /// CPUs a run gets.
    pub cpus: f64,
    /// Gigabytes of memory a run gets.
    pub memory_gigabytes: f64,
    /// Seconds a run is expected to take.
    pub expected_seconds: Option<u32>,
    /// Seconds a run may take at most.
    pub deadline_seconds: u32,
    /// Shown in menus and lists.
    pub listed: bool,
    /// Whether everybody may see and run it.
    pub is_public: bool,
    /// Whether its runs may reach the network.
    pub network: bool,
    /// Whether equal inputs give equal outputs, so that a result may answer them again.
    pub deterministic: bool,
    /// Whether a zygote may run the model once before it parks.
    pub warm_up: bool,
    /// What a build of it may use.
    pub build: BuildLimits,
}

impl ModelSettings {
    /// The settings of a model that nobody has described yet: its repository may.
    #[must_use]
    pub fn undescribed(title: &str) -> Self {
        Self {
            oneliner: title.to_owned(),
            description: title.to_owned(),
            repo_tag: "main".to_owned(),
            ..Self::default()
        }
    }

    /// These with what differs between `before` and `wanted`: two who change different settings at once lose neither.
    #[must_use]
    pub fn merged(self, before: &Self, wanted: &Self) -> Self {
        fn one<T: PartialEq + Clone>(now: T, before: &T, wanted: &T) -> T {
            if before == wanted { now } else { wanted.clone() }
        }
        Self {
            oneliner: one(self.oneliner, &before.oneliner, &wanted.oneliner),
            description: one(self.description, &before.description, &wanted.description),
            repo_url: one(self.repo_url, &before.repo_url, &wanted.repo_url),
            repo_tag: one(self.repo_tag, &before.repo_tag, &wanted.repo_tag),
            cpus: one(self.cpus, &before.cpus, &wanted.cpus),
            memory_gigabytes: one(self.memory_gigabytes, &before.memory_gigabytes, &wanted.memory_gigabytes),
            expected_seconds: one(self.expected_seconds, &before.expected_seconds, &wanted.expected_seconds),
            deadline_seconds: one(self.deadline_seconds, &before.deadline_seconds, &wanted.deadline_seconds),
            listed: one(self.listed, &before.listed, &wanted.listed),
            is_public: one(self.is_public, &before.is_public, &wanted.is_public),
            network: one(self.network, &before.network, &wanted.network),
            deterministic: one(self.deterministic, &before.deterministic, &wanted.deterministic),
            warm_up: one(self.warm_up, &before.warm_up, &wanted.warm_up),
            build: one(self.build, &before.build, &wanted.build),
        }
    }

    /// The same with what the repository says, where nobody said anything else.
    #[must_use]
    pub fn described_by(&self, title: &str, said: &Described) -> Self {
        let blank = Self::undescribed(title);
        if self.oneliner != blank.oneliner || self.description != blank.description {
            return self.clone();
        }
        let oneliner = said.oneliner.clone().unwrap_or_else(|| self.oneliner.clone());
        Self {
            description: said.description.clone().unwrap_or_else(|| oneliner.clone()),
            oneliner,
            cpus: said.cpus.unwrap_or(self.cpus),
            memory_gigabytes: said.memory_gigabytes.unwrap_or(self.memory_gigabytes),
            expected_seconds: said.expected_seconds.or(self.expected_seconds),
            ..self.clone()
        }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            oneliner: String::new(),
            description: String::new(),
            repo_url: String::new(),
            repo_tag: "master".to_owned(),
            cpus: 2.0,
            memory_gigabytes: 6.0,
            expected_seconds: None,
            deadline_seconds: 3600,
            listed: true,
            is_public: true,
            network: false,
            deterministic: true,
            warm_up: true,
            build: BuildLimits::default(),
        }
    }
}

/// What a repository says of its model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// One line.
    pub oneliner: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// CPUs of a run.
    pub cpus: Option<f64>,
    /// Gigabytes of memory of a run.
    pub memory_gigabytes: Option<f64>,
    /// Seconds a run takes, about.
    pub expected_seconds: Option<u32>,
}

/// A published model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its identifier.
    pub id: ModelId,
    /// Who published it.
    pub owner: AccountId,
    /// The publisher's name.
    pub owner_name: AccountName,
    /// Its title, unique for the owner without regard to case.
    pub title: ModelTitle,
    /// What the publisher decides.
    pub settings: ModelSettings,
    /// Where it stands.
    pub status: ModelStatus,
    /// The version that new simulations use.
    pub live_version: Option<VersionId>,
    /// Tag in production, as compute-studio clients set it.
    pub latest_tag: Option<String>,
    /// Tag in staging, likewise.
    pub staging_tag: Option<String>,
    /// Who pays for everybody's runs.
    pub sponsor: Option<AccountId>,
    /// A note of the sponsor, markdown.
    pub sponsor_message: Option<String>,
    /// When it was published.
    pub created_at: Timestamp,
}

impl Model {
    /// `owner/title`.
    pub fn name(&self) -> ModelName {
        ModelName { owner: self.owner_name.clone(), title: self.title.clone() }
    }
}

/// How the interpreters of a version are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A new interpreter for each run: the code can't be forked safely.
    Fresh,
    /// Forked from a zygote that has imported the code.
    Zygote,
    /// Forked from a zygote that has also run the model once, so that compiled code is inherited.
    WarmedZygote,
}

impl Strategy {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Zygote => "zygote",
            Self::WarmedZygote => "warmed_zygote",
        }
    }

    /// The strategy with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Fresh, Self::Zygote, Self::WarmedZygote].into_iter().find(|s| s.as_str() == word)
    }
}

/// Where a version's code and packages are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Artifact {
    /// Folders on this machine: `envs/<environment>` and `code/<code>` in the data folder.
    Environment {
        /// Digest of the lock, and name of the folder with the packages.
        environment: String,
        /// Digest of the model's files, and name of the folder with them.
        code: String,
    },
    /// An OCI image in a registry.
    Image {
        /// Repository and digest.
        reference: String,
    },
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// Built and tested; not yet used by everybody.
    Staged,
    /// The one new simulations use.
    Live,
    /// Was live before.
    Retired,
    /// Withdrawn.
    Failed,
}

impl VersionState {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::Failed => "failed",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Staged, Self::Live, Self::Retired, Self::Failed].into_iter().find(|s| s.as_str() == word)
    }
}

/// An immutable build of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Its identifier.
    pub id: VersionId,
    /// Of which model.
    pub model: ModelId,
    /// SHA-256 over commit, code and environment; names the version.
    pub digest: String,
    /// The git commit, or the digest of uploaded files.
    pub commit: String,
    /// What `get_version` says.
    pub reported: String,
    /// Where its code and packages are.
    pub artifact: Artifact,
    /// How its interpreters are made.
    pub strategy: Strategy,
    /// Where it stands.
    pub state: VersionState,
    /// What the build measured and warned of: import time, sizes, lock, date of resolution.
    pub facts: Value,
    /// When it was built.
    pub created_at: Timestamp,
}

/// A version became live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// Which version.
    pub version: VersionId,
    /// Who decided so.
    pub by: AccountId,
    /// When.
    pub at: Timestamp,
}

/// An input schema of a version, for some values of its meta parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedSchema {
    /// Of which version.
    pub version: VersionId,
    /// The meta parameter values, `{}` for the defaults.
    pub meta_values: Value,
    /// ParamTools dump, as text in the model's own order of keys.
    pub meta_parameters: String,
    /// Dumps by section, as text.
    pub model_parameters: String,
    /// When it was stored.
    pub created_at: Timestamp,
}
