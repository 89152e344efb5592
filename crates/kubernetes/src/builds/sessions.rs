//! The builds that this process looks after, and the Jobs of builds that the cluster has.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use csw_core::{ids::BuildId, model::BuildLimits, names::ModelName};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Client,
    runtime::watcher::{Config, Event as Change},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{manifest::attempt_of, session::Session};
use crate::{
    config::KubernetesConfig,
    names::{BUILD, SITE},
    seen::SeenJob,
    standing,
    watching::{Changes, stream},
};

/// Both, and whether the cluster was looked at yet.
pub(super) struct Sessions {
    inner: Mutex<Inner>,
    listed: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<BuildId, Arc<Session>>,
    jobs: BTreeMap<String, Known>,
    pods: HashMap<(BuildId, u32), BTreeMap<String, Pod>>,
    /// Builds that were over while those of a former process might still be taken over: nobody waits for them.
    released: HashSet<BuildId>,
    /// Nothing of a former process is taken over any more.
    settled: bool,
}

/// A Job of a build.
struct Known {
    build: BuildId,
    attempt: u32,
    job: Arc<SeenJob>,
}

impl Sessions {
    /// Begins to watch.
    pub(super) fn watch(client: &Client, config: &KubernetesConfig, stop: &CancellationToken) -> Arc<Self> {
        let sessions = Arc::new(Self { inner: Mutex::default(), listed: watch::Sender::new(false) });
        let ours = Config::default().labels(&format!("{SITE}={},{BUILD}", config.site));
        let of_jobs = Config::default().fields("involvedObject.kind=Job,reason=FailedCreate");
        let jobs = Arc::clone(&sessions).follow_jobs(stream(client, config, ours.clone()));
        let pods = Arc::clone(&sessions).follow_pods(stream(client, config, ours));
        let events = Arc::clone(&sessions).follow_events(stream(client, config, of_jobs));
        tokio::spawn(stop.clone().run_until_cancelled_owned(jobs));
        tokio::spawn(stop.clone().run_until_cancelled_owned(pods));
        tokio::spawn(stop.clone().run_until_cancelled_owned(events));
        sessions
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a build, begun if it is not here; whether it was. One whose Job was made by a former process goes on
    /// with that.
    pub(super) async fn begin(&self, build: BuildId, model: &ModelName, limits: BuildLimits) -> (Arc<Session>, bool) {
        // The sender lives as long as this.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
        let mut inner = self.lock();
        if let Some(known) = inner.sessions.get(&build) {
            return (Arc::clone(known), false);
        }
        let newest = inner.jobs.values().filter(|known| known.build == build).max_by_key(|known| known.attempt);
        let is_alive = |job: &SeenJob| !standing::is_settled(job) && !standing::is_leaving(job);
        let found = newest.map(|known| (known.attempt, is_alive(&known.job).then(|| Arc::clone(&known.job))));
        let (attempt, job) = match found {
            Some((attempt, Some(job))) => (attempt, Some(job)),
            Some((attempt, None)) => (attempt + 1, None),
            None => (1, None),
        };
        let session = Arc::new(Session::new(build, model.clone(), limits, attempt));
        let pods = inner.pods.get(&(build, attempt)).cloned().unwrap_or_default();
        session.see(|seen| (seen.job, seen.pods) = (job, pods));
        inner.sessions.insert(build, Arc::clone(&session));
        (session, true)
    }

    /// The session of an attempt at a build.
    pub(super) fn find(&self, build: BuildId, attempt: u32) -> Option<Arc<Session>> {
        self.of(build).filter(|session| session.attempt() == attempt)
    }

    pub(super) fn of(&self, build: BuildId) -> Option<Arc<Session>> {
        self.lock().sessions.get(&build).cloned()
    }

    pub(super) fn forget(&self, build: BuildId) -> Option<Arc<Session>> {
        let mut inner = self.lock();
        if !inner.settled {
            inner.released.insert(build);
        }
        inner.sessions.remove(&build)
    }

    /// Whether a build that is not here may be one of a former process that is yet to be taken over.
    pub(super) fn may_adopt(&self, build: BuildId) -> bool {
        let inner = self.lock();
        !inner.settled && !inner.released.contains(&build)
    }

    /// Unfinished Jobs that nobody looks after. From now on nothing of a former process is taken over.
    pub(super) async fn orphans(&self) -> Vec<String> {
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
        let mut inner = self.lock();
        inner.settled = true;
        let released = std::mem::take(&mut inner.released);
        let is_orphan = |known: &Known| {
            let owner = inner.sessions.get(&known.build);
            !released.contains(&known.build)
                && owner.is_none_or(|session| session.attempt() != known.attempt)
                && !standing::is_settled(&known.job)
                && !standing::is_leaving(&known.job)
        };
        inner.jobs.iter().filter(|(_, known)| is_orphan(known)).map(|(name, _)| name.clone()).collect()
    }

    fn see_job(&self, mut job: SeenJob) {
        job.metadata.managed_fields = None;
        let (Some((build, attempt)), Some(name)) = (attempt_of(&job.metadata), job.metadata.name.clone()) else {
            return;
        };
        let job = Arc::new(job);
        self.lock().jobs.insert(name, Known { build, attempt, job: Arc::clone(&job) });
        if let Some(session) = self.find(build, attempt) {
            session.see(|seen| (seen.job, seen.gone) = (Some(job), false));
        }
    }

    fn miss_job(&self, name: &str) {
        let mut inner = self.lock();
        let Some(known) = inner.jobs.remove(name) else { return };
        inner.pods.remove(&(known.build, known.attempt));
        drop(inner);
        if let Some(session) = self.find(known.build, known.attempt) {
            session.see(|seen| seen.gone = true);
        }
    }

    fn see_pod(&self, mut pod: Pod) {
        let (Some((build, attempt)), Some(name)) = (attempt_of(&pod.metadata), pod.metadata.name.clone()) else {
            return;
        };
        pod.metadata.managed_fields = None;
        self.lock().pods.entry((build, attempt)).or_default().insert(name.clone(), pod.clone());
        if let Some(session) = self.find(build, attempt) {
            session.see(|seen| {
                seen.pods.insert(name, pod);
            });
        }
    }

    async fn follow_jobs(self: Arc<Self>, mut changes: Changes<SeenJob>) {
        let mut found = HashSet::new();
        while let Some(change) = changes.next().await {
            match change {
                Ok(Change::Init) => found.clear(),
                Ok(Change::InitApply(job)) => {
                    found.extend(job.metadata.name.clone());
                    self.see_job(job);
                }
                Ok(Change::InitDone) => {
                    let gone: Vec<String> =
                        self.lock().jobs.keys().filter(|name| !found.contains(*name)).cloned().collect();
                    for name in &gone {
                        self.miss_job(name);
                    }
                    self.listed.send_replace(true);
                }
                Ok(Change::Apply(job)) => self.see_job(job),
                Ok(Change::Delete(job)) => self.miss_job(&job.metadata.name.unwrap_or_default()),
                Err(error) => tracing::warn!(%error, "Jobs of builds can't be watched now"),
            }
        }
    }

    async fn follow_pods(self: Arc<Self>, mut changes: Changes<Pod>) {
        while let Some(change) = changes.next().await {
            match change {
                Ok(Change::InitApply(pod) | Change::Apply(pod)) => self.see_pod(pod),
                Ok(Change::Delete(_) | Change::Init | Change::InitDone) => {}
                Err(error) => tracing::warn!(%error, "pods of builds can't be watched now"),
            }
        }
    }

    async fn follow_events(self: Arc<Self>, mut changes: Changes<Event>) {
        while let Some(change) = changes.next().await {
            let Ok(Change::InitApply(event) | Change::Apply(event)) = change else { continue };
            let (Some(waiting), Some(name)) = (standing::of_event(&event), &event.involved_object.name) else {
                continue;
            };
            let sessions: Vec<Arc<Session>> = self.lock().sessions.values().cloned().collect();
            if let Some(session) = sessions.iter().find(|session| session.job() == *name) {
                session.see(|seen| seen.event = Some(waiting));
            }
        }
    }
}
