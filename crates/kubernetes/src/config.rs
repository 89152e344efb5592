//! What an operator decides about runs in a cluster.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use csw_core::ports::Capacity;

use crate::{inputs, redis::Redis};

/// How runs become Jobs. [`KubernetesConfig::new`] has defaults for everything but the places.
#[derive(Debug, Clone)]
pub struct KubernetesConfig {
    /// Namespace of the Jobs.
    pub namespace: String,
    /// Tells the Jobs of this site from those of others in the namespace.
    pub site: String,
    /// Where Jobs reach the callbacks: `http://HOST:PORT`.
    pub callback_url: String,
    /// Where Jobs send outputs, if not to the callbacks.
    pub outputs_url: Option<String>,
    /// What runs may use together. Its number of runs is that of live Jobs at most.
    pub capacity: Capacity,
    /// Where Jobs find their arguments; without one, the server tells them.
    pub redis: Option<Redis>,
    /// Where versions that are folders, not images, are found by Jobs.
    pub shared: Option<SharedFolders>,
    /// Labels of the nodes that models run on.
    pub node_selector: BTreeMap<String, String>,
    /// Secrets that images are pulled with.
    pub pull_secrets: Vec<String>,
    /// Queue of Kueue that admits the Jobs; they are made suspended then.
    pub queue: Option<String>,
    /// A finished Job is kept for so long.
    pub keep: Duration,
    /// A Job may wait so long for its start: for quota, a node, and its image.
    pub start_limit: Duration,
    /// An image that can't be pulled is tried for so long.
    pub image_patience: Duration,
    /// A Job whose run has told its end may take so long to finish by itself.
    pub ending: Duration,
    /// A Job whose run is over waits so long for another one of the same version before it finishes.
    pub linger: Duration,
    /// Jobs of a former process that nobody has asked for after so long are nobody's.
    pub adoption: Duration,
    /// Bytes a run may write.
    pub scratch_bytes: u64,
    /// Jobs created and deleted in a second.
    pub writes_per_second: u32,
    /// Where outputs wait on their way.
    pub uploads: PathBuf,
    /// Where inputs servers are reached: `{name}` and `{namespace}` stand for those of the Service.
    pub inputs_url: String,
    /// An inputs server that nobody asked for so long is scaled to nothing.
    pub inputs_quiet: Duration,
    /// Questions that one pod of an inputs server answers at once.
    pub inputs_at_once: u32,
    /// Pods of an inputs server at most.
    pub inputs_at_most: u32,
    /// An inputs server may take so long to come up; then a Job is asked.
    pub inputs_patience: Duration,
}

/// Folders of environments and code on a volume that every node can mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFolders {
    /// Image that brings `csw`, and the Python that environments were made of.
    pub image: String,
    /// The claim of the volume that has the data folder.
    pub claim: String,
    /// Where it is mounted: where the server has it, for byte code and scripts name the place.
    pub path: PathBuf,
}

impl KubernetesConfig {
    /// The defaults for a namespace, the callbacks' address, and a folder for outputs on their way.
    pub fn new(namespace: String, callback_url: String, uploads: PathBuf) -> Self {
        Self {
            namespace,
            site: "default".to_owned(),
            callback_url,
            outputs_url: None,
            capacity: Capacity { cpus: 1000.0, memory_bytes: 4_000_000_000_000, runs: 100 },
            redis: None,
            shared: None,
            node_selector: BTreeMap::new(),
            pull_secrets: Vec::new(),
            queue: None,
            keep: Duration::from_mins(10),
            start_limit: Duration::from_mins(15),
            image_patience: Duration::from_mins(1),
            ending: Duration::from_secs(30),
            linger: Duration::ZERO,
            adoption: Duration::from_mins(1),
            scratch_bytes: 20_000_000_000,
            writes_per_second: 20,
            uploads,
            inputs_url: format!("http://{{name}}.{{namespace}}:{}", inputs::PORT),
            inputs_quiet: Duration::from_mins(10),
            inputs_at_once: 4,
            inputs_at_most: 4,
            inputs_patience: Duration::from_mins(2),
        }
    }
}
