//! Runs whose sandbox is their container.

use std::path::PathBuf;

use csw_core::{
    model::{Artifact, Strategy},
    run::{Outcome, RunOrder, TaskResult},
};
use csw_runtime::direct::{Place, execute};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{self, Receiver, case, failed, null};

/// A version as an image has it.
struct Image {
    site: support::Place,
    scratch: TempDir,
}

impl Image {
    fn new() -> Self {
        Self { site: support::Place::new(), scratch: tempfile::tempdir().unwrap() }
    }

    fn place(&self, order: &RunOrder) -> Place {
        let Artifact::Environment { environment, code } = &order.artifact else { panic!() };
        let data: PathBuf = self.site.folder.path().to_owned();
        Place {
            environment: Some(data.join("envs").join(environment)),
            code: data.join("code").join(code),
            scratch: self.scratch.path().to_owned(),
        }
    }

    async fn run(&self, order: &RunOrder) -> std::sync::Arc<Receiver> {
        let receiver = Receiver::new();
        execute(order, &self.place(order), &*receiver, CancellationToken::new()).await;
        receiver
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gives_its_outputs_and_its_log() {
    let image = Image::new();
    let seen = image.run(&null(Strategy::Zygote, 3)).await;
    assert_eq!(seen.ended().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 1 }), "{}", seen.logged());
    assert_eq!(seen.outputs.lock().unwrap()[0].text(), "3\n");
    let seen = image.run(&case(Strategy::Fresh, "prints", json!({}))).await;
    assert!(seen.logged().starts_with("stdout line"), "{}", seen.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_empty_and_the_socket_is_out_of_reach_of_children() {
    let image = Image::new();
    let functions = "
import os, sys
def get_version(): return '1'
def run_model(meta, adjustment):
    said = '%r %s %s' % (sys.stdin.read(), os.get_inheritable(3), os.readlink('/proc/self/fd/3').split(':')[0])
    return {'renderable': [{'title': 't', 'media_type': 'Text', 'data': said}], 'downloadable': []}
";
    image.site.model("stdin", functions);
    let order = support::order("stdin", csw_core::run::Task::Sim, Strategy::Fresh, json!({}));
    let seen = image.run(&order).await;
    let end = seen.ended().await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    let text = seen.outputs.lock().unwrap()[0].text();
    assert_eq!(text, "'' False socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_like_anywhere() {
    let image = Image::new();
    let seen = image.run(&case(Strategy::Fresh, "raises", json!({}))).await;
    assert!(failed(&seen.ended().await).contains("Traceback"));
    let mut order = case(Strategy::Fresh, "sleeps", json!({ "seconds": [{ "value": 60 }] }));
    order.limits.deadline_seconds = 1;
    assert_eq!(image.run(&order).await.ended().await.outcome, Outcome::TimedOut { seconds: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_asked_to_stop_says_so() {
    let image = Image::new();
    let order = case(Strategy::Fresh, "sleeps", json!({ "seconds": [{ "value": 60 }] }));
    let (stop, receiver) = (CancellationToken::new(), Receiver::new());
    stop.cancel();
    execute(&order, &image.place(&order), &*receiver, stop).await;
    let Outcome::Lost { sentence } = receiver.ended().await.outcome else { panic!() };
    assert_eq!(sentence, "its pod was asked to stop, as when its node is emptied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_there_is_a_sentence() {
    let image = Image::new();
    let order = null(Strategy::Fresh, 1);
    let place = Place { environment: Some("/nowhere".into()), ..image.place(&order) };
    let receiver = Receiver::new();
    execute(&order, &place, &*receiver, CancellationToken::new()).await;
    let Outcome::Lost { sentence } = receiver.ended().await.outcome else { panic!() };
    assert!(sentence.starts_with("starting `/nowhere/bin/python`: "), "{sentence}");
}
