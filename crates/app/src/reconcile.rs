//! Background work: the same path after a crash as in normal running. What the database says is running is compared
//! with what the executor really has, at the start and every minute while something runs.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{App, error::AppResult, patience::Patience, sweep::SWEEP_PERIOD};

/// How often the comparison is made while this process has runs.
const PERIOD: Duration = Duration::from_mins(1);

/// The background work of an [`App`].
pub struct Background {
    app: App,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl App {
    /// Starts dispatcher and reconcilers. Runs that a former process left are given back to the queue first.
    pub async fn start(&self) -> Background {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().listen(stop.clone()));
        let mut patience = Patience::new();
        while let Err(error) = self.reconcile("the server was restarted", true).await {
            tracing::warn!(%error, "runs of a former process can't be reconciled yet");
            patience.pause().await;
        }
        while let Err(error) = self.resume_builds().await {
            tracing::warn!(%error, "builds of a former process can't be resumed yet");
            patience.pause().await;
        }
        tasks.spawn(self.clone().build_in_turn(stop.clone()));
        tasks.spawn(self.clone().dispatch(stop.clone()));
        tasks.spawn(self.clone().watch(stop.clone()));
        tasks.spawn(self.clone().sweep(stop.clone()));
        Background { app: self.clone(), stop, tasks }
    }

    async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            self.inner.login_limit.tidy();
            self.inner.schema_limit.tidy();
            self.inner.submission_limit.tidy();
            if !self.has_admitted() {
                continue;
            }
            if let Err(error) = self.reconcile("its process vanished", false).await {
                tracing::warn!(%error, "runs can't be reconciled now");
            }
        }
    }

    async fn sweep(self, stop: CancellationToken) {
        loop {
            match self.sweep_objects().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "objects that no output names were removed"),
                Err(error) => tracing::warn!(%error, "objects that no output names are looked for tomorrow"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_PERIOD) => {}
            }
        }
    }

    /// Gives runs back that nobody works at. `restarted`: nothing of theirs is to blame, and the attempt does not count.
    pub(crate) async fn reconcile(&self, sentence: &str, restarted: bool) -> AppResult<()> {
        let running = self.store().running().await?;
        let live = self.inner.ports.executor.live().await;
        for claimed in running {
            let run = claimed.run.id;
            if live.contains(&run) || self.is_admitted(run) {
                continue;
            }
            tracing::info!(%run, attempt = claimed.run.attempt, "a run without a process");
            let order_lease = claimed.lease;
            // A server that ends is no fault of its runs, however often it does; the sandbox keeps them from causing it.
            if restarted || claimed.run.attempt < csw_core::run::MAX_ATTEMPTS {
                self.store().requeue(run, order_lease, sentence, restarted).await?;
            } else {
                self.give_up(&claimed, sentence).await?;
            }
        }
        self.inner.wake.notify_one();
        Ok(())
    }
}

impl Background {
    /// Stops claiming, gives live runs `grace_seconds` to finish, and hands the others back to the queue.
    pub async fn shut_down(mut self, grace_seconds: u32) {
        self.stop.cancel();
        self.app.leave_builds().await;
        self.app.inner.ports.executor.shut_down(grace_seconds).await;
        while self.tasks.join_next().await.is_some() {}
    }
}
