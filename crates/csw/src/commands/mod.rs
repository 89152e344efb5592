//! One file a verb.

mod accounts;
mod api_task;
mod backup;
mod build_job;
mod check;
mod config;
mod costs;
mod doctor;
pub(crate) mod exec_sandbox;
mod job;
mod manual;
mod migrate;
mod models;
mod publish;
mod restore;
mod secret_input;
mod services;
mod sims;
mod svc;
mod up;

use clap::ArgMatches;
use csw_core::names::near;
use jiff::Timestamp;

use crate::{
    cli::{Cli, Command, Config, Server},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, matches: &ArgMatches) -> Outcome {
    let printer = Printer::new(cli.json);
    let settings = Settings::read(cli.config.as_deref())?;
    match cli.command {
        Command::Up(options) => up::run(&settings, &options, printer).await,
        Command::Webapp(options) => services::webapp(&settings, &options, printer).await,
        Command::Scheduler(options) => services::scheduler(&settings, &options, printer).await,
        Command::Outputs(options) => services::outputs(&settings, &options, printer).await,
        Command::Thumbnails(options) => services::thumbnails(&settings, &options, printer).await,
        Command::Accounts { verb } => accounts::run(&settings, verb, printer).await,
        Command::Svc { verb } => svc::run(&settings, cli.config.as_deref(), verb, printer).await,
        Command::Models { name, server, verb } => models::run(&settings, &server, name.as_deref(), verb, printer).await,
        Command::Publish { name, server, skip_test, verb } => {
            publish::run(&settings, &server, name.as_deref(), skip_test, verb, printer).await
        }
        Command::Sims { name, server, verb } => {
            let client = settings.client(&server)?;
            let done = sims::run(&client, name.as_deref(), verb, printer).await;
            meant(&settings, &server, name.as_deref(), done).await
        }
        Command::Config { verb: Config::Show { origin, .. } } => {
            config::show(matches, cli.config.as_deref(), origin, printer)
        }
        Command::Completion { shell } => manual::completion(shell, printer),
        Command::Man { out } => manual::pages(out.as_deref(), printer),
        Command::Check(options) => check::run(&settings, &options, printer).await,
        Command::Doctor { place } => doctor::run(&settings, &place, printer).await,
        Command::ApiTask(options) => api_task::run(options).await,
        Command::BuildJob(options) => build_job::run(options).await,
        Command::Job(options) => job::run(options).await,
        Command::Backup { place, to } => backup::run(&settings, &place, &to, printer).await,
        Command::Costs { server, month, account, csv } => {
            costs::run(&settings.client(&server)?, month.as_deref(), account.as_deref(), csv, printer).await
        }
        Command::Migrate(options) => migrate::run(&settings, &options, printer).await,
        Command::Restore { from, place } => restore::run(&settings, &from, &place, printer).await,
    }
}

/// A model that the server does not know may be one with a similar name.
async fn meant(settings: &Settings, server: &Server, name: Option<&str>, done: Outcome) -> Outcome {
    let (failure, name) = match (done, name) {
        (Err(failure), Some(name)) if failure.is_missing() => (failure, name),
        (done, _) => return done,
    };
    let Ok(models) = settings.client(server)?.models().await else { return Err(failure) };
    let names: Vec<String> = models.iter().map(|model| format!("{}/{}", model.owner, model.title)).collect();
    if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(failure);
    }
    let near = near(name, names.iter().map(String::as_str));
    Err(failure.hinted(match near {
        Some(near) => format!("there is no model {name}; did you mean {near}?"),
        None => format!("there is no model {name}; `csw models list` shows all"),
    }))
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
