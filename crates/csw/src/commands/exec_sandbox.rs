//! `csw exec-sandbox`: becomes a confined program. The server starts it; it has no use for people.

use std::process::ExitCode;

/// Carries out the confinement that stdin brings.
pub(crate) fn run() -> ExitCode {
    let Err(error) = csw_sandbox::enter();
    crate::output::complain(&error.to_string());
    u8::try_from(csw_sandbox::SETUP_FAILED).map_or(ExitCode::FAILURE, ExitCode::from)
}
