//! Why a process for a run was not started.

use std::io;

use crate::{space, stops::Stop, zygote::Unfit};

/// What kept a run's process from starting.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The run must stop.
    Stopped(Stop),
    /// The zygote can't fork any more, and another one can.
    UsedUp,
    /// The zygote can't fork safely, or its child gave no sign of life: this version needs new interpreters.
    CannotFork(String),
    /// There is no room on the disk; there will be.
    Full(String),
    /// The platform's fault.
    Failed(String),
}

impl StartError {
    /// The same, where it was a zygote that did not start.
    pub(crate) fn of_zygote(self) -> Unfit {
        match self {
            Self::Failed(sentence) | Self::CannotFork(sentence) | Self::Full(sentence) => Unfit::Start(sentence),
            Self::Stopped(_) | Self::UsedUp => Unfit::Start("a zygote was stopped before it started".to_owned()),
        }
    }

    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        let sentence = format!("{doing}: {error}");
        if space::is_full(error) { Self::Full(sentence) } else { Self::Failed(sentence) }
    }
}
