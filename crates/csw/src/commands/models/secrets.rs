//! `csw models secrets`

use std::collections::BTreeMap;

use csw_client::Client;
use serde_json::json;

use crate::{
    cli::ModelSecrets,
    commands::secret_input,
    failure::{Failure, Outcome},
    output::{Printer, say, table},
};

pub(crate) async fn run(client: &Client, name: &str, verb: ModelSecrets, printer: Printer) -> Outcome {
    match verb {
        ModelSecrets::Set { secret_name, value } => {
            let value = secret_input::value(value)?;
            let info = client.set_secret(name, &secret_name, &value).await?;
            printer.result(&info, || format!("{} is stored, version {}", info.name, info.version))
        }
        ModelSecrets::Get { secret } => {
            let values = client.secret(name, &secret).await?;
            printer.result(&values, || values.values().next().cloned().unwrap_or_default())
        }
        ModelSecrets::List { names: false } => {
            // As `cs` printed it: JSON, whether programs read it or people.
            let values = client.secret_values(name).await?;
            say(&python_object(&values)?)
        }
        ModelSecrets::List { names: true } => {
            let secrets = client.secrets(name).await?;
            printer.result(&secrets, || {
                let rows: Vec<[String; 4]> = secrets
                    .iter()
                    .map(|secret| {
                        [
                            secret.name.clone(),
                            secret.version.to_string(),
                            secret.set_by.clone().unwrap_or_default(),
                            secret.set_at.clone().unwrap_or_default(),
                        ]
                    })
                    .collect();
                table(["NAME", "VERSION", "SET BY", "WHEN"], &rows)
            })
        }
        ModelSecrets::Delete { secret } => {
            client.delete_secret(name, &secret).await?;
            printer.result(&json!({ "deleted": secret }), || format!("{secret} is deleted"))
        }
        ModelSecrets::Audit => {
            let page = client.secret_events(name).await?;
            printer.result(&page.results, || {
                let rows: Vec<[String; 4]> = page
                    .results
                    .iter()
                    .map(|event| [event.at.clone(), event.who.clone(), event.action.clone(), event.secret.clone()])
                    .collect();
                table(["WHEN", "WHO", "DID", "SECRET"], &rows)
            })
        }
    }
}

/// A JSON object with the spaces that Python's `json.dumps` writes: scripts may compare the text.
fn python_object(values: &BTreeMap<String, String>) -> Outcome<String> {
    let text = |text: &str| {
        serde_json::to_string(text).map_err(|error| Failure::local(error.to_string(), "report this defect"))
    };
    let members = values.iter().map(|(name, value)| Ok(format!("{}: {}", text(name)?, text(value)?)));
    Ok(format!("{{{}}}", members.collect::<Outcome<Vec<_>>>()?.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_reads_as_it_always_did() {
        let values = BTreeMap::from([("super".to_owned(), "secret".to_owned())]);
        assert_eq!(python_object(&values).unwrap(), r#"{"super": "secret"}"#);
        assert_eq!(python_object(&BTreeMap::new()).unwrap(), "{}");
    }
}
