//! Finding the cluster.

use std::time::Duration;

use csw_core::causes::chain;
use kube::{Client, Config, config::Kubeconfig};
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
    if !names_proxy() {
        config.proxy_url = None;
    }
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| NoCluster { cause: chain(&error) })?;
    Ok((client, namespace))
}

/// Whether a kubeconfig names the proxy that leads to its cluster. Those of the environment lead to the internet: builds
/// need them, and a cluster is seldom there.
fn names_proxy() -> bool {
    let Ok(read) = Kubeconfig::read() else { return false };
    let current = read.contexts.iter().find(|context| Some(&context.name) == read.current_context.as_ref());
    let Some(context) = current.and_then(|named| named.context.as_ref()) else { return false };
    let cluster = read.clusters.iter().find(|named| named.name == context.cluster);
    cluster.and_then(|named| named.cluster.as_ref()).is_some_and(|cluster| cluster.proxy_url.is_some())
}
