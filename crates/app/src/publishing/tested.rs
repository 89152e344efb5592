//! Versions that need not be tested again.

use csw_core::{
    build::Stage,
    model::{Version, VersionState},
    ports::{BuildError, Built, LAYERS},
};
use serde_json::{Value, json};

use super::pipeline::{Job, stopped};
use crate::{App, error::AppError, schemas::limits_of};

/// Facts of a version: the conditions of its tests, and whether its model takes its own default inputs.
pub(super) const TESTED_WITH: &str = "tested_with";
pub(super) const TAKES_DEFAULTS: &str = "takes_defaults";

/// Whether the model took its own default inputs when this version was tested.
pub(crate) fn takes_defaults(version: &Version) -> bool {
    version.facts.get(TAKES_DEFAULTS) != Some(&json!(false))
}

/// What decides what the tests of a model find: some of its settings, and the state of its secrets, of which nothing
/// else is told.
pub(super) fn conditions(job: &Job) -> Value {
    let (model, limits) = (&job.model, limits_of(&job.model));
    json!({
        "cpus": limits.cpus,
        "memory_bytes": limits.memory_bytes,
        "deadline_seconds": limits.deadline_seconds,
        "network": model.settings.network,
        "warm_up": model.settings.warm_up,
        "secrets": job.mark,
    })
}

/// Whether a version is of the same files, whatever it is called: images of two commits may differ in their labels alone.
fn has_the_files(version: &Version, built: &Built) -> bool {
    let layers = built.facts.get(LAYERS).filter(|layers| layers.is_array());
    version.artifact == built.artifact || (layers.is_some() && version.facts.get(LAYERS) == layers)
}

impl App {
    /// A version of this model with the same files that passed its tests under the same conditions: testing them again
    /// would tell nothing new. One of the same commit is taken first; a merge makes another commit of the same files.
    pub(super) async fn tested_before(&self, job: &Job, built: &Built) -> Result<Option<Version>, BuildError> {
        let versions = self.store().versions(job.model.id).await;
        let versions = versions.map_err(|error| stopped(Stage::Test, &AppError::from(error)))?;
        let passed = |version: &Version| {
            version.state != VersionState::Failed
                && version.facts.get("tests").is_some_and(Value::is_object)
                && version.facts.get(TESTED_WITH) == Some(&conditions(job))
        };
        let alike = |version: &&Version| has_the_files(version, built) && passed(version);
        let found = versions.iter().filter(alike).max_by_key(|version| version.digest == built.digest);
        Ok(found.cloned())
    }
}
