//! An API server that is busy, breaks, forgets or is elsewhere in time.

use csw_core::run::{Outcome, TaskResult};
use csw_kubernetes_testing::{Fault, Verb};
use jiff::SignedDuration;
use serde_json::json;

use crate::rig::{Rig, order};

const DONE: Outcome = Outcome::Returned(TaskResult::Sim { outputs: 1 });

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_fails_is_tried_again_and_makes_one_job() {
    for fault in [Fault::TooMany(1), Fault::Internal, Fault::Unavailable, Fault::Cut, Fault::AnswerLost] {
        let mut rig = Rig::new().await;
        rig.start().await;
        rig.cluster.fault(Verb::Create, "jobs", fault.clone());
        let recorder = rig.run(&order(json!({ "outputs": 1 }))).await;
        assert_eq!(recorder.end().await.outcome, DONE, "{fault:?}");
        assert_eq!((rig.jobs().len(), recorder.ends()), (1, 1), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_jobs_is_waited_for_and_told() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let said =
        "jobs.batch \"x\" is forbidden: exceeded quota: jobs, requested: count/jobs.batch=1, used: 5, limited: 5";
    rig.cluster.fault(Verb::Create, "jobs", Fault::Forbidden(said.to_owned()));
    let recorder = rig.run(&order(json!({ "outputs": 1 }))).await;
    assert_eq!(recorder.end().await.outcome, DONE);
    let log = recorder.log_text();
    assert!(log.starts_with("[This run waits: the quota of the namespace is used up: jobs.batch"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_will_never_do_is_not_asked_again() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let said = "jobs.batch is forbidden: User \"csw\" cannot create resource \"jobs\" in API group \"batch\"";
    rig.cluster.fault(Verb::Create, "jobs", Fault::Forbidden(said.to_owned()));
    let Outcome::Lost { sentence } = rig.outcome(&order(json!({}))).await else { panic!() };
    assert_eq!(sentence, format!("the cluster refuses its Job: {said}"));
    assert_eq!(rig.cluster.count(Verb::Create, "jobs"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_fails_is_tried_again() {
    use csw_core::ports::Executor;
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "say": ["begun"], "wait": rig.gate() }));
    let recorder = rig.run(&order).await;
    rig.until_logged(&recorder, "begun").await;
    rig.cluster.fault(Verb::Delete, "jobs", Fault::Internal);
    rig.cluster.fault(Verb::Delete, "jobs", Fault::AnswerLost);
    rig.executor().cancel(order.run).await;
    rig.until("no Job", <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_too_old_lists_again_and_misses_nothing() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "say": ["begun"], "wait": rig.gate() }));
    let recorder = rig.run(&order).await;
    rig.until_logged(&recorder, "begun").await;
    rig.cluster.expire_watches();
    rig.cluster.delete_job(crate::rig::NAMESPACE, &rig.only_job().await);
    // The watch has not seen it go: the list without it tells.
    rig.cluster.expire_watches();
    let Outcome::Lost { sentence } = recorder.end().await.outcome else { panic!() };
    assert_eq!(sentence, "its Job was deleted by somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_while_the_api_server_is_away() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let recorder = rig.run(&order(json!({ "say": ["begun"], "wait": rig.gate(), "outputs": 1 }))).await;
    rig.until_logged(&recorder, "begun").await;
    rig.cluster.go_down();
    rig.open_gate();
    assert_eq!(recorder.end().await.outcome, DONE);
    let waits = rig.run(&order(json!({ "outputs": 1 }))).await;
    rig.cluster.come_up();
    assert_eq!(waits.end().await.outcome, DONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_clock_is_wrong_by_hours() {
    for hours in [-5, 5] {
        let mut rig = Rig::with_skew(SignedDuration::from_hours(hours)).await;
        rig.start().await;
        assert_eq!(rig.outcome(&order(json!({ "outputs": 1 }))).await, DONE, "{hours}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_kept_until_they_are_taken() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "outputs": 1, "wait": rig.gate(), "say": ["begun"] }));
    let recorder = rig.run(&order).await;
    rig.until_logged(&recorder, "begun").await;
    recorder.refused.store(4, std::sync::atomic::Ordering::SeqCst);
    rig.open_gate();
    assert_eq!(recorder.end().await.outcome, DONE);
    assert_eq!((recorder.ends(), recorder.outputs().len()), (1, 1));
}
