//! `csw svc cleanup-jobs`: what the CronJob of a cluster without the TTL controller runs.

use std::time::Duration;

use serde_json::json;

use super::namespace;
use crate::{
    cli::build::CleanupJobs,
    failure::{Code, Failure, Outcome},
    output::Printer,
    settings::Settings,
};

pub(super) async fn run(settings: &Settings, options: &CleanupJobs, printer: Printer) -> Outcome {
    let unreachable = |error: csw_kubernetes::NoCluster| {
        Failure::new(Code::Unavailable, error.to_string(), "name a cluster in KUBECONFIG")
    };
    let (client, _) = csw_kubernetes::connect().await.map_err(unreachable)?;
    let namespace = namespace(settings, options.namespace.as_deref());
    let age = Duration::from_secs(options.older_than.into());
    let removed =
        csw_kubernetes::remove_finished(&client, &namespace, &options.site, age).await.map_err(unreachable)?;
    let answer = json!({ "namespace": namespace, "site": options.site, "removed": removed });
    printer.result(&answer, || format!("{removed} finished Jobs of {} removed from {namespace}", options.site))
}
