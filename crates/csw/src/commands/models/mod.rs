//! `csw models`

mod build;
mod builds;
mod compare;
mod config;
mod list;
mod logs;
mod look;
mod promote;
mod publish;
mod pulls;
mod push;
mod rollback;
mod sbom;
mod secrets;
mod show;
mod source;
mod sponsor;
mod test;
mod versions;

pub(super) use self::{
    build::container_options,
    promote::{choose, promote_version},
    publish::{ensure, finish, follow},
    push::push_image,
};

use super::named;
use crate::{
    cli::{Models, Server},
    failure::Outcome,
    output::Printer,
    settings::Settings,
};

pub(crate) async fn run(
    settings: &Settings,
    server: &Server,
    name: Option<&str>,
    verb: Models,
    printer: Printer,
) -> Outcome {
    // What needs no server does not look for one.
    let client = || settings.client(server);
    let done = match verb {
        Models::Build(options) => build::run(settings, named(name)?, &options, printer).await,
        Models::Test(options) => test::run(settings, named(name)?, &options, printer).await,
        Models::Push(options) => push::run(settings, named(name)?, &options, printer).await,
        Models::Publish(options) => publish::run(&client()?, named(name)?, &options, true, printer).await,
        Models::Stage(options) => publish::run(&client()?, named(name)?, &options, false, printer).await,
        Models::Look(options) => look::run(settings, server, &options, printer).await,
        Models::Config { out } => config::run(&client()?, named(name)?, &out, printer).await,
        Models::List => list::run(&client()?, printer).await,
        Models::Show { sbom: None } => show::run(&client()?, named(name)?, printer).await,
        Models::Show { sbom: Some(version) } => sbom::run(&client()?, named(name)?, &version, printer).await,
        Models::Versions => versions::run(&client()?, named(name)?, printer).await,
        Models::Compare { version, again } => {
            compare::run(&client()?, named(name)?, version.as_deref(), again, printer).await
        }
        Models::Promote { version, skip_comparison } => {
            promote::run(&client()?, named(name)?, version.as_deref(), skip_comparison, printer).await
        }
        Models::Rollback => rollback::run(&client()?, named(name)?, printer).await,
        Models::Sponsor { account, message, none } => {
            sponsor::run(&client()?, named(name)?, account.as_deref(), message.as_deref(), none, printer).await
        }
        Models::Builds => builds::list(&client()?, named(name)?, printer).await,
        Models::Cancel { build } => builds::cancel(&client()?, named(name)?, &build, printer).await,
        Models::Pulls { verb } => pulls::run(&client()?, name, verb, printer).await,
        Models::Secrets { verb } => secrets::run(&client()?, named(name)?, verb, printer).await,
        Models::Logs { build } => logs::run(&client()?, named(name)?, build.as_deref(), printer).await,
    };
    super::meant(settings, server, name, done).await
}
