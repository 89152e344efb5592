//! The sandbox helper alone, so that the tests of this crate need no other binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(error) = csw_sandbox::enter();
    // The caller reads standard error into the log of the build.
    eprintln!("{error}");
    ExitCode::from(csw_sandbox::SETUP_FAILED)
}
