//! The layers of the sandbox, and which of them a machine has.

use serde::{Deserialize, Serialize};

/// The layers to put in place. Take it from [`crate::doctor::Report::usable`]:
/// a layer that is named and cannot be had stops the program from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // four independent layers, not a state
pub struct LayerSet {
    /// Mount, pid, net, ipc, uts and cgroup namespaces, with a root of its own.
    pub namespaces: bool,
    /// A user namespace. Not as root the other namespaces need it; as root it
    /// gives a zygote a range of users.
    pub user_namespace: bool,
    /// Landlock, in the version the kernel has.
    pub landlock: bool,
    /// The filter of system calls.
    pub seccomp: bool,
}

impl LayerSet {
    /// Every layer.
    pub const ALL: Self = Self { namespaces: true, user_namespace: true, landlock: true, seccomp: true };
}

impl Default for LayerSet {
    fn default() -> Self {
        Self::ALL
    }
}
