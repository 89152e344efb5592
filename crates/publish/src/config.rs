//! What an operator decides about publishing.

use std::path::{Path, PathBuf};

use csw_core::model::BuildLimits;
use csw_sandbox::{LayerSet, cgroup::Manager};

/// Settings of [`crate::UvPublisher`].
#[derive(Debug, Clone)]
pub struct PublishConfig {
    /// Where `envs`, `code`, `checkouts` and `work` are.
    pub data: PathBuf,
    /// What `data` is called where the folders are used, if that is another place: byte code names its sources by it.
    pub place: Option<PathBuf>,
    /// Where the repositories of the site's own forge are.
    pub repositories: PathBuf,
    /// The program whose `exec-sandbox` puts the sandbox in place.
    pub helper: PathBuf,
    /// Layers that this machine has; each one named here must work.
    pub layers: LayerSet,
    /// Makes the group of each build, which limits its steps together.
    pub cgroups: Manager,
    /// Whether what is around this process limits it already, as a pod does: then nothing has to stand in for groups.
    pub contained: bool,
    /// What a build may use.
    pub limits: BuildLimits,
    /// First of 262,144 user ids that only builds use, where the server is root.
    pub first_user: u32,
    /// uv.
    pub uv: PathBuf,
    /// git.
    pub git: PathBuf,
    /// Version of Python that models get unless they ask for another, such as `3.11`.
    pub python: String,
    /// Cache of downloads from the package index; only our own uv writes it.
    pub cache: PathBuf,
    /// Whether `file://` URLs and paths may be published from.
    pub allow_local_repositories: bool,
    /// Whether `install.sh` itself reaches the network; installing packages does not need it.
    pub install_network: bool,
    /// Whether a model's own tests reach the network.
    pub test_network: bool,
    /// Seconds for each git command.
    pub fetch_seconds: u64,
    /// Seconds for each step of a build.
    pub build_seconds: u64,
    /// Seconds for the tests.
    pub test_seconds: u64,
    /// Bytes that a build may have on disk while it is at work.
    pub room_bytes: u64,
    /// Bytes that a model's source may have.
    pub source_bytes: u64,
    /// Files and folders that a model's source may have.
    pub source_entries: u64,
}

impl PublishConfig {
    /// Defaults below one data folder; `helper` is the program with `exec-sandbox`.
    pub fn new(data: PathBuf, helper: PathBuf) -> Self {
        Self {
            cache: data.join("cache").join("uv"),
            repositories: data.join("git"),
            data,
            place: None,
            helper,
            layers: LayerSet::default(),
            cgroups: Manager::none(),
            contained: false,
            limits: BuildLimits::default(),
            first_user: 600_000,
            uv: PathBuf::from("uv"),
            git: PathBuf::from("git"),
            python: "3.11".to_owned(),
            allow_local_repositories: false,
            install_network: false,
            test_network: false,
            fetch_seconds: 300,
            build_seconds: 7200,
            test_seconds: 3600,
            room_bytes: 32 << 30,
            source_bytes: 4 << 30,
            source_entries: 200_000,
        }
    }

    /// The same for one build: no step takes longer than its model allows.
    pub(crate) fn within(&self, limits: BuildLimits) -> Self {
        let seconds = u64::from(limits.minutes) * 60;
        let (build_seconds, test_seconds) = (self.build_seconds.min(seconds), self.test_seconds.min(seconds));
        Self { limits, build_seconds, test_seconds, ..self.clone() }
    }

    /// A folder below `data` as it is called where it is used.
    pub(crate) fn used_at(&self, folder: &Path) -> PathBuf {
        match (&self.place, folder.strip_prefix(&self.data)) {
            (Some(place), Ok(inside)) => place.join(inside),
            _ => folder.to_owned(),
        }
    }
}
