//! `csw accounts create`

use std::io::BufRead;

use csw_core::access::AccountRole;
use serde_json::json;

use crate::{
    cli::Place,
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring,
};

/// The account to make.
pub(crate) struct New {
    pub(crate) name: String,
    pub(crate) role: AccountRole,
    pub(crate) email: String,
    pub(crate) password_stdin: bool,
    pub(crate) token_name: String,
}

pub(crate) async fn run(settings: &Settings, place: &Place, new: New, printer: Printer) -> Outcome {
    let password = if new.password_stdin { Some(read_password()?) } else { None };
    let app = wiring::database_only(settings, place).await?;
    let (account, token, secret) =
        app.operator_create_account(&new.name, &new.email, new.role, password.as_deref(), &new.token_name).await?;
    let answer = json!({
        "token": secret,
        "token_name": token.name,
        "username": account.name.as_str(),
        "role": account.role.as_str(),
        "email": account.email,
    });
    printer.note(&format!("{} is {}; the token below is not shown again", account.name, account.role.as_str()));
    printer.result(&answer, || secret)
}

fn read_password() -> Outcome<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::local(format!("stdin: {error}"), "pipe the password into the command"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage("stdin has no password", "pipe the password into the command"));
    }
    Ok(password.to_owned())
}
