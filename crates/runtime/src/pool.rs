//! The parked zygotes: started once for however many ask, least recently used first out.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use csw_core::{
    ids::VersionId,
    model::{Artifact, Strategy},
    ports::Zygotes,
    run::{RunOrder, Sharing},
};
use tokio::sync::watch;

use crate::{
    layout::Layout,
    local::Site,
    machine, space,
    zygote::{Unfit, Zygote},
};

/// Zygotes of one version that may end while they start before it is left alone.
const STARTS: u32 = 3;

/// Memory that has to be available, as a part of all, before anything is evicted for the machine's sake.
const LEAST_AVAILABLE: u64 = 10;

/// What two runs must have in common to come from one zygote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    artifact: Artifact,
    model: String,
    sharing: Sharing,
    network: bool,
    warm: bool,
}

type Started = Option<Result<Arc<Zygote>, Unfit>>;

struct Entry {
    state: watch::Receiver<Started>,
    versions: HashSet<VersionId>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    /// Why a version's code runs in new interpreters.
    fresh: HashMap<Artifact, String>,
    /// Why a version can't be forked any more once it has run.
    import_only: HashMap<Artifact, String>,
    failed_starts: HashMap<Artifact, u32>,
}

/// The pool.
#[derive(Clone)]
pub(crate) struct Pool {
    site: Arc<Site>,
    inner: Arc<Mutex<Inner>>,
}

impl Pool {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site, inner: Arc::default() }
    }

    /// Why runs of this artifact are not forked, where that was found out.
    pub(crate) fn why_fresh(&self, artifact: &Artifact) -> Option<String> {
        self.lock().fresh.get(artifact).cloned()
    }

    /// Why runs of this artifact that ask for `strategy` do not get it.
    pub(crate) fn obstacle(&self, artifact: &Artifact, strategy: Strategy) -> Option<String> {
        let inner = self.lock();
        let forked = || inner.fresh.get(artifact);
        let found = match strategy {
            Strategy::Fresh => None,
            Strategy::Zygote => forked(),
            Strategy::WarmedZygote => forked().or_else(|| inner.import_only.get(artifact)),
        };
        found.cloned()
    }

    /// Forgets why an artifact was not forked or warmed up.
    pub(crate) fn reconsider(&self, artifact: &Artifact) {
        let mut inner = self.lock();
        inner.fresh.remove(artifact);
        inner.import_only.remove(artifact);
        inner.failed_starts.remove(artifact);
    }

    /// From now on, runs of this artifact get new interpreters.
    pub(crate) fn give_up(&self, artifact: &Artifact, reason: &str) {
        tracing::warn!(?artifact, reason, "a version runs in new interpreters from now on");
        let mut inner = self.lock();
        inner.fresh.insert(artifact.clone(), reason.to_owned());
        inner.entries.retain(|key, _| key.artifact != *artifact);
    }

    /// A zygote for the order, started if there is none. Whoever waits may stop waiting; the start goes on.
    pub(crate) async fn get(&self, order: &RunOrder, layout: &Layout) -> Result<Arc<Zygote>, Unfit> {
        let mut state = self.state(order, layout);
        let started = state.wait_for(Option::is_some).await;
        match started.as_deref() {
            Ok(Some(started)) => started.clone(),
            _ => Err(Unfit::Start("the start of a zygote was interrupted".to_owned())),
        }
    }

    /// Starts a zygote for the order, if there is none and its version may have one.
    pub(crate) fn warm(&self, order: &RunOrder, layout: &Layout) {
        if order.strategy != Strategy::Fresh && self.why_fresh(&order.artifact).is_none() {
            drop(self.state(order, layout));
        }
    }

    /// Forgets a zygote that can't fork any more.
    pub(crate) fn retire(&self, zygote: &Arc<Zygote>) {
        self.lock().entries.retain(|_, entry| !entry.is(zygote));
    }

    /// Drops the zygotes of a version; their runs go on to their end.
    pub(crate) fn evict(&self, version: VersionId) {
        self.lock().entries.retain(|_, entry| !entry.versions.contains(&version));
    }

    /// Drops all.
    pub(crate) fn clear(&self) {
        self.lock().entries.clear();
    }

    /// What is parked.
    pub(crate) fn census(&self) -> Zygotes {
        let inner = self.lock();
        let parked: Vec<_> = inner.entries.values().filter_map(Entry::zygote).collect();
        Zygotes {
            parked: u32::try_from(parked.len()).unwrap_or(u32::MAX),
            memory_bytes: parked.iter().map(|zygote| zygote.memory).sum(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, order: &RunOrder, layout: &Layout) -> watch::Receiver<Started> {
        let mut inner = self.lock();
        let warm = order.strategy == Strategy::WarmedZygote && !inner.import_only.contains_key(&order.artifact);
        let key = Key {
            artifact: order.artifact.clone(),
            model: order.model.to_string(),
            sharing: order.sharing,
            network: order.network,
            warm,
        };
        if inner.entries.get(&key).is_some_and(Entry::is_dead) {
            inner.entries.remove(&key);
        }
        if let Some(entry) = inner.entries.get_mut(&key) {
            entry.versions.insert(order.version);
            return entry.state.clone();
        }
        let (tell, state) = watch::channel(None);
        let entry = Entry { state: state.clone(), versions: HashSet::from([order.version]) };
        inner.entries.insert(key.clone(), entry);
        drop(inner);
        let (pool, order, layout) = (self.clone(), order.clone(), layout.clone());
        tokio::spawn(async move { pool.start(key, order, layout, tell).await });
        state
    }

    async fn start(&self, key: Key, order: RunOrder, layout: Layout, tell: watch::Sender<Started>) {
        self.make_room(1, 0);
        space::wait_for_room(&self.site.config.scratch).await;
        match Zygote::start(&self.site, &order, &layout, key.warm).await {
            Ok(zygote) => {
                self.lock().failed_starts.remove(&key.artifact);
                self.make_room(0, zygote.memory);
                let zygote = Arc::new(zygote);
                self.end_when_idle(Arc::downgrade(&zygote));
                tell.send_replace(Some(Ok(zygote)));
            }
            Err(unfit) => {
                self.lock().entries.remove(&key);
                tell.send_replace(Some(Err(self.judge(&key, unfit, &order, &layout).await)));
            }
        }
    }

    /// Draws the conclusions of a start that failed. A version that can't be warmed up gets a zygote that only imports.
    async fn judge(&self, key: &Key, unfit: Unfit, order: &RunOrder, layout: &Layout) -> Unfit {
        match &unfit {
            Unfit::Code(reason) if key.warm => {
                tracing::info!(model = key.model, reason, "a version is not warmed up");
                self.lock().import_only.insert(key.artifact.clone(), reason.clone());
                let mut state = self.state(order, layout);
                let started = state.wait_for(Option::is_some).await;
                match started.as_deref() {
                    Ok(Some(Err(unfit))) => unfit.clone(),
                    // Whoever asks again finds it.
                    _ => Unfit::Start("its zygote was started anew".to_owned()),
                }
            }
            Unfit::Code(reason) => {
                self.give_up(&key.artifact, reason);
                unfit
            }
            Unfit::Start(reason) => {
                tracing::warn!(model = key.model, reason, "a zygote did not start");
                let mut inner = self.lock();
                let failures = inner.failed_starts.entry(key.artifact.clone()).or_default();
                *failures += 1;
                let too_many = *failures >= STARTS;
                drop(inner);
                if too_many {
                    self.give_up(&key.artifact, reason);
                }
                unfit
            }
        }
    }

    /// Evicts idle zygotes, least recently used first, until so many and so much fit.
    fn make_room(&self, more: usize, bytes: u64) {
        let limits = &self.site.config;
        let scarce = machine::available_memory() < limits.capacity.memory_bytes / LEAST_AVAILABLE;
        let mut evicted = vec![];
        let mut inner = self.lock();
        loop {
            let parked: Vec<_> = inner.entries.values().filter_map(Entry::zygote).collect();
            let memory: u64 = parked.iter().map(|zygote| zygote.memory).sum();
            let fits = parked.len() + more <= limits.max_zygotes as usize
                && memory.saturating_add(bytes) <= limits.zygote_memory_bytes
                && !(scarce && evicted.is_empty() && !parked.is_empty());
            drop(parked);
            let oldest = inner
                .entries
                .iter()
                .filter(|(_, entry)| entry.is_idle())
                .max_by_key(|(_, entry)| entry.zygote().map(|zygote| zygote.idle()))
                .map(|(key, _)| key.clone());
            match oldest {
                Some(key) if !fits => evicted.extend(inner.entries.remove(&key)),
                _ => break,
            }
        }
    }

    fn end_when_idle(&self, zygote: Weak<Zygote>) {
        let (pool, limit) = (self.clone(), self.site.config.zygote_idle);
        tokio::spawn(async move {
            loop {
                let Some(left) = zygote.upgrade().map(|zygote| limit.saturating_sub(zygote.idle())) else { return };
                // Never a busy loop, whatever the limit and however long the run that keeps it.
                tokio::time::sleep(left.max(Duration::from_secs(1))).await;
                let mut inner = pool.lock();
                inner.entries.retain(|_, entry| {
                    !(entry.is_idle()
                        && entry
                            .zygote()
                            .is_some_and(|one| std::ptr::eq(Arc::as_ptr(&one), zygote.as_ptr()) && one.idle() >= limit))
                });
            }
        });
    }
}

impl Entry {
    fn zygote(&self) -> Option<Arc<Zygote>> {
        self.state.borrow().as_ref().and_then(|started| started.as_ref().ok().cloned())
    }

    fn is(&self, zygote: &Arc<Zygote>) -> bool {
        self.zygote().is_some_and(|one| Arc::ptr_eq(&one, zygote))
    }

    fn is_dead(&self) -> bool {
        match &*self.state.borrow() {
            Some(Ok(zygote)) => zygote.is_dead(),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// Parked, and no run of it alive: the pool's own is the only hold on it.
    fn is_idle(&self) -> bool {
        self.state
            .borrow()
            .as_ref()
            .is_some_and(|started| started.as_ref().is_ok_and(|zygote| Arc::strong_count(zygote) == 1))
    }
}
