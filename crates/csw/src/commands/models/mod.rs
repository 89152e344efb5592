//! `csw models`

mod builds;
mod list;
mod logs;
mod promote;
mod publish;
mod rollback;
mod show;
mod source;
mod versions;

pub(super) use promote::choose;

use csw_client::Client;

use super::named;
use crate::{cli::Models, failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: Option<&str>, verb: Models, printer: Printer) -> Outcome {
    match verb {
        Models::Publish(options) => publish::run(client, named(name)?, &options, true, printer).await,
        Models::Stage(options) => publish::run(client, named(name)?, &options, false, printer).await,
        Models::List => list::run(client, printer).await,
        Models::Show => show::run(client, named(name)?, printer).await,
        Models::Versions => versions::run(client, named(name)?, printer).await,
        Models::Promote { version } => promote::run(client, named(name)?, version.as_deref(), printer).await,
        Models::Rollback => rollback::run(client, named(name)?, printer).await,
        Models::Builds => builds::list(client, named(name)?, printer).await,
        Models::Cancel { build } => builds::cancel(client, named(name)?, &build, printer).await,
        Models::Logs { build } => logs::run(client, named(name)?, build.as_deref(), printer).await,
    }
}
