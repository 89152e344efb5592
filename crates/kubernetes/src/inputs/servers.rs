//! The inputs servers that the cluster has, and how many pods each of them should have now.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use csw_core::{ids::VersionId, run::Task};
use k8s_openapi::api::apps::v1::Deployment;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{cluster::Cluster, config::KubernetesConfig, names::VERSION};

/// How often it is looked whether one has been quiet long enough.
const LOOK: Duration = Duration::from_secs(15);

/// What the cluster refused is asked for again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// Those that somebody has applied, by name.
#[derive(Default)]
pub(crate) struct Servers {
    known: Mutex<BTreeMap<String, Known>>,
    wanted: Notify,
    /// The cluster was asked once which there are, whatever it said.
    listed: watch::Sender<bool>,
}

struct Known {
    version: VersionId,
    replicas: u32,
    /// Questions on their way.
    users: u32,
    quiet_since: Instant,
}

/// A question's hold on an inputs server.
pub(crate) struct InUse {
    servers: Arc<Servers>,
    pub(crate) name: String,
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(known) = self.servers.lock().get_mut(&self.name) {
            known.users = known.users.saturating_sub(1);
            known.quiet_since = Instant::now();
        }
    }
}

impl Servers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inputs server that is to be asked, which is scaled up for it; runs themselves are none of its business.
    pub(crate) async fn of(self: &Arc<Self>, task: Task, version: VersionId) -> Option<InUse> {
        if task == Task::Sim {
            return None;
        }
        // The sender lives as long as this.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
        self.take(version)
    }

    fn take(self: &Arc<Self>, version: VersionId) -> Option<InUse> {
        let mut known = self.lock();
        let (name, found) = known.iter_mut().find(|(_, known)| known.version == version)?;
        found.users += 1;
        self.wanted.notify_one();
        Some(InUse { servers: Arc::clone(self), name: name.clone() })
    }

    /// One is there, like this.
    pub(crate) fn see(&self, deployment: &Deployment) {
        let metadata = &deployment.metadata;
        let version = metadata.labels.as_ref().and_then(|labels| labels.get(VERSION)?.parse().ok());
        let (Some(name), Some(version)) = (metadata.name.clone(), version) else { return };
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let replicas = u32::try_from(replicas).unwrap_or_default();
        let mut known = self.lock();
        let entry = known.entry(name);
        let found = entry.or_insert_with(|| Known { version, replicas, users: 0, quiet_since: Instant::now() });
        (found.version, found.replicas) = (version, replicas);
    }

    /// One is gone.
    pub(crate) fn miss(&self, name: &str) {
        self.lock().remove(name);
    }

    /// All there are were seen: others are gone.
    pub(crate) fn only(&self, names: &std::collections::HashSet<String>) {
        self.lock().retain(|name, _| names.contains(name));
        self.listed.send_replace(true);
    }

    /// Which there are can't be known now: nobody waits for that.
    pub(crate) fn are_unknown(&self) {
        self.listed.send_replace(true);
    }

    /// Sees to it that each has as many pods as it needs.
    pub(crate) async fn tend(self: Arc<Self>, cluster: Arc<Cluster>, config: KubernetesConfig) {
        loop {
            let mut look = LOOK.min(config.inputs_quiet.max(Duration::from_millis(100)));
            for (name, replicas) in self.changes(&config) {
                match cluster.scale(&name, replicas).await {
                    // What is seen of it next may be older.
                    Ok(()) => self.scaled(&name, replicas),
                    Err(error) => {
                        tracing::warn!(name, replicas, ?error, "an inputs server can't be scaled now");
                        look = look.min(AGAIN);
                    }
                }
            }
            tokio::select! {
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(look) => {}
            }
        }
    }

    fn scaled(&self, name: &str, replicas: u32) {
        if let Some(known) = self.lock().get_mut(name) {
            known.replicas = replicas;
        }
    }

    /// Those that need another number of pods. None is taken away while somebody may be asking it.
    fn changes(&self, config: &KubernetesConfig) -> Vec<(String, u32)> {
        let needed = |known: &Known| {
            if known.users > 0 {
                let wanted = known.users.div_ceil(config.inputs_at_once.max(1)).min(config.inputs_at_most.max(1));
                (wanted > known.replicas).then_some(wanted)
            } else {
                (known.replicas > 0 && known.quiet_since.elapsed() >= config.inputs_quiet).then_some(0)
            }
        };
        self.lock().iter().filter_map(|(name, known)| Some((name.clone(), needed(known)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    const VERSION_ID: &str = "0198c0de-0000-7000-8000-000000000002";

    fn deployment(replicas: i32) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "one", "labels": { VERSION: VERSION_ID } },
            "spec": { "replicas": replicas, "selector": {}, "template": {} },
        }))
        .unwrap()
    }

    #[test]
    fn pods_follow_what_is_asked() {
        let servers = Arc::new(Servers::default());
        let mut config = KubernetesConfig {
            inputs_at_once: 2,
            inputs_at_most: 3,
            inputs_quiet: Duration::from_mins(1),
            ..KubernetesConfig::new("models".to_owned(), String::new(), PathBuf::new())
        };
        let version = VERSION_ID.parse().unwrap();
        let ask = || servers.take(version);
        assert!(ask().is_none(), "there is none");
        servers.see(&deployment(0));
        assert!(servers.changes(&config).is_empty());
        let mut asked: Vec<_> = ask().into_iter().collect();
        assert_eq!(servers.changes(&config), [("one".to_owned(), 1)]);
        asked.extend((0..20).filter_map(|_| ask()));
        assert_eq!(servers.changes(&config), [("one".to_owned(), 3)]);
        servers.see(&deployment(3));
        asked.truncate(1);
        assert!(servers.changes(&config).is_empty(), "none goes while somebody asks");
        asked.clear();
        assert!(servers.changes(&config).is_empty(), "it stays for a while");
        config.inputs_quiet = Duration::ZERO;
        assert_eq!(servers.changes(&config), [("one".to_owned(), 0)]);
        servers.only(&std::collections::HashSet::new());
        assert!(ask().is_none() && servers.changes(&config).is_empty());
    }
}
