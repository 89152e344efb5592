//! The helper alone, for tests and for programs that embed this crate without `csw`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some(csw_sandbox::HELPER_SUBCOMMAND) {
        eprintln!("usage: csw-sandbox-helper {} (started by a supervisor)", csw_sandbox::HELPER_SUBCOMMAND);
        return ExitCode::from(2);
    }
    let Err(error) = csw_sandbox::enter();
    eprintln!("{error}");
    ExitCode::from(csw_sandbox::SETUP_FAILED)
}
