//! More runs than places. `CSW_TEST_QUEUE` says how many.

use csw_kubernetes_testing::Verb;
use serde_json::json;

use crate::rig::{Rig, order};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_never_holds_more_than_the_set_number_of_live_jobs() {
    let runs = std::env::var("CSW_TEST_QUEUE").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut rig = Rig::new().await;
    rig.config.capacity.runs = 4;
    rig.start().await;
    let mut recorders = vec![];
    for _ in 0..runs {
        recorders.push(rig.run(&order(json!({ "outputs": 1 }))).await);
    }
    for recorder in &recorders {
        recorder.end().await;
    }
    assert!(recorders.iter().all(|recorder| recorder.ends() == 1));
    assert!(rig.cluster.most_live_jobs() <= 4, "{}", rig.cluster.most_live_jobs());
    let writes = rig.cluster.count(Verb::Create, "jobs") + rig.cluster.count(Verb::Delete, "jobs");
    assert_eq!(writes, runs, "one request a run");
    assert_eq!(rig.cluster.count(Verb::List, "jobs"), 1, "and no list after the start");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{runs} runs; with the API server of the tests in the same process: {memory}");
}
