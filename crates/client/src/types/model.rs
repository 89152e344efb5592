//! Models ("projects" in 1.6), their versions and builds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Who published it.
    pub owner: String,
    /// Its title.
    pub title: String,
    /// One line.
    #[serde(default)]
    pub oneliner: String,
    /// Markdown.
    #[serde(default)]
    pub description: String,
    /// Where its source is.
    #[serde(default)]
    pub repo_url: String,
    /// Branch, tag or commit.
    #[serde(default)]
    pub repo_tag: String,
    /// `pending`, `live`, `updating` or `requires fixes`.
    pub status: String,
    /// What its live version calls itself, in lists.
    #[serde(default)]
    pub version: Option<String>,
    /// Everything else the server says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What a publisher says of a model; absent fields keep what they are, or their default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelDetails {
    /// Whose it is to be, where a workflow makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oneliner: Option<String>,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its source is; empty while versions are uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
    /// Branch, tag or commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_tag: Option<String>,
    /// CPUs of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Value>,
    /// Gigabytes of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Value>,
    /// Seconds a run is expected to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp_task_time: Option<u32>,
    /// Shown in menus and lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// Whether everybody may see and run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
}

/// An immutable build of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// Its identifier.
    pub id: String,
    /// What `get_version` says.
    #[serde(default, alias = "reported")]
    pub version: String,
    /// Its name: SHA-256 over commit, code and environment.
    #[serde(default)]
    pub digest: String,
    /// The git commit, or the digest of uploaded files.
    #[serde(default)]
    pub commit: String,
    /// `staged`, `live`, `retired` or `failed`.
    pub state: String,
    /// How its interpreters are made.
    #[serde(default)]
    pub strategy: String,
    /// When it was built.
    #[serde(default)]
    pub created_at: String,
    /// What the build measured.
    #[serde(default)]
    pub facts: Value,
}

/// One pass of the publishing pipeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Build {
    /// Its identifier.
    pub id: String,
    /// What led to it.
    #[serde(default)]
    pub trigger: String,
    /// What is built.
    #[serde(default)]
    pub source: String,
    /// The commit, once it is known.
    #[serde(default)]
    pub commit: Option<String>,
    /// Where it is, or where it stopped.
    pub stage: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// What went wrong and what to do, or the result in a sentence.
    #[serde(default)]
    pub message: Option<String>,
    /// The identifier of the version it made.
    #[serde(default)]
    pub version: Option<String>,
    /// When it began.
    #[serde(default)]
    pub created_at: String,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<String>,
}

impl Build {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "running")
    }
}
