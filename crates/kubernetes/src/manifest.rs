//! The Job of a run, as `batch/v1` has it.

use csw_core::{
    model::Artifact,
    run::{Limits, RunOrder},
};
use serde_json::{Value, json};

use crate::{
    config::{KubernetesConfig, SharedFolders},
    job, lingering,
    manifests::restricted,
    names::{job_name, labels},
    redis::{REDIS_CA, REDIS_URL},
};

/// Nobody in particular: the user that our images run as.
pub(crate) const USER: u32 = 65532;

/// Memory of the program that looks after the model's process, over what the model is promised.
const SUPERVISION_BYTES: u64 = 64 << 20;

/// What a pod that is asked to stop may take to say so.
pub(crate) const GRACE_SECONDS: u32 = 20;

/// Where runs may write.
pub(crate) const SCRATCH: &str = "/tmp";

/// The Job of an attempt. The error is a sentence: the version can't run in a cluster.
pub(crate) fn job(order: &RunOrder, config: &KubernetesConfig, token: &str) -> Result<Value, String> {
    let mut labels_of_job = labels(order, &config.site);
    let labels_of_pod = labels_of_job.clone();
    if let Some(queue) = &config.queue {
        labels_of_job.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
    }
    // The run's own deadline is kept by the process beside it, from its start; this one is for what is not heard of.
    let mut deadline = u64::from(order.limits.deadline_seconds) + config.start_limit.as_secs();
    if !config.linger.is_zero() {
        deadline += lingering::LIFETIME.as_secs();
    }
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(order.run, order.lease),
            "namespace": config.namespace,
            "labels": labels_of_job,
        },
        "spec": {
            // Attempts are counted in the database. A disruption is none: the cluster replaces such a pod by itself.
            "backoffLimit": 0,
            "podFailurePolicy": { "rules": [
                { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
            ] },
            "activeDeadlineSeconds": deadline.max(1),
            "ttlSecondsAfterFinished": config.keep.as_secs(),
            "template": {
                "metadata": { "labels": labels_of_pod },
            },
        },
    });
    // Put in rather than written above, where it would be copied.
    job["spec"]["template"]["spec"] = pod(order, config, container(order, config, token))?;
    if config.queue.is_some() {
        job["spec"]["suspend"] = true.into();
    }
    Ok(job)
}

fn container(order: &RunOrder, config: &KubernetesConfig, token: &str) -> Value {
    let mut variables = vec![(job::CALLBACK_URL, config.callback_url.as_str()), (job::RUN_TOKEN, token)];
    variables.extend(config.outputs_url.as_deref().map(|url| (job::OUTPUTS_URL, url)));
    variables.extend((!config.linger.is_zero()).then_some((job::LINGER, "true")));
    if let Some(redis) = &config.redis {
        variables.push((REDIS_URL, redis.address.url()));
        variables.extend(redis.address.ca().map(|ca| (REDIS_CA, ca)));
    }
    let mut container = json!({
        "name": "run",
        "command": ["csw", "job", "--job-id", order.run, "--route-name", order.task],
    });
    container["env"] = variables.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    container["resources"] = resources(&order.limits);
    container
}

/// A pod with a version and one container, which says what is done there; where the version is and what the container may
/// do is added. The error is a sentence: the version can't run in a cluster.
pub(crate) fn pod(order: &RunOrder, config: &KubernetesConfig, mut container: Value) -> Result<Value, String> {
    let (image, shared) = image(order, config)?;
    let mut volumes = vec![json!({ "name": "scratch", "emptyDir": { "sizeLimit": config.scratch_bytes.to_string() } })];
    let mut mounts = vec![json!({ "name": "scratch", "mountPath": SCRATCH })];
    if let Some(shared) = shared {
        let claim = json!({ "claimName": shared.claim, "readOnly": true });
        volumes.push(json!({ "name": "versions", "persistentVolumeClaim": claim }));
        mounts.push(json!({ "name": "versions", "mountPath": shared.path, "readOnly": true }));
    }
    container["image"] = image.into();
    container["volumeMounts"] = mounts.into();
    container["workingDir"] = SCRATCH.into();
    container["terminationMessagePolicy"] = "FallbackToLogsOnError".into();
    container["securityContext"] = restricted();
    if let Some(variables) = container["env"].as_array_mut() {
        variables.extend(places(order, config));
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    });
    pod["securityContext"] = security();
    pod["containers"] = Value::Array(vec![container]);
    pod["volumes"] = Value::Array(volumes);
    if !config.node_selector.is_empty() {
        pod["nodeSelector"] = json!(config.node_selector);
    }
    if !config.pull_secrets.is_empty() {
        pod["imagePullSecrets"] = config.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    }
    Ok(pod)
}

/// Whom a pod runs as.
pub(crate) fn security() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

/// Whether a version can run in a cluster; the error is a sentence.
pub(crate) fn check(order: &RunOrder, config: &KubernetesConfig) -> Result<(), String> {
    image(order, config).map(drop)
}

/// The image of a version, and the volume with it where the version is folders.
fn image<'a>(
    order: &'a RunOrder,
    config: &'a KubernetesConfig,
) -> Result<(&'a str, Option<&'a SharedFolders>), String> {
    match (&order.artifact, &config.shared) {
        (Artifact::Image { reference }, _) => Ok((reference, None)),
        (Artifact::Environment { .. }, Some(shared)) => Ok((&shared.image, Some(shared))),
        (Artifact::Environment { .. }, None) => Err("it is folders of the server, which a cluster finds on a shared \
             volume only; name the volume's claim and an image in [kubernetes], or publish images"
            .to_owned()),
    }
}

/// The variables that name places.
fn places(order: &RunOrder, config: &KubernetesConfig) -> Vec<Value> {
    let mut found = vec![("HOME", SCRATCH.to_owned()), ("TMPDIR", SCRATCH.to_owned())];
    if let (Artifact::Environment { environment, code }, Some(shared)) = (&order.artifact, &config.shared) {
        let below = |folder: &str, digest: &str| shared.path.join(folder).join(digest).display().to_string();
        found.push((job::ENVIRONMENT, below("envs", environment)));
        found.push((job::CODE, below("code", code)));
    }
    found.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// What the pod asks for is what it gets, and no more.
pub(crate) fn resources(limits: &Limits) -> Value {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are checked to a few CPUs")]
    let millicpus = (limits.cpus * 1000.0).ceil().max(1.0) as u64;
    let both = json!({
        "cpu": format!("{millicpus}m"),
        "memory": (limits.memory_bytes + SUPERVISION_BYTES).to_string(),
    });
    json!({ "requests": both, "limits": both })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use csw_core::{
        model::Strategy,
        run::{Sharing, Task},
        secret::Secrets,
    };
    use k8s_openapi::api::batch::v1::Job;

    use super::*;

    fn order(artifact: Artifact) -> RunOrder {
        RunOrder {
            run: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
            lease: "0198c0de-0000-7000-8000-0000000000aa".parse().unwrap(),
            task: Task::Sim,
            model: "owner/Title".parse().unwrap(),
            version: "0198c0de-0000-7000-8000-000000000002".parse().unwrap(),
            artifact,
            strategy: Strategy::Fresh,
            sharing: Sharing::Public,
            arguments: json!({ "secret-looking": "arguments never enter the object" }),
            limits: Limits { cpus: 1.5, memory_bytes: 2_000_000_000, deadline_seconds: 600 },
            network: false,
            secrets: Secrets::new(),
        }
    }

    fn image() -> Artifact {
        Artifact::Image { reference: "registry.example.org/owner_title@sha256:0".to_owned() }
    }

    fn folders() -> Artifact {
        Artifact::Environment { environment: "e1".to_owned(), code: "c1".to_owned() }
    }

    fn config() -> KubernetesConfig {
        KubernetesConfig::new("models".to_owned(), "http://csw:8090".to_owned(), PathBuf::from("/nowhere"))
    }

    /// What the types of the API do not know is no field of it.
    fn strictly(job: &Value) {
        csw_kubernetes_testing::strict::decode::<Job>(job).unwrap();
    }

    #[test]
    fn a_version_that_is_an_image() {
        let job = job(&order(image()), &config(), "TOKEN").unwrap();
        strictly(&job);
        insta::assert_json_snapshot!(job);
    }

    #[test]
    fn a_version_on_a_shared_volume_in_a_queue_on_chosen_nodes() {
        let shared = SharedFolders {
            image: "registry.example.org/csw:1".to_owned(),
            claim: "csw-data".to_owned(),
            path: PathBuf::from("/data"),
        };
        let config = KubernetesConfig {
            shared: Some(shared),
            queue: Some("models".to_owned()),
            node_selector: BTreeMap::from([("component".to_owned(), "model".to_owned())]),
            pull_secrets: vec!["registry".to_owned()],
            ..config()
        };
        let job = job(&order(folders()), &config, "TOKEN").unwrap();
        strictly(&job);
        insta::assert_json_snapshot!(job);
    }

    #[test]
    fn folders_without_a_volume_are_refused_with_the_way_out() {
        let error = job(&order(folders()), &config(), "TOKEN").unwrap_err();
        assert!(error.contains("[kubernetes]"), "{error}");
    }

    #[test]
    fn arguments_and_secrets_stay_out_of_the_object() {
        let text = job(&order(image()), &config(), "TOKEN").unwrap().to_string();
        assert!(!text.contains("secret-looking"), "{text}");
    }
}
