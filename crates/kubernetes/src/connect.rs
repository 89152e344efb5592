//! Finding the cluster.

use std::time::Duration;

use csw_core::causes::chain;
use kube::{Client, Config};
use thiserror::Error;

/// Why no cluster was found.
#[derive(Debug, Error)]
#[error("no cluster can be reached: {cause}")]
pub struct NoCluster {
    pub(crate) cause: String,
}

/// A client of the cluster that `KUBECONFIG` names, or the user's own file, or that this process runs in; and the
/// namespace that is meant by default there.
pub async fn connect() -> Result<(Client, String), NoCluster> {
    let mut config = Config::infer().await.map_err(|error| NoCluster { cause: chain(&error) })?;
    config.connect_timeout = Some(Duration::from_secs(10));
    // What failed is tried again by whoever asked, who can also say so.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| NoCluster { cause: chain(&error) })?;
    Ok((client, namespace))
}
