//! Why a process for a run was not started.

use std::io;

use crate::stops::Stop;

/// What kept a run's process from starting.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The run must stop.
    Stopped(Stop),
    /// The zygote can't fork any more, and another one can.
    UsedUp,
    /// The zygote can't fork safely, or its child gave no sign of life: this version needs new interpreters.
    CannotFork(String),
    /// The platform's fault.
    Failed(String),
}

impl StartError {
    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }
}
