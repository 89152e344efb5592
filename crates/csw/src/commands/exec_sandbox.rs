//! `csw exec-sandbox`: becomes a confined program. The server starts it; it has no use for people.

use std::process::ExitCode;

/// Carries out the confinement that stdin brings.
pub(crate) fn run() -> ExitCode {
    let Err(error) = csw_sandbox::enter();
    crate::output::complain(&error.to_string());
    ExitCode::from(csw_sandbox::SETUP_FAILED)
}
