//! `csw`: Compute Studio's one binary. It serves a site (`csw up`), looks after it (`accounts`, `backup`, `restore`,
//! `doctor`), and is the command line of authors and users (`check`, `models`, `sims`).
//!
//! Nothing is decided here that a use case decides: commands read their settings, ask `csw_app` or a server through
//! `csw_client`, and print. Start reading at [`cli`], then `commands/<area>/<verb>.rs`; [`wiring`] is the one place
//! that knows which adapters stand behind the ports.

mod ambient;
mod cli;
mod commands;
mod failure;
mod folder;
mod mail;
mod output;
mod progress;
mod settings;
mod tools;
mod unplugged;
mod wiring;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::{cli::Cli, failure::Failure};

fn main() -> ExitCode {
    // The sandbox's helper must have one thread, so it goes before everything else.
    if std::env::args_os().nth(1).is_some_and(|word| word == csw_sandbox::HELPER_SUBCOMMAND) {
        return commands::exec_sandbox::run();
    }
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    // Another provider can't be installed yet; if it were, any would do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::local(format!("no threads to work with: {error}"), "raise the limit of processes")
                .report();
        }
    };
    match runtime.block_on(commands::run(cli, &matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
