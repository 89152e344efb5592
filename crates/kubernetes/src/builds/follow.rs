//! The Job of a build, from its making until nobody needs it.

use std::{sync::Arc, time::Duration};

use csw_core::run::{Limits, Outcome};
use tokio::{sync::watch, time::Instant};

use super::{
    manifest::{self, Wanted, memory_bytes},
    publisher::Inner,
    session::{Seen, Session},
    wire::Command,
};
use crate::{
    cluster::Refused,
    pace::Pauses,
    seen::SeenJob,
    standing::{self, Standing, Waiting},
};

/// Jobs of one build at most: one whose pod was lost is made good by the next.
const ATTEMPTS: u32 = 3;

/// The word of a pod about its end is waited for so long.
const WORD_OF_THE_POD: Duration = Duration::from_secs(3);

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How an attempt ended without an answer.
enum End {
    /// Nobody needs it any more.
    Over,
    /// Another may go better.
    Lost(String),
    /// Another would end in the same way.
    Hopeless(String),
}

/// What is to be done about an attempt.
enum Decision {
    /// Look again when something is seen, or at this time.
    Wait(Option<Instant>),
    End(End),
}

/// Sees that a build has a Job for as long as it needs one.
pub(super) async fn follow(inner: Arc<Inner>, session: Arc<Session>) {
    let mut attempts = 1;
    loop {
        let mut follower = Follower {
            seen: session.seen.subscribe(),
            inner: &inner,
            session: &session,
            waiting: None,
            since: None,
            begun: Instant::now(),
            failed: None,
            told: None,
        };
        match follower.see_through().await {
            End::Over => return,
            End::Lost(sentence) if attempts < ATTEMPTS => {
                attempts += 1;
                session.note(&format!("[The pod of this build was lost: {sentence}. Another one begins.]\n"));
                inner.delete(&session.job()).await;
                session.begin_again();
            }
            End::Lost(sentence) | End::Hopeless(sentence) => {
                inner.delete(&session.job()).await;
                return session.fail(sentence);
            }
        }
    }
}

fn has_ended(job: &SeenJob) -> bool {
    matches!(standing::of_job(job), Standing::Succeeded | Standing::Failed { .. })
}

struct Follower<'a> {
    inner: &'a Inner,
    session: &'a Session,
    seen: watch::Receiver<Seen>,
    waiting: Option<Waiting>,
    /// Since when it is waited for that.
    since: Option<Instant>,
    begun: Instant,
    /// When the Job was first seen to have failed.
    failed: Option<Instant>,
    told: Option<String>,
}

impl Follower<'_> {
    async fn see_through(&mut self) -> End {
        if let Err(end) = self.create().await {
            return end;
        }
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let until = match self.decide(&seen) {
                Decision::End(end) => return end,
                Decision::Wait(until) => until,
            };
            self.tell_of_waiting(&seen);
            let alarm = tokio::time::sleep_until(until.unwrap_or_else(|| Instant::now() + Duration::from_hours(24)));
            tokio::select! {
                changed = self.seen.changed() => if changed.is_err() { return End::Over },
                () = alarm => {}
            }
        }
    }

    /// Makes the Job, however often the server has to be asked.
    async fn create(&mut self) -> Result<(), End> {
        let (session, config) = (self.session, &self.inner.config);
        let attempt = session.attempt();
        let token = self.inner.key.build_token(session.build, attempt);
        let wanted =
            Wanted { build: session.build, attempt, model: &session.model, limits: session.limits, token: &token };
        let job = manifest::job(&wanted, config);
        let mut over = session.seen.subscribe();
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        while self.seen.borrow().job.is_none() {
            let made = tokio::select! {
                made = self.inner.cluster.create_job(&job) => made,
                _ = over.wait_for(|seen| seen.over) => return Err(End::Over),
            };
            let asked = match made {
                Ok(()) | Err(Refused::Exists) => return Ok(()),
                Err(Refused::Never(said)) => return Err(End::Hopeless(format!("the cluster refuses its Job: {said}"))),
                Err(Refused::Quota(said)) => {
                    self.waiting = Some(Waiting::Room(format!("the quota of the namespace is used up: {said}")));
                    self.tell_of_waiting(&Seen::default());
                    None
                }
                Err(Refused::Busy { after, cause }) => {
                    tracing::warn!(build = %session.build, cause, "the Job of a build waits to be created");
                    after
                }
                Err(Refused::Conflict | Refused::Missing) => {
                    let namespace = &config.jobs.namespace;
                    tracing::warn!(build = %session.build, namespace, "the Job of a build can't be created: is the namespace there?");
                    None
                }
            };
            tokio::select! {
                () = pauses.pause(asked) => {}
                _ = over.wait_for(|seen| seen.over) => return Err(End::Over),
            }
        }
        Ok(())
    }

    fn decide(&mut self, seen: &Seen) -> Decision {
        let has_left = seen.gone || seen.job.as_ref().is_some_and(|job| has_ended(job));
        if seen.over || (has_left && self.session.was_asked(&Command::Discard)) {
            return Decision::End(End::Over);
        }
        if seen.gone {
            return Decision::End(End::Lost("its Job was deleted by somebody else".to_owned()));
        }
        let now = Instant::now();
        match seen.job.as_ref().map_or(Standing::Active, |job| standing::of_job(job)) {
            Standing::Succeeded => {
                return Decision::End(End::Lost("its Job is complete, and it was not done".to_owned()));
            }
            Standing::Failed { reason, message } => {
                let pods: Vec<_> = seen.pods.values().cloned().collect();
                let patience = *self.failed.get_or_insert(now) + WORD_OF_THE_POD;
                let is_told = reason == "DeadlineExceeded" || pods.iter().any(standing::is_over);
                if !is_told && now < patience {
                    return Decision::Wait(Some(patience));
                }
                return Decision::End(self.worded(standing::end(&reason, &message, &pods, seen.heard, &self.limits())));
            }
            Standing::Suspended => {
                self.begun = now;
                return Decision::Wait(None);
            }
            Standing::Active => {}
        }
        if seen.heard { Decision::Wait(None) } else { self.decide_before_start(seen, now) }
    }

    fn limits(&self) -> Limits {
        let limits = self.session.limits;
        let deadline_seconds = limits.minutes.saturating_mul(60);
        Limits { cpus: limits.cpus, memory_bytes: memory_bytes(limits), deadline_seconds }
    }

    fn worded(&self, outcome: Outcome) -> End {
        let limits = self.session.limits;
        match outcome {
            Outcome::OutOfMemory { .. } => End::Hopeless(format!(
                "it needed more than {} GB of memory; builds of the model can be given more in its settings",
                limits.memory_gigabytes
            )),
            Outcome::TimedOut { .. } => End::Hopeless(format!(
                "its steps took longer than the {} minutes that each of them may; the model's settings can allow more",
                limits.minutes
            )),
            Outcome::Lost { sentence } => End::Lost(sentence),
            Outcome::Returned(_) | Outcome::Failed { .. } | Outcome::Cancelled => {
                End::Lost("its pod ended without a word".to_owned())
            }
        }
    }

    /// It has no process yet.
    fn decide_before_start(&mut self, seen: &Seen, now: Instant) -> Decision {
        let newest = seen.pods.values().max_by_key(|pod| pod.metadata.creation_timestamp.clone());
        let what = newest.map_or_else(|| seen.event.clone(), standing::of_pod);
        let kind = |waiting: &Option<Waiting>| waiting.as_ref().map(std::mem::discriminant);
        if kind(&what) != kind(&self.waiting) || self.since.is_none() {
            self.since = Some(now);
        }
        self.waiting = what;
        let config = &self.inner.config.jobs;
        let patience = self.begun + config.start_limit;
        match &self.waiting {
            Some(Waiting::Hopeless(sentence)) => Decision::End(End::Hopeless(sentence.clone())),
            Some(Waiting::Image(sentence)) => {
                let until = self.since.unwrap_or(now) + config.image_patience;
                if now >= until {
                    return Decision::End(End::Hopeless(sentence.clone()));
                }
                Decision::Wait(Some(until.min(patience)))
            }
            other if now >= patience => {
                let seconds = config.start_limit.as_secs();
                let why = other.as_ref().map(|waiting| format!(": {}", waiting.sentence())).unwrap_or_default();
                Decision::End(End::Hopeless(format!("it did not start within {seconds} s{why}")))
            }
            _ => Decision::Wait(Some(patience)),
        }
    }

    /// People who follow the log are told what a build waits for.
    fn tell_of_waiting(&mut self, seen: &Seen) {
        if seen.heard {
            return;
        }
        let suspended = seen.job.as_ref().is_some_and(|job| standing::of_job(job) == Standing::Suspended);
        let line = match (&self.waiting, &self.inner.config.jobs.queue) {
            (_, Some(queue)) if suspended => format!("[This build waits until the queue {queue} admits it.]\n"),
            (Some(waiting), _) => format!("[This build waits: {}.]\n", waiting.sentence()),
            _ => return,
        };
        if self.told.as_ref() != Some(&line) {
            self.session.note(&line);
            self.told = Some(line);
        }
    }
}
