//! `csw publish stage`, `promote` and `changed`: what the workflows do with the files that a pull request changes.

use csw_app::publish_repository::{ModelConfig, asks_to_skip_tests, is_about_a_model, name, name_of_path};
use csw_client::{BuildChoices, Client, ModelDetails, Upload};
use csw_core::names::ModelName;
use serde_json::Value;

use super::repository::Repository;
use crate::{
    commands::models::{ensure, finish, follow, promote_version},
    failure::{Code, Failure, Outcome},
    output::Printer,
};

/// The models whose files are not as they were at `base`, with what they say now; of `only`, where one is named.
pub(super) fn models(
    repository: &Repository,
    base: &str,
    only: Option<&str>,
    printer: Printer,
) -> Outcome<Vec<(ModelName, ModelConfig)>> {
    let wrong = |sentence: String| Failure::usage(sentence, "mend the file, commit, and push again");
    let (changed, gone) = repository.changed_since(base)?;
    for path in gone.iter().filter(|path| name_of_path(path).is_ok()) {
        printer.note(&format!("{path} is gone; the model stays as it is"));
    }
    if let Some(sentence) = repository.clash("HEAD")? {
        return Err(wrong(sentence));
    }
    let only = only.map(name).transpose().map_err(wrong)?;
    let mut models = Vec::new();
    for path in changed.iter().filter(|path| is_about_a_model(path)) {
        let name = name_of_path(path).map_err(wrong)?;
        let text = repository.text("HEAD", path)?.unwrap_or_default();
        let config = ModelConfig::parse(&name, &text).map_err(wrong)?;
        if only.as_ref().is_none_or(|only| *only == name) {
            models.push((name, config));
        }
    }
    Ok(models)
}

/// Whether a text, or the newest commit, asks to leave tests out.
pub(super) fn says_skip(repository: &Repository, said: &[String]) -> Outcome<bool> {
    Ok(said.iter().any(|text| asks_to_skip_tests(text)) || asks_to_skip_tests(&repository.newest_message()?))
}

/// Builds each model and leaves its version staged. One that fails keeps no other from it.
pub(super) async fn stage(
    client: &Client,
    models: &[(ModelName, ModelConfig)],
    skip_tests: bool,
    printer: Printer,
) -> Outcome {
    let mut failures = Vec::new();
    for (name, config) in models {
        let name = name.to_string();
        printer.note(&format!("== {name}{}", if skip_tests { ", without its own tests" } else { "" }));
        if let Err(failure) = stage_one(client, &name, config, skip_tests, printer).await {
            failures.push((name, failure));
        }
    }
    ended("staged", models.len(), failures, printer)
}

async fn stage_one(client: &Client, name: &str, config: &ModelConfig, skip_tests: bool, printer: Printer) -> Outcome {
    let details = details(config);
    if !ensure(client, name, details.clone(), printer).await? {
        client.update_model(name, &details).await?;
    }
    let model = client.model(name).await?;
    let choices = BuildChoices { promote: false, skip_tests, ..BuildChoices::default() };
    let upload = Upload::Repository { url: &model.repo_url, reference: &model.repo_tag };
    let build = client.build(name, upload, choices).await?;
    let build = follow(client, name, build, printer).await?;
    finish(client, name, &build, printer)
}

/// What the server is to be told of a model.
fn details(config: &ModelConfig) -> ModelDetails {
    ModelDetails {
        repo_url: config.repo_url.clone(),
        repo_tag: config.repo_tag.clone(),
        cpu: config.resources.cpu.map(Value::from),
        memory: config.resources.memory.map(Value::from),
        ..ModelDetails::default()
    }
}

/// Makes what each model's newest build staged live.
pub(super) async fn promote(
    client: &Client,
    models: &[(ModelName, ModelConfig)],
    skip_comparison: bool,
    printer: Printer,
) -> Outcome {
    let mut failures = Vec::new();
    for (name, _) in models {
        let name = name.to_string();
        if let Err(failure) = promote_one(client, &name, skip_comparison, printer).await {
            failures.push((name, failure));
        }
    }
    ended("promoted", models.len(), failures, printer)
}

async fn promote_one(client: &Client, name: &str, skip_comparison: bool, printer: Printer) -> Outcome {
    let way_out =
        || format!("`csw models -n {name} stage` builds a version; `csw models -n {name} builds` lists all builds");
    let newest = client.builds(name).await?.results.into_iter().next();
    let newest = newest.ok_or_else(|| Failure::new(Code::Refused, format!("{name} was never built"), way_out()))?;
    // A merge may be faster than the build of what is merged.
    let build = if newest.is_over() { newest } else { follow(client, name, newest, printer).await? };
    let built = build.version.as_deref().filter(|_| build.state == "succeeded");
    let Some(version) = built else {
        let message = build.message.clone().unwrap_or_default();
        let sentence =
            format!("the newest build of {name} {}: {message} What was built before is not promoted", build.state);
        return Err(Failure::failed(sentence, way_out()));
    };
    promote_version(client, name, version, skip_comparison, printer).await
}

/// One failure for all, each with its model.
fn ended(what: &str, all: usize, mut failures: Vec<(String, Failure)>, printer: Printer) -> Outcome {
    if all == 0 {
        printer.note("no file of a model has changed");
    }
    if all == 1
        && let Some((_, failure)) = failures.pop()
    {
        return Err(failure);
    }
    if failures.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = failures.iter().map(|(name, failure)| format!("{name}: {failure}")).collect();
    Err(Failure::failed(
        format!("{} of {all} models could not be {what}. {}", failures.len(), sentences.join("; ")),
        "the live versions are untouched; the log above has the whole of each",
    ))
}
