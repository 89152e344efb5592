//! One file a verb.

mod accounts;
mod backup;
mod check;
mod doctor;
pub(crate) mod exec_sandbox;
mod models;
mod restore;
mod secret_input;
mod sims;
mod svc;
mod up;

use jiff::Timestamp;

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
        Command::Svc { verb } => svc::run(&settings, verb, printer).await,
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

/// A day, or an instant.
fn date(text: &str) -> Outcome<Timestamp> {
    text.parse::<Timestamp>()
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .map_err(|_| Failure::usage(format!("`{text}` is no date"), "write 2024-05-31, or 2024-05-31T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_or_instants() {
        assert_eq!(date("2024-05-31").unwrap().to_string(), "2024-05-31T00:00:00Z");
        assert_eq!(date("2024-05-31T12:00:00Z").unwrap().to_string(), "2024-05-31T12:00:00Z");
        assert!(date("yesterday").is_err());
    }
}
