//! The queue of builds: durable, one build of a model at a time, a few at once, each begun again where the server ended
//! under it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use csw_core::{
    access::Role,
    build::{Build, BuildState, MAX_BUILD_ATTEMPTS, StopReason},
    ids::{BuildId, ModelId},
    model::Model,
    page::PageRequest,
    ports::{BuildLog, Mail},
    secret::Secrets,
};
use tokio_util::sync::CancellationToken;

use super::forget_upload;
use crate::{App, error::AppResult, measures::build_ended, patience::Patience};

/// The longest that the end of the server waits for its builds.
const HANDING_BACK: Duration = Duration::from_secs(10);

/// Accounts that are asked for an approval, at most.
const APPROVERS: PageRequest = PageRequest { number: 1, size: 200 };

/// A build that this process carries out.
#[derive(Debug, Clone)]
pub(crate) struct AtWork {
    model: ModelId,
    stop: CancellationToken,
    why: Arc<OnceLock<StopReason>>,
    /// It waits for simulations and builds nothing.
    waits: bool,
}

impl App {
    fn builds_at_work(&self) -> MutexGuard<'_, HashMap<BuildId, AtWork>> {
        self.inner.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops a build, if this process carries it out.
    pub(crate) fn stop_build(&self, id: BuildId, why: StopReason) {
        if let Some(one) = self.builds_at_work().get(&id) {
            // The first reason is the one that counts.
            let _ = one.why.set(why);
            one.stop.cancel();
        }
    }

    /// From now on this build only waits: another may begin.
    pub(super) fn make_room_for_builds(&self, id: BuildId) {
        if let Some(one) = self.builds_at_work().get_mut(&id) {
            one.waits = true;
        }
        self.inner.builds_wake.notify_one();
    }

    /// Has what a newer build of the same model and line replaces stopped, whoever carries it out.
    pub(super) async fn stop_builds_like(&self, newer: &Build) -> AppResult<()> {
        let line = newer.order.line();
        for build in self.store().unfinished_builds().await? {
            let is_like = build.model == newer.model && build.order.line() == line && build.id != newer.id;
            if is_like && build.state == BuildState::Running {
                self.store().stop_build(build.id, StopReason::Superseded).await?;
            }
        }
        Ok(())
    }

    /// Leaves the builds that are at work to the next process, and waits until they are stored so.
    pub(crate) async fn leave_builds(&self) {
        self.inner.ending.cancel();
        self.inner.build_tasks.close();
        if tokio::time::timeout(HANDING_BACK, self.inner.build_tasks.wait()).await.is_err() {
            tracing::warn!("builds are left to the next start");
        }
    }

    /// Begins builds as their turns come, until the server ends.
    pub(crate) async fn build_in_turn(self, stop: CancellationToken) {
        let mut patience = Patience::new();
        loop {
            match self.begin_builds().await {
                Ok(()) => patience = Patience::new(),
                Err(error) => {
                    tracing::warn!(%error, "the queue of builds can't be read");
                    patience.pause().await;
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.inner.builds_wake.notified() => {}
            }
        }
    }

    async fn begin_builds(&self) -> AppResult<()> {
        for build in self.store().builds_in_hand().await? {
            if build.state != BuildState::Queued || !self.take_turn(&build) {
                continue;
            }
            self.inner.build_tasks.spawn(self.clone().work_at(build));
        }
        Ok(())
    }

    fn take_turn(&self, build: &Build) -> bool {
        let mut at_work = self.builds_at_work();
        let building = at_work.values().filter(|one| !one.waits).count();
        let full = building >= self.inner.config.builds_at_once || self.inner.ending.is_cancelled();
        if full || at_work.contains_key(&build.id) || at_work.values().any(|one| one.model == build.model) {
            return false;
        }
        let (stop, why) = (self.inner.ending.child_token(), Arc::default());
        at_work.insert(build.id, AtWork { model: build.model, stop, why, waits: false });
        true
    }

    async fn work_at(self, mut build: Build) {
        if let Some(at_work) = { self.builds_at_work().get(&build.id).cloned() } {
            self.attempt(&mut build, &at_work).await;
        }
        // Until its end is stored it is no orphan.
        self.builds_at_work().remove(&build.id);
        self.inner.builds_wake.notify_one();
    }

    async fn attempt(&self, build: &mut Build, at_work: &AtWork) {
        build.state = BuildState::Running;
        build.attempt += 1;
        let mut patience = Patience::new();
        loop {
            match self.store().begin_build(build).await {
                Ok(true) => break,
                // Somebody stopped it while it waited, or another server is at one of its model.
                Ok(false) => return,
                Err(error) => tracing::warn!(build = %build.id, %error, "a build waits to begin"),
            }
            if self.inner.ending.is_cancelled() {
                return;
            }
            patience.pause().await;
        }
        let job = self.job(build).await;
        let (log, writer) = self.open_log(build.id, job.as_ref().map_or(&Secrets::new(), |job| &job.secrets));
        if build.attempt > 1 {
            log.write(&format!("The server has ended during this build; attempt {} begins.\n", build.attempt));
        }
        let done = tokio::select! {
            done = self.carry_out(build, job, &log) => Some(done),
            () = at_work.stop.cancelled() => None,
        };
        let (state, message) = match done {
            Some(done) => done,
            None if self.inner.ending.is_cancelled() => {
                log.write("The server is stopping; this build goes on when it is back.\n");
                drop(log);
                let _ = writer.await;
                // That the server was asked to end is no fault of the build's. Where this is not stored, it counts.
                build.begin_again();
                build.attempt -= 1;
                if let Err(error) = self.store().update_build(build).await {
                    tracing::warn!(build = %build.id, %error, "a build could not be handed back");
                }
                return;
            }
            None => (BuildState::Cancelled, at_work.why.get().map_or("", |why| why.sentence()).to_owned()),
        };
        self.inner.ports.publisher.release(build.id).await;
        log.write(&format!("{}: {message}\n", state.as_str()));
        drop(log);
        if writer.await.is_err() {
            tracing::warn!(build = %build.id, "the log of a build is not complete");
        }
        build.end(state, message, self.now());
        self.end_build(build).await;
    }

    async fn end_build(&self, build: &Build) {
        let mut patience = Patience::new();
        while let Err(error) = self.store().update_build(build).await {
            tracing::warn!(build = %build.id, %error, "the end of a build waits to be stored");
            patience.pause().await;
        }
        build_ended(build);
        forget_upload(build).await;
        if let Err(error) = self.tell_of_build(build).await {
            tracing::warn!(build = %build.id, %error, "nobody could be told of the end of a build");
        }
    }

    /// Writes to who asked, the model's owner and those who may change it; where a version waits for approval, to those
    /// who may give it.
    async fn tell_of_build(&self, build: &Build) -> AppResult<()> {
        let model = self.model_by_id(build.model).await?;
        let mut to = BTreeSet::new();
        for account in [build.requested_by, model.owner] {
            to.extend(self.address_of(account).await);
        }
        for member in self.store().model_members(model.id).await? {
            if member.role >= Role::Write
                && let Some(account) = self.store().account_by_name(&member.name).await?
            {
                to.insert(account.email);
            }
        }
        let waits = build.state == BuildState::Succeeded && self.waits_for_approval(build, &model);
        if waits {
            let accounts = self.store().accounts(APPROVERS).await?.items;
            let approvers = accounts.into_iter().filter(|one| one.is_active && one.caller().is_maintainer());
            to.extend(approvers.map(|one| one.email));
        }
        let subject = if waits {
            format!("A version of {} waits for approval", model.name())
        } else {
            format!("Build of {} {}", model.name(), build.state.as_str())
        };
        let message = build.message.as_deref().unwrap_or_default();
        let body = format!("{message}\n\n{}/{}/builds/{}/\n", self.inner.config.public_url, model.name(), build.id);
        for to in to {
            self.mail(Mail { to, subject: subject.clone(), body: body.clone() });
        }
        Ok(())
    }

    /// Whether its version is staged because only a maintainer may promote it.
    pub(super) fn waits_for_approval(&self, build: &Build, model: &Model) -> bool {
        self.inner.config.approval_required
            && !build.order.promote
            && build.version.is_some()
            && model.live_version != build.version
    }

    /// What a former process was at goes back to the queue, but not for ever: it may have been the reason of its end.
    pub(crate) async fn resume_builds(&self) -> AppResult<()> {
        for mut build in self.store().builds_in_hand().await? {
            if build.state != BuildState::Running || self.builds_at_work().contains_key(&build.id) {
                continue;
            }
            if build.attempt < MAX_BUILD_ATTEMPTS {
                build.begin_again();
                self.store().update_build(&build).await?;
                continue;
            }
            let sentence = format!(
                "The server has ended {} times during this build, last in stage {}. Look at the log, and publish again.",
                build.attempt,
                build.stage.as_str()
            );
            build.end(BuildState::Failed, sentence, self.now());
            self.end_build(&build).await;
        }
        Ok(())
    }
}
