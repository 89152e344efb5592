//! One file a verb.

mod accounts;
mod backup;
mod check;
mod doctor;
pub(crate) mod exec_sandbox;
mod models;
mod restore;
mod sims;
mod up;

use crate::{
    cli::{Cli, Command},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Outcome {
    let printer = Printer::new(cli.json);
    let settings = Settings::read(cli.config.as_deref())?;
    match cli.command {
        Command::Up(options) => up::run(&settings, &options, printer).await,
        Command::Accounts { verb } => accounts::run(&settings, verb, printer).await,
        Command::Models { name, server, verb } => {
            let client = settings.client(&server)?;
            models::run(&client, name.as_deref(), verb, printer).await
        }
        Command::Sims { name, server, verb } => {
            let client = settings.client(&server)?;
            sims::run(&client, name.as_deref(), verb, printer).await
        }
        Command::Check(options) => check::run(&settings, &options, printer).await,
        Command::Doctor => doctor::run(printer).await,
        Command::Backup { place, to } => backup::run(&settings, &place, &to, printer).await,
        Command::Restore { from, place } => restore::run(&settings, &from, &place, printer).await,
    }
}

/// The model a command is about.
fn named(name: Option<&str>) -> Outcome<&str> {
    let name = name.ok_or_else(|| Failure::usage("which model?", "name it with `-n OWNER/TITLE`"))?;
    if name.parse::<csw_core::names::ModelName>().is_err() {
        return Err(Failure::usage(format!("`{name}` is not the name of a model"), "write OWNER/TITLE"));
    }
    Ok(name)
}
