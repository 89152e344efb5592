//! Every way in which a run ends without having told it itself.

use std::time::Duration;

use csw_core::run::{Outcome, TaskResult};
use csw_kubernetes_testing::{Fate, Verb};
use serde_json::json;

use crate::rig::{NAMESPACE, Rig, order};

/// The sentence of a run that is lost by a fate.
async fn lost_by(fate: Fate) -> String {
    let mut rig = Rig::new().await;
    rig.cluster.fates([fate]);
    rig.start().await;
    let Outcome::Lost { sentence } = rig.outcome(&order(json!({}))).await else { panic!() };
    // Whatever it was, its place is free and its Job is over or gone.
    let is_over = |job: &serde_json::Value| job["status"]["conditions"][1]["type"] == "Failed";
    rig.until("the end of the Job", |jobs| jobs.iter().all(is_over)).await;
    sentence
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_at_its_limit_was_out_of_memory() {
    let mut rig = Rig::new().await;
    rig.cluster.fates([Fate::OutOfMemory]);
    rig.start().await;
    assert_eq!(rig.outcome(&order(json!({}))).await, Outcome::OutOfMemory { limit_bytes: 1_000_000_000 });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_pod() {
    assert_eq!(lost_by(Fate::Evicted).await, "its pod was evicted from node-1: The node was low on resource: memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_node_is_lost_is_replaced_within_the_same_attempt() {
    let mut rig = Rig::new().await;
    rig.cluster.fates([Fate::NodeLost]);
    rig.start().await;
    let recorder = rig.run(&order(json!({ "outputs": 2 }))).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 2 }));
    assert_eq!(rig.cluster.objects("pods", NAMESPACE).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_never_comes() {
    let sentence = lost_by(Fate::NoImage).await;
    assert_eq!(sentence, "the image registry/owner_title:1 can't be pulled: manifest unknown: no such image");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_comes_late() {
    let mut rig = Rig::new().await;
    rig.config.image_patience = Duration::from_secs(20);
    rig.cluster.fates([Fate::NoImageFor(300)]);
    rig.start().await;
    let recorder = rig.run(&order(json!({ "outputs": 1 }))).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 1 }));
    let log = recorder.log_text();
    assert!(log.starts_with("[This run waits: the image registry/owner_title:1 can't be pulled"), "{log}");
    assert!(log.ends_with("done\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_can_not_be_configured() {
    let sentence = lost_by(Fate::ConfigError).await;
    assert_eq!(sentence, "its container can't be set up as its Job asks: secret \"registry\" not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_no_node_has_room_for() {
    let mut rig = Rig::new().await;
    rig.config.start_limit = Duration::from_secs(1);
    rig.cluster.fates([Fate::Unschedulable]);
    rig.start().await;
    let recorder = rig.run(&order(json!({}))).await;
    let Outcome::Lost { sentence } = recorder.end().await.outcome else { panic!() };
    let expected = "it did not start within 1 s: no node of the cluster has room for it: 0/1 nodes are available: 1 \
                    Insufficient memory";
    assert_eq!(sentence, expected);
    assert!(recorder.log_text().starts_with("[This run waits: no node"), "{}", recorder.log_text());
    rig.until("no Job", <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_the_cluster_refuses() {
    let said =
        "Error creating: pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
    let sentence = lost_by(Fate::Refused(said.to_owned())).await;
    assert!(
        sentence.starts_with("the cluster refuses its pod: Error creating: pods \"x\" is forbidden: violates"),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_beyond_the_quota_waits_and_says_so() {
    let mut rig = Rig::new().await;
    rig.config.start_limit = Duration::from_secs(2);
    let said = "Error creating: pods \"x\" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=8, limited: cpu=8";
    rig.cluster.fates([Fate::Refused(said.to_owned())]);
    rig.start().await;
    let recorder = rig.run(&order(json!({}))).await;
    rig.until_logged(&recorder, "[This run waits: the quota of the namespace is used up").await;
    let Outcome::Lost { sentence } = recorder.end().await.outcome else { panic!() };
    assert!(sentence.starts_with("it did not start within 2 s: the quota"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_without_a_word() {
    assert_eq!(lost_by(Fate::Exit(3)).await, "the process that looks after the model ended with code 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_keep_its_deadline_is_ended_by_the_cluster() {
    let mut rig = Rig::new().await;
    rig.config.start_limit = Duration::from_secs(3);
    rig.start().await;
    let mut order = order(json!({ "say": ["begun"], "wait": rig.gate() }));
    order.limits.deadline_seconds = 1;
    assert_eq!(rig.outcome(&order).await, Outcome::TimedOut { seconds: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_somebody_deletes() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let recorder = rig.run(&order(json!({ "say": ["begun"], "wait": rig.gate() }))).await;
    rig.until_logged(&recorder, "begun").await;
    rig.cluster.delete_job(NAMESPACE, &rig.only_job().await);
    let Outcome::Lost { sentence } = recorder.end().await.outcome else { panic!() };
    assert_eq!(sentence, "its Job was deleted by somebody else");
    assert_eq!(rig.cluster.count(Verb::Create, "jobs"), 1);
}
