//! Enters a sandbox: what `csw exec-sandbox` does, for tests and benchmarks of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(error) = csw_sandbox::enter();
    eprintln!("{error}");
    ExitCode::from(csw_sandbox::SETUP_FAILED)
}
