//! `csw accounts trust`: workflows that publish in the name of an account, without a stored token.

use csw_client::{Client, NewTrust, Trust};
use serde_json::json;

use crate::{
    cli::TrustVerb,
    failure::Outcome,
    output::{Printer, table},
};

pub(crate) async fn run(client: &Client, account: Option<&str>, verb: TrustVerb, printer: Printer) -> Outcome {
    match verb {
        TrustVerb::Add { repository, reference, environment, models, stage_only } => {
            let new = NewTrust {
                repository,
                reference,
                environment,
                models,
                promote: !stage_only,
                username: account.map(str::to_owned),
            };
            let trust = client.add_trust(&new).await?;
            printer.result(&trust, || {
                format!("{}: workflows of {} at {} are trusted", trust.id, trust.repository, trust.reference)
            })
        }
        TrustVerb::List => {
            let trusts = client.trusts(account).await?;
            printer.result(&trusts, || {
                let rows: Vec<[String; 6]> = trusts.iter().map(row).collect();
                table(["ID", "REPOSITORY", "REF", "ENVIRONMENT", "MODELS", "MAY"], &rows)
            })
        }
        TrustVerb::Remove { id } => {
            client.remove_trust(&id, account).await?;
            printer.result(&json!({ "removed": id }), || format!("{id} is removed"))
        }
    }
}

fn row(trust: &Trust) -> [String; 6] {
    let or_any = |text: &str, any: &str| if text.is_empty() { any.to_owned() } else { text.to_owned() };
    [
        trust.id.clone(),
        trust.repository.clone(),
        trust.reference.clone(),
        or_any(&trust.environment, "any"),
        or_any(&trust.models.join(" "), "all"),
        if trust.promote { "stage, promote" } else { "stage" }.to_owned(),
    ]
}
