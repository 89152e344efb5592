//! `csw models`

mod list;
mod logs;
mod promote;
mod publish;
mod secrets;
mod show;
mod source;
mod versions;

use csw_client::Client;

use super::named;
use crate::{cli::Models, failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: Option<&str>, verb: Models, printer: Printer) -> Outcome {
    match verb {
        Models::Publish(options) => publish::run(client, named(name)?, &options, printer).await,
        Models::List => list::run(client, printer).await,
        Models::Show => show::run(client, named(name)?, printer).await,
        Models::Versions => versions::run(client, named(name)?, printer).await,
        Models::Promote { version } => promote::run(client, named(name)?, &version, printer).await,
        Models::Secrets { verb } => secrets::run(client, named(name)?, verb, printer).await,
        Models::Logs { build } => logs::run(client, named(name)?, build.as_deref(), printer).await,
    }
}
