//! What a publisher decides, as it comes in a body.

use csw_core::model::{ModelSettings, ModelStatus};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::Fields;

/// Details of a model; in changes, what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; `read` takes them from any kind of body")]
pub(super) struct ProjectChanges {
    /// Letters, digits and `-`; every run of other characters becomes `-`. It can't be changed later.
    title: Option<String>,
    /// Of a new model that a workflow makes which several accounts trust: whose it is. Accounts make their own.
    owner: Option<String>,
    /// One line.
    oneliner: Option<String>,
    /// Markdown, at most 10,000 characters.
    description: Option<String>,
    /// Where its source is; may stay empty where versions are uploaded.
    repo_url: Option<String>,
    /// Branch, tag or commit.
    repo_tag: Option<String>,
    /// Seconds a run is expected to take.
    exp_task_time: Option<u32>,
    /// CPUs of a run.
    cpu: Option<f64>,
    /// Gigabytes of memory of a run.
    memory: Option<f64>,
    /// Shown in menus and lists.
    listed: Option<bool>,
    /// Whether everybody may see and run it; only its admins change that.
    is_public: Option<bool>,
    /// Seconds a run may take.
    deadline: Option<u32>,
    /// Whether its runs may reach the network.
    network: Option<bool>,
    /// Whether equal inputs give equal outputs, so that a result may answer them again.
    deterministic: Option<bool>,
    /// Whether its interpreters may run it once before they are needed.
    warm_up: Option<bool>,
    /// CPUs of a build.
    build_cpu: Option<f64>,
    /// Gigabytes of memory of a build.
    build_memory: Option<f64>,
    /// Minutes that a step of a build may take.
    build_minutes: Option<u32>,
    /// `live` or `requires fixes`; maintainers only. Everything else about a status follows from versions.
    status: Option<String>,
}

/// Changes settings by the fields of a body.
pub(super) fn read(fields: &mut Fields, settings: &mut ModelSettings) {
    fn set<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    set(&mut settings.oneliner, fields.text("oneliner"));
    set(&mut settings.description, fields.text("description"));
    set(&mut settings.repo_url, fields.text("repo_url"));
    set(&mut settings.repo_tag, fields.text("repo_tag").filter(|tag| !tag.is_empty()));
    if fields.has("exp_task_time") {
        settings.expected_seconds = fields.whole("exp_task_time");
    }
    set(&mut settings.cpus, fields.number("cpu"));
    set(&mut settings.memory_gigabytes, fields.number("memory"));
    set(&mut settings.listed, fields.flag("listed"));
    set(&mut settings.is_public, fields.flag("is_public"));
    set(&mut settings.deadline_seconds, fields.whole("deadline"));
    set(&mut settings.network, fields.flag("network"));
    set(&mut settings.deterministic, fields.flag("deterministic"));
    set(&mut settings.warm_up, fields.flag("warm_up"));
    set(&mut settings.build.cpus, fields.number("build_cpu"));
    set(&mut settings.build.memory_gigabytes, fields.number("build_memory"));
    set(&mut settings.build.minutes, fields.whole("build_minutes"));
}

/// A status that a maintainer may set.
pub(super) fn status(fields: &mut Fields, now: ModelStatus) -> Option<ModelStatus> {
    // Clients send back the whole object they got; a status that stays is no wish.
    let word = fields.nullable_text("status").flatten().filter(|word| word != now.as_str())?;
    let wished =
        ModelStatus::parse(&word).filter(|status| matches!(status, ModelStatus::Live | ModelStatus::RequiresFixes));
    if wished.is_none() {
        fields.refuse("status", format!("\"{word}\" is not a valid choice."));
    }
    wished
}
