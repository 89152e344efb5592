//! The conformance check of a version: the four functions keep their contract, and the fastest way to make its
//! interpreters that gives the same outputs as a fresh process.
//!
//! A check that stopped before `run_model` would call a broken model healthy, so the default inputs are really run.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    ids::{Lease, RunId, VersionId},
    memo::canonical,
    model::{Artifact, Stage, Strategy},
    names::ModelName,
    output::{MediaType, OutputKind},
    ports::{
        BuildError, BuildLog, BuildOptions, Clock, Executor, ExecutorError, Publisher, Randomness, ReportError,
        RunEvents, Source, TestReport,
    },
    run::{Limits, Outcome, OutputBody, OutputDraft, RunEnd, RunOrder, Sharing, Task, TaskResult},
};
use csw_params::{InputSchema, first_pass, meta_json, validate_meta};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, oneshot};

/// Milliseconds of `import cs_config.functions` and of `get_inputs` above which the author is warned.
const SLOW_IMPORT: u64 = 2000;
const SLOW_INPUTS: u64 = 1000;

/// A run shorter than this gains nothing from a zygote that has run the model before.
const WORTH_WARMING: u64 = 200;

/// What came of an execution outside the queue.
pub(crate) struct Asked {
    pub(crate) end: RunEnd,
    pub(crate) outputs: Vec<Seen>,
    pub(crate) log: Bytes,
}

/// An output, for comparison.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    kind: OutputKind,
    position: u32,
    title: String,
    media_type: &'static str,
    digest: String,
}

struct Listener {
    done: Mutex<Option<oneshot::Sender<RunEnd>>>,
    outputs: Mutex<Vec<Seen>>,
    log: Mutex<Vec<u8>>,
}

#[async_trait]
impl RunEvents for Listener {
    async fn log(&self, _: &RunOrder, text: Bytes) {
        self.log.lock().await.extend_from_slice(&text);
    }

    async fn output(&self, order: &RunOrder, output: OutputDraft) -> Result<(), ReportError> {
        let digest = if output.media_type == MediaType::Bokeh {
            let bytes = match &output.body {
                OutputBody::Bytes(bytes) => bytes.to_vec(),
                OutputBody::File(file) => tokio::fs::read(file)
                    .await
                    .map_err(|error| ReportError::Unavailable { run: order.run, cause: error.to_string() })?,
            };
            without_ids(&bytes).unwrap_or(output.sha256)
        } else {
            output.sha256
        };
        self.outputs.lock().await.push(Seen {
            kind: output.kind,
            position: output.position,
            title: output.title,
            media_type: output.media_type.as_str(),
            digest,
        });
        Ok(())
    }

    async fn ended(&self, _: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        if let Some(done) = self.done.lock().await.take() {
            // Nobody may be listening any more; then nobody misses it.
            let _ = done.send(end);
        }
        Ok(())
    }
}

/// Digest of a bokeh document in which its random ids are numbered in order of appearance.
fn without_ids(bytes: &[u8]) -> Option<String> {
    fn collect(value: &Value, ids: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match inner {
                        Value::String(id) if matches!(key.as_str(), "id" | "target_id" | "root_id" | "docid") => {
                            ids.push(id.clone());
                        }
                        other => collect(other, ids),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, ids)),
            _ => {}
        }
    }
    fn replace(value: &mut Value, ids: &std::collections::HashMap<String, usize>) {
        match value {
            Value::String(text) => {
                if let Some(number) = ids.get(text.as_str()) {
                    *text = format!("#{number}");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, ids)),
            Value::Object(map) => {
                let renamed = std::mem::take(map).into_iter().map(|(key, mut inner)| {
                    replace(&mut inner, ids);
                    (ids.get(key.as_str()).map_or(key, |number| format!("#{number}")), inner)
                });
                *map = renamed.collect::<Map<_, _>>();
            }
            _ => {}
        }
    }
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let mut found = Vec::new();
    collect(&document, &mut found);
    let mut ids = std::collections::HashMap::new();
    for id in found {
        let next = ids.len();
        ids.entry(id).or_insert(next);
    }
    replace(&mut document, &ids);
    Some(hex::encode(Sha256::digest(canonical(&document).as_bytes())))
}

/// Executes an order and waits for its end.
pub(crate) async fn ask(executor: &dyn Executor, order: RunOrder) -> Result<Asked, ExecutorError> {
    let (done, ended) = oneshot::channel();
    let listener =
        Arc::new(Listener { done: Mutex::new(Some(done)), outputs: Mutex::default(), log: Mutex::default() });
    executor.start(order, Arc::clone(&listener) as Arc<dyn RunEvents>).await?;
    let end =
        ended.await.map_err(|_| ExecutorError::Unavailable { cause: "the executor dropped the run".to_owned() })?;
    let mut outputs = std::mem::take(&mut *listener.outputs.lock().await);
    outputs.sort();
    let log = Bytes::from(std::mem::take(&mut *listener.log.lock().await));
    Ok(Asked { end, outputs, log })
}

/// What the check found.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// What `get_version` says.
    pub version: String,
    /// How its interpreters may be made.
    pub strategy: Strategy,
    /// Measurements and warnings, for the model's page.
    pub facts: Value,
    /// The default input schema, as text: meta parameters and model parameters.
    pub schema: (String, String),
    /// What the model's own tests said.
    pub tests: Option<TestReport>,
}

/// What the check runs on.
pub struct Conformance<'a> {
    /// Where the functions are called.
    pub executor: &'a dyn Executor,
    /// The time.
    pub clock: &'a dyn Clock,
    /// For identifiers.
    pub randomness: &'a dyn Randomness,
}

/// What is checked.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) model: ModelName,
    pub(crate) version: VersionId,
    pub(crate) artifact: Artifact,
    pub(crate) limits: Limits,
    pub(crate) network: bool,
    pub(crate) sharing: Sharing,
    pub(crate) warm_up: bool,
}

struct SimRun {
    outputs: Vec<Seen>,
    milliseconds: u64,
    import: u64,
}

impl Conformance<'_> {
    /// Fetches, builds and tests a model without a database or a server: an author's own check.
    pub async fn check(
        &self,
        publisher: &dyn Publisher,
        model: &ModelName,
        source: &Source,
        options: &BuildOptions,
        limits: Limits,
        log: &dyn BuildLog,
    ) -> Result<CheckReport, BuildError> {
        let checkout = publisher.fetch(source, log).await?;
        let built = publisher.build(model, &checkout, options, log).await?;
        let subject = Subject {
            model: model.clone(),
            version: VersionId::new(self.clock.now(), self.randomness.ten()),
            artifact: built.artifact.clone(),
            limits,
            network: false,
            sharing: Sharing::Public,
            warm_up: true,
        };
        let mut report = self.examine(&subject, log).await?;
        merge(&mut report.facts, &built.facts);
        report.tests = Some(publisher.test(model, &checkout, &built, log).await?);
        publisher.discard(checkout).await;
        Ok(report)
    }

    /// Calls the four functions in a fresh interpreter, then looks for a faster way that gives the same outputs.
    pub(crate) async fn examine(&self, subject: &Subject, log: &dyn BuildLog) -> Result<CheckReport, BuildError> {
        let mut warnings = Vec::new();
        let version = self.version(subject).await?;
        log.write(&format!("get_version: {version}\n"));
        let (meta, model, milliseconds) = self.defaults(subject).await?;
        log.write(&format!("get_inputs: {} sections in {milliseconds} ms\n", model.as_object().map_or(0, Map::len)));
        if milliseconds > SLOW_INPUTS {
            warnings.push(format!("get_inputs takes {milliseconds} ms; above {SLOW_INPUTS} ms a form feels slow"));
        }
        let schema = InputSchema::parse(&meta, &model)
            .map_err(|error| failed(format!("get_inputs returned a schema that can't be read: {error}")))?;
        let values = validate_meta(&schema.meta_parameters, &json!({})).map_err(|report| {
            failed(format!("the default meta parameters do not pass their own validators: {}", report.errors_json()))
        })?;
        let pass = first_pass(&schema, &json!({}));
        let arguments = json!({
            "meta_param_dict": meta_json(&values),
            "adjustment": pass.adjustment,
            "errors_warnings": pass.errors_warnings_for_model(),
        });
        self.parse(subject, &arguments, &mut warnings).await?;
        log.write("validate_inputs: accepts the default inputs\n");
        let sim = json!({ "meta_param_dict": arguments["meta_param_dict"], "adjustment": arguments["adjustment"] });
        let fresh = self.sim(subject, Strategy::Fresh, &sim).await?;
        log.write(&format!(
            "run_model: {} outputs in {} ms, after {} ms of import\n",
            fresh.outputs.len(),
            fresh.milliseconds,
            fresh.import
        ));
        if fresh.import > SLOW_IMPORT {
            warnings.push(format!("importing the model takes {} ms", fresh.import));
        }
        let (strategy, deterministic) = self.strategy(subject, &sim, &fresh, &mut warnings, log).await?;
        let facts = json!({
            "import_milliseconds": fresh.import,
            "get_inputs_milliseconds": milliseconds,
            "default_run_milliseconds": fresh.milliseconds,
            "deterministic": deterministic,
            "strategy": strategy.as_str(),
            "conformance_warnings": warnings,
        });
        Ok(CheckReport { version, strategy, facts, schema: (meta.to_string(), model.to_string()), tests: None })
    }

    async fn strategy(
        &self,
        subject: &Subject,
        arguments: &Value,
        fresh: &SimRun,
        warnings: &mut Vec<String>,
        log: &dyn BuildLog,
    ) -> Result<(Strategy, bool), BuildError> {
        let mut deterministic = true;
        let mut same = |other: &SimRun, again: Option<&SimRun>| {
            if other.outputs == fresh.outputs {
                return true;
            }
            if again.is_some_and(|again| again.outputs != fresh.outputs) {
                deterministic = false;
                return shapes(&other.outputs) == shapes(&fresh.outputs);
            }
            false
        };
        let zygote = match self.sim(subject, Strategy::Zygote, arguments).await {
            Ok(zygote) => zygote,
            Err(error) => {
                warnings.push(format!("runs in fresh interpreters: a forked run failed ({error})"));
                return Ok((Strategy::Fresh, true));
            }
        };
        let again = if zygote.outputs == fresh.outputs {
            None
        } else {
            Some(self.sim(subject, Strategy::Fresh, arguments).await?)
        };
        if !same(&zygote, again.as_ref()) {
            warnings.push("runs in fresh interpreters: a forked run gave different outputs".to_owned());
            return Ok((Strategy::Fresh, true));
        }
        log.write(&format!("forked from a zygote: the same outputs in {} ms\n", zygote.milliseconds));
        let mut strategy = Strategy::Zygote;
        if subject.warm_up && zygote.milliseconds >= WORTH_WARMING {
            match self.sim(subject, Strategy::WarmedZygote, arguments).await {
                Ok(warmed) if same(&warmed, again.as_ref()) && warmed.milliseconds * 10 < zygote.milliseconds * 9 => {
                    log.write(&format!(
                        "from a zygote that ran it once: the same outputs in {} ms\n",
                        warmed.milliseconds
                    ));
                    strategy = Strategy::WarmedZygote;
                }
                Ok(_) => log.write("a zygote that ran it once is no faster, or gives other outputs\n"),
                Err(error) => log.write(&format!("a zygote that ran it once fails: {error}\n")),
            }
        }
        if !deterministic {
            warnings.push("equal inputs give different outputs: results are never reused".to_owned());
        }
        Ok((strategy, deterministic))
    }

    async fn version(&self, subject: &Subject) -> Result<String, BuildError> {
        let asked = self.ask(subject, Task::Version, Strategy::Fresh, json!({})).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Version(text)) if !text.trim().is_empty() => Ok(text),
            Outcome::Returned(_) => Err(failed("get_version returned an empty text".to_owned())),
            other => Err(told("get_version", other, &asked.log)),
        }
    }

    async fn defaults(&self, subject: &Subject) -> Result<(Value, Value, u64), BuildError> {
        let asked = self.ask(subject, Task::Defaults, Strategy::Fresh, json!({ "meta_param_dict": {} })).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Defaults { meta_parameters, model_parameters }) => {
                Ok((meta_parameters, model_parameters, asked.end.phases.run))
            }
            other => Err(told("get_inputs", other, &asked.log)),
        }
    }

    async fn parse(&self, subject: &Subject, arguments: &Value, warnings: &mut Vec<String>) -> Result<(), BuildError> {
        let asked = self.ask(subject, Task::Parse, Strategy::Fresh, arguments.clone()).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Parse { errors_warnings, .. }) => {
                if !csw_core::simulation::is_valid(&errors_warnings) {
                    warnings.push(format!("validate_inputs refuses the default inputs: {errors_warnings}"));
                }
                Ok(())
            }
            other => Err(told("validate_inputs", other, &asked.log)),
        }
    }

    async fn sim(&self, subject: &Subject, strategy: Strategy, arguments: &Value) -> Result<SimRun, BuildError> {
        let asked = self.ask(subject, Task::Sim, strategy, arguments.clone()).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Sim { .. }) => Ok(SimRun {
                outputs: asked.outputs,
                milliseconds: asked.end.phases.run,
                import: asked.end.phases.import,
            }),
            other => Err(told("run_model with the default inputs", other, &asked.log)),
        }
    }

    async fn ask(
        &self,
        subject: &Subject,
        task: Task,
        strategy: Strategy,
        arguments: Value,
    ) -> Result<Asked, BuildError> {
        let order = RunOrder {
            run: RunId::new(self.clock.now(), self.randomness.ten()),
            lease: Lease::new(self.clock.now(), self.randomness.ten()),
            task,
            model: subject.model.clone(),
            version: subject.version,
            artifact: subject.artifact.clone(),
            strategy,
            sharing: subject.sharing,
            arguments,
            limits: subject.limits,
            network: subject.network,
            secrets: std::collections::BTreeMap::new(),
        };
        ask(self.executor, order).await.map_err(|error| failed(error.to_string()))
    }
}

fn shapes(outputs: &[Seen]) -> Vec<(OutputKind, &str, &'static str)> {
    outputs.iter().map(|seen| (seen.kind, seen.title.as_str(), seen.media_type)).collect()
}

fn failed(sentence: String) -> BuildError {
    BuildError { stage: Stage::Test, sentence }
}

fn told(function: &str, outcome: Outcome, log: &Bytes) -> BuildError {
    let what = match outcome {
        Outcome::Failed { traceback } => format!("failed:\n{traceback}"),
        Outcome::TimedOut { seconds } => format!("did not end within {seconds} s"),
        Outcome::OutOfMemory { limit_bytes } => format!("needed more than {} MB of memory", limit_bytes / 1_000_000),
        Outcome::Lost { sentence } => format!("could not be executed: {sentence}"),
        Outcome::Cancelled => "was cancelled".to_owned(),
        Outcome::Returned(_) => "returned something else than asked for".to_owned(),
    };
    let written = String::from_utf8_lossy(log);
    let tail: String = written.chars().skip(written.chars().count().saturating_sub(2000)).collect();
    let written = if tail.trim().is_empty() { String::new() } else { format!("\nIt had written:\n{tail}") };
    failed(format!("{function} {what}{written}"))
}

/// Adds the members of `more` that `facts` does not have.
pub(crate) fn merge(facts: &mut Value, more: &Value) {
    if let (Value::Object(facts), Value::Object(more)) = (facts, more) {
        for (key, value) in more {
            facts.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bokeh_documents_compare_without_their_random_ids() {
        let document = |id: &str, width: u32| {
            json!({"target_id": null, "root_id": id, "doc": {"roots": [{"id": id, "width": width, "ref": {"id": "q"}}]}})
                .to_string()
        };
        let digest = |text: String| without_ids(text.as_bytes());
        assert_eq!(digest(document("p1", 3)), digest(document("p77", 3)));
        assert_ne!(digest(document("p1", 3)), digest(document("p1", 4)));
    }
}
