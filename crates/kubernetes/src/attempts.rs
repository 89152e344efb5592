//! The attempts that this process looks after, and the Jobs that the cluster has.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use csw_core::ids::{Lease, RunId};
use k8s_openapi::api::core::v1::{Event, Pod};
use tokio::sync::watch;

use crate::{
    attempt::{Attempt, Seen},
    names::attempt_of,
    seen::SeenJob,
    standing,
};

/// Both, and whether the cluster was looked at yet.
pub(crate) struct Attempts {
    inner: Mutex<Inner>,
    /// All Jobs were listed once.
    listed: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    attempts: HashMap<RunId, Arc<Attempt>>,
    /// Attempts that the Job of another one has taken, by that.
    carried: HashMap<(RunId, Lease), Arc<Attempt>>,
    jobs: BTreeMap<String, Known>,
    /// Pods of attempts that are not here yet, by their names.
    strangers: HashMap<(RunId, Lease), BTreeMap<String, Pod>>,
    /// Nothing of a former process is taken over any more: what has ended without us is not remembered.
    settled: bool,
}

/// A Job of this site.
#[derive(Clone)]
struct Known {
    run: RunId,
    lease: Lease,
    job: Arc<SeenJob>,
}

impl Inner {
    /// Whoever sees what becomes of the Job of an attempt: that, and one that the Job has taken since.
    fn of_job(&self, run: RunId, lease: Lease) -> impl Iterator<Item = &Arc<Attempt>> {
        let own = self.attempts.get(&run).filter(|attempt| attempt.order.lease == lease);
        own.into_iter().chain(self.carried.get(&(run, lease)))
    }
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::default(), listed: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an attempt in, with what is known of its Job; false: it is here already. The former attempt at its run is
    /// nobody's any more.
    pub(crate) fn begin(&self, attempt: &Arc<Attempt>) -> bool {
        let mut inner = self.lock();
        let run = attempt.order.run;
        if inner.attempts.get(&run).is_some_and(|known| known.order.lease == attempt.order.lease) {
            return false;
        }
        if let Some(known) = inner.jobs.get(&attempt.name) {
            let job = Arc::clone(&known.job);
            attempt.see(|seen| seen.job = Some(job));
        }
        if let Some(pods) = inner.strangers.remove(&(run, attempt.order.lease)) {
            attempt.see(|seen| seen.pods = pods);
        }
        if let Some(former) = inner.attempts.insert(run, Arc::clone(attempt)) {
            former.see(|seen| seen.unwanted = true);
        }
        true
    }

    pub(crate) fn forget(&self, attempt: &Attempt) {
        let mut inner = self.lock();
        let run = attempt.order.run;
        if inner.attempts.get(&run).is_some_and(|known| known.order.lease == attempt.order.lease) {
            inner.attempts.remove(&run);
        }
        inner.carried.retain(|_, carried| carried.name != attempt.name);
    }

    /// From now on an attempt sees what becomes of the Job of another one.
    pub(crate) fn carry(&self, job: &Attempt, attempt: &Arc<Attempt>) {
        let mut inner = self.lock();
        inner.carried.insert((job.order.run, job.order.lease), Arc::clone(attempt));
        let Seen { job, pods, gone, .. } = job.seen.borrow().clone();
        attempt.see(|seen| (seen.job, seen.pods, seen.gone) = (job, pods, gone));
    }

    /// It does not see that any more, as if it never had.
    pub(crate) fn put_down(&self, attempt: &Attempt) {
        self.lock().carried.retain(|_, carried| carried.name != attempt.name);
        attempt.carry(None);
        attempt.see(|seen| (seen.job, seen.pods, seen.gone) = (None, BTreeMap::new(), false));
    }

    /// The attempt at a run under a lease.
    pub(crate) fn find(&self, run: RunId, lease: Lease) -> Option<Arc<Attempt>> {
        self.lock().attempts.get(&run).filter(|attempt| attempt.order.lease == lease).cloned()
    }

    /// Whether an attempt under this lease is looked after here.
    pub(crate) fn has(&self, lease: Lease) -> bool {
        self.lock().attempts.values().any(|attempt| attempt.order.lease == lease)
    }

    pub(crate) fn of_run(&self, run: RunId) -> Option<Arc<Attempt>> {
        self.lock().attempts.get(&run).cloned()
    }

    /// Runs that are looked after here or have a Job, once the cluster was asked. Finished Jobs count while attempts of a
    /// former process may be taken over: they tell how their runs ended.
    pub(crate) async fn live(&self) -> Vec<RunId> {
        // The sender lives as long as this.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
        let inner = self.lock();
        let counts = |known: &&Known| !inner.settled || !standing::is_settled(&known.job);
        let of_jobs = inner.jobs.values().filter(counts).map(|known| known.run);
        let mut runs: Vec<RunId> = inner.attempts.keys().copied().chain(of_jobs).collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// Unfinished Jobs that nobody looks after. From now on nothing of a former process is taken over.
    pub(crate) fn orphans(&self) -> Vec<String> {
        let mut inner = self.lock();
        inner.settled = true;
        inner.strangers.clear();
        let is_orphan = |known: &Known| {
            let looked_after = inner.attempts.get(&known.run).is_some_and(|attempt| attempt.order.lease == known.lease);
            !looked_after && !standing::is_settled(&known.job) && !standing::is_leaving(&known.job)
        };
        inner.jobs.iter().filter(|(_, known)| is_orphan(known)).map(|(name, _)| name.clone()).collect()
    }

    /// A Job is there, like this.
    pub(crate) fn see_job(&self, mut job: SeenJob) {
        // Nobody here reads it, and it is most of the object.
        job.metadata.managed_fields = None;
        let (Some((run, lease)), Some(name)) = (attempt_of(&job.metadata), job.metadata.name.clone()) else { return };
        let job = Arc::new(job);
        let mut inner = self.lock();
        inner.jobs.insert(name, Known { run, lease, job: Arc::clone(&job) });
        for attempt in inner.of_job(run, lease) {
            attempt.see(|seen| (seen.job, seen.gone) = (Some(Arc::clone(&job)), false));
        }
    }

    /// A Job is gone.
    pub(crate) fn miss_job(&self, name: &str) {
        let mut inner = self.lock();
        let Some(known) = inner.jobs.remove(name) else { return };
        for attempt in inner.of_job(known.run, known.lease) {
            attempt.see(|seen| seen.gone = true);
        }
    }

    /// All Jobs there are were seen: others are gone.
    pub(crate) fn only_jobs(&self, names: &std::collections::HashSet<String>) {
        let gone: Vec<String> = self.lock().jobs.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in gone {
            self.miss_job(&name);
        }
        self.listed.send_replace(true);
    }

    /// A pod is there, like this.
    pub(crate) fn see_pod(&self, mut pod: Pod) {
        let (Some((run, lease)), Some(name)) = (attempt_of(&pod.metadata), pod.metadata.name.clone()) else { return };
        pod.metadata.managed_fields = None;
        let mut inner = self.lock();
        let mut is_known = false;
        for attempt in inner.of_job(run, lease) {
            is_known = true;
            attempt.see(|seen| {
                seen.pods.insert(name.clone(), pod.clone());
            });
        }
        if !is_known && !inner.settled {
            inner.strangers.entry((run, lease)).or_default().insert(name, pod);
        }
    }

    /// An event about a Job, or about something else.
    pub(crate) fn see_event(&self, event: &Event) {
        let Some(waiting) = standing::of_event(event) else { return };
        let Some(name) = &event.involved_object.name else { return };
        let inner = self.lock();
        // Its Job may not be seen yet, but its attempt is here.
        let attempt = inner.attempts.values().find(|attempt| attempt.name == *name).cloned();
        drop(inner);
        if let Some(attempt) = attempt {
            attempt.see(|seen| seen.event = Some(waiting));
        }
    }
}
