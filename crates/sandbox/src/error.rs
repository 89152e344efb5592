//! What can go wrong on the way into the sandbox.

use std::io;

/// Why a program was not started in a sandbox. It never runs half confined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A step of the set-up failed.
    #[error("sandbox: {step}: {source}{}", hint(.source))]
    Step {
        /// What was being done, naming its object.
        step: String,
        /// What the system answered.
        source: io::Error,
    },
    /// The confinement cannot be carried out as it is written.
    #[error("sandbox: {0}")]
    Invalid(String),
    /// A step inside the sandbox failed; the text is that of the inner error.
    #[error("{0}")]
    Inside(String),
    /// The supervisor ended before the program started.
    #[error("sandbox: the process that asked for this program has ended")]
    Orphaned,
}

fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(nix::libc::EPERM | nix::libc::ENOSYS | nix::libc::EINVAL) => {
            " (`csw doctor` shows which layers this machine has)"
        }
        _ => "",
    }
}

/// Adds the name of the step to an error of the system.
pub(crate) trait Step<T> {
    fn step(self, step: impl Into<String>) -> Result<T, SandboxError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, SandboxError> {
        self.map_err(|source| SandboxError::Step { step: step.into(), source: source.into() })
    }
}
