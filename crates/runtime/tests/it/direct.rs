//! Runs whose sandbox is their container.

use std::path::PathBuf;

use csw_core::{
    model::{Artifact, Strategy},
    run::{Outcome, RunOrder, TaskResult},
};
use csw_runtime::direct::{Place, Ready, clear, execute};
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
        execute(order, &self.place(order), &*receiver, CancellationToken::new(), None).await;
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
    execute(&order, &image.place(&order), &*receiver, stop, None).await;
    let Outcome::Lost { sentence } = receiver.ended().await.outcome else { panic!() };
    assert_eq!(sentence, "its pod was asked to stop, as when its node is emptied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_there_is_a_sentence() {
    let image = Image::new();
    let order = null(Strategy::Fresh, 1);
    let place = Place { environment: Some("/nowhere".into()), ..image.place(&order) };
    let receiver = Receiver::new();
    execute(&order, &place, &*receiver, CancellationToken::new(), None).await;
    let Outcome::Lost { sentence } = receiver.ended().await.outcome else { panic!() };
    assert!(sentence.starts_with("starting `/nowhere/bin/python`: "), "{sentence}");
}

/// What a model imports is imported before the run is known, by a process that no run has used.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_finds_the_model_imported_and_nothing_of_the_last() {
    let image = Image::new();
    let functions = "
import os, time
imported = time.time()
def get_version(): return '1'
def run_model(meta, adjustment):
    begun = open('begun', 'x') and adjustment['Main']['begun']
    said = '%s %s %s' % (imported < begun, os.environ['TOKEN'], os.environ['OWNER'])
    return {'renderable': [{'title': 't', 'media_type': 'Text', 'data': said}], 'downloadable': []}
";
    image.site.model("ready", functions);
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let order = |secret: &str, begun: f64| {
        let arguments = json!({ "meta_param_dict": {}, "adjustment": { "Main": { "begun": begun } } });
        let mut order = support::order("ready", csw_core::run::Task::Sim, Strategy::Fresh, arguments);
        order.secrets = [("TOKEN".to_owned(), secret.to_owned().into())].into();
        order
    };
    let first = order("one", 0.0);
    let place = image.place(&first);
    let said = |receiver: &Receiver| receiver.outputs.lock().unwrap()[0].text();
    let receiver = Receiver::new();
    execute(&first, &place, &*receiver, CancellationToken::new(), None).await;
    assert!(said(&receiver).starts_with("False one"), "{}", said(&receiver));
    for (secret, begins_with) in [("one", "True one"), ("two", "False two")] {
        clear(&place);
        let ready = Ready::after(&first, &place).await;
        assert!(ready.is_some());
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        // Another secret may make another module of what is imported.
        let mut next = order(secret, now());
        next.version = first.version;
        let receiver = Receiver::new();
        execute(&next, &place, &*receiver, CancellationToken::new(), ready).await;
        assert!(said(&receiver).starts_with(begins_with), "{}", said(&receiver));
    }
}
