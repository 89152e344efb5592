//! `csw models versions`

use csw_client::Client;

use crate::{
    failure::Outcome,
    output::{Printer, table},
};

pub(crate) async fn run(client: &Client, name: &str, printer: Printer) -> Outcome {
    let versions = client.versions(name).await?;
    printer.result(&versions, || {
        let short = |text: &str| text.chars().take(12).collect::<String>();
        let rows: Vec<[String; 5]> = versions
            .iter()
            .map(|version| {
                [
                    version.version.replace('\n', " "),
                    version.state.clone(),
                    short(&version.commit),
                    short(&version.digest),
                    version.created_at.clone(),
                ]
            })
            .collect();
        table(["VERSION", "STATE", "COMMIT", "DIGEST", "BUILT"], &rows)
    })
}
