//! From the queue to the executor. The dispatcher sleeps until something is due or room is made; it never polls.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use csw_core::{
    ids::{Lease, RunId},
    ports::{Change, Room},
    run::{ClaimedRun, Limits, Outcome, Phases, RunEnd, RunOrder, Usage},
};
use futures::StreamExt;

use crate::{App, error::AppResult, new_id, report::Reporter, schemas::sharing_of};

/// What the live runs were admitted with.
#[derive(Default)]
pub(crate) struct Admitted {
    runs: HashMap<RunId, Limits>,
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
        if self.admitted().runs.remove(&run).is_some() {
            self.inner.wake.notify_one();
        }
    }

    /// Runs that this process has admitted.
    pub(crate) fn is_admitted(&self, run: RunId) -> bool {
        self.admitted().runs.contains_key(&run)
    }

    /// Claims what fits whenever woken, until `stop`.
    pub(crate) async fn dispatch(self, stop: tokio_util::sync::CancellationToken) {
        loop {
            match self.fill().await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the queue can't be read; trying again in a second");
                    let app = self.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
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

    async fn begin(self, claimed: ClaimedRun) {
        let run = claimed.run.id;
        let reporter = Arc::new(Reporter::new(self.clone(), &claimed.run));
        match self.order(&claimed).await {
            Ok(order) => {
                if let Err(error) = self.inner.ports.executor.start(order.clone(), Arc::clone(&reporter) as _).await {
                    reporter.lost(&order, error.to_string()).await;
                }
            }
            Err(error) => {
                tracing::warn!(%run, %error, "a claimed run can't be prepared");
                if let Err(error) = self.store().requeue(run, claimed.lease, &error.to_string(), false).await {
                    tracing::warn!(%run, %error, "and can't be given back; the reconciler will");
                }
                self.release(run);
            }
        }
    }

    async fn order(&self, claimed: &ClaimedRun) -> AppResult<RunOrder> {
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
            secrets: BTreeMap::new(),
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
                Some(Change::Queue) => self.inner.wake.notify_one(),
                Some(Change::Cancel(run)) => self.inner.ports.executor.cancel(run).await,
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
    pub(crate) fn has_admitted(&self) -> bool {
        !self.admitted().runs.is_empty()
    }

    /// Ends a run for good that no attempt is left for.
    pub(crate) async fn give_up(&self, claimed: &ClaimedRun, sentence: &str) -> AppResult<()> {
        let order = self.order(claimed).await?;
        let reporter = Reporter::new(self.clone(), &claimed.run);
        reporter.lost(&order, sentence.to_owned()).await;
        Ok(())
    }
}
