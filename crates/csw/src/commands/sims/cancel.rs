//! `csw sims cancel`

use csw_client::Client;

use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: &str, number: u32, printer: Printer) -> Outcome {
    client.cancel(name, number).await?;
    let simulation = client.remote(name, number).await?;
    printer.result(&simulation, || format!("{name}#{number} {}", super::state(&simulation)))
}
