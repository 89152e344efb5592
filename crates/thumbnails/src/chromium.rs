//! A browser for one picture, in the sandbox.

use std::{
    io,
    path::{Path, PathBuf},
    process::{self, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::ports::{DrawError, Illustrator, Subject};
use csw_sandbox::{
    Confinement, LayerSet, Limits, NetworkAccess, SETUP_FAILED, UserRange,
    cgroup::{self, Group, Manager},
};
use nix::unistd::geteuid;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{browser::Browser, document, png, room::Room};

/// Processes and threads of a browser; it starts some sixty.
const PROCESSES: u64 = 400;

/// Pictures a process makes before two could share users, if all of them were under way at once.
const SLOTS: u32 = 8;

/// What the browser says of itself that is kept for a sentence.
const SAID: usize = 64 * 1024;

/// Seconds of a document's own time: its clock jumps from one thing that is due to the next.
const OWN_TIME: &str = "--virtual-time-budget=6000";

/// What every start is given. The sandbox is around the browser; the one that it brings would need rights which ours takes
/// away. Frames without an origin stay in the process of the page, because the document's own time does not reach others.
const FLAGS: [&str; 20] = [
    "--headless",
    "--no-sandbox",
    "--disable-features=IsolateSandboxedIframes,MediaRouter,OptimizationHints,Translate",
    "--disable-gpu",
    // What it shares with its own processes goes into its room: `/dev/shm` may be everybody's.
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--mute-audio",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--js-flags=--max-old-space-size=512",
    OWN_TIME,
];

/// What drawing is given.
#[derive(Debug, Clone)]
pub struct ThumbnailConfig {
    /// The browser.
    pub browser: PathBuf,
    /// The program whose `exec-sandbox` puts the sandbox in place.
    pub helper: PathBuf,
    /// Where rooms are made.
    pub work: PathBuf,
    /// Layers that this machine has; each one named here must work.
    pub layers: LayerSet,
    /// Makes the group of each browser.
    pub cgroups: Manager,
    /// First of 32,768 user ids that only browsers use, where the server is root.
    pub first_user: u32,
    /// Seconds a picture may take: it waits for all others on the machine. Of processor time it has half of that.
    pub seconds: u64,
    /// Bytes of memory that a browser may use.
    pub memory_bytes: u64,
}

impl ThumbnailConfig {
    /// Defaults below one data folder; `helper` is the program with `exec-sandbox`.
    pub fn new(browser: PathBuf, data: &Path, helper: PathBuf) -> Self {
        Self {
            browser,
            helper,
            work: data.join("work"),
            layers: LayerSet::default(),
            cgroups: Manager::none(),
            first_user: 900_000,
            seconds: 60,
            memory_bytes: 1_500_000_000,
        }
    }
}

/// Draws with Chromium, or with what is made of it.
pub struct Chromium {
    config: ThumbnailConfig,
    browser: Browser,
}

impl Chromium {
    /// Refuses where there is no such browser, and where the sandbox could not keep it from the network or from our files.
    pub fn new(config: ThumbnailConfig) -> Result<Self, DrawError> {
        let missing = |cause: String| DrawError::Unavailable { cause };
        let layers = config.layers;
        if !(layers.namespaces || layers.landlock && layers.seccomp) {
            let sentence =
                "neither namespaces nor both Landlock and a filter of system calls are there to confine a browser";
            return Err(missing(sentence.to_owned()));
        }
        let browser = Browser::at(&config.browser)
            .map_err(|error| missing(format!("the browser `{}`: {error}", config.browser.display())))?;
        Ok(Self { config, browser })
    }

    /// The browser that draws.
    pub fn browser(&self) -> &Path {
        &self.browser.program
    }

    fn users(&self) -> UserRange {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let slot = (process::id() % 2048) * SLOTS + COUNT.fetch_add(1, Ordering::Relaxed) % SLOTS;
        UserRange::slot(self.config.first_user, 2, slot)
    }

    /// What all processes of a browser may use together.
    fn together(&self) -> cgroup::Limits {
        cgroup::Limits { memory_bytes: Some(self.config.memory_bytes), cpus: Some(1.0), max_processes: Some(PROCESSES) }
    }

    /// Whether its user's processes are counted: not where a group counts them, nor where others are that user too, as in pods.
    fn counts_processes(&self) -> bool {
        let is_alone = self.config.layers.namespaces || geteuid().is_root();
        is_alone && !self.config.cgroups.limits(cgroup::Controller::Pids)
    }

    fn confinement(&self, room: &Room, users: UserRange, group: &Group) -> Confinement {
        let limits = Limits {
            // A browser reserves terabytes of addresses, so that a limit of those would stop it at once.
            memory_bytes: None,
            // The browser derives the sizes of its heaps from it, and stops where they are not whole pages.
            data_bytes: Some(self.config.memory_bytes >> 20 << 20),
            cpu_seconds: Some(self.config.seconds.div_ceil(2)),
            max_processes: self.counts_processes().then_some(PROCESSES),
            max_file_bytes: Some(64 << 20),
            max_open_files: Some(4096),
        };
        let home = room.home().display().to_string();
        let env = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", &home),
            // It may have no `/tmp` of its own, and the whole name of its room is too long for a socket in it.
            ("TMPDIR", "."),
            ("LANG", "C.UTF-8"),
            // It would look for buses that are not there.
            ("DBUS_SESSION_BUS_ADDRESS", "disabled:"),
        ];
        Confinement {
            read_only: self.browser.reads.clone(),
            writable: vec![room.path.clone()],
            working_dir: room.path.clone(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            network: NetworkAccess::None,
            limits,
            users,
            gives_way: true,
            cgroups: group.folders(),
            layers: self.config.layers,
            ..Confinement::default()
        }
    }

    /// Runs a browser to its end, and reads what it left.
    async fn run(&self, room: &Room, users: UserRange, group: &Group) -> Result<Vec<u8>, DrawError> {
        let confinement = self.confinement(room, users, group);
        let arguments = FLAGS.map(str::to_owned).into_iter().chain([
            format!("--window-size={},{}", document::WIDTH, document::HEIGHT),
            format!("--user-data-dir={}", room.path.join("profile").display()),
            format!("--screenshot={}", room.picture().display()),
            format!("file://{}", room.page().display()),
        ]);
        let command = csw_sandbox::command(&self.config.helper, &confinement, &self.browser.program, arguments, vec![])
            .map_err(|error| unavailable("the sandbox", &error))?;
        let mut command = tokio::process::Command::from(command);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| unavailable("the sandbox", &error))?;
        // The command holds copies of what it passes on.
        drop(command);
        let errors = child.stderr.take();
        let end = async {
            let said = tail(errors).await;
            child.wait().await.map(|status| (status, said))
        };
        let patience = Duration::from_secs(self.config.seconds);
        let Ok(ended) = tokio::time::timeout(patience, end).await else {
            let _ = child.kill().await;
            return Err(DrawError::GivenUp { why: format!("it took more than {} s", patience.as_secs()) });
        };
        let (status, said) = ended.map_err(|error| unavailable("waiting for the browser", &error))?;
        judge(status, &said, group)?;
        let left = room.left().map_err(|error| unavailable("reading the picture", &error))?;
        left.ok_or_else(|| DrawError::GivenUp { why: format!("the browser left no picture: {}", last_line(&said)) })
    }
}

#[async_trait]
impl Illustrator for Chromium {
    async fn draw(&self, subject: &Subject) -> Result<Bytes, DrawError> {
        let page = document::page(subject, &uuid::Uuid::new_v4().simple().to_string())?;
        let users = self.users();
        let user = geteuid().is_root().then(|| users.host_id(UserRange::PROGRAM)).flatten();
        let work = self.config.work.clone();
        // Before the group, so that it is removed after all processes are gone.
        let room = tokio::task::spawn_blocking(move || Room::new(&work, &page, user))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| unavailable("making a folder", &error))?;
        let name = format!("thumbnail-{}", uuid::Uuid::now_v7());
        let group = self.config.cgroups.create(&name, self.together());
        let group = Together(group.map_err(|error| unavailable("a group", &error))?);
        let bytes = self.run(&room, users, &group.0).await?;
        png::check(&bytes).map_err(|why| DrawError::GivenUp { why: why.to_owned() })?;
        Ok(bytes.into())
    }
}

/// The group of a browser, which ends with its value.
struct Together(Group);

impl Drop for Together {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.remove()) {
            tracing::warn!(%error, "the group of a thumbnail could not be removed");
        }
    }
}

fn unavailable(what: &str, error: &impl std::fmt::Display) -> DrawError {
    DrawError::Unavailable { cause: format!("{what}: {error}") }
}

/// Why the end of a browser was none that leaves a picture.
fn judge(status: ExitStatus, said: &str, group: &Group) -> Result<(), DrawError> {
    let line = last_line(said);
    if status.code() == Some(i32::from(SETUP_FAILED)) {
        return Err(DrawError::Unavailable { cause: line.to_owned() });
    }
    if group.oom_killed() {
        return Err(DrawError::GivenUp { why: "it needed more memory than a picture may".to_owned() });
    }
    if status.success() {
        return Ok(());
    }
    Err(DrawError::GivenUp { why: format!("the browser ended with {status}: {line}") })
}

fn last_line(said: &str) -> &str {
    said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing")
}

/// The end of what is said until nobody can say more.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> String {
    let (mut kept, mut part) = (Vec::new(), vec![0; 16 * 1024]);
    if let Some(mut stream) = stream {
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            kept.extend_from_slice(&part[..count]);
            let over = kept.len().saturating_sub(SAID);
            kept.drain(..over);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}
