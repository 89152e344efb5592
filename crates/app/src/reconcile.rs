//! Background work: the same path after a crash as in normal running. What the database says is running is compared
//! with what the executor really has, at the start and every minute while something runs.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{App, Duties, error::AppResult, patience::Patience, sweep::SWEEP_PERIOD};

/// How often the comparison is made while this process has runs.
const PERIOD: Duration = Duration::from_mins(1);

/// Why a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// This process has just begun: what the executor has is a former one's.
    Start,
    /// A claim may have been made whose answer was lost.
    LostClaim,
    /// Another server of this database is gone.
    LostServer,
    /// Time has passed.
    Period,
}

impl Occasion {
    /// What a run is told that nobody works at.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Start => "the server was restarted",
            Self::LostClaim => "its claim was not answered",
            Self::LostServer => "its server vanished",
            Self::Period => "its process vanished",
        }
    }
}

/// The background work of an [`App`].
pub struct Background {
    app: App,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl App {
    /// Starts what is this process's to do. Runs that a former process left are given back to the queue first.
    pub async fn start(&self) -> Background {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if self.inner.config.duties == Duties::Thumbnails {
            tasks.spawn(self.clone().draw_thumbnails(stop.clone()));
            return Background { app: self.clone(), stop, tasks };
        }
        tasks.spawn(self.clone().keep_views(stop.clone()));
        if self.inner.config.duties == Duties::Pages {
            self.resume_merges().await;
            tasks.spawn(self.clone().tidy(stop.clone()));
            return Background { app: self.clone(), stop, tasks };
        }
        tasks.spawn(self.clone().listen(stop.clone()));
        let mut patience = Patience::new();
        while let Err(error) = self.reconcile(Occasion::Start).await {
            tracing::warn!(%error, "runs of a former process can't be reconciled yet");
            patience.pause().await;
        }
        while let Err(error) = self.resume_builds().await {
            tracing::warn!(%error, "builds of a former process can't be resumed yet");
            patience.pause().await;
        }
        while let Err(error) = self.resume_comparisons().await {
            tracing::warn!(%error, "comparisons of a former process can't be resumed yet");
            patience.pause().await;
        }
        self.resume_merges().await;
        tasks.spawn(self.clone().build_in_turn(stop.clone()));
        tasks.spawn(self.clone().dispatch(stop.clone()));
        tasks.spawn(self.clone().watch(stop.clone()));
        tasks.spawn(self.clone().sweep(stop.clone()));
        tasks.spawn(self.clone().show_checks(stop.clone()));
        tasks.spawn(self.clone().draw_thumbnails(stop.clone()));
        Background { app: self.clone(), stop, tasks }
    }

    async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            self.tidy_limits();
            let has_peers = self.store().has_peers();
            if has_peers && let Err(error) = self.take_over_from_peers().await {
                tracing::warn!(%error, "what other servers left can't be looked for now");
            }
            if !has_peers
                && self.has_admitted()
                && let Err(error) = self.reconcile(Occasion::Period).await
            {
                tracing::warn!(%error, "runs can't be reconciled now");
            }
        }
    }

    /// Forgets whom limits count no more, where there is nothing else to do now and then.
    async fn tidy(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => self.tidy_limits(),
            }
        }
    }

    fn tidy_limits(&self) {
        self.inner.login_limit.tidy();
        self.inner.schema_limit.tidy();
        self.inner.submission_limit.tidy();
        self.inner.look_limit.tidy();
    }

    /// What a server had that is gone is ours as well as anybody's. Nothing is written to stay alive, so a single server
    /// that rests asks nothing.
    async fn take_over_from_peers(&self) -> AppResult<()> {
        self.reconcile(Occasion::LostServer).await?;
        self.resume_builds().await?;
        self.inner.builds_wake.notify_one();
        if self.inner.config.duties == Duties::Work {
            self.resume_comparisons().await?;
        }
        self.store().look_for_peers().await?;
        Ok(())
    }

    async fn sweep(self, stop: CancellationToken) {
        loop {
            match self.sweep_objects().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "objects that no output names were removed"),
                Err(error) => tracing::warn!(%error, "objects that no output names are looked for tomorrow"),
            }
            if let Err(error) = self.store().forget_checks(self.now() - crate::checks::REMEMBERED).await {
                tracing::warn!(%error, "old checks are forgotten tomorrow");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_PERIOD) => {}
            }
        }
    }

    /// Gives runs back that nobody works at. At the start those that the executor kept from a former process are taken
    /// over; later what it has and nobody admitted has just ended.
    pub(crate) async fn reconcile(&self, occasion: Occasion) -> AppResult<()> {
        let running = self.store().running().await?;
        let live = self.inner.ports.executor.live().await;
        for claimed in running {
            let run = claimed.run.id;
            if self.is_admitted(run) {
                continue;
            }
            if live.contains(&run) {
                if occasion == Occasion::Start {
                    tracing::info!(%run, attempt = claimed.run.attempt, "a run of a former process goes on");
                    self.take_over(claimed);
                }
                continue;
            }
            tracing::info!(%run, attempt = claimed.run.attempt, "a run without a process");
            let order_lease = claimed.lease;
            // A server that ends is no fault of its runs, however often it does; the sandbox keeps them from causing it.
            let handed_back = occasion != Occasion::Period;
            if handed_back || claimed.run.attempt < csw_core::run::MAX_ATTEMPTS {
                self.store().requeue(run, order_lease, occasion.sentence(), handed_back).await?;
            } else {
                self.give_up(&claimed, occasion.sentence()).await?;
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
