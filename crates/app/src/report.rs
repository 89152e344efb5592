//! What executions tell, on its way into the database: logs in batches, outputs into object storage, and the end in one
//! transaction that counts once.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use csw_core::{
    ids::RunId,
    masking::{Masker, Masks},
    output::{Output, OutputKind, Thumbnail, file_names, object_key},
    ports::{Mail, ObjectError, ParseApplied, ParseEnd, ReportError, RunEvents, SimEnd, StoreError},
    run::{
        LogOf, MAX_ATTEMPTS, NewRun, Outcome, OutputBody, OutputDraft, Phases, Reason, Run, RunEnd, RunOrder, RunState,
        Task, TaskResult,
    },
    simulation::{InputsStatus, Simulation, is_valid},
};
use jiff::SignedDuration;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{App, dispatch::lost, measures::run_ended, new_id, schemas::limits_of};

/// A log is stored at latest this long after it was written.
const LOG_DELAY: Duration = Duration::from_millis(250);

/// Or when so many bytes wait.
const LOG_BATCH: usize = 64 * 1024;

/// What a live run told that is not stored yet.
#[derive(Default)]
pub(crate) struct Pending {
    outputs: Vec<OutputDraft>,
    /// Keys of objects that were or are being stored.
    storing: HashSet<String>,
    log: BytesMut,
    log_offset: Option<u64>,
    flush_planned: bool,
    /// The turn of storing the log: two at once would give different texts the same place.
    flushing: Arc<Mutex<()>>,
    stored_since: Option<std::time::Instant>,
    /// Keeps the run's secrets out of its log; what it holds back comes with the end.
    masker: Option<Masker>,
}

impl Pending {
    /// Whether the run has stored this object, or is about to, and has not yet recorded it.
    pub(crate) fn keeps(&self, key: &str) -> bool {
        self.storing.contains(key)
    }
}

/// Takes the reports of one run.
pub(crate) struct Reporter {
    app: App,
    run: Run,
    /// Of the secrets that the run was given.
    masks: OnceLock<Arc<Masks>>,
}

impl Reporter {
    pub(crate) fn new(app: App, run: &Run) -> Self {
        Self { app, run: run.clone(), masks: OnceLock::new() }
    }

    fn masks(&self, order: &RunOrder) -> &Arc<Masks> {
        self.masks.get_or_init(|| Arc::new(Masks::of(order.secrets.values())))
    }

    /// Reports a run that the executor never took, retrying like an executor does.
    pub(crate) async fn lost(&self, order: &RunOrder, sentence: String) {
        let end = lost(sentence);
        let mut wait = Duration::from_millis(100);
        while let Err(ReportError::Unavailable { cause, .. }) = self.ended(order, end.clone()).await {
            tracing::warn!(run = %order.run, cause, "the end of a run waits to be stored");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(10));
        }
    }

    async fn finish(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        if let Outcome::Lost { sentence } = &end.outcome
            && self.run.attempt < MAX_ATTEMPTS
        {
            let stored = self.app.store().requeue(order.run, order.lease, sentence, false).await;
            let requeued = stored.map_err(|error| unavailable(order.run, &error))?;
            return if requeued { Ok(()) } else { Err(ReportError::Stale { run: order.run }) };
        }
        match order.task {
            Task::Sim => self.finish_sim(order, end).await,
            Task::Parse | Task::Version | Task::Defaults => self.finish_parse(order, end).await,
        }
    }

    async fn finish_parse(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        let (reason, traceback) = self.verdict(&end.outcome);
        let (status, errors_warnings, custom_adjustment) = match end.outcome {
            Outcome::Returned(TaskResult::Parse { errors_warnings, custom_adjustment }) => {
                let status = if is_valid(&errors_warnings) { InputsStatus::Success } else { InputsStatus::Invalid };
                (status, Some(errors_warnings), custom_adjustment)
            }
            Outcome::Returned(_) | Outcome::Failed { .. } => (InputsStatus::Fail, None, None),
            _ => (InputsStatus::WorkerFailure, None, None),
        };
        let now = self.app.now();
        let (sim, expected_at) = if status == InputsStatus::Success {
            let (sim, seconds) = self.follow_up().await.map_err(|error| unavailable(order.run, &error))?;
            (Some(sim), now.checked_add(SignedDuration::from_secs_f64(seconds)).ok())
        } else {
            (None, None)
        };
        let share = sim.as_ref().is_some_and(|sim| sim.memo_key.is_some());
        let end = ParseEnd {
            run: order.run,
            lease: order.lease,
            status,
            reason,
            errors_warnings,
            custom_adjustment,
            traceback,
            sim,
            share,
            expected_at,
            phases: self.phases(end.phases, Duration::ZERO),
            now,
        };
        let applied = self.app.store().finish_parse(&end).await.map_err(|error| unavailable(order.run, &error))?;
        if !matches!(applied, ParseApplied::Stale) {
            run_ended(order.task, reason, end.phases);
        }
        match applied {
            ParseApplied::Stale => Err(ReportError::Stale { run: order.run }),
            ParseApplied::Answered(simulation, _) => {
                metrics::counter!("csw_memo_hits_total").increment(1);
                if let Ok(Some(simulation)) = self.app.store().simulation_by_id(simulation).await {
                    self.app.tell_owner(&simulation).await;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The `sim` run that follows this valid `parse` run, and the seconds it is expected to take.
    async fn follow_up(&self) -> Result<(NewRun, f64), StoreError> {
        let store = self.app.store();
        let missing = || StoreError::NotFound { what: "the model of a run".to_owned() };
        let model = store.model(self.run.model).await?.ok_or_else(missing)?;
        let mut times = store.recent_run_times(self.run.version, 20).await?;
        times.sort_unstable();
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run")]
        let learned = times.get(times.len() / 2).map(|milliseconds| *milliseconds as f64 / 1000.0);
        let seconds = learned.unwrap_or_else(|| model.settings.expected_seconds.map_or(1.0, f64::from));
        let argument = |name: &str| self.run.arguments.get(name).cloned().unwrap_or_else(|| json!({}));
        let sim = NewRun {
            id: new_id!(self.app, RunId),
            task: Task::Sim,
            model: self.run.model,
            version: self.run.version,
            owner: self.run.owner,
            arguments: json!({
                "meta_param_dict": argument("meta_param_dict"),
                "adjustment": argument("adjustment"),
            }),
            memo_key: self.run.memo_key.clone(),
            limits: limits_of(&model),
        };
        Ok((sim, seconds))
    }

    async fn finish_sim(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        let (reason, traceback) = self.verdict(&end.outcome);
        let (outputs, storing) = {
            let reports = self.app.inner.reports.lock().await;
            let pending = reports.get(&order.run);
            let drafts = pending.map(|pending| pending.outputs.as_slice()).unwrap_or_default();
            let storing = pending.and_then(|pending| pending.stored_since).map(|since| since.elapsed());
            (if reason == Reason::Success { rows(drafts) } else { Vec::new() }, storing.unwrap_or_default())
        };
        let phases = self.phases(end.phases, storing);
        #[allow(clippy::cast_precision_loss, reason = "bytes of memory")]
        let gigabytes = order.limits.memory_bytes as f64 / 1e9;
        let end = SimEnd {
            run: order.run,
            lease: order.lease,
            reason,
            traceback,
            outputs,
            model_version: end.model_version,
            cost: self.app.inner.config.prices.of_run(order.limits.cpus, gigabytes, phases.import + phases.run),
            phases,
            now: self.app.now(),
        };
        let finished = self.app.store().finish_sim(&end).await.map_err(|error| unavailable(order.run, &error))?;
        if finished.is_empty() {
            // It may be that only a comparison waits for it.
            let run = self.app.store().run(order.run).await.map_err(|error| unavailable(order.run, &error))?;
            let stored = run.is_some_and(|run| run.state == RunState::Finished && run.reason == Some(reason));
            return if stored { Ok(()) } else { Err(ReportError::Stale { run: order.run }) };
        }
        run_ended(order.task, reason, end.phases);
        for simulation in &finished {
            self.app.tell_owner(simulation).await;
        }
        Ok(())
    }

    /// Reason and sentence of an end.
    fn verdict(&self, outcome: &Outcome) -> (Reason, Option<String>) {
        match outcome {
            Outcome::Returned(_) => (Reason::Success, None),
            Outcome::Failed { traceback } => (Reason::Fail, Some(traceback.clone())),
            Outcome::Cancelled => (Reason::Cancelled, Some("This run was cancelled.".to_owned())),
            Outcome::TimedOut { seconds } => (
                Reason::TimedOut,
                Some(format!(
                    "The run was stopped at its time limit of {seconds} s. The model's publisher can raise it."
                )),
            ),
            Outcome::OutOfMemory { limit_bytes } => (
                Reason::OutOfMemory,
                Some(format!(
                    "The run needed more than its {} MB of memory and was stopped. The model's publisher can raise the \
                     limit.",
                    limit_bytes / 1_000_000
                )),
            ),
            Outcome::Lost { sentence } => (
                Reason::WorkerFailure,
                Some(format!(
                    "The platform lost this run: {sentence} (attempt {} of {MAX_ATTEMPTS}). Nothing is wrong with the \
                     inputs; run it again.",
                    self.run.attempt
                )),
            ),
        }
    }

    fn phases(&self, executor: Phases, storing: Duration) -> Phases {
        let waited = self.run.started_at.map_or(0.0, |at| at.duration_since(self.run.enqueued_at).as_secs_f64());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a wait in milliseconds")]
        let queue = (waited.max(0.0) * 1000.0).round() as u64;
        Phases { queue, store: u64::try_from(storing.as_millis()).unwrap_or(u64::MAX), ..executor }
    }
}

fn mail_of_end(public_url: &str, to: String, simulation: &Simulation) -> Mail {
    let name = format!("{}/{}#{}", simulation.model_owner, simulation.model_title, simulation.number);
    Mail {
        to,
        subject: format!("Your simulation {name} is finished: {}", simulation.status.as_str()),
        body: format!(
            "\"{}\" is finished: {public_url}/{}/{}/{}/\n",
            simulation.title, simulation.model_owner, simulation.model_title, simulation.number
        ),
    }
}

fn rows(drafts: &[OutputDraft]) -> Vec<Output> {
    let mut drafts: Vec<_> = drafts.iter().collect();
    drafts.sort_by_key(|draft| (draft.kind, draft.position));
    let mut rows = Vec::with_capacity(drafts.len());
    for kind in [OutputKind::Renderable, OutputKind::Downloadable] {
        let of_kind: Vec<_> = drafts.iter().filter(|draft| draft.kind == kind).collect();
        let names = file_names(of_kind.iter().map(|draft| (draft.title.as_str(), draft.media_type)));
        rows.extend(of_kind.into_iter().zip(names).map(|(draft, filename)| Output {
            id: draft.id,
            kind: draft.kind,
            position: draft.position,
            title: draft.title.clone(),
            media_type: draft.media_type,
            filename,
            size: draft.size,
            sha256: draft.sha256.clone(),
            thumbnail: Thumbnail::Wanted,
        }));
    }
    rows
}

/// The end with no secret in any of its sentences.
fn without_secrets(mut end: RunEnd, masks: &Masks) -> RunEnd {
    if masks.is_empty() {
        return end;
    }
    end.model_version = end.model_version.map(|version| masks.text(&version));
    match &mut end.outcome {
        Outcome::Failed { traceback } => *traceback = masks.text(traceback),
        Outcome::Lost { sentence } => *sentence = masks.text(sentence),
        Outcome::Returned(TaskResult::Parse { errors_warnings, custom_adjustment }) => {
            masks.json(errors_warnings);
            if let Some(adjustment) = custom_adjustment {
                masks.json(adjustment);
            }
        }
        Outcome::Returned(_) | Outcome::Cancelled | Outcome::TimedOut { .. } | Outcome::OutOfMemory { .. } => {}
    }
    end
}

fn unavailable(run: RunId, error: &StoreError) -> ReportError {
    ReportError::Unavailable { run, cause: error.to_string() }
}

#[async_trait]
impl RunEvents for Reporter {
    async fn log(&self, order: &RunOrder, text: Bytes) {
        let mut reports = self.app.inner.reports.lock().await;
        let pending = reports.entry(order.run).or_default();
        if order.secrets.is_empty() {
            pending.log.extend_from_slice(&text);
        } else {
            let masker = pending.masker.get_or_insert_with(|| self.masks(order).stream());
            pending.log.extend_from_slice(&masker.push(&text));
        }
        let full = pending.log.len() >= LOG_BATCH;
        let plan = !pending.flush_planned;
        pending.flush_planned = true;
        drop(reports);
        if full {
            self.app.try_to_flush_log(order.run).await;
        } else if plan {
            let (app, run) = (self.app.clone(), order.run);
            tokio::spawn(async move {
                tokio::time::sleep(LOG_DELAY).await;
                app.try_to_flush_log(run).await;
            });
        }
    }

    async fn output(&self, order: &RunOrder, output: OutputDraft) -> Result<(), ReportError> {
        let since = std::time::Instant::now();
        let key = object_key(&output.sha256);
        let objects = &self.app.inner.ports.objects;
        // Before it is there: whoever removes equal bytes of somebody else has to know.
        self.app.inner.reports.lock().await.entry(order.run).or_default().storing.insert(key.clone());
        let stored = match &output.body {
            OutputBody::Bytes(bytes) => objects.put(&key, bytes.clone()).await,
            OutputBody::File(file) => objects.put_file(&key, file).await,
            OutputBody::Stored => Ok(()),
        };
        stored.map_err(|error: ObjectError| ReportError::Unavailable { run: order.run, cause: error.to_string() })?;
        let mut reports = self.app.inner.reports.lock().await;
        let pending = reports.entry(order.run).or_default();
        pending.stored_since.get_or_insert(since);
        let kept = OutputDraft { body: OutputBody::Bytes(Bytes::new()), ..output };
        if !pending.outputs.iter().any(|other| (other.kind, other.position) == (kept.kind, kept.position)) {
            pending.outputs.push(kept);
        }
        Ok(())
    }

    async fn ended(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        // The log is complete before the end is told.
        self.app.end_masked_log(order.run).await;
        let flushed = self.app.flush_log(LogOf::Run(order.run)).await;
        flushed.map_err(|error| unavailable(order.run, &error))?;
        let finished = self.finish(order, without_secrets(end, self.masks(order))).await;
        if !matches!(finished, Err(ReportError::Unavailable { .. })) {
            self.app.inner.reports.lock().await.remove(&order.run);
            self.app.release(order.run);
        }
        finished
    }

    async fn begins(&self, order: &RunOrder) -> Result<u64, ReportError> {
        self.app.inner.reports.lock().await.entry(order.run).or_default().outputs.clear();
        self.app.end_masked_log(order.run).await;
        let log = LogOf::Run(order.run);
        let stored = async {
            self.app.flush_log(log).await?;
            self.app.store().log_length(log).await
        };
        stored.await.map_err(|error| unavailable(order.run, &error))
    }

    async fn log_resumes(&self, order: &RunOrder, offset: u64) {
        let mut reports = self.app.inner.reports.lock().await;
        let pending = reports.entry(order.run).or_default();
        pending.log.clear();
        pending.masker = None;
        pending.log_offset = Some(offset);
    }
}

impl App {
    /// Counts the end of a simulation, and mails its owner who asked for that.
    pub(crate) async fn tell_owner(&self, simulation: &Simulation) {
        metrics::counter!("csw_simulations_total", "status" => simulation.status.as_str()).increment(1);
        if !simulation.notify_on_completion {
            return;
        }
        if let Some(to) = self.address_of(simulation.owner).await {
            self.mail(mail_of_end(&self.inner.config.public_url, to, simulation));
        }
    }

    /// Stores what a live run has written. What can't be stored now is kept for the next time; so is what was being stored
    /// when nobody waited any longer.
    pub(crate) async fn flush_log(&self, log: LogOf) -> Result<(), StoreError> {
        let LogOf::Run(run) = log else { return Ok(()) };
        let turn = match self.inner.reports.lock().await.get(&run) {
            Some(pending) if !pending.log.is_empty() => Arc::clone(&pending.flushing),
            _ => return Ok(()),
        };
        let _turn = turn.lock().await;
        let (text, known) = match self.inner.reports.lock().await.get_mut(&run) {
            Some(pending) if !pending.log.is_empty() => {
                pending.flush_planned = false;
                (Bytes::copy_from_slice(&pending.log), pending.log_offset)
            }
            _ => return Ok(()),
        };
        let offset = match known {
            Some(offset) => offset,
            None => self.store().log_length(log).await?,
        };
        self.change(run, |pending| pending.log_offset = Some(offset)).await;
        let length = text.len();
        self.store().append_log(log, offset, text, self.now()).await?;
        self.change(run, |pending| {
            pending.log.advance(length);
            pending.log_offset = Some(offset + length as u64);
        })
        .await;
        Ok(())
    }

    /// Gives out what was held back because it might have been the beginning of a secret.
    async fn end_masked_log(&self, run: RunId) {
        self.change(run, |pending| {
            let rest = pending.masker.as_mut().map(Masker::finish).unwrap_or_default();
            pending.log.extend_from_slice(&rest);
        })
        .await;
    }

    /// The same where nothing depends on it.
    async fn try_to_flush_log(&self, run: RunId) {
        if let Err(error) = self.flush_log(LogOf::Run(run)).await {
            tracing::warn!(%run, %error, "a log waits to be stored");
        }
    }

    async fn change(&self, run: RunId, change: impl FnOnce(&mut Pending)) {
        if let Some(pending) = self.inner.reports.lock().await.get_mut(&run) {
            change(pending);
        }
    }
}
