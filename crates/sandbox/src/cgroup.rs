//! Limits for all processes of a run together, and their end: control groups.
//!
//! Machines differ: version 2 with everything, version 1, or both at once
//! (hybrid), where version 1 limits and version 2 only kills. [`Manager::detect`]
//! finds out what is usable by using it. All groups live in one folder per
//! hierarchy, `csw-<instance>`, below the group this process is in; what a crash
//! left there is removed at the next start, of whatever instance beside it.

mod claim;
mod detect;
mod files;
mod group;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use group::Group;

use claim::Claim;

use crate::confinement::Limits as ProcessLimits;

/// What a group may use together; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory, page cache and `tmpfs` included. Swap is not added to it.
    pub memory_bytes: Option<u64>,
    /// Processors; 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub max_processes: Option<u64>,
}

/// A resource that a hierarchy can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// Memory.
    Memory,
    /// Processor time: the limit.
    Cpu,
    /// Processor time: the account, apart only in version 1.
    CpuAccount,
    /// Processes.
    Pids,
}

impl Controller {
    const ALL: [Self; 4] = [Self::Memory, Self::Cpu, Self::CpuAccount, Self::Pids];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::CpuAccount => "cpuacct",
            Self::Pids => "pids",
        }
    }
}

/// The version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// One folder tree of groups, and what it limits.
#[derive(Debug, Clone)]
pub(crate) struct Hierarchy {
    pub version: Version,
    /// The folder that holds this instance's groups.
    pub root: PathBuf,
    pub controllers: Vec<Controller>,
    /// Tells other instances that the folder is used.
    #[expect(dead_code, reason = "it is held")]
    pub claim: Arc<Claim>,
}

/// How the machine's groups are organised, for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Version 2 limits.
    V2,
    /// Version 1 limits.
    V1,
    /// Version 1 limits and version 2 kills.
    Hybrid,
    /// Nothing usable.
    None,
}

/// A group operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cgroup `{}`: {action}: {source}", .path.display())]
pub struct Error {
    path: PathBuf,
    action: String,
    source: io::Error,
}

impl Error {
    fn new(path: &Path, action: impl Into<String>, source: io::Error) -> Self {
        Self { path: path.to_path_buf(), action: action.into(), source }
    }
}

/// Makes groups in this process's part of the hierarchies.
#[derive(Debug, Clone)]
pub struct Manager {
    hierarchies: Vec<Hierarchy>,
}

impl Manager {
    /// Finds the usable hierarchies and removes what an earlier process left, of
    /// this instance or of one that nobody runs any more. `instance` tells servers on one machine apart: two
    /// that live at the same time must not share it. Never fails: with nothing
    /// usable, [`Manager::mode`] is [`Mode::None`] and groups do nothing.
    ///
    /// In version 2 a group with processes cannot hand controllers down, so this
    /// may move the processes of its own group into a child of it.
    pub fn detect(instance: &str) -> Self {
        let manager = Self { hierarchies: detect::hierarchies(instance) };
        manager.clean_up();
        manager.sweep();
        manager
    }

    /// A manager of nothing, for machines and tests without groups.
    pub fn none() -> Self {
        Self { hierarchies: vec![] }
    }

    /// How the machine's groups are organised.
    pub fn mode(&self) -> Mode {
        let limits = |version| self.hierarchies.iter().any(|h| h.version == version && !h.controllers.is_empty());
        let two = self.hierarchies.iter().any(|h| h.version == Version::Two);
        match (limits(Version::One), limits(Version::Two), two) {
            (true, _, true) => Mode::Hybrid,
            (true, _, false) => Mode::V1,
            (false, true, _) => Mode::V2,
            (false, false, _) => Mode::None,
        }
    }

    /// Whether this resource can be limited.
    pub fn limits(&self, controller: Controller) -> bool {
        self.hierarchies.iter().any(|h| h.controllers.contains(&controller))
    }

    /// The rlimits that stand in for what no group can limit: address space for
    /// memory, processes per user for processes. Nothing stands in for
    /// processors. Values that `limits` has already are kept when lower.
    pub fn fallback(&self, wanted: Limits, limits: &mut ProcessLimits) {
        let lower = |current: &mut Option<u64>, value: Option<u64>| {
            *current = match (*current, value) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        };
        if !self.limits(Controller::Memory) {
            lower(&mut limits.memory_bytes, wanted.memory_bytes);
        }
        if !self.limits(Controller::Pids) {
            lower(&mut limits.max_processes, wanted.max_processes);
        }
    }

    /// A new group with these limits. A limit whose controller is missing is
    /// left out: see [`Manager::fallback`].
    pub fn create(&self, name: &str, limits: Limits) -> Result<Group, Error> {
        Group::create(&self.hierarchies, name, limits)
    }

    /// Kills what is left in any group and removes this instance's folders: at an
    /// orderly end, when no new group can come any more. The manager and its
    /// copies make no group after that.
    pub fn close(&self) {
        self.clean_up();
        for hierarchy in &self.hierarchies {
            // A group that would not go keeps it; the next start tries again.
            let _ = std::fs::remove_dir(&hierarchy.root);
        }
    }

    /// Closes the instances beside this one whose processes are gone.
    fn sweep(&self) {
        let beside = self.hierarchies.iter().filter_map(|hierarchy| hierarchy.root.parent());
        let names: std::collections::BTreeSet<_> = beside.flat_map(detect::instances).collect();
        for name in names {
            let folders = self.hierarchies.iter().map(|hierarchy| (hierarchy, hierarchy.root.with_file_name(&name)));
            let left: Option<Vec<Hierarchy>> = folders
                .filter(|(_, root)| root.is_dir())
                .map(|(hierarchy, root)| {
                    let claim = Arc::new(Claim::of_nobody(&root)?);
                    Some(Hierarchy { root, claim, ..hierarchy.clone() })
                })
                .collect();
            if let Some(hierarchies) = left {
                Self { hierarchies }.close();
            }
        }
    }

    fn clean_up(&self) {
        let mut names = std::collections::BTreeSet::new();
        for hierarchy in &self.hierarchies {
            let entries = std::fs::read_dir(&hierarchy.root).into_iter().flatten().flatten();
            let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            names.extend(folders.filter_map(|entry| entry.file_name().into_string().ok()));
        }
        for name in names {
            let left = Group::existing(&self.hierarchies, &name);
            if let Err(error) = left.kill().and_then(|()| left.remove()) {
                tracing::warn!(%error, "a group of an earlier process is still there");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_groups_rlimits_stand_in() {
        let wanted = Limits { memory_bytes: Some(1 << 30), cpus: Some(1.0), max_processes: Some(50) };
        let mut limits = ProcessLimits { max_processes: Some(20), ..ProcessLimits::default() };
        let manager = Manager::none();
        assert_eq!(manager.mode(), Mode::None);
        manager.fallback(wanted, &mut limits);
        assert_eq!(limits.memory_bytes, Some(1 << 30));
        assert_eq!(limits.max_processes, Some(20));
    }
}
