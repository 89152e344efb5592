use serde_json::{Value, json};

use super::*;

const LIMITS: Limits = Limits { cpus: 1.0, memory_bytes: 2_000_000_000, deadline_seconds: 60 };

fn job(conditions: &[(&str, &str)]) -> SeenJob {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, reason)| json!({ "type": kind, "status": "True", "reason": reason, "message": "m" }))
        .collect();
    serde_json::from_value(json!({ "spec": { "template": {} }, "status": { "conditions": conditions } })).unwrap()
}

fn pod(status: &Value) -> Pod {
    let spec = json!({ "nodeName": "node-1", "containers": [] });
    serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec, "status": status })).unwrap()
}

fn container(state: &Value) -> Value {
    json!([{ "name": "run", "image": "i:1", "imageID": "", "ready": false, "restartCount": 0, "state": state }])
}

fn terminated_with(reason: &str, code: i32, message: &str) -> Pod {
    let ended = json!({ "terminated": { "reason": reason, "exitCode": code, "message": message } });
    pod(&json!({ "phase": "Failed", "containerStatuses": container(&ended) }))
}

fn waits_for(reason: &str, message: &str) -> Waiting {
    let waiting = json!({ "waiting": { "reason": reason, "message": message } });
    of_pod(&pod(&json!({ "phase": "Pending", "containerStatuses": container(&waiting) }))).unwrap()
}

/// The sentence of a lost run whose pod ended like this.
fn sentence(pods: &[Pod]) -> String {
    match end("BackoffLimitExceeded", "Job has reached the specified backoff limit", pods, true, &LIMITS) {
        Outcome::Lost { sentence } => sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_condition_of_a_pair_decides_and_the_second_settles() {
    for (conditions, is_over) in [
        (vec![("FailureTarget", "BackoffLimitExceeded")], false),
        (vec![("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")], true),
        (vec![("Failed", "BackoffLimitExceeded")], true),
    ] {
        let job = job(&conditions);
        assert!(matches!(of_job(&job), Standing::Failed { reason, .. } if reason == "BackoffLimitExceeded"));
        assert_eq!(is_settled(&job), is_over, "{conditions:?}");
    }
    let first = job(&[("SuccessCriteriaMet", "CompletionsReached")]);
    assert_eq!((of_job(&first), is_settled(&first)), (Standing::Succeeded, false));
    let both = job(&[("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]);
    assert_eq!((of_job(&both), is_settled(&both)), (Standing::Succeeded, true));
    assert_eq!(of_job(&job(&[])), Standing::Active);
}

#[test]
fn a_condition_that_does_not_hold_says_nothing() {
    let mut failed = job(&[("Failed", "x")]);
    failed.status.conditions.as_mut().unwrap()[0].status = "False".to_owned();
    assert_eq!(of_job(&failed), Standing::Active);
}

#[test]
fn a_suspended_job_waits_for_whoever_admits_it() {
    let mut suspended = job(&[("Suspended", "JobSuspended")]);
    suspended.spec.suspend = Some(true);
    assert_eq!(of_job(&suspended), Standing::Suspended);
}

#[test]
fn out_of_memory_is_the_models_limit() {
    let pods = [terminated_with("OOMKilled", 137, "")];
    let outcome = end("BackoffLimitExceeded", "", &pods, true, &LIMITS);
    assert_eq!(outcome, Outcome::OutOfMemory { limit_bytes: LIMITS.memory_bytes });
}

#[test]
fn an_eviction_names_its_node_and_its_reason() {
    let evicted =
        pod(&json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory." }));
    assert_eq!(sentence(&[evicted]), "its pod was evicted from node-1: The node was low on resource: memory");
}

#[test]
fn a_lost_node_is_told_in_every_way_a_cluster_tells_it() {
    let old = pod(&json!({ "phase": "Failed", "reason": "NodeLost", "message": "Node node-1 is unresponsive" }));
    assert_eq!(sentence(&[old]), "node-1 was lost: Node node-1 is unresponsive");
    let shut = pod(&json!({ "phase": "Failed", "reason": "Terminated", "message": "" }));
    assert_eq!(sentence(&[shut]), "node-1 was shut down");
    for (reason, words) in [
        ("DeletionByTaintManager", "its node was lost"),
        ("DeletionByPodGC", "its node was lost"),
        ("PreemptionByScheduler", "its pod made room"),
        ("EvictionByEvictionAPI", "its node was emptied"),
        ("TerminationByKubelet", "its node was short of resources"),
        ("Another", "its pod was disrupted (Another)"),
    ] {
        let target = json!([{ "type": "DisruptionTarget", "status": "True", "reason": reason }]);
        let found = sentence(&[pod(&json!({ "phase": "Failed", "conditions": target }))]);
        assert!(found.starts_with(words), "{found}");
    }
}

#[test]
fn an_image_that_can_not_be_pulled_may_come_yet() {
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let Waiting::Image(sentence) = waits_for(reason, "manifest unknown") else { panic!("{reason}") };
        assert_eq!(sentence, "the image i:1 can't be pulled: manifest unknown");
    }
}

#[test]
fn what_a_container_lacks_will_not_come_by_itself() {
    let Waiting::Hopeless(sentence) = waits_for("CreateContainerConfigError", "secret \"x\" not found") else {
        panic!()
    };
    assert_eq!(sentence, "its container can't be set up as its Job asks: secret \"x\" not found");
    assert!(matches!(waits_for("InvalidImageName", ""), Waiting::Hopeless(_)));
    assert!(matches!(waits_for("CreateContainerError", ""), Waiting::Hopeless(_)));
}

#[test]
fn a_pod_that_is_being_made_waits_for_nothing() {
    let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
    assert_eq!(of_pod(&pod(&json!({ "phase": "Pending", "containerStatuses": container(&waiting) }))), None);
    assert_eq!(of_pod(&pod(&json!({ "phase": "Running" }))), None);
}

#[test]
fn a_pod_without_a_node_waits_for_room() {
    let conditions = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu." }]);
    let waiting = of_pod(&pod(&json!({ "phase": "Pending", "conditions": conditions })));
    let expected = "no node of the cluster has room for it: 0/3 nodes are available: 3 Insufficient cpu";
    assert_eq!(waiting, Some(Waiting::Room(expected.to_owned())));
}

#[test]
fn a_deadline_is_the_runs_only_where_the_run_began() {
    let outcome = |began| end("DeadlineExceeded", "Job was active longer than specified deadline", &[], began, &LIMITS);
    assert_eq!(outcome(true), Outcome::TimedOut { seconds: 60 });
    let Outcome::Lost { sentence } = outcome(false) else { panic!() };
    assert_eq!(sentence, "it did not start before the deadline of its Job");
}

#[test]
fn a_failed_job_without_a_pod_says_so() {
    assert_eq!(sentence(&[]), "its pod failed, and is gone with the reason");
    let Outcome::Lost { sentence } = end("Odd", "words", &[], true, &LIMITS) else { panic!() };
    assert_eq!(sentence, "its Job failed (Odd: words)");
}

#[test]
fn exit_codes_have_sentences() {
    assert!(sentence(&[terminated_with("Error", 137, "")]).contains("SIGKILL"));
    let started = sentence(&[terminated_with("StartError", 128, "exec: \"csw\": executable file not found in $PATH")]);
    assert!(started.starts_with("the image does not start (exit code 128): exec"), "{started}");
    let own = sentence(&[terminated_with("Error", 2, "csw: no callback")]);
    assert_eq!(own, "the process that looks after the model ended with code 2: csw: no callback");
}

#[test]
fn the_newest_pod_counts() {
    let mut former = terminated_with("OOMKilled", 137, "");
    let mut newer = terminated_with("Error", 2, "");
    let at = |time: &str| Some(serde_json::from_value(json!(time)).unwrap());
    former.metadata.creation_timestamp = at("2026-01-01T00:00:00Z");
    newer.metadata.creation_timestamp = at("2026-01-01T00:00:09Z");
    assert!(sentence(&[newer, former]).contains("ended with code 2"));
}

#[test]
fn events_tell_why_there_is_no_pod() {
    let event = |reason: &str, message: &str| -> Event {
        let metadata = json!({ "name": "e" });
        let involved = json!({ "kind": "Job", "name": "j" });
        let event = json!({ "metadata": metadata, "involvedObject": involved, "reason": reason, "message": message });
        serde_json::from_value(event).unwrap()
    };
    let quota = "Error creating: pods \"x\" is forbidden: exceeded quota: compute, requested: cpu=2, used: cpu=8";
    assert!(matches!(of_event(&event("FailedCreate", quota)), Some(Waiting::Room(said)) if said.contains("quota")));
    let young = "Error creating: pods \"x\" is forbidden: status unknown for quota: compute, resources: requests.cpu";
    assert!(matches!(of_event(&event("FailedCreate", young)), Some(Waiting::Room(said)) if said.contains("quota")));
    let security = "Error creating: pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    assert!(matches!(of_event(&event("FailedCreate", security)), Some(Waiting::Hopeless(_))));
    assert_eq!(of_event(&event("FailedCreate", "Error creating: timeout")), None);
    assert_eq!(of_event(&event("SuccessfulCreate", "")), None);
}

#[test]
fn long_messages_are_cut_and_put_on_one_line() {
    let text = detail(Some(&"wörd\n ".repeat(300)));
    assert!(text.starts_with(": wörd wörd") && text.ends_with(" ...") && text.chars().count() < 420);
    assert_eq!(detail(Some(" . ")), "");
}
