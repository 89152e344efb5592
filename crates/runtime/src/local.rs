//! The executor of this machine: a run from its order to its acknowledged end.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use csw_core::{
    ids::{Lease, RunId, VersionId},
    model::{Artifact, Strategy},
    ports::{Capacity, Executor, ExecutorError, RunEvents, Zygotes},
    run::{Outcome, Phases, RunEnd, RunOrder, Usage},
};
use csw_sandbox::{Confinement, Limits, NetworkAccess, UserRange, cgroup};
use futures::FutureExt;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    config::LocalConfig,
    fork::StartError,
    frame, fresh,
    group::RunGroup,
    harness::Harness,
    layout::Layout,
    pool::Pool,
    process::Process,
    report, scratch,
    slots::{Slot, Slots},
    space,
    stops::{Stop, Stops},
    supervise::{Supervised, Supervisor},
    verdict,
    zygote::Unfit,
};

/// Zygotes that may be tried for one run before it gets an interpreter of its own.
const ZYGOTES_TRIED: u32 = 3;

/// After a shutdown has ended the last runs, their reports get so long.
const LAST_REPORTS: Duration = Duration::from_secs(10);

/// What everything that starts processes needs.
pub(crate) struct Site {
    pub(crate) config: LocalConfig,
    pub(crate) harness: Harness,
    pub(crate) slots: Slots,
    /// Forks at once: more would only wait for each other's CPU.
    pub(crate) forks: Semaphore,
}

/// Executes runs on this machine, each in a sandbox.
pub struct LocalExecutor {
    site: Arc<Site>,
    pool: Pool,
    live: Arc<Live>,
    closing: CancellationToken,
    stopped: CancellationToken,
}

#[derive(Default)]
struct Live {
    runs: Mutex<HashMap<RunId, Attempt>>,
    ended: Notify,
}

/// A run under one lease. The next attempt may come while the last one has just told its end.
struct Attempt {
    lease: Lease,
    cancel: CancellationToken,
}

impl LocalExecutor {
    /// Prepares the scratch folder; what an earlier server left in it is removed.
    pub fn new(config: LocalConfig) -> io::Result<Self> {
        scratch::prepare_root(&config.scratch)?;
        let harness = Harness::install(&config.scratch)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let forks = Semaphore::new((config.capacity.cpus.ceil() as usize).max(1));
        let site = Arc::new(Site { slots: Slots::new(config.first_user), harness, forks, config });
        Ok(Self {
            pool: Pool::new(Arc::clone(&site)),
            site,
            live: Arc::default(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
        })
    }

    /// Why the runs of an artifact get new interpreters although they asked for a zygote; `None` while none was refused.
    pub fn why_fresh(&self, artifact: &Artifact) -> Option<String> {
        self.pool.why_fresh(artifact)
    }

    fn layout(&self, order: &RunOrder) -> Result<Layout, ExecutorError> {
        Layout::find(&self.site.config.data, &order.artifact)
            .map_err(|cause| ExecutorError::ArtifactMissing { version: order.version, cause })
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Attempt>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order in; `None`: it is here already. An attempt under another lease is nobody's any more.
    fn begin(&self, order: &RunOrder) -> Option<CancellationToken> {
        let mut runs = self.lock();
        if runs.get(&order.run).is_some_and(|attempt| attempt.lease == order.lease) {
            return None;
        }
        let cancel = CancellationToken::new();
        let attempt = Attempt { lease: order.lease, cancel: cancel.clone() };
        if let Some(former) = runs.insert(order.run, attempt) {
            former.cancel.cancel();
        }
        Some(cancel)
    }

    fn end(&self, run: RunId, lease: Lease) {
        let mut runs = self.lock();
        if runs.get(&run).is_some_and(|attempt| attempt.lease == lease) {
            runs.remove(&run);
        }
        drop(runs);
        self.ended.notify_waiters();
    }

    async fn empty(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            ended.await;
        }
    }
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        if self.closing.is_cancelled() {
            return Err(ExecutorError::Unavailable { cause: "the server is shutting down".to_owned() });
        }
        let layout = self.layout(&order)?;
        let Some(cancel) = self.live.begin(&order) else { return Ok(()) };
        let stops = Stops::new(cancel, self.stopped.clone(), order.limits.deadline_seconds);
        let job = Job { site: Arc::clone(&self.site), pool: self.pool.clone(), order, layout, events, stops };
        let live = Arc::clone(&self.live);
        tokio::spawn(async move {
            let (run, lease) = (job.order.run, job.order.lease);
            let end = AssertUnwindSafe(job.execute()).catch_unwind().await.unwrap_or_else(|_| {
                Some(job.end(verdict::lost("the executor failed in the middle of the run"), Phases::default()))
            });
            if let Some(end) = end {
                report::end(&*job.events, &job.order, end).await;
            }
            live.end(run, lease);
        });
        Ok(())
    }

    async fn cancel(&self, run: RunId) {
        if let Some(attempt) = self.live.lock().get(&run) {
            attempt.cancel.cancel();
        }
    }

    async fn live(&self) -> Vec<RunId> {
        self.live.lock().keys().copied().collect()
    }

    async fn warm(&self, order: RunOrder) {
        if !self.closing.is_cancelled()
            && let Ok(layout) = self.layout(&order)
        {
            self.pool.warm(&order, &layout);
        }
    }

    async fn evict(&self, version: VersionId) {
        self.pool.evict(version);
    }

    fn obstacle(&self, artifact: &Artifact, strategy: Strategy) -> Option<String> {
        self.pool.obstacle(artifact, strategy)
    }

    fn reconsider(&self, artifact: &Artifact) {
        self.pool.reconsider(artifact);
    }

    fn capacity(&self) -> Capacity {
        self.site.config.capacity
    }

    fn zygotes(&self) -> Zygotes {
        self.pool.census()
    }

    async fn shut_down(&self, grace_seconds: u32) {
        self.closing.cancel();
        let grace = Duration::from_secs(u64::from(grace_seconds));
        if tokio::time::timeout(grace, self.live.empty()).await.is_err() {
            self.stopped.cancel();
            if tokio::time::timeout(LAST_REPORTS, self.live.empty()).await.is_err() {
                tracing::warn!("the ends of some runs could not be reported; they are found when their leases end");
            }
        }
        self.pool.clear();
    }
}

/// One order on its way.
struct Job {
    site: Arc<Site>,
    pool: Pool,
    order: RunOrder,
    layout: Layout,
    events: Arc<dyn RunEvents>,
    stops: Stops,
}

impl Job {
    /// `None`: nobody is to hear of the end.
    async fn execute(&self) -> Option<RunEnd> {
        let (begun, import, process) = loop {
            let room = self.room().await;
            let (begun, mut import) = (Instant::now(), Duration::ZERO);
            let process = match room {
                Ok(()) => self.process(&mut import).await,
                Err(stop) => Err(StartError::Stopped(stop)),
            };
            match process {
                Ok(process) => break (begun, import, process),
                Err(StartError::Full(_)) => space::pause().await,
                Err(error) => return Some(self.end(self.not_started(error), Phases::default())),
            }
        };
        let start = begun.elapsed().saturating_sub(import);
        let arguments = match frame::encode(frame::ARGUMENTS, &words(&self.order, &self.layout)) {
            Ok(arguments) => arguments,
            Err(error) => return Some(self.end(verdict::lost(&error.to_string()), Phases::default())),
        };
        let supervisor = Supervisor {
            order: &self.order,
            events: &*self.events,
            stops: &self.stops,
            folder: self.site.outputs(),
            log_bytes: self.site.config.log_bytes,
            memory_by_address_space: self.site.limits_address_space(),
        };
        let Supervised { outcome, model_version, import: imported, run, usage } =
            supervisor.supervise(process, arguments).await;
        let phases =
            Phases { start: milliseconds(start), import: milliseconds(import + imported), run, ..Phases::default() };
        Some(RunEnd { outcome: outcome?, model_version, phases, usage })
    }

    /// Waits for room on the disk. The time is not the run's.
    async fn room(&self) -> Result<(), Stop> {
        let asked = Instant::now();
        tokio::select! {
            () = space::wait_for_room(&self.site.config.scratch) => {}
            stop = self.stops.by_somebody() => return Err(stop),
        }
        self.stops.give_back(asked.elapsed());
        Ok(())
    }

    /// A process for the run, forked where that can be.
    async fn process(&self, import: &mut Duration) -> Result<Process, StartError> {
        if self.order.strategy != Strategy::Fresh
            && let Some(process) = self.forked(import).await?
        {
            return Ok(process);
        }
        fresh::start(&self.site, &self.order, &self.layout, &self.stops).await
    }

    /// A process forked from a zygote; `None` where new interpreters have to do.
    async fn forked(&self, import: &mut Duration) -> Result<Option<Process>, StartError> {
        for _ in 0..ZYGOTES_TRIED {
            if self.pool.why_fresh(&self.order.artifact).is_some() {
                return Ok(None);
            }
            let asked = Instant::now();
            let zygote = tokio::select! {
                zygote = self.pool.get(&self.order, &self.layout) => zygote,
                stop = self.stops.requested() => return Err(StartError::Stopped(stop)),
            };
            *import += asked.elapsed();
            let zygote = match zygote {
                Ok(zygote) => zygote,
                Err(Unfit::Code(_)) => return Ok(None),
                Err(Unfit::Start(_)) => continue,
            };
            match zygote.fork(&self.site, &self.order, &self.stops).await {
                Ok(process) => return Ok(Some(process)),
                Err(StartError::UsedUp) => self.pool.retire(&zygote),
                Err(StartError::CannotFork(reason)) => {
                    self.pool.give_up(&self.order.artifact, &reason);
                    return Ok(None);
                }
                Err(other) => return Err(other),
            }
        }
        self.pool.give_up(&self.order.artifact, "its parked interpreters end before a run is forked from them");
        Ok(None)
    }

    fn not_started(&self, error: StartError) -> Outcome {
        match error {
            StartError::Stopped(Stop::Cancelled) => Outcome::Cancelled,
            StartError::Stopped(Stop::TimedOut) => Outcome::TimedOut { seconds: self.order.limits.deadline_seconds },
            StartError::Stopped(Stop::Closing) => verdict::lost("the server was shut down before the run began"),
            StartError::UsedUp => verdict::lost("no interpreter could be had for the run"),
            StartError::CannotFork(sentence) | StartError::Full(sentence) | StartError::Failed(sentence) => {
                verdict::lost(&sentence)
            }
        }
    }

    #[allow(clippy::unused_self, reason = "the end of this job")]
    fn end(&self, outcome: Outcome, phases: Phases) -> RunEnd {
        RunEnd { outcome, model_version: None, phases, usage: Usage::default() }
    }
}

/// What a run's process is told.
pub(crate) fn words(order: &RunOrder, layout: &Layout) -> serde_json::Value {
    let mut environment = Site::names(order);
    environment.extend(order.secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
    json!({
        "task": order.task,
        "arguments": order.arguments,
        "environment": environment,
        "threads": Site::threads(order),
        "paths": layout.paths,
    })
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Site {
    /// The names by which a model knows itself.
    pub(crate) fn names(order: &RunOrder) -> BTreeMap<String, String> {
        let name = &order.model;
        [("OWNER".to_owned(), name.owner.to_string()), ("TITLE".to_owned(), name.title.to_string())].into()
    }

    /// Threads that a library of linear algebra may use.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    pub(crate) fn threads(order: &RunOrder) -> u32 {
        (order.limits.cpus.ceil() as u32).max(1)
    }

    /// Where outputs wait on their way; closed to the sandboxes, which are shown other folders.
    pub(crate) fn outputs(&self) -> &Path {
        &self.config.scratch
    }

    /// The users of a sandbox, and the one who owns the folder of `inside`, where the server can give it away.
    pub(crate) fn identity(slot: &Slot, inside: u32) -> (UserRange, Option<u32>) {
        let users = slot.users();
        let owner = nix::unistd::geteuid().is_root().then(|| users.host_id(inside)).flatten();
        (users, owner)
    }

    /// Whether each run of a zygote can have a user of its own.
    pub(crate) fn has_users(&self) -> bool {
        nix::unistd::geteuid().is_root() && self.config.layers.user_namespace
    }

    /// What the processes of a run may use together.
    pub(crate) fn together(&self, order: &RunOrder) -> cgroup::Limits {
        cgroup::Limits {
            memory_bytes: Some(order.limits.memory_bytes),
            cpus: Some(order.limits.cpus).filter(|cpus| *cpus < self.config.capacity.cpus),
            max_processes: Some(self.config.processes),
        }
    }

    /// The group of a run; `None` on a machine that has none.
    pub(crate) fn group(&self, name: &str, order: &RunOrder) -> Result<Option<RunGroup>, StartError> {
        RunGroup::create(&self.config.cgroups, name, self.together(order)).map_err(StartError::Failed)
    }

    /// Whether address space stands in for memory: then a model's error of memory is its limit.
    fn limits_address_space(&self) -> bool {
        !self.config.contained && !self.config.cgroups.limits(cgroup::Controller::Memory)
    }

    /// The limits of each process of a run.
    pub(crate) fn limits(&self, order: &RunOrder) -> Limits {
        let mut limits = Limits {
            memory_bytes: None,
            cpu_seconds: None,
            // Without users of their own all runs of a zygote would be counted together.
            max_processes: self.has_users().then_some(self.config.processes),
            max_file_bytes: Some(self.config.file_bytes),
            max_open_files: Some(4096),
            data_bytes: None,
        };
        let stand_ins = cgroup::Limits { max_processes: None, ..self.together(order) };
        if !self.config.contained {
            self.config.cgroups.fallback(stand_ins, &mut limits);
        }
        limits
    }

    /// What an interpreter of this version may see, with `writable` its folder and `home` its user's.
    pub(crate) fn confinement(&self, layout: &Layout, order: &RunOrder, writable: &Path, home: &Path) -> Confinement {
        let mut read_only = layout.read_only.clone();
        read_only.push(self.harness.folder().to_path_buf());
        let network = if order.network { NetworkAccess::Full } else { NetworkAccess::Loopback };
        Confinement {
            read_only,
            writable: vec![writable.to_path_buf()],
            working_dir: home.to_path_buf(),
            env: environment(layout, order, home),
            network,
            layers: self.config.layers,
            ..Confinement::default()
        }
    }
}

/// The environment of an interpreter. Nothing of the server's is in it, and no secret: those enter with the run.
pub(crate) fn environment(layout: &Layout, order: &RunOrder, home: &Path) -> BTreeMap<String, String> {
    let bin = layout.python.parent().unwrap_or(Path::new("/usr/bin"));
    let home_text = home.display().to_string();
    let mut found: BTreeMap<String, String> = [
        ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display())),
        ("HOME", home_text),
        ("TMPDIR", home.join("tmp").display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PYTHONUTF8", "1".to_owned()),
        // Equal inputs give equal outputs, sets included; nobody from outside chooses the keys.
        ("PYTHONHASHSEED", "0".to_owned()),
        ("MPLBACKEND", "Agg".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    // A zygote forks only while it has one thread; its children raise this to the run's CPUs.
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"] {
        found.insert(name.to_owned(), "1".to_owned());
    }
    found.extend(Site::names(order));
    found
}
