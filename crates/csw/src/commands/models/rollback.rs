//! `csw models rollback`

use csw_client::Client;

use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: &str, printer: Printer) -> Outcome {
    let model = client.roll_back(name).await?;
    let version = model.version.clone().unwrap_or_default();
    printer.result(&model, || format!("{name}: version {version} is live again"))
}
