//! An executor whose model answers at once, the same each time, or holds until it is cancelled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    ids::{OutputId, RunId, VersionId},
    output::{MediaType, OutputKind},
    ports::{Capacity, Executor, ExecutorError, RunEvents, Zygotes},
    run::{Outcome, OutputBody, OutputDraft, Phases, RunEnd, RunOrder, Task, TaskResult, Usage},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

/// The bytes of the model's picture.
pub(crate) const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n not quite \"a\" picture";

/// The model's table.
pub(crate) const TABLE: &str = "<table><tr><td>\"1\" & 2</td></tr></table><script>alert(1)</script>";

/// The model's data.
pub(crate) const DATA: &str = "a,b\n1,2\n3,4\n";

/// The title of the model with many parameters.
pub(crate) const WIDE: &str = "Wide";

#[derive(Default)]
pub(crate) struct Model {
    held: Mutex<HashMap<RunId, Arc<Notify>>>,
    /// What it was asked, in order.
    pub(crate) tasks: Mutex<Vec<Task>>,
}

/// The input schema of the model.
pub(crate) fn schema() -> (Value, Value) {
    let section = json!({ "labels": {}, "additional_members": {}, "operators": {} });
    let meta = json!({
        "schema": section,
        "year": {
            "title": "Year", "description": "First year.", "type": "int", "value": [{ "value": 2026 }],
            "validators": { "range": { "min": 2020, "max": 2030 } },
        },
    });
    let model = json!({
        "policy": {
            "schema": section,
            "rate": {
                "title": "Rate", "description": "Of tax, and of nothing else. ".repeat(50), "type": "float", "value": [{ "value": 0.1 }],
                "validators": { "range": { "min": 0, "max": 1 } },
            },
            "hold": {
                "title": "Hold", "description": "Wait.", "type": "bool", "value": [{ "value": false }],
                "validators": {},
            },
        },
    });
    (meta, model)
}

/// Sixty parameters in an order that no sorting gives, and two meta parameters.
fn wide_schema() -> (Value, Value) {
    let section = json!({ "labels": {}, "additional_members": {}, "operators": {} });
    let parameter = |kind: &str, value: Value| json!({ "title": "A", "description": "", "type": kind, "value": [{ "value": value }], "validators": {} });
    let meta = json!({ "schema": section, "d1": parameter("str", json!("")), "d0": parameter("int", json!(0)) });
    let mut all = serde_json::Map::from_iter([("schema".to_owned(), section)]);
    all.extend((10..70).rev().map(|number| (format!("p{number}"), parameter("float", json!(0.5)))));
    (meta, json!({ "all": all }))
}

fn draft(kind: OutputKind, position: u32, title: &str, media_type: MediaType, bytes: &[u8]) -> OutputDraft {
    OutputDraft {
        id: OutputId::from_uuid(uuid::Uuid::new_v4()),
        kind,
        position,
        title: title.to_owned(),
        media_type,
        body: OutputBody::Bytes(Bytes::copy_from_slice(bytes)),
        size: bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(bytes)),
    }
}

fn end(outcome: Outcome) -> RunEnd {
    let phases = Phases { run: 1_500, ..Phases::default() };
    RunEnd { outcome, model_version: Some("1.0".to_owned()), phases, usage: Usage::default() }
}

async fn simulate(order: &RunOrder, events: &dyn RunEvents) -> Outcome {
    events.log(order, Bytes::from_static("half a € and\nthe rest\n".as_bytes())).await;
    // A model that tells its secrets, a letter at a time.
    for (name, value) in &order.secrets {
        for letter in format!("{name}={}\n", value.expose()).chars() {
            events.log(order, Bytes::from(letter.to_string())).await;
        }
    }
    let outputs = [
        draft(OutputKind::Renderable, 0, "Picture", MediaType::Png, PICTURE),
        draft(OutputKind::Renderable, 1, "Table", MediaType::Table, TABLE.as_bytes()),
        draft(OutputKind::Renderable, 2, "Plot", MediaType::Bokeh, br#"{"root_id": "1", "doc": {}}"#),
        draft(OutputKind::Downloadable, 0, "Data / all", MediaType::Csv, DATA.as_bytes()),
    ];
    let count = u32::try_from(outputs.len()).unwrap();
    for output in outputs {
        events.output(order, output).await.unwrap();
    }
    Outcome::Returned(TaskResult::Sim { outputs: count })
}

async fn outcome(order: &RunOrder, events: &dyn RunEvents, released: &Notify) -> Outcome {
    let adjustment = &order.arguments["adjustment"];
    match order.task {
        Task::Version => Outcome::Returned(TaskResult::Version("1.0".to_owned())),
        Task::Defaults => {
            let wide = order.model.title.as_str() == WIDE;
            let (meta_parameters, model_parameters) = if wide { wide_schema() } else { schema() };
            Outcome::Returned(TaskResult::Defaults { meta_parameters, model_parameters })
        }
        Task::Parse => Outcome::Returned(TaskResult::Parse {
            errors_warnings: order.arguments["errors_warnings"].clone(),
            custom_adjustment: None,
        }),
        Task::Sim if adjustment["policy"].get("hold").is_some() => {
            released.notified().await;
            Outcome::Cancelled
        }
        Task::Sim => simulate(order, events).await,
    }
}

#[async_trait]
impl Executor for Model {
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        self.tasks.lock().unwrap().push(order.task);
        let released = Arc::new(Notify::new());
        self.held.lock().unwrap().insert(order.run, Arc::clone(&released));
        tokio::spawn(async move {
            let outcome = outcome(&order, &*events, &released).await;
            events.ended(&order, end(outcome)).await.unwrap();
        });
        Ok(())
    }

    async fn cancel(&self, run: RunId) {
        if let Some(released) = self.held.lock().unwrap().get(&run) {
            released.notify_one();
        }
    }

    async fn live(&self) -> Vec<RunId> {
        Vec::new()
    }

    async fn warm(&self, _: RunOrder) {}

    async fn evict(&self, _: VersionId) {}

    fn capacity(&self) -> Capacity {
        Capacity { cpus: 64.0, memory_bytes: 1 << 40, runs: 64 }
    }

    fn zygotes(&self) -> Zygotes {
        Zygotes::default()
    }

    async fn shut_down(&self, _: u32) {}
}
