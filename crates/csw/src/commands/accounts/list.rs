//! `csw accounts list`

use csw_core::page::PageRequest;
use serde_json::{Value, json};

use crate::{
    cli::Place,
    failure::Outcome,
    output::{Printer, table},
    settings::Settings,
    wiring,
};

pub(crate) async fn run(settings: &Settings, place: &Place, printer: Printer) -> Outcome {
    let app = wiring::existing_database_only(settings, place).await?;
    let mut accounts = Vec::new();
    for number in 1.. {
        let page = app.ports().store.accounts(PageRequest { number, size: 500 }).await?;
        let last = page.items.is_empty() || accounts.len() as u64 + page.items.len() as u64 >= page.total;
        accounts.extend(page.items);
        if last {
            break;
        }
    }
    let rows: Vec<Value> = accounts
        .iter()
        .map(|account| {
            json!({
                "username": account.name.as_str(),
                "role": account.role.as_str(),
                "email": account.email,
                "is_active": account.is_active,
                "created_at": account.created_at.to_string(),
            })
        })
        .collect();
    printer.result(&rows, || {
        let rows: Vec<[String; 5]> = accounts
            .iter()
            .map(|account| {
                [
                    account.name.to_string(),
                    account.role.as_str().to_owned(),
                    if account.is_active { "active" } else { "deactivated" }.to_owned(),
                    account.email.clone(),
                    account.created_at.strftime("%Y-%m-%d").to_string(),
                ]
            })
            .collect();
        table(["NAME", "ROLE", "STATE", "EMAIL", "SINCE"], &rows)
    })
}
