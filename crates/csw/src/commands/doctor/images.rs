//! The registry of a site whose runs are in a cluster, tried: whether it answers, and takes our word.

use csw_sandbox::doctor::State;

use super::Finding;
use crate::{
    failure::{Failure, Outcome},
    settings::{ExecutorWord, Settings},
    wiring,
};

const COST: &str = "no version gets to where a cluster runs it";

/// Nothing, where runs are on this machine.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    if settings.executor != Some(ExecutorWord::Kubernetes) {
        return Vec::new();
    }
    let (name, found) = match tried(settings).await {
        Ok(Some(detail)) => ("registry", Ok(detail)),
        Ok(None) => ("versions", wiring::ways_into_the_cluster(settings)),
        Err(failure) => ("registry", Err(failure)),
    };
    let (state, detail) = match found {
        Ok(detail) => (State::Present, detail),
        Err(failure) => (State::Missing, failure.to_string()),
    };
    let cost_of_absence = COST.to_owned();
    vec![Finding { kind: "images", name: name.to_owned(), state, needed: true, detail, cost_of_absence }]
}

/// What the registry says, if there is one.
async fn tried(settings: &Settings) -> Outcome<Option<String>> {
    let folder = tempfile::tempdir().map_err(|error| Failure::local(error.to_string(), "make room in TMPDIR"))?;
    let Some(target) = wiring::images::target(settings, folder.path())? else { return Ok(None) };
    target.try_registry().await?;
    let place = &target.push.place;
    let joint = if place.prefix.is_empty() { "" } else { "/" };
    Ok(Some(format!("{}{joint}{} answers, and knows us", place.host, place.prefix)))
}
