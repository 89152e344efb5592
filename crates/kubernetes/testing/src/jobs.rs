//! The Job controller, and the fates of pods.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    api::{Inner, lock},
    fate::Fate,
    node::Ended,
    objects::{Key, Refusal, identified},
};

const NODE: &str = "node-1";

/// Looks after a Job that was created or admitted.
pub(crate) fn begin(cluster: &Arc<Inner>, key: Key) {
    let Ok(job) = cluster.objects.get(&key) else { return };
    lock(&cluster.ledger).began(&key, &job);
    if job["spec"]["suspend"] == true {
        return;
    }
    let fate = cluster.next_fate();
    if fate == Fate::Ignored {
        return;
    }
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        let now = cluster.objects.now();
        cluster.objects.change(&key, |job| job["status"] = json!({ "startTime": now, "active": 1 }));
        let seconds = job["spec"]["activeDeadlineSeconds"].as_u64().unwrap_or(u64::MAX / 2);
        let found = tokio::select! {
            found = live(&cluster, &key, &job, fate) => found,
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {
                cluster.node.kill(&key.2);
                let message = "Job was active longer than specified deadline";
                remove_pods(&cluster, &key);
                Some(("Failed", "DeadlineExceeded", message.to_owned()))
            }
        };
        if let Some((kind, reason, message)) = found {
            settle(&cluster, &key, kind, reason, &message).await;
            expire(&cluster, &key, &job).await;
        }
    });
}

/// Removes a Job, or begins to: in the foreground its pods go first.
pub(crate) fn delete(cluster: &Arc<Inner>, key: &Key, background: bool) -> Result<Value, Refusal> {
    let job = cluster.objects.get(key)?;
    cluster.node.kill(&key.2);
    if background {
        remove(cluster, key)?;
        return Ok(job);
    }
    let now = cluster.objects.now();
    cluster.objects.change(key, |job| {
        job["metadata"]["deletionTimestamp"] = now.into();
        job["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    });
    let (cluster, key) = (Arc::clone(cluster), key.clone());
    tokio::spawn(async move {
        cluster.node.gone(&key.2).await;
        let _ = remove(&cluster, &key);
    });
    Ok(job)
}

fn pod_key(job: &Key, number: u32) -> Key {
    ("pods", job.1.clone(), format!("{}-{number:05}", job.2))
}

/// A Job has two pods at most.
fn remove_pods(cluster: &Inner, job: &Key) {
    for number in [1, 2] {
        let _ = cluster.objects.remove(&pod_key(job, number));
    }
}

fn remove(cluster: &Inner, job: &Key) -> Result<(), Refusal> {
    remove_pods(cluster, job);
    lock(&cluster.ledger).ended(job);
    cluster.objects.remove(job).map(drop)
}

/// The end of a Job: condition, reason, message; `None` where nobody tells.
type Told = Option<(&'static str, &'static str, String)>;

fn failed() -> (&'static str, &'static str, String) {
    ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit".to_owned())
}

async fn live(cluster: &Arc<Inner>, key: &Key, job: &Value, fate: Fate) -> Told {
    if let Fate::Refused(message) = &fate {
        refuse(cluster, key, job, message);
        return std::future::pending().await;
    }
    let pod = pod_key(key, 1);
    make_pod(cluster, key, job, &pod);
    match fate {
        Fate::Unschedulable => {
            let message = "0/1 nodes are available: 1 Insufficient memory.";
            let condition =
                json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message }]);
            cluster.objects.change(&pod, |pod| pod["status"]["conditions"] = condition);
            std::future::pending().await
        }
        Fate::NoImage | Fate::NoImageFor(_) => {
            for reason in ["ErrImagePull", "ImagePullBackOff"] {
                waiting(cluster, &pod, reason, "manifest unknown: no such image");
            }
            let Fate::NoImageFor(milliseconds) = fate else { return std::future::pending().await };
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            run(cluster, key, job, &pod).await
        }
        Fate::ConfigError => {
            waiting(cluster, &pod, "CreateContainerConfigError", "secret \"registry\" not found");
            std::future::pending().await
        }
        Fate::OutOfMemory => {
            running(cluster, &pod);
            ended(cluster, &pod, "OOMKilled", 137);
            Some(failed())
        }
        Fate::Exit(code) => {
            running(cluster, &pod);
            ended(cluster, &pod, "Error", code);
            Some(failed())
        }
        Fate::Evicted => {
            running(cluster, &pod);
            cluster.objects.change(&pod, |pod| {
                pod["status"]["phase"] = "Failed".into();
                pod["status"]["reason"] = "Evicted".into();
                pod["status"]["message"] = "The node was low on resource: memory.".into();
            });
            Some(failed())
        }
        Fate::NodeLost => node_lost(cluster, key, job, &pod).await,
        Fate::Run | Fate::Ignored | Fate::Refused(_) => run(cluster, key, job, &pod).await,
    }
}

async fn run(cluster: &Arc<Inner>, key: &Key, job: &Value, pod: &Key) -> Told {
    if let Err(error) = cluster.node.image(job).await {
        waiting(cluster, pod, "ErrImagePull", &error.to_string());
        return std::future::pending().await;
    }
    let started = || {
        lock(&cluster.ledger).started(key);
        running(cluster, pod);
    };
    let ended_with = cluster.node.run(key, pod, job, started).await;
    match ended_with {
        Ok(Ended::Code(0)) => {
            ended(cluster, pod, "Completed", 0);
            Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods".to_owned()))
        }
        Ok(Ended::Code(code)) => {
            ended(cluster, pod, "Error", code);
            Some(failed())
        }
        // Somebody has deleted the Job, or time is up; they tell.
        Ok(Ended::Killed) => std::future::pending().await,
        Err(error) => {
            running(cluster, pod);
            cluster.objects.change(pod, |pod| {
                pod["status"]["phase"] = "Failed".into();
                let ended = json!({ "reason": "StartError", "exitCode": 128, "message": error.to_string() });
                pod["status"]["containerStatuses"][0]["state"] = json!({ "terminated": ended });
            });
            Some(failed())
        }
    }
}

async fn node_lost(cluster: &Arc<Inner>, key: &Key, job: &Value, pod: &Key) -> Told {
    running(cluster, pod);
    let condition = json!([{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint" }]);
    cluster.objects.change(pod, |pod| {
        pod["status"]["phase"] = "Failed".into();
        pod["status"]["conditions"] = condition;
    });
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().cloned().unwrap_or_default();
    let ignores =
        rules.iter().any(|rule| rule["action"] == "Ignore" && rule["onPodConditions"][0]["type"] == "DisruptionTarget");
    if !ignores {
        return Some(failed());
    }
    let second = pod_key(key, 2);
    make_pod(cluster, key, job, &second);
    run(cluster, key, job, &second).await
}

fn make_pod(cluster: &Inner, key: &Key, job: &Value, pod: &Key) {
    let mut labels = job["spec"]["template"]["metadata"]["labels"].clone();
    labels["batch.kubernetes.io/job-name"] = key.2.clone().into();
    let object = json!({
        "metadata": { "labels": labels },
        "spec": job["spec"]["template"]["spec"],
        "status": { "phase": "Pending" },
    });
    let _ = cluster.objects.create(pod, identified("pods", object));
}

/// A container's status in some state.
fn container(pod: &Value, state: &Value) -> Value {
    let first = &pod["spec"]["containers"][0];
    json!([{ "name": first["name"], "image": first["image"], "imageID": "", "ready": false, "restartCount": 0, "state": state }])
}

fn waiting(cluster: &Inner, pod: &Key, reason: &str, message: &str) {
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    cluster.objects.change(pod, |pod| {
        pod["spec"]["nodeName"] = NODE.into();
        pod["status"]["containerStatuses"] = container(pod, &state);
    });
}

fn running(cluster: &Inner, pod: &Key) {
    let state = json!({ "running": { "startedAt": cluster.objects.now() } });
    cluster.objects.change(pod, |pod| {
        pod["spec"]["nodeName"] = NODE.into();
        pod["status"]["phase"] = "Running".into();
        pod["status"]["containerStatuses"] = container(pod, &state);
    });
}

fn ended(cluster: &Inner, pod: &Key, reason: &str, code: i32) {
    let log = cluster.node.tail(pod);
    let state = json!({ "terminated": { "reason": reason, "exitCode": code, "message": log } });
    cluster.objects.change(pod, |pod| {
        pod["status"]["phase"] = if code == 0 { "Succeeded" } else { "Failed" }.into();
        pod["status"]["containerStatuses"] = container(pod, &state);
    });
}

fn refuse(cluster: &Inner, key: &Key, job: &Value, message: &str) {
    let event = json!({
        "metadata": {},
        "involvedObject": { "apiVersion": "batch/v1", "kind": "Job", "namespace": key.1, "name": key.2, "uid": job["metadata"]["uid"] },
        "reason": "FailedCreate",
        "message": message,
        "type": "Warning",
    });
    let name = format!("{}.{}", key.2, uuid::Uuid::new_v4().simple());
    let _ = cluster.objects.create(&("events", key.1.clone(), name), identified("events", event));
}

/// Sets both conditions of a pair, one after the other.
async fn settle(cluster: &Inner, key: &Key, kind: &str, reason: &str, message: &str) {
    let first = if kind == "Failed" { "FailureTarget" } else { "SuccessCriteriaMet" };
    for kind in [first, kind] {
        if kind != first {
            lock(&cluster.ledger).ended(key);
        }
        let condition = json!({ "type": kind, "status": "True", "reason": reason, "message": message });
        cluster.objects.change(key, |job| {
            let status = &mut job["status"];
            match status["conditions"].as_array_mut() {
                Some(conditions) => conditions.push(condition),
                None => status["conditions"] = json!([condition]),
            }
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Removes a finished Job when its time is over.
async fn expire(cluster: &Arc<Inner>, key: &Key, job: &Value) {
    let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_u64() else { return };
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let _ = remove(cluster, key);
}
