//! Runs in a cluster: the executor, what its Jobs call, and the Lease of whoever looks after them.

use std::{path::Path, time::Duration};

use csw_core::ports::Randomness;
use csw_kubernetes::{KubernetesConfig, KubernetesExecutor, RunKey, Scheduler, SharedFolders, leader::Candidate};
use tokio::net::TcpListener;

use super::{Database, bytes, redis};
use crate::{
    ambient::SystemRandomness,
    failure::{Failure, Outcome},
    folder::write_privately,
    settings::{ClusterSettings, Settings},
};

/// Where Jobs call, unless told otherwise.
const CALLBACKS: &str = "127.0.0.1:8090";

/// The Lease of the process that looks after the Jobs of a site.
const LEASE: &str = "csw-scheduler";

/// The file with what tells this folder from others, where several processes want the lead.
const IDENTITY: &str = "lead-identity";

/// The file with the key of the tokens of runs.
const KEY: &str = "run-tokens.key";

/// What all that makes Jobs is made of.
pub(crate) struct Jobs {
    pub(super) client: csw_kubernetes::Client,
    pub(super) config: KubernetesConfig,
    pub(super) key: RunKey,
}

impl Jobs {
    /// The executor of runs.
    pub(super) fn executor(&self) -> KubernetesExecutor {
        KubernetesExecutor::new(self.client.clone(), self.config.clone(), self.key.clone())
    }
}

/// The cluster that runs go to.
pub(crate) struct Cluster {
    client: csw_kubernetes::Client,
    namespace: String,
}

impl Cluster {
    /// The cluster that `KUBECONFIG` names, or that this process runs in.
    pub(crate) async fn find(settings: &Settings) -> Outcome<Self> {
        let (client, default) = csw_kubernetes::connect().await.map_err(|error| {
            Failure::local(error.to_string(), "name a cluster in KUBECONFIG, or set `executor = \"local\"`")
        })?;
        let namespace = settings.cluster.namespace.clone().unwrap_or(default);
        Ok(Self { client, namespace })
    }

    /// Who wants to look after the site's Jobs: one process at a time may. A process that is started again in the same
    /// folder of the same machine is the same candidate, and has its lead back at once. One that has the database in its
    /// folder is the only one that can work there.
    pub(crate) fn candidate(&self, settings: &Settings, data: &Path, database: &Database) -> Outcome<Candidate> {
        let site = settings.cluster.site.as_deref().filter(|site| *site != "default");
        let lease = site.map_or_else(|| LEASE.to_owned(), |site| format!("{LEASE}-{site}"));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let folder = random_file(&data.join(IDENTITY))?;
        let identity =
            format!("{}-{}", host.trim(), String::from_utf8_lossy(&folder).chars().take(16).collect::<String>());
        let candidate = Candidate::new(self.client.clone(), self.namespace.clone(), lease, identity);
        Ok(match database {
            Database::Sqlite(_) => candidate.alone(),
            Database::Postgres(_) => candidate,
        })
    }

    /// What makes Jobs, and where they call.
    pub(crate) async fn jobs(self, settings: &Settings, data: &Path) -> Outcome<(Jobs, TcpListener)> {
        let cluster = &settings.cluster;
        let wanted = cluster.callback_listen.as_deref().unwrap_or(CALLBACKS);
        let failed = |cause: String| Failure::local(cause, "choose another address as `kubernetes.callback_listen`");
        let listener = TcpListener::bind(wanted)
            .await
            .map_err(|error| failed(format!("can't listen for Jobs at {wanted}: {error}")))?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let url = match &cluster.callback_url {
            Some(url) => url.clone(),
            None if !address.ip().is_unspecified() => format!("http://{address}"),
            None => {
                return Err(Failure::usage(
                    "Jobs have to be told where they reach this process",
                    "set `kubernetes.callback_url`, such as http://csw.NAMESPACE:8090",
                ));
            }
        };
        let uploads = data.join("run-outputs");
        // What a process that was killed left there is sent again.
        if uploads.exists() {
            std::fs::remove_dir_all(&uploads).map_err(|error| Failure::file(&uploads, &error))?;
        }
        std::fs::create_dir_all(&uploads).map_err(|error| Failure::file(&uploads, &error))?;
        let mut config = KubernetesConfig::new(self.namespace, url, uploads);
        apply(cluster, data, &mut config)?;
        config.redis = redis::redis(&settings.redis)?;
        Ok((Jobs { client: self.client, config, key: run_key(settings, data)? }, listener))
    }
}

/// How versions get to where a cluster runs them, in words; the failure says that there is no way.
pub(crate) fn ways_into_the_cluster(settings: &Settings) -> Outcome<String> {
    if let Some(registry) = settings.images.registry() {
        return Ok(format!("images in {registry}"));
    }
    match (&settings.cluster.image, &settings.cluster.volume_claim) {
        (None, None) => Err(Failure::usage(
            "versions have no way into the cluster: there is neither a registry for images nor a volume that all nodes see",
            "set `images.registry` to HOST/PREFIX (CSW_REGISTRY), or `kubernetes.image` and `kubernetes.volume_claim`",
        )),
        (_, claim) => Ok(format!("folders on the volume {}", claim.as_deref().unwrap_or("that is not named"))),
    }
}

fn apply(cluster: &ClusterSettings, data: &Path, config: &mut KubernetesConfig) -> Outcome {
    let seconds = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_secs);
    if let Some(site) = &cluster.site {
        config.site.clone_from(site);
    }
    let capacity = &mut config.capacity;
    capacity.runs = cluster.jobs.unwrap_or(capacity.runs);
    capacity.cpus = cluster.cpus.unwrap_or(capacity.cpus);
    capacity.memory_bytes = cluster.memory_gigabytes.map_or(capacity.memory_bytes, bytes);
    config.outputs_url.clone_from(&cluster.outputs_url);
    config.queue.clone_from(&cluster.queue);
    config.pull_secrets.clone_from(&cluster.pull_secrets);
    for selector in &cluster.node_selector {
        let (label, value) = selector.split_once('=').ok_or_else(|| {
            Failure::usage(
                format!("`{selector}` in kubernetes.node_selector is no label with a value"),
                "write node_selector = [\"LABEL=VALUE\"]",
            )
        })?;
        config.node_selector.insert(label.to_owned(), value.to_owned());
    }
    config.keep = seconds(cluster.keep_seconds, config.keep);
    config.linger = seconds(cluster.linger_seconds, config.linger);
    if config.queue.is_some() && !config.linger.is_zero() {
        return Err(Failure::usage(
            "kubernetes.queue and kubernetes.linger_seconds exclude each other",
            "leave one out: a Job that waits for another run holds what the queue could admit",
        ));
    }
    config.start_limit = seconds(cluster.start_seconds, config.start_limit);
    config.image_patience = seconds(cluster.image_seconds, config.image_patience);
    config.scratch_bytes = cluster.scratch_gigabytes.map_or(config.scratch_bytes, bytes);
    config.writes_per_second = cluster.writes_per_second.unwrap_or(config.writes_per_second);
    if let Some(url) = &cluster.inputs_url {
        config.inputs_url.clone_from(url);
    }
    config.inputs_quiet = seconds(cluster.inputs_quiet_seconds, config.inputs_quiet);
    config.inputs_at_once = cluster.inputs_at_once.unwrap_or(config.inputs_at_once);
    config.inputs_at_most = cluster.inputs_pods.unwrap_or(config.inputs_at_most);
    config.inputs_patience = seconds(cluster.inputs_start_seconds, config.inputs_patience);
    config.shared = match (&cluster.image, &cluster.volume_claim) {
        // It is the image of builds alone.
        (Some(_), None) if cluster.builds => None,
        (Some(image), Some(claim)) => Some(SharedFolders {
            image: image.clone(),
            claim: claim.clone(),
            path: cluster.volume_path.clone().unwrap_or_else(|| data.to_owned()),
        }),
        (None, None) => None,
        _ => {
            return Err(Failure::usage(
                "kubernetes.image and kubernetes.volume_claim belong together",
                "set both, for versions on a shared volume, or none, for versions that are images",
            ));
        }
    };
    Ok(())
}

/// The scheduler that a service asks which serves pages alone.
pub(crate) fn scheduler(settings: &Settings, data: &Path) -> Outcome<Scheduler> {
    let cluster = &settings.cluster;
    let url = cluster.scheduler_url.as_deref().ok_or_else(|| {
        Failure::usage(
            "pages ask a scheduler for what a model has to say",
            "set `kubernetes.scheduler_url`, such as http://csw-scheduler.NAMESPACE:8091",
        )
    })?;
    let namespace = cluster.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let callbacks = cluster.callback_url.clone().unwrap_or_default();
    let mut config = KubernetesConfig::new(namespace, callbacks, data.join("run-outputs"));
    apply(cluster, data, &mut config)?;
    Ok(Scheduler::new(url, &run_key(settings, data)?, config))
}

/// The key of the tokens of runs: the operator's, or one of the data folder, made where it is missing.
pub(crate) fn run_key(settings: &Settings, data: &Path) -> Outcome<RunKey> {
    let path = settings.cluster.token_key_file.clone().unwrap_or_else(|| data.join(KEY));
    RunKey::new(&random_file(&path)?).map_err(|error| {
        Failure::local(format!("{}: {error}", path.display()), "write 64 random characters into that file")
    })
}

/// What a file has; one that is missing is made, with random digits that nobody else can read.
fn random_file(path: &Path) -> Outcome<Vec<u8>> {
    let failed = |error: &std::io::Error| Failure::file(path, error);
    if !path.exists() {
        let mut secret = [0; 32];
        SystemRandomness::new().fill(&mut secret);
        // Another service may look for it at this moment: it is there whole, or not at all.
        let own = path.with_extension(format!("new-{}", std::process::id()));
        write_privately(&own, &hex::encode(secret))?;
        let linked = std::fs::hard_link(&own, path);
        std::fs::remove_file(&own).map_err(|error| failed(&error))?;
        if let Err(error) = linked
            && !path.exists()
        {
            return Err(failed(&error));
        }
    }
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    Ok(text.trim_ascii().to_vec())
}
