//! What an operator decides about the executor of this machine.

use std::{path::PathBuf, time::Duration};

use csw_core::ports::Capacity;
use csw_sandbox::{LayerSet, cgroup::Manager};

use crate::machine;

/// How the local executor works. [`LocalConfig::new`] has defaults for everything but the places.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The data folder: `envs/<digest>` and `code/<digest>` are the artifacts.
    pub data: PathBuf,
    /// The program whose `exec-sandbox` sub-command enters the sandbox.
    pub helper: PathBuf,
    /// The executor's own folder for what runs write; emptied at the start.
    pub scratch: PathBuf,
    /// What runs may use together.
    pub capacity: Capacity,
    /// Interpreters parked at most.
    pub max_zygotes: u32,
    /// Memory of the parked interpreters together.
    pub zygote_memory_bytes: u64,
    /// A zygote that nobody used for so long ends.
    pub zygote_idle: Duration,
    /// Processes that a zygote in use forks ahead of their runs, so that these find them ready; 0 for none.
    pub forked_ahead: usize,
    /// A forked process that gives no sign of life for so long is given up, and its version runs in new interpreters.
    pub first_sign: Duration,
    /// Importing a model's code may take so long in a zygote.
    pub import_limit: Duration,
    /// Bytes of a run's log that are kept.
    pub log_bytes: u64,
    /// The largest file a run may write.
    pub file_bytes: u64,
    /// Processes and threads of one run.
    pub processes: u64,
    /// The layers of the sandbox this machine has.
    pub layers: LayerSet,
    /// The first of the user ids that runs are given, where the server is root.
    pub first_user: u32,
    /// Makes the groups that limit runs; [`Manager::none`] where the machine has none to use.
    pub cgroups: Manager,
    /// Whether what is around this process limits it already, as a pod does: then nothing has to stand in for groups.
    pub contained: bool,
}

impl LocalConfig {
    /// The defaults for a data folder and the program that is the sandbox's helper.
    pub fn new(data: PathBuf, helper: PathBuf) -> Self {
        let capacity = machine::capacity();
        Self {
            scratch: data.join("scratch"),
            data,
            helper,
            capacity,
            max_zygotes: 32,
            zygote_memory_bytes: capacity.memory_bytes / 4,
            zygote_idle: Duration::from_mins(15),
            forked_ahead: 2,
            first_sign: Duration::from_secs(20),
            import_limit: Duration::from_mins(5),
            log_bytes: 10_000_000,
            file_bytes: 20_000_000_000,
            processes: 512,
            layers: LayerSet::ALL,
            first_user: 200_000,
            cgroups: Manager::none(),
            contained: false,
        }
    }
}
