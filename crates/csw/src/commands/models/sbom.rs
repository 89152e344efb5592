//! `csw models show --sbom`

use csw_client::Client;

use super::promote::choose;
use crate::{
    failure::{Code, Failure, Outcome},
    output::Printer,
};

pub(crate) async fn run(client: &Client, name: &str, wanted: &str, printer: Printer) -> Outcome {
    let versions = client.versions(name).await?;
    let version = choose(&versions, wanted)
        .map_err(|sentence| Failure::new(Code::Refused, sentence, format!("see `csw models -n {name} versions`")))?;
    let bill = client.sbom(name, &version.id).await?;
    // It is JSON for whoever reads it; people get it on several lines.
    printer.result(&bill, || format!("{bill:#}"))
}
