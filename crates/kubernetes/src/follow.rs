//! An attempt from its turn to the last trace of its Job.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use csw_core::{ports::ReportError, run::Outcome};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

use crate::{
    attempt::{Attempt, Seen},
    cluster::Refused,
    executor::Inner,
    inputs::serve::{Served, serve},
    lingering::LIFETIME,
    manifest,
    pace::Pauses,
    standing::{self, Standing, Waiting},
};

/// A Job may be known to have failed before its pod is seen to: the word of the pod is waited for so long.
const WORD_OF_THE_POD: Duration = Duration::from_secs(3);

/// A Job that was deleted gives its place back after so long, even where its node does not answer.
const LEAVING: Duration = Duration::from_mins(2);

/// A Job that has waited for a run takes it within so long, or is not there any more.
const HAND_OVER: Duration = Duration::from_secs(5);

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Looks after an attempt until nothing of it is left.
pub(crate) async fn follow(inner: Arc<Inner>, attempt: Arc<Attempt>) {
    let mut follower =
        Follower { seen: attempt.seen.subscribe(), inner, attempt, created: false, waiting: Waits::default() };
    let place;
    let outcome = match follower.by_inputs_server().await {
        Served::Over => None,
        Served::End(outcome) => Some(outcome),
        Served::Not => match follower.by_lingering_job().await {
            Served::Over => None,
            Served::End(outcome) => Some(outcome),
            Served::Not => {
                place = follower.place().await;
                match &place {
                    Some(_) => follower.see_through().await,
                    None => follower.settled(),
                }
            }
        },
    };
    if let Some(outcome) = outcome {
        follower.tell(outcome).await;
    }
    if follower.created {
        if let Some(arguments) = &follower.inner.arguments {
            arguments.forget(follower.attempt.order.run, follower.attempt.order.lease).await;
        }
        follower.clean_up().await;
    }
    follower.leave_carrier().await;
    follower.inner.forget(&follower.attempt);
}

struct Follower {
    inner: Arc<Inner>,
    attempt: Arc<Attempt>,
    seen: watch::Receiver<Seen>,
    /// There may be a Job.
    created: bool,
    waiting: Waits,
}

/// What is waited for, since when.
#[derive(Default)]
struct Waits {
    what: Option<Waiting>,
    /// Since the first look at the present kind of trouble.
    since: Option<Instant>,
    /// When the Job could have begun.
    admitted: Option<Instant>,
    /// When the Job was first seen to have failed.
    failed: Option<Instant>,
    told: Option<String>,
}

/// What is to be done about an attempt.
enum Decision {
    /// Look again when something is seen, or at this time.
    Wait(Option<Instant>),
    /// It ended, and somebody has to be told.
    End(Outcome),
    /// It was told already.
    Over,
}

impl Follower {
    /// Has it answered by the inputs server of its version, if there is one and it has no Job yet.
    async fn by_inputs_server(&self) -> Served {
        let order = &self.attempt.order;
        if self.seen.borrow().job.is_some() {
            return Served::Not;
        }
        let Some(server) = self.inner.servers.of(order.task, order.version).await else { return Served::Not };
        serve(&self.inner, &self.attempt, &server).await
    }

    /// Has it taken by a Job of its version that waits for another run, if there is one.
    async fn by_lingering_job(&mut self) -> Served {
        if self.seen.borrow().job.is_some() {
            return Served::Not;
        }
        let Some(job) = self.inner.lingering.give(&self.attempt) else { return Served::Not };
        self.inner.attempts.carry(&job, &self.attempt);
        let is_known = |seen: &Seen| seen.fetched || seen.gone || seen.is_settled();
        let known = tokio::time::timeout(HAND_OVER, self.seen.wait_for(is_known)).await.is_ok();
        let seen = self.seen.borrow().clone();
        if known && (seen.fetched || seen.is_settled()) {
            return self.see_on().await.map_or(Served::Over, Served::End);
        }
        tracing::info!(run = %self.attempt.order.run, job = job.name, "a Job that waited is gone; another one is made");
        self.delete(&job.name).await;
        self.inner.attempts.put_down(&self.attempt);
        Served::Not
    }

    /// The Job that has taken this run waits for the next one, unless the run has another end than its process has told.
    async fn leave_carrier(&self) {
        let Some(job) = self.attempt.carrier() else { return };
        let seen = self.seen.borrow().clone();
        let is_settled = seen.gone || seen.job.as_ref().is_some_and(|job| standing::is_settled(job));
        if !seen.is_told() && !is_settled {
            self.delete(&job.name).await;
        }
    }

    /// What has to be told of an attempt that is not to go on.
    fn settled(&self) -> Option<Outcome> {
        self.seen.borrow().untold()
    }

    /// A place among the live Jobs; `None` where it is not wanted any more.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        let places = Arc::clone(&self.inner.places);
        if let Ok(permit) = Arc::clone(&places).try_acquire_owned() {
            return Some(permit);
        }
        self.inner.lingering.dismiss();
        tokio::select! {
            permit = places.acquire_owned() => permit.ok(),
            _ = self.seen.wait_for(Seen::is_settled) => None,
        }
    }

    /// The end that has to be told; `None` where that was done.
    async fn see_through(&mut self) -> Option<Outcome> {
        self.created = true;
        let stop = self.attempt.seen.subscribe();
        if let Err(outcome) = self.create(stop).await {
            return outcome;
        }
        self.see_on().await
    }

    /// The same, once it has a Job.
    async fn see_on(&mut self) -> Option<Outcome> {
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let until = match self.decide(&seen) {
                Decision::End(outcome) => return Some(outcome),
                Decision::Over => return None,
                Decision::Wait(until) => until,
            };
            self.tell_of_waiting(&seen).await;
            let alarm = tokio::time::sleep_until(until.unwrap_or_else(far));
            tokio::select! {
                changed = self.seen.changed() => if changed.is_err() { return None },
                () = alarm => {}
            }
        }
    }

    /// Makes the Job, however often the server has to be asked. The error is an end.
    async fn create(&mut self, mut stop: watch::Receiver<Seen>) -> Result<(), Option<Outcome>> {
        let attempt = Arc::clone(&self.attempt);
        let token = self.inner.key.token(attempt.order.run, attempt.order.lease);
        let job = manifest::job(&attempt.order, &self.inner.config, &token)
            .map_err(|sentence| Some(Outcome::Lost { sentence: format!("the version can't run: {sentence}") }))?;
        if let Some(arguments) = &self.inner.arguments {
            arguments.keep(&attempt.order, &token).await;
        }
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            if self.seen.borrow().job.is_some() {
                return Ok(());
            }
            let made = tokio::select! {
                made = self.inner.cluster.create_job(&job) => made,
                Ok(_) = stop.wait_for(Seen::is_settled) => return Err(self.settled()),
            };
            let asked = match made {
                Ok(()) => {
                    attempt.made.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(Refused::Exists) => return Ok(()),
                Err(Refused::Never(said)) => {
                    let sentence = format!("the cluster refuses its Job: {said}");
                    return Err(Some(Outcome::Lost { sentence }));
                }
                Err(Refused::Quota(said)) => {
                    self.waiting.what = Some(Waiting::Room(format!("the quota of the namespace is used up: {said}")));
                    let seen = self.seen.borrow().clone();
                    self.tell_of_waiting(&seen).await;
                    None
                }
                Err(Refused::Busy { after, cause }) => {
                    tracing::warn!(run = %attempt.order.run, cause, "a Job waits to be created");
                    after
                }
                Err(Refused::Conflict | Refused::Missing) => {
                    let namespace = &self.inner.config.namespace;
                    tracing::warn!(run = %attempt.order.run, namespace, "a Job can't be created: is the namespace there?");
                    None
                }
            };
            tokio::select! {
                () = pauses.pause(asked) => {}
                Ok(_) = stop.wait_for(Seen::is_settled) => {}
            }
        }
    }

    fn decide(&mut self, seen: &Seen) -> Decision {
        if seen.over || seen.unwanted {
            return Decision::Over;
        }
        if seen.cancelled {
            return Decision::End(Outcome::Cancelled);
        }
        if seen.gone {
            return Decision::End(standing::deleted());
        }
        let now = Instant::now();
        let limits = &self.attempt.order.limits;
        // What was asked to be created may be seen later.
        let standing = seen.job.as_ref().map_or(Standing::Active, |job| standing::of_job(job));
        match standing {
            Standing::Succeeded => return Decision::End(standing::silent()),
            Standing::Failed { reason, message } => {
                let pods: Vec<_> = seen.pods.values().cloned().collect();
                let patience = *self.waiting.failed.get_or_insert(now) + WORD_OF_THE_POD;
                let is_told = reason == "DeadlineExceeded" || pods.iter().any(standing::is_over);
                if !is_told && now < patience {
                    return Decision::Wait(Some(patience));
                }
                return Decision::End(standing::end(&reason, &message, &pods, seen.fetched, limits));
            }
            Standing::Suspended => {
                // Its time begins when it is admitted.
                self.waiting.admitted = None;
                return Decision::Wait(None);
            }
            Standing::Active => {}
        }
        if seen.fetched { Decision::Wait(None) } else { self.decide_before_start(seen, now) }
    }

    /// It has no process yet.
    fn decide_before_start(&mut self, seen: &Seen, now: Instant) -> Decision {
        let newest = seen.pods.values().max_by_key(|pod| pod.metadata.creation_timestamp.clone());
        let what = newest.map_or_else(|| seen.event.clone(), standing::of_pod);
        let kind = |waiting: &Option<Waiting>| waiting.as_ref().map(std::mem::discriminant);
        if kind(&what) != kind(&self.waiting.what) || self.waiting.since.is_none() {
            self.waiting.since = Some(now);
        }
        self.waiting.what = what;
        let config = &self.inner.config;
        let patience = *self.waiting.admitted.get_or_insert(now) + config.start_limit;
        match &self.waiting.what {
            Some(Waiting::Hopeless(sentence)) => Decision::End(Outcome::Lost { sentence: sentence.clone() }),
            Some(Waiting::Image(sentence)) => {
                let until = self.waiting.since.unwrap_or(now) + config.image_patience;
                if now >= until {
                    return Decision::End(Outcome::Lost { sentence: sentence.clone() });
                }
                Decision::Wait(Some(until.min(patience)))
            }
            other if now >= patience => {
                let seconds = config.start_limit.as_secs();
                let why = other.as_ref().map(|waiting| format!(": {}", waiting.sentence())).unwrap_or_default();
                Decision::End(Outcome::Lost { sentence: format!("it did not start within {seconds} s{why}") })
            }
            _ => Decision::Wait(Some(patience)),
        }
    }

    /// People who follow the log are told what a run waits for.
    async fn tell_of_waiting(&mut self, seen: &Seen) {
        // From then on the log is its process's.
        if seen.fetched {
            return;
        }
        let suspended = seen.job.as_ref().is_some_and(|job| standing::of_job(job) == Standing::Suspended);
        let sentence = match (&self.waiting.what, &self.inner.config.queue) {
            (_, Some(queue)) if suspended => format!("the queue {queue} admits it"),
            (Some(waiting), _) => waiting.sentence().to_owned(),
            _ => return,
        };
        if matches!(self.waiting.what, Some(Waiting::Room(_))) {
            self.inner.lingering.dismiss();
        }
        let waits = if suspended { "until" } else { ":" };
        if self.waiting.told.as_ref() != Some(&sentence) {
            let line = format!("[This run waits{}{waits} {sentence}.]\n", if suspended { " " } else { "" });
            self.attempt.events.log(&self.attempt.order, line.into()).await;
            self.waiting.told = Some(sentence);
        }
    }

    /// Tells an end, until it is stored or was told by the run's process.
    async fn tell(&self, outcome: Outcome) {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        while let Err(ReportError::Unavailable { run, cause }) = self.attempt.end(outcome.clone()).await {
            tracing::warn!(%run, cause, "the end of a run waits to be stored");
            pauses.pause(None).await;
        }
    }

    /// Sees that no pod is left. A Job that finishes by itself stays as long as the operator wants.
    async fn clean_up(&mut self) {
        let has_left = |seen: &Seen| seen.gone || seen.job.as_ref().is_some_and(|job| standing::is_settled(job));
        let (config, seen) = (&self.inner.config, self.seen.borrow().clone());
        let patience = match (finishes(&seen), seen.lingers) {
            (false, _) => Duration::ZERO,
            (true, false) => config.ending,
            // It takes more runs, and has a deadline of its own.
            (true, true) => {
                config.ending + LIFETIME + Duration::from_secs(self.attempt.order.limits.deadline_seconds.into())
            }
        };
        if matches!(tokio::time::timeout(patience, self.seen.wait_for(has_left)).await, Ok(Ok(_))) {
            return;
        }
        if !self.delete(&self.attempt.name).await {
            return;
        }
        // It may never have been seen; then nobody sees it go either.
        let left = self.seen.wait_for(|seen| seen.gone);
        if tokio::time::timeout(LEAVING, left).await.is_err() {
            tracing::warn!(job = self.attempt.name, "a deleted Job is still there; its place is given away");
        }
    }
}

impl Follower {
    /// Deletes a Job, however often the server has to be asked. False: there is none.
    async fn delete(&self, job: &str) -> bool {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            match self.inner.cluster.delete_job(job).await {
                Ok(()) => return true,
                Err(Refused::Missing) => return false,
                Err(error) => {
                    tracing::warn!(job, ?error, "a Job waits to be deleted");
                    pauses.pause(None).await;
                }
            }
        }
    }
}

/// Whether a Job is on its way to its end without us.
fn finishes(seen: &Seen) -> bool {
    let standing = seen.job.as_ref().map(|job| standing::of_job(job));
    let has_ended = matches!(standing, Some(Standing::Succeeded | Standing::Failed { .. }));
    has_ended || seen.is_told()
}

/// A time that does not come.
fn far() -> Instant {
    Instant::now() + Duration::from_hours(24)
}
