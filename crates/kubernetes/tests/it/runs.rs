//! Runs that go well.

use csw_core::{
    ports::Executor,
    run::{Outcome, TaskResult},
};
use csw_kubernetes_testing::Verb;
use serde_json::json;

use crate::rig::{NAMESPACE, Rig, order};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_its_log_its_outputs_and_its_end_once() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let recorder = rig.run(&order(json!({ "say": ["one", "two"], "outputs": 3 }))).await;
    let end = recorder.end().await;
    assert_eq!(end.outcome, Outcome::Returned(TaskResult::Sim { outputs: 3 }));
    assert_eq!(end.model_version.as_deref(), Some("1"));
    assert_eq!(recorder.log_text(), "one\ntwo\ndone\n");
    assert_eq!(recorder.outputs(), [10, 10, 10]);
    rig.until("the end of the Job", |jobs| jobs[0]["status"]["conditions"][1]["type"] == "Complete").await;
    assert_eq!(recorder.ends(), 1);
    // It stays for people to look at, and was made by one request; nothing was listed twice.
    assert_eq!(rig.cluster.count(Verb::Create, "jobs"), 1);
    assert_eq!(rig.cluster.count(Verb::Delete, "jobs"), 0);
    assert_eq!(rig.cluster.count(Verb::List, "jobs"), 1);
    assert_eq!(rig.cluster.count(Verb::List, "pods"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_outputs_go_through_a_file_and_leave_none() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let recorder = rig.run(&order(json!({ "outputs": 2, "size": 3_000_000 }))).await;
    recorder.end().await;
    assert_eq!(recorder.outputs(), [3_000_000, 3_000_000]);
    assert_eq!(std::fs::read_dir(&rig.config.uploads).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_failure_is_its_own() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let outcome = rig.outcome(&order(json!({ "end": "failed" }))).await;
    assert_eq!(outcome, Outcome::Failed { traceback: "it broke".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_twice_is_starting_once() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "outputs": 1 }));
    let first = rig.run(&order).await;
    let second = rig.run(&order).await;
    first.end().await;
    assert_eq!((first.ends(), second.ends()), (1, 0));
    assert_eq!(rig.jobs().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_loses_its_job_and_its_process() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "say": ["begun"], "wait": rig.gate() }));
    let recorder = rig.run(&order).await;
    rig.until_logged(&recorder, "begun").await;
    rig.executor().cancel(order.run).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Cancelled);
    rig.until("no Job", <[_]>::is_empty).await;
    assert!(rig.cluster.objects("pods", NAMESPACE).is_empty());
    crate::rig::until("nothing live", || futures::executor::block_on(rig.executor().live()).is_empty()).await;
    rig.executor().cancel(order.run).await;
    assert_eq!(recorder.ends(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_may_be_cancelled_before_it_has_a_place() {
    let mut rig = Rig::new().await;
    rig.config.capacity.runs = 1;
    rig.start().await;
    let (first, second) = (order(json!({ "wait": rig.gate() })), order(json!({})));
    let first = rig.run(&first).await;
    rig.only_job().await;
    let recorder = rig.run(&second).await;
    rig.executor().cancel(second.run).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Cancelled);
    rig.open_gate();
    first.end().await;
    assert_eq!(rig.cluster.count(Verb::Create, "jobs"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_attempt_replaces_the_former_one() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let former = order(json!({ "say": ["begun"], "wait": rig.gate() }));
    let left = rig.run(&former).await;
    rig.until_logged(&left, "begun").await;
    let mut next = former.clone();
    next.lease = uuid::Uuid::now_v7().to_string().parse().unwrap();
    next.arguments = json!({ "outputs": 1 });
    let recorder = rig.run(&next).await;
    recorder.end().await;
    rig.until("one Job", |jobs| jobs.len() == 1).await;
    rig.open_gate();
    assert_eq!((left.ends(), recorder.ends()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_admits_its_jobs() {
    let mut rig = Rig::new().await;
    rig.config.queue = Some("tax-models".to_owned());
    rig.start().await;
    let recorder = rig.run(&order(json!({ "outputs": 1 }))).await;
    let name = rig.only_job().await;
    assert_eq!(rig.jobs()[0]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "tax-models");
    rig.until_logged(&recorder, "[This run waits until the queue tax-models admits it.]").await;
    rig.cluster.admit(NAMESPACE, &name);
    recorder.end().await;
    assert_eq!(recorder.outputs(), [10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_good_for_nothing_else() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let recorder = rig.run(&order(json!({ "say": ["begun"], "wait": rig.gate() }))).await;
    rig.until_logged(&recorder, "begun").await;
    let token = rig.token();
    let url = format!("{}/run/order", rig.config.callback_url);
    let ask = async |token: &str, process: &str| {
        let request = reqwest::Client::new().get(&url).bearer_auth(token).header("csw-process", process);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("", "x").await, 401);
    assert_eq!(ask(&token[..token.len() - 1], "x").await, 401);
    assert_eq!(ask(&token, "x").await, 400);
    // Another process takes the run over; the first is not heard any more, and ends.
    assert_eq!(ask(&token, &uuid::Uuid::new_v4().to_string()).await, 200);
    rig.open_gate();
    let Outcome::Lost { sentence } = recorder.end().await.outcome else { panic!() };
    assert_eq!(sentence, "its Job is complete, and its result never came");
}
