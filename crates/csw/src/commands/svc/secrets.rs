//! `csw svc secrets`: works on the store itself, so it needs no server.

use csw_core::{page::PageRequest, secret::SecretEvent};
use serde_json::{Value, json};

use crate::{
    cli::{Place, SecretPlace, SiteSecrets},
    commands::secret_input,
    failure::Outcome,
    output::{Printer, table},
    settings::Settings,
    wiring,
};

/// Lines of the trail that are shown.
const LINES: PageRequest = PageRequest { number: 1, size: 200 };

pub(crate) async fn run(settings: &Settings, place: SecretPlace, verb: SiteSecrets, printer: Printer) -> Outcome {
    let place = Place { data: place.data, database: place.database };
    let app = wiring::existing_database_only(settings, &place).await?;
    let secrets = app.operator_secrets();
    match verb {
        SiteSecrets::Set { secret_name, value } => {
            let info = secrets.set(&secret_name, secret_input::value(value)?).await?;
            let answer = json!({ "name": info.name.as_str(), "version": info.version });
            printer.result(&answer, || format!("{} is stored, version {}", info.name, info.version))
        }
        SiteSecrets::Get { secret_name, number } => {
            let value = secrets.get(&secret_name, number).await?;
            printer.result(&json!({ secret_name: value.expose() }), || value.expose().to_owned())
        }
        SiteSecrets::List => {
            let infos = secrets.list().await?;
            let rows: Vec<Value> = infos
                .iter()
                .map(|info| {
                    let at = info.set_at.map(|at| at.to_string());
                    json!({ "name": info.name.as_str(), "version": info.version, "set_by": info.set_by, "set_at": at })
                })
                .collect();
            printer.result(&rows, || {
                let rows: Vec<[String; 4]> = infos
                    .iter()
                    .map(|info| {
                        let at = info.set_at.map(|at| at.to_string()).unwrap_or_default();
                        [info.name.to_string(), info.version.to_string(), info.set_by.clone().unwrap_or_default(), at]
                    })
                    .collect();
                table(["NAME", "VERSION", "SET BY", "WHEN"], &rows)
            })
        }
        SiteSecrets::Delete { secret_name } => {
            secrets.delete(&secret_name).await?;
            printer.result(&json!({ "deleted": secret_name }), || format!("{secret_name} is deleted"))
        }
        SiteSecrets::Rotate => {
            let done = secrets.rotate().await?;
            let answer = json!({ "key": done.key, "resealed": done.resealed, "resumed": done.resumed });
            printer.result(&answer, || {
                let begun = if done.resumed { "An interrupted rotation is finished: " } else { "" };
                format!("{begun}{} values are sealed with the new key {}", done.resealed, done.key)
            })?;
            printer.note("Copies of the old key open nothing of this database; keep a copy of the new one.");
            Ok(())
        }
        SiteSecrets::Audit => {
            let page = secrets.events(LINES).await?;
            let rows: Vec<Value> = page.items.iter().map(line).collect();
            printer.result(&rows, || {
                let rows: Vec<[String; 5]> = page
                    .items
                    .iter()
                    .map(|event| {
                        [
                            event.at.to_string(),
                            event.who.clone(),
                            event.action.as_str().to_owned(),
                            event.scope.clone(),
                            event.secret.clone(),
                        ]
                    })
                    .collect();
                table(["WHEN", "WHO", "DID", "OF", "SECRET"], &rows)
            })
        }
    }
}

fn line(event: &SecretEvent) -> Value {
    json!({
        "at": event.at.to_string(),
        "who": event.who,
        "action": event.action.as_str(),
        "scope": event.scope,
        "secret": event.secret,
        "version": event.version,
    })
}
