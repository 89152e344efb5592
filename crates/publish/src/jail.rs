//! One step of a build with a stranger's code: in the sandbox, as a user that owns the build's own folder only.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use csw_sandbox::{
    Confinement, Limits, NetworkAccess, UserRange,
    cgroup::{self, Group},
};

use crate::{
    background,
    config::PublishConfig,
    failure::Failure,
    mask::Log,
    process::{Ended, Output, run_unless},
    tree,
};

/// Variables of the server that tell how to reach the package index, and nothing about the server itself.
const INDEX_VARIABLES: &[&str] = &[
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_TIMEOUT",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_INSECURE_HOST",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// How often the disk is looked at.
const LOOK_AT_DISK: Duration = Duration::from_secs(1);

/// Processes and threads of a build.
const PROCESSES: u64 = 1024;

/// The variables by which uv finds the package index of the operator.
pub fn index_variables() -> impl Iterator<Item = (String, String)> {
    INDEX_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
}

/// Two folders of one build, and the users it runs as.
///
/// The server writes into the room before the first step only: afterwards any name in it may be a link that a stranger
/// made. What later steps are given goes onto the desk.
pub(crate) struct Jail<'a> {
    config: &'a PublishConfig,
    log: &'a Log<'a>,
    users: UserRange,
    base: PathBuf,
    group: Group,
    /// What the steps may write.
    pub(crate) room: PathBuf,
    /// What the steps may read; the server alone writes it.
    pub(crate) desk: PathBuf,
}

/// A step.
pub(crate) struct Step<'s> {
    /// For sentences.
    pub(crate) what: &'s str,
    /// The program, absolute.
    pub(crate) program: &'s Path,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Where it starts.
    pub(crate) working_dir: PathBuf,
    /// Variables beside the usual ones.
    pub(crate) env: Vec<(String, String)>,
    /// What it may read beside the system.
    pub(crate) read_only: Vec<PathBuf>,
    /// Whether it reaches the network.
    pub(crate) network: bool,
    /// Seconds it may take.
    pub(crate) seconds: u64,
    /// What becomes of its output.
    pub(crate) output: Output,
}

impl<'a> Jail<'a> {
    /// Makes the folders below `work` of the data folder.
    pub(crate) fn new(config: &'a PublishConfig, log: &'a Log<'a>) -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = uuid::Uuid::now_v7();
        let base = config.data.join("work").join(id.to_string());
        let (room, desk) = (base.join("room"), base.join("desk"));
        for path in [room.join("home"), room.join("tmp"), desk.clone()] {
            fs::create_dir_all(&path).map_err(Failure::at("Making the folder", &path))?;
        }
        // Two users a build, 64 builds a process, 2,048 processes before any two could meet.
        let slot = (process::id() % 2048) * 64 + COUNT.fetch_add(1, Ordering::Relaxed) % 64;
        let users = UserRange { first: config.first_user + slot * 2, count: 2 };
        let group = config
            .cgroups
            .create(&format!("build-{id}"), together(config))
            .map_err(|error| Failure::Sandbox { what: "a build".to_owned(), reason: error.to_string() })?;
        Ok(Self { config, log, users, base, group, room, desk })
    }

    /// Lets the build's user write everything in the room.
    pub(crate) async fn hand_over(&self) -> Result<(), Failure> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        let Some(user) = self.users.host_id(UserRange::PROGRAM) else { return Ok(()) };
        let room = self.room.clone();
        background(move || tree::give(&room, user)).await.map_err(Failure::io("Giving the build its folder"))
    }

    /// Waits until the build has more on disk than it may. Looking takes a twentieth of the time at most.
    async fn overgrown(&self, what: &str) -> Failure {
        let mut pause = LOOK_AT_DISK;
        loop {
            tokio::time::sleep(pause).await;
            let (room, begun) = (self.room.clone(), Instant::now());
            // What comes and goes meanwhile makes a look fail; the next one sees it.
            let bytes = background(move || tree::size(&room)).await.unwrap_or(0);
            if bytes > self.config.room_bytes {
                #[allow(clippy::cast_precision_loss, reason = "bytes of a disk")]
                let gigabytes = self.config.room_bytes as f64 / 1e9;
                return Failure::TooMuchOnDisk { what: what.to_owned(), gigabytes };
            }
            pause = LOOK_AT_DISK.max(begun.elapsed() * 20);
        }
    }

    /// Runs a step to its end, whatever its status.
    pub(crate) async fn run(&self, step: Step<'_>) -> Result<Ended, Failure> {
        let mut env: BTreeMap<String, String> = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME", self.room.join("home").display().to_string()),
            ("TMPDIR", self.room.join("tmp").display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut read_only = step.read_only;
        read_only.push(self.desk.clone());
        if step.network {
            env.extend(index_variables());
            let certificates =
                ["SSL_CERT_FILE", "SSL_CERT_DIR", "UV_FIND_LINKS"].into_iter().filter_map(|name| env.get(name));
            read_only.extend(certificates.map(PathBuf::from).filter(|path| path.is_absolute() && path.exists()));
        }
        env.extend(step.env);
        read_only.sort();
        read_only.dedup();
        let mut limits = Limits {
            memory_bytes: None,
            cpu_seconds: Some(step.seconds.saturating_mul(2)),
            max_processes: Some(PROCESSES),
            max_file_bytes: Some(8 << 30),
            max_open_files: Some(4096),
            data_bytes: None,
        };
        if !self.config.contained {
            self.config.cgroups.fallback(together(self.config), &mut limits);
        }
        let confinement = Confinement {
            read_only,
            writable: vec![self.room.clone()],
            working_dir: step.working_dir,
            env,
            network: if step.network { NetworkAccess::Full } else { NetworkAccess::Loopback },
            limits,
            users: self.users,
            cgroups: self.group.folders(),
            layers: self.config.layers,
            ..Confinement::default()
        };
        let command = csw_sandbox::command(&self.config.helper, &confinement, step.program, &step.args, vec![])
            .map_err(|error| Failure::sandbox(step.what, &error))?;
        let kills = killed_around_us();
        let overgrown = self.overgrown(step.what);
        let ended = run_unless(step.what, command, step.seconds, step.output, self.log, overgrown).await?;
        if ended.status.code() == Some(i32::from(csw_sandbox::SETUP_FAILED))
            && ended.last_line().starts_with("sandbox:")
        {
            return Err(Failure::Sandbox { what: step.what.to_owned(), reason: ended.last_line() });
        }
        let is_starved = || self.group.oom_killed() || (self.config.contained && killed_around_us() > kills);
        if !ended.status.success() && is_starved() {
            let gigabytes = self.config.limits.memory_gigabytes;
            return Err(Failure::OutOfMemory { what: step.what.to_owned(), gigabytes });
        }
        Ok(ended)
    }
}

/// Processes of this container that the kernel has ended for want of memory.
fn killed_around_us() -> u64 {
    let of = |path: &str| {
        let text = fs::read_to_string(Path::new("/sys/fs/cgroup").join(path)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        line.trim().parse().ok()
    };
    of("memory.events").or_else(|| of("memory/memory.oom_control")).unwrap_or_default()
}

/// What all processes of a build may use together.
fn together(config: &PublishConfig) -> cgroup::Limits {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are checked to 0.1..=1024 GB")]
    let memory_bytes = (config.limits.memory_gigabytes * 1e9) as u64;
    cgroup::Limits { memory_bytes: Some(memory_bytes), cpus: Some(config.limits.cpus), max_processes: Some(PROCESSES) }
}

impl Drop for Jail<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.group.kill().and_then(|()| self.group.remove()) {
            tracing::warn!(%error, "the group of a build could not be removed");
        }
        if let Err(error) = tree::remove(&self.base) {
            tracing::warn!(folder = %self.base.display(), %error, "the folder of a build could not be removed");
        }
    }
}
