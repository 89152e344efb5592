//! Why a stage failed, as a sentence that names the object and the way out.

use std::{io, path::Path};

use csw_core::{build::Stage, ports::BuildError};
use csw_sandbox::SandboxError;
use thiserror::Error;

use crate::mask::mask;

/// The beginning of every sentence about packages that fit no common set of versions.
pub const UNRESOLVABLE: &str = "The packages that the model needs fit no common set of versions";

/// Everything that ends a stage.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Files of this machine.
    #[error("{what} failed: {source}. Check the free space and the rights of the data folder")]
    Io { what: String, source: io::Error },
    /// A tool is not there.
    #[error(
        "`{tool}` could not be started: {source}. Install it, or configure where it is; `csw doctor` lists all tools"
    )]
    Tool { tool: String, source: io::Error },
    /// The confinement could not be put in place.
    #[error("The sandbox for {what} could not be made: {reason}. `csw doctor` tells which layer is missing")]
    Sandbox { what: String, reason: String },
    /// It took too long.
    #[error("{what} was stopped after {seconds} seconds; the last line was: {last}")]
    TimedOut { what: String, seconds: u64, last: String },
    /// It took too much memory.
    #[error(
        "{what} used more than {gigabytes} GB of memory, which is the limit of this model's builds; its settings raise it"
    )]
    OutOfMemory { what: String, gigabytes: f64 },
    /// It wrote too much.
    #[error(
        "{what} wrote more than {gigabytes:.1} GB, which is the most that a build may have on disk; the operator sets `disk_gigabytes`"
    )]
    TooMuchOnDisk { what: String, gigabytes: f64 },
    /// No versions fit.
    #[error("{UNRESOLVABLE}{as_of}: {reason}")]
    Unresolvable { as_of: String, reason: String },
    /// A program ended with an error.
    #[error("{what} failed with {status}: {reason}")]
    Ended { what: String, status: String, reason: String },
    /// What was given cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl Failure {
    /// For `map_err` on file operations.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Likewise, naming a path.
    pub(crate) fn at(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{what} `{}`", path.display()))
    }

    /// A sandbox that was refused.
    pub(crate) fn sandbox(what: &str, error: &SandboxError) -> Self {
        Self::Sandbox { what: what.to_owned(), reason: error.to_string() }
    }

    /// As the port wants it.
    pub(crate) fn during(self, stage: Stage) -> BuildError {
        BuildError { stage, sentence: mask(&self.to_string()) }
    }
}
