//! A server that ends in the middle, and the next one.

use csw_core::{
    ports::Executor,
    run::{Outcome, TaskResult},
};
use csw_kubernetes_testing::{Fate, Verb};
use serde_json::json;

use crate::rig::{Rig, order};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_its_server_and_loses_nothing() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "say": ["one", "two"], "wait": rig.gate(), "outputs": 3 }));
    let former = rig.run(&order).await;
    rig.until_logged(&former, "two").await;
    crate::rig::until("an output", || former.outputs().len() == 1).await;
    rig.stop().await;
    // It goes on meanwhile, and finds nobody to tell.
    rig.open_gate();
    rig.start().await;
    assert_eq!(rig.executor().live().await, [order.run]);
    // Of the log only a part was stored; of the outputs nothing was remembered.
    let recorder = former.restarted(2);
    rig.executor().start(order.clone(), std::sync::Arc::clone(&recorder) as _).await.unwrap();
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 3 }));
    assert_eq!(recorder.log_text(), "one\ntwo\ndone\n");
    assert_eq!(recorder.outputs(), [10, 10, 10]);
    assert_eq!((former.ends(), recorder.ends()), (0, 1));
    assert_eq!(rig.cluster.count(Verb::Create, "jobs"), 1, "the Job was found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_no_server_was_there_is_told_by_its_job() {
    let mut rig = Rig::new().await;
    rig.cluster.fates([Fate::OutOfMemory]);
    rig.start().await;
    let order = order(json!({}));
    let former = rig.run(&order).await;
    // The end could not be stored before the server ended.
    former.refused.store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
    rig.until("the end of the Job", |jobs| {
        jobs.first().is_some_and(|job| job["status"]["conditions"][1]["type"] == "Failed")
    })
    .await;
    rig.stop().await;
    rig.start().await;
    assert_eq!(rig.executor().live().await, [order.run]);
    assert_eq!(rig.outcome(&order).await, Outcome::OutOfMemory { limit_bytes: 1_000_000_000 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_between_the_request_and_its_answer_makes_no_second_job() {
    let mut rig = Rig::new().await;
    rig.start().await;
    let order = order(json!({ "outputs": 1, "wait": rig.gate() }));
    rig.run(&order).await;
    rig.only_job().await;
    rig.stop().await;
    rig.start().await;
    rig.executor().live().await;
    let recorder = rig.run(&order).await;
    rig.open_gate();
    recorder.end().await;
    assert_eq!(rig.jobs().len(), 1);
}
