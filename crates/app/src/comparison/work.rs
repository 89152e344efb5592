//! Carries a comparison out: each simulation is validated and run again on the staged version, and judged. How far it has
//! come is in the database, so that another server goes on where this one ended.

use std::time::Duration;

use csw_core::{
    comparison::{Compared, Comparison, ComparisonState, OutputChange, Tally, Verdict},
    ids::{RunId, SimulationId, VersionId},
    masking::Masks,
    model::{Model, Version},
    output::Output,
    ports::{Change, StoreError},
    run::{NOBODY, NewRun, Outcome, Reason, RunOrder, RunState, Task, TaskResult},
    simulation::is_valid,
};
use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    LOOK_AGAIN,
    differences::{Read, alone, between, is_read, pairs},
};
use crate::{
    App, Duties,
    conformance::ask,
    error::{AppError, AppResult},
    new_id,
    patience::Patience,
    schemas::limits_of,
    submission::{Prepared, Submission},
};

/// Characters of a traceback, and of what is wrong with inputs, that are kept.
const SENTENCE: usize = 4000;

/// What was prepared for a simulation.
enum Next {
    Run(Box<NewRun>),
    Verdict(Verdict),
}

impl App {
    /// Goes on with the comparisons of a former process.
    pub(crate) async fn resume_comparisons(&self) -> AppResult<()> {
        for comparison in self.store().running_comparisons().await? {
            self.work_at_comparison(comparison);
        }
        Ok(())
    }

    /// Begins to carry out what a process has begun that serves pages alone.
    pub(crate) async fn pick_up_comparison(&self, version: VersionId) {
        if self.comparisons_at_work().contains(&version) {
            return;
        }
        match self.store().comparison(version).await {
            Ok(Some(found)) if found.state == ComparisonState::Running => self.work_at_comparison(found),
            Ok(_) => {}
            Err(error) => tracing::warn!(%version, %error, "a comparison is looked for again in a minute"),
        }
    }

    /// Carries a comparison out in the background, unless it is at work already, or somebody else's to do.
    pub(super) fn work_at_comparison(&self, comparison: Comparison) {
        let version = comparison.version;
        if self.inner.config.duties == Duties::Pages || !self.comparisons_at_work().insert(version) {
            return;
        }
        let app = self.clone();
        self.inner.build_tasks.spawn(async move {
            tokio::select! {
                () = app.compare_to_the_end(&comparison) => {}
                () = app.inner.ending.cancelled() => {}
            }
            app.comparisons_at_work().remove(&version);
        });
    }

    async fn compare_to_the_end(&self, comparison: &Comparison) {
        let minutes = i64::from(self.inner.config.comparison_minutes);
        let over = comparison.created_at + SignedDuration::from_mins(minutes);
        let left = over.duration_since(self.now());
        let left = Duration::try_from(left).unwrap_or_default();
        let mut patience = Patience::new();
        let all = async {
            while let Err(error) = self.compare_all(comparison).await {
                tracing::warn!(version = %comparison.version, %error, "a comparison waits");
                patience.pause().await;
            }
        };
        let in_time = tokio::time::timeout(left, all).await.is_ok();
        let mut patience = Patience::new();
        while let Err(error) = self.close_comparison(comparison, in_time).await {
            tracing::warn!(version = %comparison.version, %error, "the end of a comparison waits to be stored");
            patience.pause().await;
        }
    }

    async fn close_comparison(&self, comparison: &Comparison, in_time: bool) -> AppResult<()> {
        let version = comparison.version;
        if !in_time {
            let minutes = self.inner.config.comparison_minutes;
            let sentence = format!("The {minutes} minutes that a comparison may take were over.");
            let open = self.store().compared(version).await?.into_iter().filter(|one| one.verdict.is_none());
            for one in open {
                let verdict = Verdict::Unfinished { sentence: sentence.clone() };
                self.store().judge(version, one.simulation, &verdict).await?;
            }
        }
        let tally = Tally::of(&self.store().compared(version).await?);
        let state = if tally.unfinished > 0 { ComparisonState::Incomplete } else { ComparisonState::Finished };
        Ok(self.store().end_comparison(version, state, self.now()).await?)
    }

    /// Takes every simulation as far as its verdict.
    async fn compare_all(&self, comparison: &Comparison) -> AppResult<()> {
        let model = self.model_by_id(comparison.model).await?;
        let version = self.version_by_id(comparison.version).await?;
        // From before the first look on, so that nothing is missed.
        let mut changes = self.store().changes();
        for one in self.store().compared(version.id).await? {
            if one.verdict.is_none() && one.run.is_none() {
                self.begin_one(&model, &version, one.simulation).await?;
            }
        }
        loop {
            let mut open = 0;
            for one in self.store().compared(version.id).await?.into_iter().filter(|one| one.verdict.is_none()) {
                match self.verdict(&one).await? {
                    Some(verdict) => self.store().judge(version.id, one.simulation, &verdict).await?,
                    None => open += 1,
                }
            }
            if open == 0 {
                return Ok(());
            }
            let told = async {
                while let Some(change) = changes.next().await {
                    if matches!(change, Change::Missed) || change == Change::Comparison(version.id) {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(LOOK_AGAIN, told).await;
        }
    }

    async fn begin_one(&self, model: &Model, version: &Version, simulation: SimulationId) -> AppResult<()> {
        match self.prepare_again(model, version, simulation).await? {
            Next::Verdict(verdict) => Ok(self.store().judge(version.id, simulation, &verdict).await?),
            Next::Run(run) => match self.store().run_compared(version.id, simulation, &run, self.now()).await {
                // It was removed meanwhile, and its place in the comparison with it.
                Ok(_) | Err(StoreError::NotFound { .. }) => {
                    self.inner.wake.notify_one();
                    Ok(())
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Validates the inputs of a simulation for another version.
    async fn prepare_again(&self, model: &Model, version: &Version, simulation: SimulationId) -> AppResult<Next> {
        let gone = || Next::Verdict(Verdict::Unfinished { sentence: "The simulation is gone.".to_owned() });
        let Some((_, inputs)) = self.store().simulation_with_inputs(simulation).await? else { return Ok(gone()) };
        let schema = match self.schema_of(model, version, &inputs.meta_parameters, None).await {
            Ok(schema) => schema,
            Err(AppError::MetaParameters { errors }) => {
                let sentence = cut(&sentences(&errors));
                return Ok(Next::Verdict(Verdict::Invalid { sentence }));
            }
            Err(AppError::ModelFailed { traceback }) => return Ok(Next::Verdict(failed(Reason::Fail, &traceback))),
            Err(error) => return Err(error),
        };
        let submission = Submission {
            meta_parameters: inputs.meta_parameters,
            adjustment: inputs.adjustment,
            ..Submission::default()
        };
        let Prepared { parse, .. } = self.prepare(NOBODY, model, version, &schema, &submission)?;
        let argument = |name: &str| parse.arguments.get(name).cloned().unwrap_or_else(|| json!({}));
        let sim = NewRun {
            id: new_id!(self, RunId),
            task: Task::Sim,
            arguments: json!({
                "meta_param_dict": argument("meta_param_dict"),
                "adjustment": argument("adjustment"),
            }),
            limits: limits_of(model),
            ..parse.clone()
        };
        // What ran before was valid.
        if let Some(key) = &sim.memo_key
            && self.store().memo(key).await?.is_some()
        {
            return Ok(Next::Run(Box::new(sim)));
        }
        Ok(match self.validate_again(model, version, parse).await? {
            Some(verdict) => Next::Verdict(verdict),
            None => Next::Run(Box::new(sim)),
        })
    }

    /// Asks the version for its verdict on inputs; none where they are valid.
    async fn validate_again(&self, model: &Model, version: &Version, parse: NewRun) -> AppResult<Option<Verdict>> {
        // One at a time: nobody waits for it.
        let _turn = self.inner.comparing.lock().await;
        let secrets = self.secrets_of(model).await?;
        let masks = Masks::of(secrets.values());
        let order = self.side_order(model, version, Task::Parse, parse.arguments);
        let order = RunOrder { secrets, limits: parse.limits, ..order };
        let asked = ask(&*self.inner.ports.executor, order).await;
        let end = asked.map_err(|error| AppError::Unavailable { sentence: error.to_string() })?.end;
        Ok(match end.outcome {
            Outcome::Returned(TaskResult::Parse { errors_warnings, .. }) if is_valid(&errors_warnings) => None,
            Outcome::Returned(TaskResult::Parse { mut errors_warnings, .. }) => {
                masks.json(&mut errors_warnings);
                Some(Verdict::Invalid { sentence: cut(&sentences(&errors_warnings)) })
            }
            Outcome::Failed { traceback } => Some(failed(Reason::Fail, &masks.text(&traceback))),
            Outcome::TimedOut { seconds } => {
                Some(failed(Reason::TimedOut, &format!("Its validation took more than {seconds} s.")))
            }
            Outcome::OutOfMemory { .. } => Some(failed(Reason::OutOfMemory, "Its validation needed too much memory.")),
            Outcome::Lost { sentence } => return Err(AppError::Unavailable { sentence }),
            Outcome::Cancelled | Outcome::Returned(_) => {
                Some(Verdict::Unfinished { sentence: "Its validation was stopped.".to_owned() })
            }
        })
    }

    /// What is to be said of a simulation, once its run is over.
    async fn verdict(&self, one: &Compared) -> AppResult<Option<Verdict>> {
        let unfinished = |sentence: String| Some(Verdict::Unfinished { sentence });
        let (Some(id), Some(baseline)) = (one.run, one.baseline) else {
            return Ok(unfinished("It was not begun.".to_owned()));
        };
        let Some(run) = self.store().run(id).await? else { return Ok(unfinished("Its run is gone.".to_owned())) };
        if run.state != RunState::Finished {
            return Ok(None);
        }
        let sentence = run.message.unwrap_or_default();
        Ok(match run.reason {
            Some(Reason::Success) => Some(self.outputs_differ(baseline, id).await?),
            Some(reason @ (Reason::Fail | Reason::TimedOut | Reason::OutOfMemory)) => Some(failed(reason, &sentence)),
            Some(Reason::Cancelled) => unfinished("Its run was cancelled.".to_owned()),
            Some(Reason::WorkerFailure) | None => unfinished(sentence),
        })
    }

    async fn outputs_differ(&self, before: RunId, after: RunId) -> AppResult<Verdict> {
        let (before, after) = (self.store().run_outputs(before).await?, self.store().run_outputs(after).await?);
        let (partners, gone) = pairs(&before, &after);
        let mut outputs = Vec::with_capacity(after.len());
        for (output, partner) in after.iter().zip(partners) {
            outputs.push(match partner {
                None => alone(output, OutputChange::Came),
                Some(at) => {
                    let former = &before[at];
                    let wanted = is_read(former, output);
                    let (one, two) = (self.read_whole(former, wanted).await?, self.read_whole(output, wanted).await?);
                    // Megabytes are compared: elsewhere, so that nobody waits.
                    tokio::task::spawn_blocking(move || between(&one, &two))
                        .await
                        .map_err(|error| AppError::Internal { sentence: error.to_string() })?
                }
            });
        }
        outputs.extend(gone.into_iter().map(|at| alone(&before[at], OutputChange::Went)));
        Ok(Verdict::Ran { outputs })
    }

    async fn read_whole(&self, output: &Output, wanted: bool) -> AppResult<Read> {
        let bytes = if wanted {
            let parts = self.inner.ports.objects.get(&output.object_key(), None).await?;
            let read = |mut all: Vec<u8>, part: bytes::Bytes| async move {
                all.extend_from_slice(&part);
                Ok(all)
            };
            Some(parts.try_fold(Vec::new(), read).await?)
        } else {
            None
        };
        Ok(Read { output: output.clone(), bytes })
    }

    pub(super) fn comparisons_at_work(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<VersionId>> {
        self.inner.comparisons.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn failed(reason: Reason, sentence: &str) -> Verdict {
    Verdict::Failed { reason: reason.as_str().to_owned(), sentence: cut(sentence) }
}

/// The end of a long text: what went wrong is last.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    text.chars().skip(length.saturating_sub(SENTENCE)).collect()
}

/// All that is said in errors of any shape, each with its place.
fn sentences(errors: &Value) -> String {
    fn collect(value: &Value, place: &str, all: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (name, inner) in map.iter().filter(|(name, _)| *name != "warnings") {
                    let place = if name == "errors" { place.to_owned() } else { format!("{place} {name}") };
                    collect(inner, place.trim(), all);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, place, all)),
            Value::Null | Value::Bool(false) => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => all.push(format!("{place}: {text}")),
            other => all.push(format!("{place}: {other}")),
        }
    }
    let mut all = Vec::new();
    collect(errors, "", &mut all);
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_every_shape_are_told() {
        let errors = json!({
            "Main": {"errors": {"rate": ["too high", "odd"], "Tests": [0]}, "warnings": {"rate": ["hm"]}},
            "Other": {"errors": {}},
        });
        assert_eq!(sentences(&errors), "Main rate: too high\nMain rate: odd\nMain Tests: 0");
        assert_eq!(sentences(&json!({"errors": {"year": ["no"]}})), "year: no");
    }
}
