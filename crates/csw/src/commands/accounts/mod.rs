//! `csw accounts`: `create` and `list` work on the database itself, so they need no server, and no first account to ask it
//! with; `trust` asks a server, as the account whose trust it is.

mod budget;
mod create;
mod list;
mod trust;

use crate::{cli::Accounts, failure::Outcome, output::Printer, settings::Settings};

pub(crate) async fn run(settings: &Settings, verb: Accounts, printer: Printer) -> Outcome {
    match verb {
        Accounts::Create { name, role, email, password_stdin, token_name, place } => {
            let new = create::New { name, role: role.into(), email, password_stdin, token_name };
            create::run(settings, &place, new, printer).await
        }
        Accounts::Budget { verb } => budget::run(settings, verb, printer).await,
        Accounts::List { place } => list::run(settings, &place, printer).await,
        Accounts::Trust { server, account, verb } => {
            trust::run(&settings.client(&server)?, account.as_deref(), verb, printer).await
        }
    }
}
