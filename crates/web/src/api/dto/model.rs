//! Models ("projects" in the words of 1.6), their versions and builds.

use csw_app::{ModelView, SchemaChanges};
use csw_core::{
    build::{Build, StageRecord},
    cost::Prices,
    ids::VersionId,
    model::{Model, Version, VersionState},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A number as the decimal text that clients of 1.6 expect.
pub(crate) fn decimal(number: f64, places: usize) -> String {
    format!("{number:.places$}")
}

/// A published model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Project {
    /// Who published it.
    owner: String,
    /// Its title.
    title: String,
    /// One line.
    oneliner: String,
    /// Markdown.
    description: String,
    /// Where its source is.
    repo_url: String,
    /// Branch, tag or commit.
    repo_tag: String,
    /// Tag in production, as clients of 1.6 set it.
    latest_tag: Option<String>,
    /// Seconds a run is expected to take.
    exp_task_time: Option<u32>,
    /// Dollars an hour, a decimal number as text.
    #[schema(example = "0.061")]
    server_cost: String,
    /// CPUs of a run, a decimal number as text.
    #[schema(example = "2.0")]
    cpu: String,
    /// Gigabytes of memory of a run, a decimal number as text.
    #[schema(example = "6.0")]
    memory: String,
    /// Shown in menus and lists.
    listed: bool,
    /// Always `single-core`.
    cluster_type: &'static str,
    /// `live`, `updating`, `pending` or `requires fixes`.
    status: &'static str,
    /// Whether the caller may change it.
    has_write_access: bool,
    /// Simulations that were made of it; for writers.
    #[serde(skip_serializing_if = "Option::is_none")]
    sim_count: Option<u64>,
    /// Accounts that made them; for writers.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<u64>,
    /// What `get_version` of the live version says; in lists and details of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(clippy::option_option, reason = "left out in some answers, null without a version in others")]
    version: Option<Option<String>>,
    /// Whether everybody may see and run it.
    is_public: bool,
    /// Identifier of the version that new simulations use.
    live_version: Option<String>,
    /// Seconds a run may take.
    deadline: u32,
    /// Whether its runs may reach the network.
    network: bool,
    /// Whether equal inputs give equal outputs, so that a result may answer them again.
    deterministic: bool,
    /// Whether its interpreters may run it once before they are needed.
    warm_up: bool,
    /// CPUs of a build.
    build_cpu: f64,
    /// Gigabytes of memory of a build.
    build_memory: f64,
    /// Minutes that a step of a build may take.
    build_minutes: u32,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    creation_date: Timestamp,
}

impl Project {
    /// A model as its viewer sees it, without counts and version.
    pub(crate) fn new(model: &Model, may_write: bool, prices: &Prices) -> Self {
        let settings = &model.settings;
        Self {
            owner: model.owner_name.to_string(),
            title: model.title.to_string(),
            oneliner: settings.oneliner.clone(),
            description: settings.description.clone(),
            repo_url: settings.repo_url.clone(),
            repo_tag: settings.repo_tag.clone(),
            latest_tag: model.latest_tag.clone(),
            exp_task_time: settings.expected_seconds,
            server_cost: decimal(prices.per_hour(settings.cpus, settings.memory_gigabytes), 3),
            cpu: decimal(settings.cpus, 1),
            memory: decimal(settings.memory_gigabytes, 1),
            listed: settings.listed,
            cluster_type: "single-core",
            status: model.status.as_str(),
            has_write_access: may_write,
            sim_count: None,
            user_count: None,
            version: None,
            is_public: settings.is_public,
            live_version: model.live_version.map(|id| id.to_string()),
            deadline: settings.deadline_seconds,
            network: settings.network,
            deterministic: settings.deterministic,
            warm_up: settings.warm_up,
            build_cpu: settings.build.cpus,
            build_memory: settings.build.memory_gigabytes,
            build_minutes: settings.build.minutes,
            creation_date: model.created_at,
        }
    }

    /// The same of a view.
    pub(crate) fn of(view: &ModelView, prices: &Prices) -> Self {
        Self::new(&view.model, view.may_write(), prices)
    }

    /// Adds what writers see.
    #[must_use]
    pub(crate) fn with_counts(self, counts: Option<(u64, u64)>) -> Self {
        Self { sim_count: counts.map(|(sims, _)| sims), user_count: counts.map(|(_, users)| users), ..self }
    }

    /// Adds the text of the live version.
    #[must_use]
    pub(crate) fn with_version(self, version: Option<&Version>) -> Self {
        Self { version: Some(version.map(|version| version.reported.clone())), ..self }
    }
}

/// Tags that clients of 1.6 keep.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagsBody {
    /// In production.
    pub(crate) latest_tag: Option<String>,
    /// In staging.
    pub(crate) staging_tag: Option<String>,
}

/// An immutable build of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionBody {
    /// Its identifier.
    id: String,
    /// What `get_version` says.
    version: String,
    /// SHA-256 over commit, code and environment.
    digest: String,
    /// The git commit, or the digest of uploaded files.
    commit: String,
    /// `staged`, `live`, `retired` or `failed`.
    state: &'static str,
    /// Whether new simulations use it.
    live: bool,
    /// How its interpreters are made: `fresh`, `zygote` or `warmed_zygote`.
    strategy: &'static str,
    /// What the build measured, its packages among them.
    #[schema(value_type = Object)]
    facts: Value,
    /// When it was built.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Version> for VersionBody {
    fn from(version: Version) -> Self {
        Self {
            id: version.id.to_string(),
            version: version.reported,
            digest: version.digest,
            commit: version.commit,
            state: version.state.as_str(),
            live: version.state == VersionState::Live,
            strategy: version.strategy.as_str(),
            facts: version.facts,
            created_at: version.created_at,
        }
    }
}

/// A version in few words.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionName {
    /// Its identifier.
    id: String,
    /// What `get_version` says.
    version: String,
}

impl VersionName {
    pub(crate) fn new(id: VersionId, version: String) -> Self {
        Self { id: id.to_string(), version }
    }
}

/// What a version changes in the form. A difference of parameters has `added` and `removed` names, and `changed` ones
/// with their members before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaChangesBody {
    /// Compared with which version.
    from: VersionName,
    /// Which version.
    to: VersionName,
    /// Whether the form is the same.
    same: bool,
    /// Of the meta parameters.
    #[schema(value_type = Object)]
    meta_parameters: Value,
    /// Of the sections that both have and that differ, by section.
    #[schema(value_type = Object)]
    sections: Value,
    /// Sections that are new.
    sections_added: Vec<String>,
    /// Sections that are gone.
    sections_removed: Vec<String>,
}

impl From<SchemaChanges> for SchemaChangesBody {
    fn from(changes: SchemaChanges) -> Self {
        let name = |(id, version): &(VersionId, String)| VersionName::new(*id, version.clone());
        Self {
            from: name(&changes.before),
            to: name(&changes.after),
            same: changes.is_empty(),
            meta_parameters: json!(changes.meta_parameters),
            sections: json!(changes.sections),
            sections_added: changes.sections_added,
            sections_removed: changes.sections_removed,
        }
    }
}

/// A stage that a build has entered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StageBody {
    /// `fetch`, `build`, `test`, `push`, `stage`, `compare` or `promote`.
    stage: &'static str,
    /// `running`, `passed`, `failed` or `cancelled`.
    state: &'static str,
    /// When the build entered it.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When the build left it.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl StageBody {
    fn of(record: &StageRecord) -> Self {
        Self {
            stage: record.stage.as_str(),
            state: record.state.as_str(),
            started_at: record.started_at,
            finished_at: record.finished_at,
        }
    }
}

/// One pass of the publishing pipeline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BuildBody {
    /// Its identifier.
    id: String,
    /// Its own URL; `log/` and `events/` are below it.
    api_url: String,
    /// `request`, `push`, `webhook` or `pull_request`.
    trigger: &'static str,
    /// What is built, for people.
    source: String,
    /// The commit, or the digest of uploaded files, once it is known.
    commit: Option<String>,
    /// `fetch`, `build`, `test`, `push`, `stage`, `compare` or `promote`.
    stage: &'static str,
    /// The stages it has entered, in order.
    stages: Vec<StageBody>,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    state: &'static str,
    /// What went wrong and what to do, or the result in a sentence.
    message: Option<String>,
    /// Identifier of the version it made.
    version: Option<String>,
    /// Whether its version becomes live by itself.
    promote: bool,
    /// How often it was begun: more than once where the server ended under it.
    attempt: u32,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl BuildBody {
    /// A build of this model.
    pub(crate) fn new(model: &Model, build: &Build) -> Self {
        Self {
            id: build.id.to_string(),
            api_url: format!("/publish/api/{}/builds/{}/", model.name(), build.id),
            trigger: build.trigger.as_str(),
            source: build.source.clone(),
            commit: build.commit.clone(),
            stages: build.stages.iter().map(StageBody::of).collect(),
            stage: build.stage.as_str(),
            state: build.state.as_str(),
            message: build.message.clone(),
            version: build.version.map(|id| id.to_string()),
            promote: build.order.promote,
            attempt: build.attempt,
            created_at: build.created_at,
            finished_at: build.finished_at,
        }
    }
}
