//! `csw models`

mod build;
mod builds;
mod list;
mod logs;
mod promote;
mod publish;
mod push;
mod rollback;
mod sbom;
mod secrets;
mod show;
mod source;
mod test;
mod versions;

pub(super) use self::{
    promote::{choose, promote_version},
    publish::{ensure, finish, follow},
};

use super::{named, planned};
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
        Models::Config { .. } => planned::model_manifests(named(name)?, printer),
        Models::Publish(options) => publish::run(&client()?, named(name)?, &options, true, printer).await,
        Models::Stage(options) => publish::run(&client()?, named(name)?, &options, false, printer).await,
        Models::List => list::run(&client()?, printer).await,
        Models::Show { sbom: None } => show::run(&client()?, named(name)?, printer).await,
        Models::Show { sbom: Some(version) } => sbom::run(&client()?, named(name)?, &version, printer).await,
        Models::Versions => versions::run(&client()?, named(name)?, printer).await,
        Models::Promote { version } => promote::run(&client()?, named(name)?, version.as_deref(), printer).await,
        Models::Rollback => rollback::run(&client()?, named(name)?, printer).await,
        Models::Builds => builds::list(&client()?, named(name)?, printer).await,
        Models::Cancel { build } => builds::cancel(&client()?, named(name)?, &build, printer).await,
        Models::Secrets { verb } => secrets::run(&client()?, named(name)?, verb, printer).await,
        Models::Logs { build } => logs::run(&client()?, named(name)?, build.as_deref(), printer).await,
    };
    super::meant(settings, server, name, done).await
}
