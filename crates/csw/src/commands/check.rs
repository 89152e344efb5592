//! `csw check`: the publishing pipeline on the author's own folder, without a server and without leaving a trace in it.

use std::path::Path;

use csw_app::{CheckConditions, CheckReport, Conformance};
use csw_core::{
    names::{ModelName, ModelTitle},
    ports::{BuildError, BuildLog, BuildOptions, Source},
    run::Limits,
    secret::{SecretName, SecretValue, Secrets},
};
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
struct Shown(Printer);

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
    let secrets = secrets_of(&options.secrets)?;
    let cache = options.cache.clone().unwrap_or_else(|| tools::cache_folder().join("csw-check"));
    let folder = Folder::take(&cache, "wait for the other check, or choose another folder with `--cache`")?;
    let bench = wiring::workbench(settings, &folder)?;
    let randomness = SystemRandomness::new();
    let conformance = Conformance { executor: &*bench.executor, clock: &SystemClock, randomness: &randomness };
    let capacity = bench.executor.capacity();
    let limits = Limits { cpus: capacity.cpus, memory_bytes: capacity.memory_bytes, deadline_seconds: DEADLINE };
    let source = Source::Folder(path.clone());
    let (build, conditions) = (BuildOptions { as_of }, CheckConditions { limits, secrets });
    let verdict = conformance.check(&*bench.publisher, &model, &source, &build, &conditions, &Shown(printer)).await;
    bench.executor.shut_down(0).await;
    bench.cgroups.close();
    answer(&model, &path, verdict, printer)
}

fn answer(model: &ModelName, path: &Path, verdict: Result<CheckReport, BuildError>, printer: Printer) -> Outcome {
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
