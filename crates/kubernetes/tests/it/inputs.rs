//! Questions before a run: inputs servers answer them, and Jobs where there is none.

use std::time::Duration;

use csw_core::{
    ports::Executor,
    run::{Outcome, RunOrder, Task},
};
use csw_kubernetes_testing::strict;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use serde_json::{Value, json};

use crate::rig::{Rig, order, until};

/// The inputs server of the model of all orders here.
const NAMES: &str = "inputs-owner-title-";

/// A cluster with an inputs server for one version, of which an order comes along.
async fn bench(change: impl FnOnce(&mut Rig)) -> (Rig, RunOrder, String) {
    let mut rig = Rig::new().await;
    rig.config.inputs_url = format!("http://{}", rig.cluster.service(NAMES).await.unwrap());
    rig.config.inputs_quiet = Duration::from_millis(300);
    change(&mut rig);
    rig.start().await;
    let order = RunOrder { task: Task::Parse, ..order(json!({ "say": ["parsed"] })) };
    let objects = rig.executor().manifests(&order).unwrap();
    strict::decode::<Deployment>(&objects[0]).unwrap();
    strict::decode::<Service>(&objects[1]).unwrap();
    let name = objects[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with(NAMES), "{name}");
    // It is there before the executor looks.
    rig.stop().await;
    rig.cluster.apply("deployments", objects[0].clone());
    rig.start().await;
    (rig, order, name)
}

/// Another order of the same version.
fn another(of: &RunOrder, task: Task, arguments: Value) -> RunOrder {
    RunOrder { task, version: of.version, ..order(arguments) }
}

async fn is_answered(rig: &Rig, order: &RunOrder) {
    let recorder = rig.run(order).await;
    let end = recorder.end().await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{:?}", end.outcome);
    assert!(recorder.log_text().ends_with("done\n"), "{}", recorder.log_text());
    assert_eq!(recorder.ends(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_wake_a_server_that_sleeps_when_nobody_asks() {
    let (rig, parse, name) = bench(|_| ()).await;
    // Whoever applied it has not said how many pods there are: nobody asks, so there are none.
    until("sleep", || rig.cluster.pods_of(&name) == 0).await;
    for task in [Task::Parse, Task::Version, Task::Defaults] {
        is_answered(&rig, &another(&parse, task, json!({ "say": ["well"] }))).await;
    }
    assert!(rig.cluster.pods_of(&name) == 1 && rig.jobs().is_empty());
    until("sleep", || rig.cluster.pods_of(&name) == 0).await;
    is_answered(&rig, &parse).await;
    assert!(rig.jobs().is_empty());
    // A run is a Job, whoever is awake.
    is_answered(&rig, &another(&parse, Task::Sim, json!({}))).await;
    assert_eq!(rig.jobs().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_questions_than_a_pod_answers_wake_more_pods() {
    let (rig, parse, name) = bench(|rig| {
        (rig.config.inputs_at_once, rig.config.inputs_at_most) = (1, 2);
        rig.config.inputs_quiet = Duration::from_mins(1);
    })
    .await;
    let waiting = json!({ "say": ["asked"], "wait": rig.gate() });
    let mut asked = vec![];
    for _ in 0..3 {
        asked.push(rig.run(&another(&parse, Task::Parse, waiting.clone())).await);
    }
    let at_work = || asked.iter().filter(|recorder| recorder.log_text().contains("asked")).count();
    until("two at work", || at_work() == 2).await;
    assert_eq!(rig.cluster.pods_of(&name), 2);
    rig.open_gate();
    for recorder in asked {
        assert!(matches!(recorder.end().await.outcome, Outcome::Returned(_)));
    }
    assert!(rig.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_outlives_the_pod_that_answers_it() {
    let (rig, parse, name) = bench(|_| ()).await;
    let recorder = rig.run(&another(&parse, Task::Parse, json!({ "say": ["asked"], "wait": rig.gate() }))).await;
    rig.until_logged(&recorder, "asked").await;
    rig.open_gate();
    rig.cluster.crash_pods_of(&name);
    assert!(matches!(recorder.end().await.outcome, Outcome::Returned(_)));
    assert_eq!((recorder.ends(), rig.jobs().len()), (1, 0), "{}", recorder.log_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_question_ends_at_once() {
    let (rig, parse, _) = bench(|_| ()).await;
    let order = another(&parse, Task::Parse, json!({ "say": ["asked"], "wait": rig.gate() }));
    let recorder = rig.run(&order).await;
    rig.until_logged(&recorder, "asked").await;
    rig.executor().cancel(order.run).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Cancelled);
    rig.open_gate();
    is_answered(&rig, &parse).await;
    assert_eq!(recorder.ends(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_asked_where_no_server_answers() {
    let (rig, parse, _) = bench(|rig| {
        // Its Service leads nowhere.
        rig.config.inputs_url = "http://127.0.0.1:9".to_owned();
        rig.config.inputs_patience = Duration::from_millis(300);
    })
    .await;
    is_answered(&rig, &parse).await;
    assert_eq!(rig.jobs().len(), 1);
    // Nobody has applied a server for another version.
    is_answered(&rig, &RunOrder { task: Task::Parse, ..order(json!({})) }).await;
    assert_eq!(rig.jobs().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_no_answer() {
    let (rig, parse, name) = bench(|rig| rig.config.inputs_quiet = Duration::from_mins(1)).await;
    is_answered(&rig, &parse).await;
    assert_eq!(rig.cluster.pods_of(&name), 1);
    let url = rig.config.inputs_url.clone();
    let client = reqwest::Client::new();
    let body = json!({ "task_id": parse.run, "task_name": "parse" });
    let ask = |path: &str, body: &Value| client.post(format!("{url}/{path}/")).json(body);
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(ask("async", &body)).await, 401);
    assert_eq!(status(ask("async", &body).bearer_auth("csw1.x.y.z")).await, 401);
    assert_eq!(status(ask("sync", &body).bearer_auth("csw1.x.y.z")).await, 400);
    assert_eq!(status(ask("async", &json!({})).bearer_auth("csw1.x.y.z")).await, 400);
    assert_eq!(status(client.get(format!("{url}/healthz"))).await, 200);
}
