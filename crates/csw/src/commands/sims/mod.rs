//! `csw sims`

mod cancel;
mod create;
mod download;
mod list;
mod log;
mod outputs;
mod show;

use csw_client::{Client, Detail};

use super::named;
use crate::{cli::Sims, failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: Option<&str>, verb: Sims, printer: Printer) -> Outcome {
    match verb {
        Sims::Create(options) => create::run(client, named(name)?, options, printer).await,
        Sims::Show { number } => show::run(client, named(name)?, number, printer).await,
        Sims::List { search, status, page } => list::run(client, name, search, status, page, printer).await,
        Sims::Log { number, follow } => log::run(client, named(name)?, number, follow, printer).await,
        Sims::Cancel { number } => cancel::run(client, named(name)?, number, printer).await,
        Sims::Outputs { number } => outputs::run(client, named(name)?, number, printer).await,
        Sims::Download { number, to } => download::run(client, named(name)?, number, &to, printer).await,
    }
}

/// The end of a simulation in words: the reason where there is one, else the status.
fn state<O>(simulation: &Detail<O>) -> &str {
    simulation.reason.as_deref().unwrap_or(&simulation.status)
}
