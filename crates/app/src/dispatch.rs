//! From the queue to the executor. The dispatcher sleeps until something is due or room is made; it never polls.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use csw_core::{
    ids::{Lease, RunId},
    ports::{Change, Room},
    run::{ClaimedRun, Limits, Outcome, Phases, RunEnd, RunOrder, Usage},
    secret::Secrets,
};
use futures::StreamExt;

use crate::{
    App, Duties,
    error::{AppError, AppResult},
    new_id,
    patience::Patience,
    reconcile::Occasion,
    report::Reporter,
    schemas::sharing_of,
};

/// What the live runs were admitted with.
#[derive(Default)]
pub(crate) struct Admitted {
    runs: HashMap<RunId, Limits>,
    /// Runs that somebody wants stopped: the executor may not have them yet.
    stopped: HashSet<RunId>,
}

impl App {
    pub(crate) fn free(&self) -> (Room, Room, u32) {
        let capacity = self.inner.ports.executor.capacity();
        let total = Room { cpus: capacity.cpus, memory_bytes: capacity.memory_bytes };
        let admitted = self.admitted();
        let (mut cpus, mut memory) = (0.0, 0_u64);
        for limits in admitted.runs.values() {
            cpus += limits.cpus.min(total.cpus);
            memory = memory.saturating_add(limits.memory_bytes.min(total.memory_bytes));
        }
        let free = Room { cpus: total.cpus - cpus, memory_bytes: total.memory_bytes.saturating_sub(memory) };
        let slots = capacity.runs.saturating_sub(u32::try_from(admitted.runs.len()).unwrap_or(u32::MAX));
        (free, total, slots)
    }

    fn admitted(&self) -> std::sync::MutexGuard<'_, Admitted> {
        self.inner.admitted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn admit(&self, run: RunId, limits: Limits) {
        self.admitted().runs.insert(run, limits);
    }

    /// Gives the room of a run back.
    pub(crate) fn release(&self, run: RunId) {
        let mut admitted = self.admitted();
        admitted.stopped.remove(&run);
        if admitted.runs.remove(&run).is_some() {
            self.inner.wake.notify_one();
        }
    }

    /// Stops a run that was claimed, on its way to the executor or there.
    pub(crate) async fn stop_run(&self, run: RunId) {
        self.admitted().stopped.insert(run);
        self.inner.ports.executor.cancel(run).await;
    }

    /// Runs that this process has admitted.
    pub(crate) fn is_admitted(&self, run: RunId) -> bool {
        self.admitted().runs.contains_key(&run)
    }

    /// Claims what fits whenever woken, until `stop`.
    pub(crate) async fn dispatch(self, stop: tokio_util::sync::CancellationToken) {
        let mut doubtful = false;
        loop {
            match self.fill_after(doubtful).await {
                Ok(()) => doubtful = false,
                Err(error) => {
                    tracing::warn!(%error, "the queue can't be read; trying again in a second");
                    doubtful = true;
                    let app = self.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        app.inner.wake.notify_one();
                    });
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.inner.wake.notified() => {}
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// A claim whose answer was lost may have been made: such a run is given back before others are claimed.
    async fn fill_after(&self, doubtful: bool) -> AppResult<()> {
        if doubtful {
            self.reconcile(Occasion::LostClaim).await?;
        }
        self.fill().await
    }

    async fn fill(&self) -> AppResult<()> {
        loop {
            let (room, total, slots) = self.free();
            if slots == 0 || room.cpus < 0.01 {
                return Ok(());
            }
            let lease = new_id!(self, Lease);
            let Some(claimed) = self.store().claim(lease, room, total, self.now()).await? else { return Ok(()) };
            self.admit(claimed.run.id, claimed.run.limits);
            let app = self.clone();
            tokio::spawn(async move { app.begin(claimed).await });
        }
    }

    /// Looks after a run that is claimed already and that the executor has.
    pub(crate) fn take_over(&self, claimed: ClaimedRun) {
        self.admit(claimed.run.id, claimed.run.limits);
        let wanted = claimed.run.cancel_requested;
        let (app, run) = (self.clone(), claimed.run.id);
        tokio::spawn(async move {
            // Its wish to be stopped may have come while nobody was there to hear it.
            if wanted {
                app.admitted().stopped.insert(run);
            }
            app.begin(claimed).await;
        });
    }

    async fn begin(self, claimed: ClaimedRun) {
        let run = claimed.run.id;
        let reporter = Arc::new(Reporter::new(self.clone(), &claimed.run));
        match self.patient_order(&claimed).await {
            Ok(order) => {
                if let Err(error) = self.inner.ports.executor.start(order.clone(), Arc::clone(&reporter) as _).await {
                    reporter.lost(&order, error.to_string()).await;
                } else if self.admitted().stopped.contains(&run) {
                    self.inner.ports.executor.cancel(run).await;
                }
            }
            Err(error) => {
                tracing::warn!(%run, %error, "a claimed run can't be prepared");
                if let Ok(order) = self.order_without_secrets(&claimed).await {
                    // Only its secrets can't be had, and not for the moment: three attempts, then people are told.
                    let sentence = "the secrets of its model can't be read; the site's operator finds why in the log";
                    Patience::new().pause().await;
                    reporter.lost(&order, sentence.to_owned()).await;
                    return;
                }
                let mut patience = Patience::new();
                // Before the first attempt too: what can't be prepared now can't be a moment later.
                patience.pause().await;
                while let Err(error) = self.store().requeue(run, claimed.lease, &error.to_string(), false).await {
                    tracing::warn!(%run, %error, "and can't be given back yet");
                    patience.pause().await;
                }
                self.release(run);
            }
        }
    }

    /// The order of a run, however long the database can't be asked for it.
    async fn patient_order(&self, claimed: &ClaimedRun) -> AppResult<RunOrder> {
        let mut patience = Patience::new();
        loop {
            match self.order(claimed).await {
                Err(AppError::Unavailable { sentence }) => {
                    tracing::warn!(run = %claimed.run.id, sentence, "a claimed run waits to be prepared");
                    patience.pause().await;
                }
                order => return order,
            }
        }
    }

    async fn order(&self, claimed: &ClaimedRun) -> AppResult<RunOrder> {
        let model = self.model_by_id(claimed.run.model).await?;
        let secrets = self.secrets_of(&model).await?;
        Ok(RunOrder { secrets, ..self.order_without_secrets(claimed).await? })
    }

    pub(crate) async fn order_without_secrets(&self, claimed: &ClaimedRun) -> AppResult<RunOrder> {
        let run = &claimed.run;
        let model = self.model_by_id(run.model).await?;
        let version = self.version_by_id(run.version).await?;
        Ok(RunOrder {
            run: run.id,
            lease: claimed.lease,
            task: run.task,
            model: model.name(),
            version: version.id,
            artifact: version.artifact,
            strategy: version.strategy,
            sharing: sharing_of(&model),
            arguments: run.arguments.clone(),
            limits: run.limits,
            network: model.settings.network,
            secrets: Secrets::new(),
        })
    }

    /// Passes on what the database tells: due runs to the dispatcher, wishes to stop to the executor.
    pub(crate) async fn listen(self, stop: tokio_util::sync::CancellationToken) {
        let mut changes = self.store().changes();
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = changes.next() => change,
            };
            match change {
                Some(Change::Queue | Change::Missed) => self.inner.wake.notify_one(),
                Some(Change::Cancel(run)) => self.stop_run(run).await,
                // One of another server's may have been in the way of one of ours.
                Some(Change::Build(_)) if self.store().has_peers() => self.inner.builds_wake.notify_one(),
                Some(Change::StopBuild(build, why)) => self.stop_build(build, why),
                Some(Change::Comparison(version)) if self.inner.config.duties == Duties::Work => {
                    self.pick_up_comparison(version).await;
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// The end of a run that the platform lost.
pub(crate) fn lost(sentence: String) -> RunEnd {
    RunEnd {
        outcome: Outcome::Lost { sentence },
        model_version: None,
        phases: Phases::default(),
        usage: Usage::default(),
    }
}

impl App {
    /// Whether anything is at work. Where nothing is, nobody wants anything stopped.
    pub(crate) fn has_admitted(&self) -> bool {
        let mut admitted = self.admitted();
        if admitted.runs.is_empty() {
            admitted.stopped.clear();
        }
        !admitted.runs.is_empty()
    }

    /// Ends a run for good that no attempt is left for.
    pub(crate) async fn give_up(&self, claimed: &ClaimedRun, sentence: &str) -> AppResult<()> {
        let order = self.order_without_secrets(claimed).await?;
        let reporter = Reporter::new(self.clone(), &claimed.run);
        reporter.lost(&order, sentence.to_owned()).await;
        Ok(())
    }
}
