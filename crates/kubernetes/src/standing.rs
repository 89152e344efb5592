//! What a Job, its pods and its events say: where it stands, what it waits for, and why it ended, in sentences.
//!
//! A Job alone says *that* it ended; its pods say why. Conditions come in pairs on a current cluster: `FailureTarget`
//! then `Failed`, `SuccessCriteriaMet` then `Complete`. The first decides, the second says that no pod is left. An old
//! cluster has the second only.

use csw_core::run::{Limits, Outcome};
use k8s_openapi::api::{
    batch::v1::JobCondition,
    core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod},
};

use crate::seen::SeenJob;

/// Where a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has pods, or will.
    Active,
    /// Somebody else decides when it begins.
    Suspended,
    /// Its pod did what it was to do.
    Succeeded,
    /// It has failed, by this reason of Kubernetes.
    Failed { reason: String, message: String },
}

/// What a Job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Its image, which may come yet.
    Image(String),
    /// A node, or quota.
    Room(String),
    /// What will not come by itself.
    Hopeless(String),
}

impl Waiting {
    pub(crate) fn sentence(&self) -> &str {
        let (Self::Image(sentence) | Self::Room(sentence) | Self::Hopeless(sentence)) = self;
        sentence
    }
}

fn condition<'a>(job: &'a SeenJob, kinds: &[&str]) -> Option<&'a JobCondition> {
    job.status
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.status == "True" && kinds.contains(&condition.type_.as_str()))
}

/// Where a Job stands, by the first condition of a pair.
pub(crate) fn of_job(job: &SeenJob) -> Standing {
    if let Some(failed) = condition(job, &["FailureTarget", "Failed"]) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        return Standing::Failed { reason: text(&failed.reason), message: text(&failed.message) };
    }
    if condition(job, &["SuccessCriteriaMet", "Complete"]).is_some() {
        return Standing::Succeeded;
    }
    if job.spec.suspend == Some(true) {
        return Standing::Suspended;
    }
    Standing::Active
}

/// Whether a Job is over with all its pods: the second condition of a pair.
pub(crate) fn is_settled(job: &SeenJob) -> bool {
    condition(job, &["Complete", "Failed"]).is_some()
}

/// Whether somebody has deleted it already.
pub(crate) fn is_leaving(job: &SeenJob) -> bool {
    job.metadata.deletion_timestamp.is_some()
}

/// Whether a pod has ended.
pub(crate) fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

/// What a pod waits for.
pub(crate) fn of_pod(pod: &Pod) -> Option<Waiting> {
    let status = pod.status.as_ref()?;
    if status.phase.as_deref() != Some("Pending") {
        return None;
    }
    for container in status.container_statuses.iter().flatten() {
        let Some(waiting) = container.state.as_ref().and_then(|state| state.waiting.as_ref()) else { continue };
        let said = detail(waiting.message.as_deref());
        let image = &container.image;
        let found = match waiting.reason.as_deref().unwrap_or_default() {
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
                Waiting::Image(format!("the image {image} can't be pulled{said}"))
            }
            "InvalidImageName" => Waiting::Hopeless(format!("`{image}` is not the name of an image{said}")),
            "ErrImageNeverPull" | "ImageInspectError" => {
                Waiting::Hopeless(format!("the node does not have the image {image}{said}"))
            }
            "CreateContainerConfigError" => {
                Waiting::Hopeless(format!("its container can't be set up as its Job asks{said}"))
            }
            "CreateContainerError" | "RunContainerError" => {
                Waiting::Hopeless(format!("its container can't be started{said}"))
            }
            _ => continue,
        };
        return Some(found);
    }
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled")?;
    let unschedulable = scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable");
    let said = detail(scheduled.message.as_deref());
    unschedulable.then(|| Waiting::Room(format!("no node of the cluster has room for it{said}")))
}

/// What an event about a Job says that no pod could: none was made.
pub(crate) fn of_event(event: &Event) -> Option<Waiting> {
    if event.reason.as_deref() != Some("FailedCreate") {
        return None;
    }
    let message = event.message.as_deref().unwrap_or_default();
    let said = detail(Some(message));
    if message.contains("exceeded quota") {
        return Some(Waiting::Room(format!("the quota of the namespace is used up{said}")));
    }
    // A quota refuses everything until the cluster has counted what is there.
    if message.contains("status unknown for quota") {
        return Some(Waiting::Room(format!("the quota of the namespace is new{said}")));
    }
    let refused = message.contains("is forbidden") || message.contains("is invalid") || message.contains("denied the");
    refused.then(|| Waiting::Hopeless(format!("the cluster refuses its pod{said}")))
}

/// The end of a run that did not tell it itself: its Job failed by this reason.
pub(crate) fn end(reason: &str, message: &str, pods: &[Pod], began: bool, limits: &Limits) -> Outcome {
    // The newest pod is the one that counts; a replaced one was a disruption.
    let newest = pods.iter().max_by_key(|pod| pod.metadata.creation_timestamp.clone());
    if reason == "DeadlineExceeded" {
        if began {
            return Outcome::TimedOut { seconds: limits.deadline_seconds };
        }
        let waited = newest.and_then(of_pod).map(|waiting| format!(": {}", waiting.sentence())).unwrap_or_default();
        return lost(format!("it did not start before the deadline of its Job{waited}"));
    }
    if let Some(outcome) = newest.and_then(|pod| end_of_pod(pod, limits)) {
        return outcome;
    }
    match reason {
        "BackoffLimitExceeded" | "PodFailurePolicy" => lost("its pod failed, and is gone with the reason".to_owned()),
        _ => lost(format!("its Job failed ({reason}{})", detail(Some(message)))),
    }
}

/// The end of a run whose Job was complete without having told it.
pub(crate) fn silent() -> Outcome {
    lost("its Job is complete, and its result never came".to_owned())
}

/// The end of a run whose Job is gone.
pub(crate) fn deleted() -> Outcome {
    lost("its Job was deleted by somebody else".to_owned())
}

/// The end of a run that is told by its pod.
fn end_of_pod(pod: &Pod, limits: &Limits) -> Option<Outcome> {
    let status = pod.status.as_ref()?;
    let said = detail(status.message.as_deref());
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("its node");
    if let Some(ended) = status.container_statuses.iter().flatten().find_map(terminated)
        && ended.reason.as_deref() == Some("OOMKilled")
    {
        return Some(Outcome::OutOfMemory { limit_bytes: limits.memory_bytes });
    }
    match status.reason.as_deref() {
        Some("Evicted") => return Some(lost(format!("its pod was evicted from {node}{said}"))),
        Some("NodeLost") => return Some(lost(format!("{node} was lost{said}"))),
        Some("Shutdown" | "NodeShutdown" | "Terminated") => return Some(lost(format!("{node} was shut down{said}"))),
        Some("Preempting" | "Preempted") => return Some(lost("its pod made room for a more urgent one".to_owned())),
        Some("DeadlineExceeded") => return Some(Outcome::TimedOut { seconds: limits.deadline_seconds }),
        _ => {}
    }
    if let Some(disrupted) = disruption(pod) {
        return Some(lost(disrupted));
    }
    let ended = status.container_statuses.iter().flatten().find_map(terminated)?;
    Some(end_of_container(ended))
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref().and_then(|state| state.terminated.as_ref())
}

fn disruption(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let target =
        conditions.iter().find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")?;
    let said = detail(target.message.as_deref());
    Some(match target.reason.as_deref().unwrap_or_default() {
        "PreemptionByScheduler" => format!("its pod made room for a more urgent one{said}"),
        "DeletionByTaintManager" | "DeletionByPodGC" => format!("its node was lost{said}"),
        "EvictionByEvictionAPI" => format!("its node was emptied{said}"),
        "TerminationByKubelet" => format!("its node was short of resources, or shut down{said}"),
        other => format!("its pod was disrupted ({other}){said}"),
    })
}

fn end_of_container(ended: &ContainerStateTerminated) -> Outcome {
    let said = detail(ended.message.as_deref());
    match (ended.reason.as_deref(), ended.exit_code) {
        (Some("ContainerCannotRun" | "StartError"), code) => {
            lost(format!("the image does not start (exit code {code}){said}"))
        }
        (_, 0) => silent(),
        (_, 137) => lost("its container was killed (signal SIGKILL), often because its node is short of memory".into()),
        (_, code) => lost(format!("the process that looks after the model ended with code {code}{said}")),
    }
}

fn lost(sentence: String) -> Outcome {
    Outcome::Lost { sentence }
}

/// What Kubernetes said, after a colon, as one line of bearable length.
fn detail(message: Option<&str>) -> String {
    const LONGEST: usize = 400;
    let words: Vec<&str> = message.unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    let line = line.trim_end_matches('.');
    if line.is_empty() {
        return String::new();
    }
    let cut: String = line.chars().take(LONGEST).collect();
    let more = if cut.len() < line.len() { " ..." } else { "" };
    format!(": {cut}{more}")
}

#[cfg(test)]
mod tests;
