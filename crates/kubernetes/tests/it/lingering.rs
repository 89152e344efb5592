//! Jobs that wait for another run of their version.

use std::{sync::Arc, time::Duration};

use csw_core::{
    ports::Executor,
    run::{Outcome, RunOrder, TaskResult},
};
use csw_kubernetes_testing::Verb;
use serde_json::{Value, json};

use crate::rig::{Rig, order, until};

/// A rig whose Jobs wait so long.
async fn waiting(linger: Duration) -> Rig {
    let mut rig = Rig::new().await;
    rig.config.linger = linger;
    rig.start().await;
    rig
}

/// Longer than a test.
const LONG: Duration = Duration::from_mins(5);

/// Another run of the same version.
fn next(of: &RunOrder, arguments: Value) -> RunOrder {
    RunOrder { version: of.version, ..order(arguments) }
}

fn made(rig: &Rig) -> u64 {
    rig.cluster.count(Verb::Create, "jobs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_takes_the_runs_of_its_version() {
    let rig = waiting(LONG).await;
    let first = order(json!({ "outputs": 1 }));
    assert_eq!(rig.outcome(&first).await, Outcome::Returned(TaskResult::Sim { outputs: 1 }));
    for outputs in [2, 3] {
        let order = next(&first, json!({ "say": ["again"], "outputs": outputs }));
        let recorder = rig.run(&order).await;
        assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs }));
        assert_eq!(recorder.log_text(), "again\ndone\n");
        assert_eq!(recorder.outputs().len(), outputs as usize);
    }
    assert_eq!(made(&rig), 1, "all three were one Job's");
    // What fails is over, and the Job is as good as before.
    let failed = next(&first, json!({ "end": "failed" }));
    assert_eq!(rig.outcome(&failed).await, Outcome::Failed { traceback: "it broke".to_owned() });
    assert_eq!(rig.outcome(&next(&first, json!({}))).await, Outcome::Returned(TaskResult::Sim { outputs: 0 }));
    assert_eq!(made(&rig), 1);
    // What has more memory, and another version, is another Job's.
    let mut larger = next(&first, json!({}));
    larger.limits.memory_bytes *= 2;
    rig.outcome(&larger).await;
    rig.outcome(&order(json!({}))).await;
    assert_eq!(made(&rig), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_waited_in_vain_finishes_by_itself() {
    let rig = waiting(Duration::from_millis(100)).await;
    let first = order(json!({}));
    rig.outcome(&first).await;
    rig.until("the end of the Job", |jobs| jobs.iter().all(|job| job["status"]["conditions"][1]["type"] == "Complete"))
        .await;
    rig.outcome(&next(&first, json!({}))).await;
    assert_eq!((made(&rig), rig.cluster.count(Verb::Delete, "jobs")), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_leaves_when_its_place_is_needed() {
    let mut rig = Rig::new().await;
    (rig.config.linger, rig.config.capacity.runs) = (LONG, 1);
    rig.start().await;
    rig.outcome(&order(json!({}))).await;
    rig.outcome(&order(json!({}))).await;
    assert_eq!((made(&rig), rig.cluster.most_live_jobs()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_died_while_it_waited_is_missed_by_nobody() {
    let rig = waiting(LONG).await;
    let first = order(json!({}));
    rig.outcome(&first).await;
    let job = rig.only_job().await;
    rig.cluster.crash_job(&job);
    assert_eq!(rig.outcome(&next(&first, json!({}))).await, Outcome::Returned(TaskResult::Sim { outputs: 0 }));
    assert_eq!(made(&rig), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_the_job_becomes_of_the_run_it_has_taken() {
    let rig = waiting(LONG).await;
    let first = order(json!({}));
    rig.outcome(&first).await;
    let job = rig.only_job().await;
    let recorder = rig.run(&next(&first, json!({ "say": ["here"], "wait": rig.gate() }))).await;
    rig.until_logged(&recorder, "here").await;
    rig.cluster.delete_job(crate::rig::NAMESPACE, &job);
    let Outcome::Lost { sentence } = recorder.end().await.outcome else { panic!("it can't have gone on") };
    assert!(sentence.contains("deleted by somebody else"), "{sentence}");
    rig.until("the end of the Job", <[Value]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_takes_the_job_along_that_has_taken_it() {
    let rig = waiting(LONG).await;
    let first = order(json!({}));
    rig.outcome(&first).await;
    let second = next(&first, json!({ "say": ["here"], "wait": rig.gate() }));
    let recorder = rig.run(&second).await;
    rig.until_logged(&recorder, "here").await;
    rig.executor().cancel(second.run).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Cancelled);
    rig.until("the end of the Job", <[Value]>::is_empty).await;
    assert_eq!(rig.outcome(&next(&first, json!({}))).await, Outcome::Returned(TaskResult::Sim { outputs: 0 }));
    assert_eq!((made(&rig), recorder.ends()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_can_t_be_stored_yet_is_told_again_and_the_job_waits_after_it() {
    let rig = waiting(LONG).await;
    let first = order(json!({}));
    let recorder = Arc::new(crate::rig::Recorder::default());
    recorder.refused.store(2, std::sync::atomic::Ordering::SeqCst);
    rig.executor().start(first.clone(), Arc::clone(&recorder) as _).await.unwrap();
    recorder.end().await;
    rig.outcome(&next(&first, json!({}))).await;
    assert_eq!((made(&rig), recorder.ends()), (1, 1));
}

/// Which run a Job has taken is not written down: a run that is given back is the next server's to begin again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_begins_a_run_again_that_a_waiting_job_had_taken() {
    let mut rig = waiting(LONG).await;
    let first = order(json!({}));
    rig.outcome(&first).await;
    let second = next(&first, json!({ "say": ["here"], "wait": rig.gate(), "outputs": 1 }));
    let former = rig.run(&second).await;
    rig.until_logged(&former, "here").await;
    rig.config.adoption = Duration::from_millis(200);
    rig.stop().await;
    rig.start().await;
    assert!(!rig.executor().live().await.contains(&second.run));
    let again = RunOrder { lease: order(json!({})).lease, ..second };
    let recorder = rig.run(&again).await;
    rig.open_gate();
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 1 }));
    // The Job that was made for the first run is nobody's.
    until("the end of the former Job", || rig.cluster.count(Verb::Delete, "jobs") == 1).await;
    assert_eq!((former.ends(), recorder.ends(), made(&rig)), (0, 1, 2));
}
