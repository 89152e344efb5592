//! `csw check`: the publishing pipeline on the author's own folder, without a server and without leaving a trace in it.

use std::path::{Path, PathBuf};

use csw_app::{CheckConditions, CheckReport, Conformance};
use csw_core::{
    build::Source,
    names::{ModelName, ModelTitle},
    ports::{BuildError, BuildLog, BuildOptions},
    run::Limits,
    secret::{SecretName, SecretValue, Secrets},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    ambient::{SystemClock, SystemRandomness},
    cli::Check,
    commands::date,
    failure::{Failure, Outcome},
    folder::Folder,
    output::Printer,
    settings::Settings,
    tools, wiring,
};

/// Seconds that each function may take.
const DEADLINE: u32 = 3600;

/// A build's log, for the person who waits for it.
pub(crate) struct Shown(pub(crate) Printer);

impl BuildLog for Shown {
    fn write(&self, text: &str) {
        // A reader who went away does not stop the check.
        let _ = self.0.stream(text);
    }
}

pub(crate) async fn run(settings: &Settings, options: &Check, printer: Printer) -> Outcome {
    let path = options.path.canonicalize().map_err(|error| Failure::file(&options.path, &error))?;
    let model = match &options.name {
        Some(name) => named(name)?,
        None => name_of(&path)?,
    };
    let as_of = options.as_of.as_deref().map(date).transpose()?;
    let conditions = Conditions { as_of, cache: options.cache.clone(), secrets: secrets_of(&options.secrets)? };
    verify(settings, &model, &Source::Folder(path), conditions, printer).await
}

/// How a source is built and tested.
#[derive(Default)]
pub(crate) struct Conditions {
    /// Packages as they were at this time.
    pub(crate) as_of: Option<Timestamp>,
    /// Where environments are kept.
    pub(crate) cache: Option<PathBuf>,
    /// What its runs and tests find in their environment.
    pub(crate) secrets: Secrets,
}

/// Builds and tests a source, and says whether it can be published.
pub(crate) async fn verify(
    settings: &Settings,
    model: &ModelName,
    source: &Source,
    conditions: Conditions,
    printer: Printer,
) -> Outcome {
    let Conditions { as_of, cache, secrets } = conditions;
    let cache = cache.unwrap_or_else(|| tools::cache_folder().join("csw-check"));
    let folder = Folder::take(&cache, "wait for the other check, or choose another folder with `--cache`")?;
    // Who checks at this machine may read its repositories.
    let bench = wiring::workbench(settings, &folder, true)?;
    let randomness = SystemRandomness::new();
    let conformance = Conformance { executor: &*bench.executor, clock: &SystemClock, randomness: &randomness };
    let capacity = bench.executor.capacity();
    let limits = Limits { cpus: capacity.cpus, memory_bytes: capacity.memory_bytes, deadline_seconds: DEADLINE };
    let (build, conditions) = (BuildOptions { as_of, ..BuildOptions::default() }, CheckConditions { limits, secrets });
    let verdict = conformance.check(&*bench.publisher, model, source, &build, &conditions, &Shown(printer)).await;
    bench.executor.shut_down(0).await;
    bench.cgroups.close();
    let shown = match source {
        Source::Folder(path) => path.display().to_string(),
        Source::Git { url, reference } if reference.is_empty() => url.clone(),
        Source::Git { url, reference } => format!("{url} at {reference}"),
        Source::Own { commit, .. } => commit.clone(),
        Source::Archive { file, .. } => file.display().to_string(),
    };
    answer(model, &shown, verdict, printer)
}

fn answer(model: &ModelName, path: &str, verdict: Result<CheckReport, BuildError>, printer: Printer) -> Outcome {
    match verdict {
        Ok(report) => {
            let value = json!({
                "ok": true,
                "model": model.to_string(),
                "path": path,
                "version": report.version,
                "strategy": report.strategy.as_str(),
                "tests": report.tests,
                "facts": report.facts,
            });
            printer.result(&value, || praise(model, &report))
        }
        Err(error) => {
            let value = json!({
                "ok": false,
                "model": model.to_string(),
                "path": path,
                "stage": error.stage.as_str(),
                "message": error.sentence,
            });
            printer.result(&value, String::new)?;
            Err(Failure::failed(
                format!("{model} can't be published: it fails in stage {}: {}", error.stage.as_str(), error.sentence),
                "docs/authors.md tells what each stage asks of a model",
            ))
        }
    }
}

fn praise(model: &ModelName, report: &CheckReport) -> String {
    let mut lines = vec![format!("\n{model} {} can be published.", report.version)];
    if let Some(tests) = &report.tests {
        lines.push(tests.summary.clone());
    }
    for key in ["conformance_warnings", "warnings"] {
        for warning in report.facts.get(key).and_then(Value::as_array).into_iter().flatten() {
            lines.push(format!("warning: {}", warning.as_str().map_or_else(|| warning.to_string(), str::to_owned)));
        }
    }
    lines.join("\n")
}

/// Secrets by name, with the values that the author's own environment has for them.
fn secrets_of(names: &[String]) -> Outcome<Secrets> {
    let mut secrets = Secrets::new();
    for name in names {
        let refused = |sentence: String| Failure::usage(sentence, "`--secret NAME` takes NAME from your environment");
        name.parse::<SecretName>().map_err(|error| refused(error.to_string()))?;
        let value = std::env::var(name).map_err(|_| refused(format!("{name} is not set")))?;
        let value = SecretValue::checked(value).map_err(|error| refused(error.to_string()))?;
        secrets.insert(name.clone(), value);
    }
    Ok(secrets)
}

/// `OWNER/TITLE` from the last two folders of a path; of an unknown owner where those are no names.
fn name_of(path: &Path) -> Outcome<ModelName> {
    let words: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let word = |from_end: usize| words.len().checked_sub(from_end).and_then(|at| words.get(at));
    let title = word(1).and_then(|word| ModelTitle::cleaned(word).ok());
    let title = title.map_or_else(|| "model".to_owned(), String::from);
    let owned = word(2).and_then(|owner| format!("{owner}/{title}").parse().ok());
    owned.map_or_else(|| named(&format!("local/{title}")), Ok)
}

fn named(name: &str) -> Outcome<ModelName> {
    name.parse().map_err(|error| Failure::usage(format!("{error}"), "name the model with `-n OWNER/TITLE`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_the_model() {
        assert_eq!(name_of(Path::new("/x/finlab/Mortgage")).unwrap().to_string(), "finlab/Mortgage");
        assert_eq!(name_of(Path::new("/x/publish/My model")).unwrap().to_string(), "local/My-model");
        assert_eq!(name_of(Path::new("/")).unwrap().to_string(), "local/model");
    }
}
