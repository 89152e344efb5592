//! The conformance check of a version: the four functions keep their contract, and the fastest way to make its
//! interpreters that gives the same outputs as a fresh process.
//!
//! A check that stopped before `run_model` would call a broken model healthy, so the default inputs are really run.

mod asked;
mod strategy;

use bytes::Bytes;
use csw_core::{
    build::{Source, Stage},
    ids::{Lease, RunId, VersionId},
    model::{Artifact, Strategy},
    names::ModelName,
    ports::{BuildError, BuildLog, BuildOptions, Built, Checkout, Clock, Executor, Publisher, Randomness, TestReport},
    run::{Limits, Outcome, RunOrder, Sharing, Task, TaskResult},
    secret::Secrets,
};
use csw_params::{InputSchema, first_pass, meta_json, validate_meta};
use serde_json::{Map, Value, json};

use asked::Asked;
pub(crate) use asked::{ask, without_ids};
use strategy::{Choice, SimRun, Trial};

/// Milliseconds of `import cs_config.functions` and of `get_inputs` above which the author is warned.
const SLOW_IMPORT: u64 = 2000;
const SLOW_INPUTS: u64 = 1000;

/// Seconds that a forked call may take: what hangs after a fork hangs for ever.
const PATIENCE: u64 = 60;

/// Percent of the memory of a run above which the author is warned.
const TIGHT_MEMORY: u64 = 80;

/// What the check found.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// What `get_version` says.
    pub version: String,
    /// How its interpreters may be made.
    pub strategy: Strategy,
    /// Whether `validate_inputs` takes the default inputs.
    pub takes_defaults: bool,
    /// Measurements and warnings, for the model's page.
    pub facts: Value,
    /// The default input schema, as text: meta parameters and model parameters.
    pub schema: (String, String),
    /// What the model's own tests said.
    pub tests: Option<TestReport>,
}

/// What an author's own check gives the model.
#[derive(Debug, Clone)]
pub struct CheckConditions {
    /// What a run may use.
    pub limits: Limits,
    /// What it finds in its environment, in place of the secrets that it has on a site.
    pub secrets: Secrets,
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
    pub(crate) secrets: Secrets,
}

impl Subject {
    /// The same, with so many seconds for a call, if it may take longer.
    fn within(&self, seconds: u64) -> Self {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let deadline_seconds = self.limits.deadline_seconds.min(seconds);
        Self { limits: Limits { deadline_seconds, ..self.limits }, ..self.clone() }
    }
}

/// What `get_inputs` returns when it is asked for nothing special.
struct Defaults {
    meta: Value,
    model: Value,
    /// Of the call.
    milliseconds: u64,
}

/// What the four functions did.
struct Functions {
    version: String,
    defaults: Defaults,
    run: DefaultRun,
}

/// What became of the default inputs.
struct DefaultRun {
    takes_defaults: bool,
    fresh: SimRun,
    choice: Choice,
    warnings: Vec<String>,
}

impl Conformance<'_> {
    /// Fetches, builds and tests a model without a database or a server: an author's own check.
    pub async fn check(
        &self,
        publisher: &dyn Publisher,
        model: &ModelName,
        source: &Source,
        options: &BuildOptions,
        conditions: &CheckConditions,
        log: &dyn BuildLog,
    ) -> Result<CheckReport, BuildError> {
        let CheckConditions { limits, secrets } = conditions;
        let checkout = publisher.fetch(source, options, log).await?;
        let subject = |artifact: Artifact| Subject {
            model: model.clone(),
            version: VersionId::new(self.clock.now(), self.randomness.ten()),
            artifact,
            limits: *limits,
            network: false,
            sharing: Sharing::Public,
            warm_up: true,
            secrets: secrets.clone(),
        };
        let attempt = async |options: &BuildOptions| -> Result<(Built, CheckReport), BuildError> {
            let built = publisher.build(model, &checkout, options, log).await?;
            let delivery = publisher.deliver(model, &checkout, &built, log);
            let tests = async { publisher.test(model, &checkout, &built, options, secrets, log).await.map(Some) };
            let report = self.examine(&subject(built.artifact.clone()), delivery, tests, log).await?;
            Ok((built, report))
        };
        let outcome = match attempt(options).await {
            Err(error) => match second_attempt(&error, &checkout, options, log) {
                Some(then) => attempt(&then).await.map_err(|again| both(error, &again, &then)),
                None => Err(error),
            },
            done => done,
        };
        publisher.discard(checkout).await;
        let (built, mut report) = outcome?;
        merge(&mut report.facts, &built.facts);
        Ok(report)
    }

    /// Calls the four functions once there is what was built where they are called, `run_model` in a fresh interpreter,
    /// and looks for a faster way that gives the same outputs. The model's own `tests` run beside.
    pub(crate) async fn examine(
        &self,
        subject: &Subject,
        delivery: impl Future<Output = Result<(), BuildError>> + Send,
        tests: impl Future<Output = Result<Option<TestReport>, BuildError>> + Send,
        log: &dyn BuildLog,
    ) -> Result<CheckReport, BuildError> {
        self.executor.reconsider(&subject.artifact);
        let held = Held::default();
        // Own tests need not wait: what can't be imported ends them.
        let functions = async {
            delivery.await?;
            self.functions(subject, log, &held).await
        };
        let both = futures::future::try_join(functions, tests).await;
        log.write(&held.take());
        let (Functions { version, defaults, run }, tests) = both?;
        let Defaults { meta, model, milliseconds } = defaults;
        let mut warnings: Vec<String> = slow_inputs(milliseconds).into_iter().collect();
        warnings.extend(slow_import(run.fresh.import));
        warnings.extend(run.warnings);
        let Choice { strategy, reason, deterministic } = run.choice;
        warnings.extend(reason.as_ref().map(|reason| match strategy {
            Strategy::Fresh => format!("runs in fresh interpreters: {reason}"),
            Strategy::Zygote | Strategy::WarmedZygote => reason.clone(),
        }));
        if !deterministic {
            warnings.push("equal inputs give different outputs: results are never reused".to_owned());
        }
        let facts = json!({
            "import_milliseconds": run.fresh.import,
            "get_inputs_milliseconds": milliseconds,
            "default_run_milliseconds": run.fresh.milliseconds,
            "default_run_memory_bytes": run.fresh.memory_bytes,
            "deterministic": deterministic,
            "strategy": strategy.as_str(),
            "strategy_reason": reason,
            "conformance_warnings": warnings,
        });
        let schema = (meta.to_string(), model.to_string());
        Ok(CheckReport { version, strategy, takes_defaults: run.takes_defaults, facts, schema, tests })
    }

    /// Calls the four functions. Lines of what follows the first two are held back, for they would come among those of
    /// the tests.
    async fn functions(&self, subject: &Subject, log: &dyn BuildLog, held: &Held) -> Result<Functions, BuildError> {
        let (version, defaults) = futures::future::try_join(self.version(subject), self.defaults(subject)).await?;
        let (sections, milliseconds) = (defaults.model.as_object().map_or(0, Map::len), defaults.milliseconds);
        log.write(&format!("get_version: {version}\nget_inputs: {sections} sections in {milliseconds} ms\n"));
        let arguments = default_arguments(&defaults.meta, &defaults.model)?;
        let run = self.default_run(subject, &arguments, held).await?;
        Ok(Functions { version, defaults, run })
    }

    /// Validates and runs the default inputs, and tries the faster ways to do so.
    async fn default_run(
        &self,
        subject: &Subject,
        arguments: &Value,
        log: &dyn BuildLog,
    ) -> Result<DefaultRun, BuildError> {
        let mut warnings = Vec::new();
        let sim = json!({ "meta_param_dict": arguments["meta_param_dict"], "adjustment": arguments["adjustment"] });
        if subject.warm_up {
            // What may turn out to be the fastest way gets ready meanwhile: it imports and runs the model as well.
            self.executor.warm(self.order(subject, Task::Sim, Strategy::WarmedZygote, sim.clone())).await;
        }
        let run = self.sim(subject, Strategy::Fresh, &sim);
        let (refusal, fresh) = futures::future::try_join(self.refusal(subject, arguments), run).await?;
        let takes_defaults = refusal.is_none();
        log.write(&format!(
            "validate_inputs: {} the default inputs\n",
            if takes_defaults { "takes" } else { "refuses" }
        ));
        warnings.extend(refusal.map(|refusal| format!("validate_inputs refuses the default inputs: {refusal}")));
        log.write(&format!("run_model: {} outputs in {} ms\n", fresh.outputs.len(), fresh.milliseconds));
        let limit = subject.limits.memory_bytes;
        if fresh.memory_bytes / TIGHT_MEMORY > limit / 100 {
            let (needed, limit) = (fresh.memory_bytes / 1_000_000, limit / 1_000_000);
            warnings.push(format!("the default run needs {needed} MB of the {limit} MB of memory that a run gets"));
        }
        let choice = Trial { conformance: self, subject, arguments: &sim, fresh: &fresh, log }.choose().await?;
        Ok(DefaultRun { takes_defaults, fresh, choice, warnings })
    }

    async fn version(&self, subject: &Subject) -> Result<String, BuildError> {
        let asked = self.soon(subject, Task::Version, json!({})).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Version(text)) if !text.trim().is_empty() => Ok(text),
            Outcome::Returned(_) => Err(failed("get_version returned an empty text".to_owned())),
            other => Err(told("get_version", other, &asked.log)),
        }
    }

    async fn defaults(&self, subject: &Subject) -> Result<Defaults, BuildError> {
        let asked = self.soon(subject, Task::Defaults, json!({ "meta_param_dict": {} })).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Defaults { meta_parameters: meta, model_parameters: model }) => {
                Ok(Defaults { meta, model, milliseconds: asked.end.phases.run })
            }
            other => Err(told("get_inputs", other, &asked.log)),
        }
    }

    /// The messages with which `validate_inputs` refuses the inputs, if it does.
    async fn refusal(&self, subject: &Subject, arguments: &Value) -> Result<Option<Value>, BuildError> {
        let asked = self.soon(subject, Task::Parse, arguments.clone()).await?;
        match asked.end.outcome {
            Outcome::Returned(TaskResult::Parse { errors_warnings, .. }) => {
                Ok((!csw_core::simulation::is_valid(&errors_warnings)).then_some(errors_warnings))
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
                memory_bytes: asked.end.usage.peak_memory_bytes,
            }),
            other => Err(told("run_model with the default inputs", other, &asked.log)),
        }
    }

    /// Forks the call from an interpreter that others of these calls are forked from as well; what does not return there
    /// is called in a fresh one, which has the last word.
    async fn soon(&self, subject: &Subject, task: Task, arguments: Value) -> Result<Asked, BuildError> {
        match self.ask(&subject.within(PATIENCE), task, Strategy::Zygote, arguments.clone()).await? {
            asked if matches!(asked.end.outcome, Outcome::Returned(_)) => Ok(asked),
            _ => self.ask(subject, task, Strategy::Fresh, arguments).await,
        }
    }

    async fn ask(
        &self,
        subject: &Subject,
        task: Task,
        strategy: Strategy,
        arguments: Value,
    ) -> Result<Asked, BuildError> {
        let order = self.order(subject, task, strategy, arguments);
        ask(self.executor, order).await.map_err(|error| failed(error.to_string()))
    }

    fn order(&self, subject: &Subject, task: Task, strategy: Strategy, arguments: Value) -> RunOrder {
        RunOrder {
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
            secrets: subject.secrets.clone(),
        }
    }
}

/// A log that is told later, so that it does not fall between the lines of another.
#[derive(Default)]
struct Held(std::sync::Mutex<String>);

impl BuildLog for Held {
    fn write(&self, text: &str) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push_str(text);
    }
}

impl Held {
    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// What the model's functions are given when somebody changes nothing.
fn default_arguments(meta: &Value, model: &Value) -> Result<Value, BuildError> {
    let schema = InputSchema::parse(meta, model)
        .map_err(|error| failed(format!("get_inputs returned a schema that can't be read: {error}")))?;
    let values = validate_meta(&schema.meta_parameters, &json!({})).map_err(|report| {
        failed(format!("the default meta parameters do not pass their own validators: {}", report.errors_json()))
    })?;
    let pass = first_pass(&schema, &json!({}));
    Ok(json!({
        "meta_param_dict": meta_json(&values),
        "adjustment": pass.adjustment,
        "errors_warnings": pass.errors_warnings_for_model(),
    }))
}

fn slow_inputs(milliseconds: u64) -> Option<String> {
    let told = || format!("get_inputs takes {milliseconds} ms; above {SLOW_INPUTS} ms a form feels slow");
    (milliseconds > SLOW_INPUTS).then(told)
}

fn slow_import(milliseconds: u64) -> Option<String> {
    let told = || format!("importing the model takes {milliseconds} ms; above {SLOW_IMPORT} ms a first run feels slow");
    (milliseconds > SLOW_IMPORT).then(told)
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

/// How to try again what failed with the newest packages: with those of the time when the source was committed.
/// Dependencies that nobody pinned break old models; those of their own time do not.
pub(crate) fn second_attempt(
    error: &BuildError,
    checkout: &Checkout,
    options: &BuildOptions,
    log: &dyn BuildLog,
) -> Option<BuildOptions> {
    // What could not be brought to where it runs is as it should be.
    if error.stage == Stage::Push {
        return None;
    }
    let date = checkout.committed_at.filter(|_| options.as_of.is_none())?;
    log.write(&format!(
        "{}\nTrying again with packages as they were on {date}, when the source was committed.\n",
        error.sentence
    ));
    Some(BuildOptions { as_of: Some(date), ..options.clone() })
}

/// What to say where the second attempt failed as well. The first one's stage counts: a new model is to be repaired
/// for new packages.
pub(crate) fn both(first: BuildError, second: &BuildError, then: &BuildOptions) -> BuildError {
    if first.sentence == second.sentence {
        return first;
    }
    let date = then.as_of.map(|date| date.to_string()).unwrap_or_default();
    let stage = second.stage.as_str();
    let sentence = format!(
        "{}\nWith packages as they were on {date} it fails in stage {stage}: {}",
        first.sentence, second.sentence
    );
    BuildError { stage: first.stage, sentence }
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
    fn what_is_slow_is_told_from_its_bound_on() {
        assert_eq!((slow_import(2000), slow_inputs(1000)), (None, None));
        assert!(slow_import(2001).unwrap().starts_with("importing the model takes 2001 ms"));
        assert!(slow_inputs(1001).unwrap().starts_with("get_inputs takes 1001 ms"));
    }
}
