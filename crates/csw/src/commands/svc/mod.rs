//! `csw svc`

mod build;
mod cleanup;
mod config;
mod files;
mod redis;
mod secrets;
mod serve;

pub(super) use self::config::documents;

use crate::{
    cli::{Svc, build::Services},
    failure::Outcome,
    output::Printer,
    settings::Settings,
};

/// The namespace of a site that nobody named another.
const NAMESPACE: &str = "csw";

pub(crate) async fn run(settings: &Settings, file: Option<&std::path::Path>, verb: Svc, printer: Printer) -> Outcome {
    match verb {
        Svc::Secrets { place, verb } => secrets::run(settings, place, verb, printer).await,
        Svc::Cluster(Services::Build(options)) => build::build(settings, &options, printer).await,
        Svc::Cluster(Services::Push(options)) => build::push(settings, &options, printer).await,
        Svc::Cluster(Services::Config(options)) => config::run(settings, file, &options, printer),
        Svc::Cluster(Services::Serve(options)) => serve::run(settings, &options),
        Svc::Cluster(Services::RedisAcl(options)) => redis::run(settings, &options, printer).await,
        Svc::Cluster(Services::CleanupJobs(options)) => cleanup::run(settings, &options, printer).await,
    }
}

/// The namespace that is meant.
fn namespace(settings: &Settings, given: Option<&str>) -> String {
    given.or(settings.cluster.namespace.as_deref()).unwrap_or(NAMESPACE).to_owned()
}
