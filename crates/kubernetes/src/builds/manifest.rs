//! The Job of a build, as `batch/v1` has it, and by what it is known.

use std::collections::BTreeMap;

use csw_core::{ids::BuildId, model::BuildLimits, names::ModelName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::{BUILD_FOLDER, BUILD_TOKEN, BuildsConfig};
use crate::{
    job::CALLBACK_URL,
    manifest::{GRACE_SECONDS, SCRATCH, security},
    manifests::restricted,
    names::{BUILD, BUILD_ATTEMPT, BUILD_NAME, MODEL, SITE, label},
};

/// Steps of a build that may take their time each: install, resolve, build, compile, test, push.
const STEPS: u64 = 6;

/// The name of the Job of an attempt at a build.
pub(super) fn job_name(build: BuildId, attempt: u32) -> String {
    format!("csw-build-{}-{attempt}", build.as_uuid().simple())
}

/// The attempt at a build that an object belongs to.
pub(super) fn attempt_of(metadata: &ObjectMeta) -> Option<(BuildId, u32)> {
    let labels = metadata.labels.as_ref()?;
    Some((labels.get(BUILD)?.parse().ok()?, labels.get(BUILD_ATTEMPT)?.parse().ok()?))
}

/// What an attempt at a build is of, and what it gets.
pub(super) struct Wanted<'a> {
    pub(super) build: BuildId,
    pub(super) attempt: u32,
    pub(super) model: &'a ModelName,
    pub(super) limits: BuildLimits,
    pub(super) token: &'a str,
}

/// The Job of an attempt.
pub(super) fn job(wanted: &Wanted<'_>, config: &BuildsConfig) -> Value {
    let jobs = &config.jobs;
    let mut labels_of_job = labels(wanted, &jobs.site);
    let labels_of_pod = labels_of_job.clone();
    if let Some(queue) = &jobs.queue {
        labels_of_job.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
    }
    let deadline = u64::from(wanted.limits.minutes) * 60 * STEPS + jobs.start_limit.as_secs();
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(wanted.build, wanted.attempt),
            "namespace": jobs.namespace,
            "labels": labels_of_job,
        },
        "spec": {
            "backoffLimit": 0,
            "podFailurePolicy": { "rules": [
                { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
            ] },
            "activeDeadlineSeconds": deadline.max(1),
            "ttlSecondsAfterFinished": jobs.keep.as_secs(),
            "template": { "metadata": { "labels": labels_of_pod }, "spec": pod(wanted, config) },
        },
    });
    if jobs.queue.is_some() {
        job["spec"]["suspend"] = true.into();
    }
    job
}

fn labels(wanted: &Wanted<'_>, site: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", BUILD_NAME.to_owned()),
        ("app.kubernetes.io/managed-by", "csw".to_owned()),
        (SITE, site.to_owned()),
        (MODEL, label(&format!("{}.{}", wanted.model.owner, wanted.model.title))),
        (BUILD, wanted.build.to_string()),
        (BUILD_ATTEMPT, wanted.attempt.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn pod(wanted: &Wanted<'_>, config: &BuildsConfig) -> Value {
    let jobs = &config.jobs;
    let container = json!({
        "name": "build",
        "image": config.image,
        "command": ["csw", "build-job", "--build-id", wanted.build],
        "env": [
            { "name": CALLBACK_URL, "value": jobs.callback_url },
            { "name": BUILD_TOKEN, "value": wanted.token },
            { "name": BUILD_FOLDER, "value": format!("{SCRATCH}/build") },
            { "name": "HOME", "value": SCRATCH },
        ],
        "workingDir": SCRATCH,
        "resources": resources(wanted.limits),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": restricted(),
        "volumeMounts": [{ "name": "scratch", "mountPath": SCRATCH }],
    });
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": security(),
        "containers": [container],
        "volumes": [{ "name": "scratch", "emptyDir": { "sizeLimit": config.scratch_bytes.to_string() } }],
    });
    if !jobs.node_selector.is_empty() {
        pod["nodeSelector"] = json!(jobs.node_selector);
    }
    if !jobs.pull_secrets.is_empty() {
        pod["imagePullSecrets"] = jobs.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    }
    pod
}

/// What a build may use: all of it is its own while it is at work.
fn resources(limits: BuildLimits) -> Value {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "settings are checked to bearable ranges"
    )]
    let (cpu, memory) = ((limits.cpus * 1000.0).ceil().max(1.0) as u64, memory_bytes(limits));
    let resources = json!({ "cpu": format!("{cpu}m"), "memory": memory.to_string() });
    json!({ "requests": resources, "limits": resources })
}

/// Bytes of memory that a build may have.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are checked to bearable ranges")]
pub(super) fn memory_bytes(limits: BuildLimits) -> u64 {
    (limits.memory_gigabytes * 1e9).ceil().max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use k8s_openapi::api::batch::v1::Job;

    use super::*;
    use crate::KubernetesConfig;

    fn config() -> BuildsConfig {
        let jobs = KubernetesConfig::new("models".to_owned(), "http://csw:8090".to_owned(), PathBuf::from("/nowhere"));
        BuildsConfig {
            jobs,
            image: "registry.example.org/csw:1".to_owned(),
            scratch_bytes: 40_000_000_000,
            folder: PathBuf::from("/nowhere"),
            memory: PathBuf::from("/nowhere/layers.json"),
            site: json!({ "password": "never in an object" }),
        }
    }

    fn made(config: &BuildsConfig) -> Value {
        let model = "owner/Title".parse().unwrap();
        let wanted = Wanted {
            build: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
            attempt: 2,
            model: &model,
            limits: BuildLimits { cpus: 1.5, memory_gigabytes: 4.0, minutes: 30 },
            token: "TOKEN",
        };
        job(&wanted, config)
    }

    #[test]
    fn a_build_in_the_image_of_the_services() {
        let job = made(&config());
        csw_kubernetes_testing::strict::decode::<Job>(&job).unwrap();
        assert!(!job.to_string().contains("never in an object"), "{job}");
        insta::assert_json_snapshot!(job);
    }

    #[test]
    fn an_object_says_which_attempt_it_is_of() {
        let job: Job = serde_json::from_value(made(&config())).unwrap();
        let (build, attempt) = attempt_of(&job.metadata).unwrap();
        assert_eq!(job.metadata.name.unwrap(), job_name(build, attempt));
        assert_eq!(attempt, 2);
    }
}
