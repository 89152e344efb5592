//! `csw models show --sbom`

use csw_client::Client;

use super::promote::choose;
use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: &str, wanted: &str, printer: Printer) -> Outcome {
    let versions = client.versions(name).await?;
    let version = choose(&versions, name, wanted)?;
    let bill = client.sbom(name, &version.id).await?;
    // It is JSON for whoever reads it; people get it on several lines.
    printer.result(&bill, || format!("{bill:#}"))
}
