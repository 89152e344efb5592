//! Watching: what changes in the cluster, without asking for it again and again.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use csw_core::causes::chain;
use futures::{Stream, StreamExt};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Event, Pod},
    },
};
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event as Change, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    attempts::Attempts,
    config::KubernetesConfig,
    inputs::servers::Servers,
    names::{INPUTS, SITE},
    seen::SeenJob,
};

/// Watches Jobs, pods, events and inputs servers of a site until `stop`.
pub(crate) fn start(
    client: &Client,
    config: &KubernetesConfig,
    attempts: &Arc<Attempts>,
    servers: &Arc<Servers>,
    stop: &CancellationToken,
) {
    let ours = watcher::Config::default().labels(&format!("{SITE}={}", config.site));
    let of_inputs = watcher::Config::default().labels(&format!("{SITE}={},{INPUTS}", config.site));
    let inputs = follow_inputs(Arc::clone(servers), stream(client, config, of_inputs));
    tokio::spawn(stop.clone().run_until_cancelled_owned(inputs));
    let of_jobs = watcher::Config::default().fields("involvedObject.kind=Job,reason=FailedCreate");
    let jobs = follow_jobs(Arc::clone(attempts), stream(client, config, ours.clone()));
    let pods = follow_pods(Arc::clone(attempts), stream(client, config, ours));
    let events = follow_events(Arc::clone(attempts), stream(client, config, of_jobs));
    tokio::spawn(stop.clone().run_until_cancelled_owned(jobs));
    tokio::spawn(stop.clone().run_until_cancelled_owned(pods));
    tokio::spawn(stop.clone().run_until_cancelled_owned(events));
}

pub(crate) type Changes<K> = std::pin::Pin<Box<dyn Stream<Item = watcher::Result<Change<K>>> + Send>>;

pub(crate) fn stream<K>(client: &Client, config: &KubernetesConfig, what: watcher::Config) -> Changes<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), &config.namespace);
    // After an error it begins again, with growing pauses; a watch that is too old lists once more.
    watcher(api, what).default_backoff().boxed()
}

async fn follow_jobs(attempts: Arc<Attempts>, mut changes: Changes<SeenJob>) {
    let mut found = HashSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Ok(Change::Init) => found.clear(),
            Ok(Change::InitApply(job)) => {
                found.extend(job.metadata.name.clone());
                attempts.see_job(job);
            }
            Ok(Change::InitDone) => attempts.only_jobs(&found),
            Ok(Change::Apply(job)) => attempts.see_job(job),
            Ok(Change::Delete(job)) => attempts.miss_job(&job.metadata.name.unwrap_or_default()),
            Err(error) => tracing::warn!(error = chain(&error), "Jobs can't be watched now"),
        }
    }
}

async fn follow_inputs(servers: Arc<Servers>, mut changes: Changes<Deployment>) {
    let mut found = HashSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Ok(Change::Init) => found.clear(),
            Ok(Change::InitApply(deployment)) => {
                found.extend(deployment.metadata.name.clone());
                servers.see(&deployment);
            }
            Ok(Change::InitDone) => servers.only(&found),
            Ok(Change::Apply(deployment)) => servers.see(&deployment),
            Ok(Change::Delete(deployment)) => servers.miss(&deployment.metadata.name.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(error = chain(&error), "inputs servers can't be watched now");
                servers.are_unknown();
            }
        }
    }
}

async fn follow_pods(attempts: Arc<Attempts>, mut changes: Changes<Pod>) {
    while let Some(change) = changes.next().await {
        match change {
            Ok(Change::InitApply(pod) | Change::Apply(pod)) => attempts.see_pod(pod),
            // What it said last is remembered: why it ended is asked after it is gone.
            Ok(Change::Delete(_) | Change::Init | Change::InitDone) => {}
            Err(error) => tracing::warn!(error = chain(&error), "pods can't be watched now"),
        }
    }
}

async fn follow_events(attempts: Arc<Attempts>, mut changes: Changes<Event>) {
    while let Some(change) = changes.next().await {
        match change {
            Ok(Change::InitApply(event) | Change::Apply(event)) => attempts.see_event(&event),
            Ok(Change::Delete(_) | Change::Init | Change::InitDone) => {}
            Err(error) => tracing::warn!(
                error = chain(&error),
                "events can't be watched now: why a Job gets no pod is told when its time is over"
            ),
        }
    }
}
