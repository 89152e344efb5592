//! A parked interpreter that has imported a version's code, and forks one child per run.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    os::fd::{AsRawFd, RawFd},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use csw_core::run::{Outcome, RunOrder, Usage};
use csw_sandbox::{Confinement, Stage, UserRange, tree};
use nix::sys::socket::{ControlMessage, MsgFlags, send, sendmsg};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::Interest,
    net::{UnixStream, unix::pipe},
    sync::{SemaphorePermit, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    fork::StartError,
    frame, fresh,
    group::RunGroup,
    harness::Mode,
    layout::Layout,
    local::Site,
    machine,
    process::{Exit, Killer, Process, Wires, first_sign, last_words},
    scratch::{self, Folder},
    spares::{PATIENCE, Spares},
    stops::Stops,
    verdict,
};

/// The end of a process and that of its zygote are told this long after its socket was closed.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Why a version has no zygote.
#[derive(Debug, Clone)]
pub(crate) enum Unfit {
    /// Its code can't be forked, or could not be imported.
    Code(String),
    /// The zygote did not come up; perhaps the next one does.
    Start(String),
}

/// A live zygote. Dropping it ends it with all its children.
pub(crate) struct Zygote {
    control: Arc<Control>,
    confinement: Confinement,
    users: Option<UserRange>,
    folder: PathBuf,
    next: AtomicU64,
    used: Mutex<Instant>,
    spares: Spares,
    /// Bytes it holds, its share of common memory included; measured when it parked.
    pub(crate) memory: u64,
    /// Dropping it ends the sandbox.
    _end: oneshot::Sender<()>,
}

/// The socket to the zygote, and whom its words are for.
struct Control {
    socket: UnixStream,
    runs: Mutex<HashMap<u64, Waiting>>,
    dead: CancellationToken,
}

struct Waiting {
    answer: Option<oneshot::Sender<Result<(), String>>>,
    exit: oneshot::Sender<Exit>,
    group: Option<Arc<RunGroup>>,
    folder: Folder,
}

/// What a zygote says; one of the first five is there.
#[derive(Debug, Deserialize)]
struct Word {
    ready: Option<u64>,
    unfit: Option<String>,
    forked: Option<u64>,
    refused: Option<u64>,
    exited: Option<u64>,
    reason: Option<String>,
    status: Option<i32>,
    #[serde(default)]
    cpu_milliseconds: u64,
    #[serde(default)]
    peak_memory_bytes: u64,
}

impl Zygote {
    /// Starts an interpreter and waits until it has imported the model's code and parked.
    pub(crate) async fn start(site: &Site, order: &RunOrder, layout: &Layout, warm: bool) -> Result<Self, Unfit> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| Unfit::Start(format!("{what}: {error}"))
        };
        site.harness.compile_for(&layout.python).await;
        let slot = site.slots.take();
        let (users, owner) = Site::identity(&slot, UserRange::PROGRAM);
        let path = site.config.scratch.join(slot.number().to_string());
        let folder = Folder::create(path, 0o711, None).map_err(failed("making a zygote's folder"))?;
        let home = folder.path().join("zygote");
        for part in [home.clone(), home.join("tmp")] {
            scratch::make(&part, 0o700, owner).map_err(failed("making a zygote's folder"))?;
        }
        let mut confinement = site.confinement(layout, order, folder.path(), &home);
        confinement.stage = Stage::Zygote;
        confinement.users = users;
        let group = site.group(&format!("zygote-{}", slot.number()), order).map_err(StartError::of_zygote)?;
        confinement.cgroups = group.iter().flat_map(RunGroup::folders).collect();
        let wires = Wires::new().map_err(failed("connecting a zygote"))?;
        let child = match fresh::spawn(site, &confinement, layout, wires.their_socket, wires.their_log, Mode::Zygote) {
            Ok(child) => child,
            Err(error) => return Err(error.of_zygote()),
        };
        let guardian = child.id().unwrap_or_default().cast_signed();
        let (end, ended) = oneshot::channel();
        let dead = CancellationToken::new();
        let path = folder.path().to_path_buf();
        let death = dead.clone();
        tokio::spawn(async move {
            fresh::await_end(child, ended).await;
            death.cancel();
            drop(tokio::task::spawn_blocking(move || drop((folder, group, slot))));
        });
        let control = Arc::new(Control { socket: wires.socket, runs: Mutex::default(), dead });
        let said = Tail::follow(wires.log);
        let mut words = Words::default();
        control.ready(&mut words, site, order, layout, warm, &said).await?;
        let zygote = control.listen(words, guardian)?;
        Ok(Self {
            control,
            users: owner.map(|_| users),
            confinement,
            folder: path,
            next: AtomicU64::new(0),
            used: Mutex::new(Instant::now()),
            spares: Spares::default(),
            memory: tokio::task::spawn_blocking(move || machine::memory_of(zygote)).await.unwrap_or(0),
            _end: end,
        })
    }

    /// A child for a run that has given its first sign of life: one forked ahead, or a new one.
    pub(crate) async fn fork(
        self: &Arc<Self>,
        site: &Arc<Site>,
        order: &RunOrder,
        stops: &Stops,
    ) -> Result<Process, StartError> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let new = async || self.child(site, order, site.forks.acquire().await.ok()).await;
        let mut process = if let Some(spare) = self.spares.take(site.together(order)) {
            spare
        } else {
            tokio::select! {
                child = new() => child?,
                stop = stops.requested() => return Err(StartError::Stopped(stop)),
            }
        };
        process.keeps = Box::new(Arc::clone(self));
        self.fork_ahead(site, order);
        Ok(process)
    }

    /// Forks a child for the next run of this kind, unless the CPUs have runs to start.
    fn fork_ahead(self: &Arc<Self>, site: &Arc<Site>, order: &RunOrder) {
        let limits = site.together(order);
        let most = site.config.forked_ahead;
        let (zygote, site, order) = (Arc::downgrade(self), Arc::clone(site), order.clone());
        tokio::spawn(async move {
            // Held only while it forks: who waits for a run must not keep it from being dropped.
            if let (Some(zygote), Ok(permit)) = (zygote.upgrade(), site.forks.try_acquire())
                && zygote.spares.wants(limits, most)
                // A failure shows, and is told, when a run asks for a child.
                && let Ok(process) = zygote.child(&site, &order, Some(permit)).await
            {
                zygote.spares.keep(limits, process, most);
            } else {
                return;
            }
            tokio::time::sleep(PATIENCE).await;
            if let Some(zygote) = zygote.upgrade() {
                zygote.spares.give_up();
            }
        });
    }

    /// Forks a child and waits for its first sign of life. `permit` is given back then.
    async fn child(
        &self,
        site: &Site,
        order: &RunOrder,
        permit: Option<SemaphorePermit<'_>>,
    ) -> Result<Process, StartError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let user = match self.users {
            None => None,
            Some(range) => {
                let inside = UserRange::FIRST_RUN.saturating_add(u32::try_from(number).unwrap_or(u32::MAX));
                Some((inside, range.host_id(inside).ok_or(StartError::UsedUp)?))
            }
        };
        let path = self.folder.join(number.to_string());
        let folder = Folder::create(path, 0o700, user.map(|(_, host)| host))
            .map_err(|error| StartError::io("making a run's folder", &error))?;
        let mut child = self.confinement.child(user.map(|(inside, _)| inside), folder.path(), site.limits(order));
        leave_out_inner(&mut child.read_only);
        let confine = frame::encode(frame::CONFINE, &child).map_err(|error| StartError::Failed(error.to_string()))?;
        let wires = Wires::new().map_err(|error| StartError::io("connecting a run's process", &error))?;
        // It is smaller than any socket's buffer.
        send(wires.socket.as_raw_fd(), &confine, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)
            .map_err(|error| StartError::io("confining a run's process", &error.into()))?;
        let (answer, answered) = oneshot::channel();
        let (tell, exit) = oneshot::channel();
        let name = format!("fork-{}-{number}", self.folder.file_name().unwrap_or_default().display());
        let group = site.group(&name, order)?.map(Arc::new);
        let doors = group.as_ref().map_or(Ok(vec![]), |group| group.own_doors());
        let doors = doors.map_err(|error| StartError::io("opening a run's group", &error))?;
        let path = folder.path().to_path_buf();
        let waiting = Waiting { answer: Some(answer), exit: tell, group: group.clone(), folder };
        self.control.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(number, waiting);
        let mut descriptors = vec![wires.their_socket.as_raw_fd(), wires.their_log.as_raw_fd()];
        descriptors.extend(doors.iter().map(AsRawFd::as_raw_fd));
        let asked = self.control.send(&json!({ "fork": number }), &descriptors).await;
        asked.map_err(|_| StartError::UsedUp)?;
        drop((wires.their_socket, wires.their_log, doors));
        let signs = async {
            match answered.await {
                Ok(Ok(())) => Ok(first_sign(&wires.socket).await),
                Ok(Err(reason)) => Err(StartError::CannotFork(reason)),
                Err(_) => Err(StartError::UsedUp),
            }
        };
        let sign = tokio::select! {
            sign = tokio::time::timeout(site.config.first_sign, signs) => sign,
            () = self.control.dead.cancelled() => return Err(StartError::UsedUp),
        };
        drop(permit);
        let Ok(sign) = sign else {
            let seconds = site.config.first_sign.as_secs_f32();
            return Err(StartError::CannotFork(format!("a forked process gave no sign of life for {seconds} s")));
        };
        let pid = match sign? {
            Ok(pid) => pid,
            Err(error) => return Err(self.stillborn(&error, exit, wires.log).await),
        };
        if let Some(group) = &group
            && let Err(error) = group.admit(pid).await
        {
            // Somebody was quicker to end it.
            let gone = error.raw_os_error() == Some(nix::libc::ESRCH);
            let told = StartError::io("moving a run into its group", &error);
            return Err(if gone { self.stillborn(&error, exit, wires.log).await } else { told });
        }
        let killer = Killer::Tree(pid);
        Ok(Process { socket: wires.socket, log: wires.log, exit, killer, group, folder: path, keeps: Box::new(()) })
    }

    /// Why a child has ended without a sign of life. Only an end of its own speaks against forking: whoever kills a child,
    /// or the zygote under it, says nothing about the version.
    async fn stillborn(&self, error: &io::Error, exit: oneshot::Receiver<Exit>, log: pipe::Receiver) -> StartError {
        let exit = tokio::select! {
            exit = exit => exit.unwrap_or(Exit::Unknown),
            () = self.control.dead.cancelled() => Exit::Unknown,
            () = tokio::time::sleep(AFTERMATH) => Exit::unreported(),
        };
        match (&exit, verdict::of_exit(&exit)) {
            (Exit::Unknown, _) => StartError::UsedUp,
            (_, Outcome::Lost { sentence }) => StartError::Failed(sentence),
            _ => {
                let said = last_words(log).await;
                StartError::CannotFork(format!("a forked process did not start ({error}): {said}"))
            }
        }
    }

    /// Whether it has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.control.dead.is_cancelled()
    }

    /// How long nobody has used it.
    pub(crate) fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Control {
    /// Tells a new zygote what to import and waits until it has; answers nothing but that it is fit.
    async fn ready(
        &self,
        words: &mut Words,
        site: &Site,
        order: &RunOrder,
        layout: &Layout,
        warm: bool,
        said: &Tail,
    ) -> Result<(), Unfit> {
        let task = json!({
            "environment": Site::names(order), "threads": 1, "paths": layout.paths, "warm": warm,
        });
        let begin = async {
            self.send(&task, &[]).await?;
            words.next(&self.socket).await
        };
        let word = tokio::time::timeout(site.config.import_limit, begin).await;
        let Ok(word) = word else {
            let seconds = site.config.import_limit.as_secs();
            return Err(Unfit::Code(format!("importing the model takes more than {seconds} s")));
        };
        match word {
            Ok(Some(Word { ready: Some(_), .. })) => Ok(()),
            Ok(Some(Word { unfit: Some(reason), .. })) => Err(Unfit::Code(reason)),
            Ok(_) => Err(Unfit::Start(format!("a zygote ended while it imported the model: {}", said.text()))),
            Err(error) => Err(Unfit::Start(format!("talking to a zygote: {error}"))),
        }
    }

    /// Begins to pass on what the zygote says. Answers the zygote's process id.
    fn listen(self: &Arc<Self>, mut words: Words, guardian: i32) -> Result<i32, Unfit> {
        let gone = || Unfit::Start("a zygote ended as soon as it was ready".to_owned());
        let init = tree::children(guardian).first().copied().ok_or_else(gone)?;
        let zygote = tree::children(init).first().copied().ok_or_else(gone)?;
        let control = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok(Some(word)) = words.next(&control.socket).await {
                control.hear(word, init, zygote);
            }
            control.dead.cancel();
            let runs = std::mem::take(&mut *control.runs.lock().unwrap_or_else(PoisonError::into_inner));
            drop(tokio::task::spawn_blocking(move || drop(runs)));
        });
        Ok(zygote)
    }

    fn hear(&self, word: Word, init: i32, zygote: i32) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = word.forked.and_then(|run| runs.get_mut(&run)) {
            // Nobody may be waiting any more.
            let _ = waiting.answer.take().map(|answer| answer.send(Ok(())));
        }
        if let Some(waiting) = word.refused.and_then(|run| runs.remove(&run)) {
            let reason = word.reason.unwrap_or_default();
            let _ = waiting.answer.map(|answer| answer.send(Err(reason)));
        }
        let Some(waiting) = word.exited.and_then(|run| runs.remove(&run)) else { return };
        drop(runs);
        // What a run left behind is now a child of the sandbox's init, where only the zygote belongs.
        for orphan in tree::children(init).into_iter().filter(|pid| *pid != zygote) {
            tree::kill_tree(orphan);
        }
        let usage = Usage { cpu_milliseconds: word.cpu_milliseconds, peak_memory_bytes: word.peak_memory_bytes };
        let _ = waiting.exit.send(Exit::Status(word.status.unwrap_or(0), usage));
        drop(tokio::task::spawn_blocking(move || drop((waiting.group, waiting.folder))));
    }

    /// One line; descriptors arrive with its first byte.
    async fn send(&self, word: &serde_json::Value, descriptors: &[RawFd]) -> io::Result<()> {
        let line = format!("{word}\n");
        let attached = [ControlMessage::ScmRights(descriptors)];
        let attached = if descriptors.is_empty() { &[] } else { &attached[..] };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let send = || {
            sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(line.as_bytes())], attached, flags, None)
                .map_err(io::Error::from)
        };
        let sent = self.socket.async_io(Interest::WRITABLE, send).await?;
        if sent == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

/// Leaves out paths inside others: each costs a rule of the sandbox in every child.
fn leave_out_inner(paths: &mut Vec<PathBuf>) {
    let all = paths.clone();
    paths.retain(|path| !all.iter().any(|outer| path != outer && path.starts_with(outer)));
}

/// Reads what a zygote says, line by line.
#[derive(Default)]
struct Words(BytesMut);

impl Words {
    /// `None` when it is gone.
    async fn next(&mut self, socket: &UnixStream) -> io::Result<Option<Word>> {
        loop {
            if let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(serde_json::from_slice(&self.0.split_to(end + 1))?));
            }
            socket.readable().await?;
            let got = socket.try_read_buf(&mut self.0);
            match got {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => other.map(drop)?,
            }
        }
    }
}

/// The last of what a zygote printed while it imported the model: nobody's log, but a reason when it ends.
struct Tail(Arc<Mutex<Vec<u8>>>);

impl Tail {
    fn follow(mut log: pipe::Receiver) -> Self {
        use tokio::io::AsyncReadExt;
        const KEPT: usize = 4096;
        let kept = Arc::new(Mutex::new(vec![]));
        let tail = Self(Arc::clone(&kept));
        tokio::spawn(async move {
            let mut chunk = vec![0; KEPT];
            while let Ok(length @ 1..) = log.read(&mut chunk).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&chunk[..length]);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
        });
        tail
    }

    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}
