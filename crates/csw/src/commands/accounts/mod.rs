//! `csw accounts`: works on the database itself, so it needs no server, and no first account to ask it with.

mod create;
mod list;

use crate::{cli::Accounts, failure::Outcome, output::Printer, settings::Settings};

pub(crate) async fn run(settings: &Settings, verb: Accounts, printer: Printer) -> Outcome {
    match verb {
        Accounts::Create { name, role, email, password_stdin, token_name, place } => {
            let new = create::New { name, role: role.into(), email, password_stdin, token_name };
            create::run(settings, &place, new, printer).await
        }
        Accounts::List { place } => list::run(settings, &place, printer).await,
    }
}
