//! What a confined program may see and use: plain data, decided by the caller.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::layers::LayerSet;

/// What the confined program can reach over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkAccess {
    /// A network namespace in which not even loopback is up. Where there are no namespaces, the filter of system calls
    /// refuses sockets of the internet.
    None,
    /// A network namespace of its own with loopback: what "no network" means
    /// for a model, since libraries talk to themselves over localhost.
    #[default]
    Loopback,
    /// The network of the machine.
    Full,
}

/// How the program is going to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// One program, confined completely before it starts.
    #[default]
    Final,
    /// An interpreter that forks one child per run. Where the machine allows it
    /// keeps the right to change to a user of its own range, and nothing else;
    /// each child gives that up by `python/confine_child.py`.
    Zygote,
}

/// Host user ids (and the same group ids) that belong to one sandbox alone.
///
/// Only used when the supervisor is root. The first is the sandbox's init, the
/// second the program, and every further one is for the run of a zygote.
/// Two sandboxes alive at the same time must not share any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRange {
    /// The first host id; never 0.
    pub first: u32,
    /// How many; at least 2.
    pub count: u32,
}

impl UserRange {
    /// The id, inside the sandbox, of the program itself.
    pub const PROGRAM: u32 = 1;
    /// The id, inside the sandbox, of the first run of a zygote.
    pub const FIRST_RUN: u32 = 2;

    /// The ids of the slot with this number when slots of `size` follow each
    /// other from `base`.
    pub fn slot(base: u32, size: u32, number: u32) -> Self {
        Self { first: base + number * size, count: size }
    }

    /// The host id behind an id inside the sandbox: the owner that files need.
    pub fn host_id(self, inside: u32) -> Option<u32> {
        (inside < self.count).then(|| self.first + inside)
    }
}

impl Default for UserRange {
    fn default() -> Self {
        Self { first: 200_000, count: 64 }
    }
}

/// Limits by `setrlimit`; `None` leaves the inherited one. They only ever lower.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Address space (`RLIMIT_AS`): a crude stand-in, for machines where no
    /// cgroup can limit memory. See [`crate::cgroup::Manager::fallback`].
    pub memory_bytes: Option<u64>,
    /// Processor time of each process, in seconds.
    pub cpu_seconds: Option<u64>,
    /// Processes and threads of the program's user.
    pub max_processes: Option<u64>,
    /// Size of any file it writes.
    pub max_file_bytes: Option<u64>,
    /// Open files of each process.
    pub max_open_files: Option<u64>,
    /// Memory of its own that each process may write (`RLIMIT_DATA`): for a program that reserves far more addresses than
    /// it uses, such as a browser.
    pub data_bytes: Option<u64>,
}

/// Everything a confined program may see and use. What is not named is hidden.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// Visible at the same path, read-only. Missing ones are an error.
    pub read_only: Vec<PathBuf>,
    /// Visible at the same path, writable as far as the file modes allow.
    pub writable: Vec<PathBuf>,
    /// Where the program starts.
    pub working_dir: PathBuf,
    /// The complete environment; nothing is inherited. Put HOME into scratch.
    pub env: BTreeMap<String, String>,
    /// What it can reach.
    pub network: NetworkAccess,
    /// Its limits.
    pub limits: Limits,
    /// The users to run as, when the supervisor is root.
    pub users: UserRange,
    /// One program, or a zygote.
    pub stage: Stage,
    /// Bytes its private `/tmp` and `/dev/shm` may hold, each; they count as memory.
    pub temporary_bytes: Option<u64>,
    /// Whether it gives way to everything else on the machine: the lowest priority.
    pub gives_way: bool,
    /// Folders of cgroups to join before anything else; see [`crate::cgroup::Group::folders`].
    pub cgroups: Vec<PathBuf>,
    /// The layers to put in place; one that is named here and fails is an error.
    pub layers: LayerSet,
}

/// System paths every program needs to run at all; those that exist are shown read-only.
pub(crate) const SYSTEM_PATHS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Further system paths of a program that may use the network.
pub(crate) const NETWORK_PATHS: &[&str] =
    &["/etc/gai.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/services"];

/// Where a program looks for the names of users, its own among them.
const USERS: &[&str] = &["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];

/// Device files of the private `/dev`.
pub(crate) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

impl Confinement {
    /// Every path shown read-only, the system's included.
    pub(crate) fn all_read_only(&self) -> Vec<PathBuf> {
        let network: &[&str] = if self.network == NetworkAccess::Full { NETWORK_PATHS } else { &[] };
        let system = SYSTEM_PATHS.iter().chain(network).map(PathBuf::from);
        system.filter(|path| path.exists()).chain(self.read_only.iter().cloned()).collect()
    }

    /// Paths a Landlock domain lets the program read: what is mounted, and what
    /// the sandbox makes itself.
    pub(crate) fn readable(&self) -> Vec<PathBuf> {
        let mut paths = self.all_read_only();
        // Without a root of its own there is the machine's `/etc`, in which others have their settings.
        let made: &[&str] = if self.layers.namespaces { &["/etc"] } else { USERS };
        paths.extend(["/proc"].iter().chain(made).map(PathBuf::from));
        paths
    }

    /// The confinement of one child of a zygote with this confinement.
    ///
    /// `user` is an id inside the sandbox from [`UserRange::FIRST_RUN`] on that
    /// no living run of this zygote has, or `None` without such a range;
    /// `scratch` must exist, mode 0700, owned by [`UserRange::host_id`] of it,
    /// below one of the zygote's writable folders.
    pub fn child(&self, user: Option<u32>, scratch: &Path, limits: Limits) -> ChildConfinement {
        // Without a user of its own, a run must not share even /tmp with its siblings.
        let writable = if user.is_some() { vec!["/tmp".into(), "/dev/shm".into()] } else { vec![] };
        ChildConfinement {
            uid: user,
            gid: user,
            scratch: scratch.to_path_buf(),
            read_only: self.readable(),
            writable,
            devices: DEVICES.iter().map(PathBuf::from).collect(),
            landlock: self.layers.landlock,
            limits,
        }
    }
}

/// What `python/confine_child.py` takes: the confinement of one run of a zygote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildConfinement {
    /// The run's user, inside the sandbox.
    pub uid: Option<u32>,
    /// The run's group, inside the sandbox.
    pub gid: Option<u32>,
    /// The run's own folder.
    pub scratch: PathBuf,
    /// What it may read besides.
    pub read_only: Vec<PathBuf>,
    /// What it may write besides.
    pub writable: Vec<PathBuf>,
    /// Device files it may use.
    pub devices: Vec<PathBuf>,
    /// Whether the kernel has Landlock.
    pub landlock: bool,
    /// Its limits.
    pub limits: Limits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_do_not_overlap() {
        let (a, b) = (UserRange::slot(200_000, 64, 0), UserRange::slot(200_000, 64, 1));
        assert_eq!(a.host_id(63), Some(200_063));
        assert_eq!(a.host_id(64), None);
        assert_eq!(b.host_id(0), Some(200_064));
    }

    #[test]
    fn a_run_without_a_user_shares_nothing_writable() {
        let zygote = Confinement::default();
        let shared = zygote.child(None, Path::new("/scratch"), Limits::default());
        assert!(shared.writable.is_empty());
        let own = zygote.child(Some(2), Path::new("/scratch"), Limits::default());
        assert_eq!(own.uid, Some(2));
        assert!(!own.writable.is_empty());
    }

    #[test]
    fn only_the_network_shows_the_resolver() {
        let closed = Confinement::default();
        assert!(!closed.all_read_only().contains(&PathBuf::from("/etc/resolv.conf")));
    }
}
