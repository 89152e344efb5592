//! `csw models sponsor`

use csw_client::Client;

use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(
    client: &Client,
    name: &str,
    account: Option<&str>,
    message: Option<&str>,
    none: bool,
    printer: Printer,
) -> Outcome {
    let sponsor = if none || account.is_some() {
        client.set_sponsor(name, account, message).await?
    } else {
        client.sponsor(name).await?
    };
    printer.result(&sponsor, || match &sponsor.sponsor {
        Some(sponsor) => format!("{sponsor} pays for everybody's runs of {name}"),
        None => format!("everybody pays for their own runs of {name}"),
    })
}
