//! `[kubernetes]`

use std::path::PathBuf;

use serde::Deserialize;

/// The cluster that runs go to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterSettings {
    /// Namespace of the Jobs; that of the kubeconfig or of this pod by default.
    pub(crate) namespace: Option<String>,
    /// Tells the Jobs of this site from those of others in the namespace.
    pub(crate) site: Option<String>,
    /// Where the server listens for its Jobs.
    pub(crate) callback_listen: Option<String>,
    /// Where Jobs reach it.
    pub(crate) callback_url: Option<String>,
    /// Where the scheduler listens for the other services.
    pub(crate) scheduler_listen: Option<String>,
    /// Where those reach it.
    pub(crate) scheduler_url: Option<String>,
    /// Where the outputs processor listens.
    pub(crate) outputs_listen: Option<String>,
    /// Where Jobs reach it.
    pub(crate) outputs_url: Option<String>,
    /// Live Jobs at most.
    pub(crate) jobs: Option<u32>,
    /// CPUs that runs share.
    pub(crate) cpus: Option<f64>,
    /// Gigabytes that runs share.
    pub(crate) memory_gigabytes: Option<f64>,
    /// Image for versions on a shared volume.
    pub(crate) image: Option<String>,
    /// The claim of that volume.
    pub(crate) volume_claim: Option<String>,
    /// Where Jobs mount it.
    pub(crate) volume_path: Option<PathBuf>,
    /// Labels of the nodes that models run on, `LABEL=VALUE`.
    pub(crate) node_selector: Vec<String>,
    /// Secrets that images are pulled with.
    pub(crate) pull_secrets: Vec<String>,
    /// Queue of Kueue.
    pub(crate) queue: Option<String>,
    /// Seconds that finished Jobs are kept.
    pub(crate) keep_seconds: Option<u64>,
    /// Seconds that a Job whose run is over waits for another one.
    pub(crate) linger_seconds: Option<u64>,
    /// Seconds that a Job may wait for its start.
    pub(crate) start_seconds: Option<u64>,
    /// Seconds that an image that can't be pulled is tried.
    pub(crate) image_seconds: Option<u64>,
    /// Gigabytes that a run may write.
    pub(crate) scratch_gigabytes: Option<f64>,
    /// Jobs created and deleted in a second.
    pub(crate) writes_per_second: Option<u32>,
    /// Where inputs servers are reached.
    pub(crate) inputs_url: Option<String>,
    /// Seconds after which an inputs server that nobody asks has no pod any more.
    pub(crate) inputs_quiet_seconds: Option<u64>,
    /// Questions that a pod of an inputs server answers at once.
    pub(crate) inputs_at_once: Option<u32>,
    /// Pods of an inputs server at most.
    pub(crate) inputs_pods: Option<u32>,
    /// Seconds that an inputs server may take to come up.
    pub(crate) inputs_start_seconds: Option<u64>,
    /// Whether builds are Jobs, too.
    pub(crate) builds: bool,
    /// File with the key of the tokens of runs.
    pub(crate) token_key_file: Option<PathBuf>,
}
