//! The Deployment controller, and Services: pods that stay, and addresses that lead to one of them.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    api::{Cluster, Inner, lock},
    objects::{Key, identified},
};

/// A pod whose process has ended is started again after so long.
const AGAIN: Duration = Duration::from_millis(200);

/// The pods of Deployments, by the Deployments' names.
pub(crate) type Pods = HashMap<String, Vec<Pod>>;

/// A pod, and the port of this machine that its process listens at.
#[derive(Clone)]
pub(crate) struct Pod {
    key: Key,
    port: u16,
}

/// Makes as many pods as a Deployment wants, of its present template.
pub(crate) fn reconcile(cluster: &Arc<Inner>, key: &Key) {
    let object = cluster.objects.get(key).unwrap_or(Value::Null);
    let wanted = match &object {
        Value::Null => 0,
        object => object["spec"]["replicas"].as_u64().unwrap_or(1),
    };
    let mut all = lock(&cluster.pods);
    let pods = all.entry(key.2.clone()).or_default();
    let template = &object["spec"]["template"];
    // Another template makes other pods.
    let is_old = |pod: &Pod| cluster.objects.get(&pod.key).is_ok_and(|found| found["spec"] != template["spec"]);
    let (old, mut kept): (Vec<Pod>, Vec<Pod>) = pods.drain(..).partition(is_old);
    let surplus = kept.split_off(kept.len().min(usize::try_from(wanted).unwrap_or_default()));
    for pod in old.iter().chain(&surplus) {
        let _ = cluster.objects.remove(&pod.key);
        cluster.node.kill(&pod.key.2);
    }
    while (kept.len() as u64) < wanted {
        let Ok(pod) = begin(cluster, key, &object) else { break };
        kept.push(pod);
    }
    *pods = kept;
    let present = pods.len();
    drop(all);
    if !object.is_null() && object["status"]["replicas"].as_u64() != Some(present as u64) {
        cluster.objects.change(key, |object| object["status"]["replicas"] = present.into());
    }
}

fn begin(cluster: &Arc<Inner>, deployment: &Key, object: &Value) -> io::Result<Pod> {
    let free = csw_testing::free_address()?.port();
    let name = format!("{}-{}", deployment.2, &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let pod = Pod { key: ("pods", deployment.1.clone(), name), port: free };
    let template = &object["spec"]["template"];
    let made = json!({
        "metadata": { "labels": template["metadata"]["labels"] },
        "spec": template["spec"],
        "status": { "phase": "Running" },
    });
    let _ = cluster.objects.create(&pod.key, identified("pods", made));
    let (cluster, object, started) = (Arc::clone(cluster), object.clone(), pod.clone());
    tokio::spawn(async move {
        // `restartPolicy: Always`, until the pod is removed.
        while cluster.objects.get(&started.key).is_ok() {
            let _ = cluster.node.run_at(&started.key, &object, started.port).await;
            tokio::time::sleep(AGAIN).await;
        }
    });
    Ok(pod)
}

impl Cluster {
    /// Puts an object there as `kubectl apply` would: new, or in the place of the one of its name, whose number of pods
    /// stays where the new one names none.
    pub fn apply(&self, plural: &'static str, object: Value) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key: Key = (plural, text("namespace"), text("name"));
        let mut object = identified(plural, object);
        match self.inner.objects.get(&key) {
            Ok(present) => {
                if object["spec"]["replicas"].is_null() {
                    object["spec"]["replicas"] = present["spec"]["replicas"].clone();
                }
                let _ = self.inner.objects.replace(&key, object);
            }
            Err(_) => {
                let _ = self.inner.objects.create(&key, object);
            }
        }
        if plural == "deployments" {
            reconcile(&self.inner, &key);
        }
    }

    /// The pods that a Deployment has now.
    pub fn pods_of(&self, deployment: &str) -> usize {
        lock(&self.inner.pods).get(deployment).map_or(0, Vec::len)
    }

    /// Kills the processes of a Deployment's pods, which are then started again.
    pub fn crash_pods_of(&self, deployment: &str) {
        for pod in lock(&self.inner.pods).get(deployment).cloned().unwrap_or_default() {
            self.inner.node.crash(&pod.key.2);
        }
    }

    /// The address of a Service in front of the Deployments whose names begin so: connections go to one of their pods.
    pub async fn service(&self, names: &str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (inner, names) = (Arc::downgrade(&self.inner), names.to_owned());
        tokio::spawn(async move {
            let mut turn = 0_usize;
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(cluster) = inner.upgrade() else { return };
                let pods = lock(&cluster.pods);
                let behind = pods.iter().filter(|(name, _)| name.starts_with(&names));
                let ports: Vec<u16> = behind.flat_map(|(_, pods)| pods).map(|pod| pod.port).collect();
                drop(pods);
                turn += 1;
                // Without a pod that listens the connection is cut.
                let Some(port) = ports.get(turn % ports.len().max(1)).copied() else { continue };
                tokio::spawn(async move {
                    if let Ok(mut pod) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut pod).await;
                    }
                });
            }
        });
        Ok(address)
    }
}
