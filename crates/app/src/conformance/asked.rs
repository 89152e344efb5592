//! Executions outside the queue, and their outputs made comparable.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    memo::canonical,
    output::{MediaType, OutputKind},
    ports::{Executor, ExecutorError, ReportError, RunEvents},
    run::{OutputBody, OutputDraft, RunEnd, RunOrder},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, oneshot};

/// What came of an execution outside the queue.
pub(crate) struct Asked {
    pub(crate) end: RunEnd,
    pub(crate) outputs: Vec<Seen>,
    pub(crate) log: Bytes,
}

/// An output, for comparison.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(super) kind: OutputKind,
    pub(super) position: u32,
    pub(super) title: String,
    pub(super) media_type: &'static str,
    pub(super) digest: String,
}

struct Listener {
    done: Mutex<Option<oneshot::Sender<RunEnd>>>,
    outputs: Mutex<Vec<Seen>>,
    log: Mutex<Vec<u8>>,
}

#[async_trait]
impl RunEvents for Listener {
    async fn log(&self, _: &RunOrder, text: Bytes) {
        self.log.lock().await.extend_from_slice(&text);
    }

    async fn output(&self, order: &RunOrder, output: OutputDraft) -> Result<(), ReportError> {
        let digest = if output.media_type == MediaType::Bokeh {
            let bytes = match &output.body {
                OutputBody::Bytes(bytes) => bytes.to_vec(),
                OutputBody::File(file) => tokio::fs::read(file)
                    .await
                    .map_err(|error| ReportError::Unavailable { run: order.run, cause: error.to_string() })?,
                OutputBody::Stored => vec![],
            };
            without_ids(&bytes).unwrap_or(output.sha256)
        } else {
            output.sha256
        };
        self.outputs.lock().await.push(Seen {
            kind: output.kind,
            position: output.position,
            title: output.title,
            media_type: output.media_type.as_str(),
            digest,
        });
        Ok(())
    }

    async fn ended(&self, _: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        if let Some(done) = self.done.lock().await.take() {
            // Nobody may be listening any more; then nobody misses it.
            let _ = done.send(end);
        }
        Ok(())
    }
}

/// Executes an order and waits for its end.
pub(crate) async fn ask(executor: &dyn Executor, order: RunOrder) -> Result<Asked, ExecutorError> {
    let (done, ended) = oneshot::channel();
    let listener =
        Arc::new(Listener { done: Mutex::new(Some(done)), outputs: Mutex::default(), log: Mutex::default() });
    executor.start(order, Arc::clone(&listener) as Arc<dyn RunEvents>).await?;
    let end =
        ended.await.map_err(|_| ExecutorError::Unavailable { cause: "the executor dropped the run".to_owned() })?;
    let mut outputs = std::mem::take(&mut *listener.outputs.lock().await);
    outputs.sort();
    let log = Bytes::from(std::mem::take(&mut *listener.log.lock().await));
    Ok(Asked { end, outputs, log })
}

/// Digest of a bokeh document in which its random ids are numbered in order of appearance.
pub(crate) fn without_ids(bytes: &[u8]) -> Option<String> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let mut found = Vec::new();
    collect(&document, &mut found);
    let mut ids = HashMap::new();
    for id in found {
        let next = ids.len();
        ids.entry(id).or_insert(next);
    }
    replace(&mut document, &ids);
    Some(hex::encode(Sha256::digest(canonical(&document).as_bytes())))
}

fn collect(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::String(id) if matches!(key.as_str(), "id" | "target_id" | "root_id" | "docid") => {
                        ids.push(id.clone());
                    }
                    other => collect(other, ids),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, ids)),
        _ => {}
    }
}

fn replace(value: &mut Value, ids: &HashMap<String, usize>) {
    match value {
        Value::String(text) => {
            if let Some(number) = ids.get(text.as_str()) {
                *text = format!("#{number}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, ids)),
        Value::Object(map) => {
            let renamed = std::mem::take(map).into_iter().map(|(key, mut inner)| {
                replace(&mut inner, ids);
                (ids.get(key.as_str()).map_or(key, |number| format!("#{number}")), inner)
            });
            *map = renamed.collect::<Map<_, _>>();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(document: &Value) -> Option<String> {
        without_ids(document.to_string().as_bytes())
    }

    #[test]
    fn bokeh_documents_compare_without_their_random_ids() {
        let document = |id: &str, width: u32| json!({"target_id": null, "root_id": id, "doc": {"roots": [{"id": id, "width": width, "ref": {"id": "q"}}]}});
        assert_eq!(digest(&document("p1", 3)), digest(&document("p77", 3)));
        assert_ne!(digest(&document("p1", 3)), digest(&document("p1", 4)));
    }

    /// Of bokeh 2.4: ids are numbers as text, listed apart from the models they name.
    #[test]
    fn old_bokeh_documents_compare_as_well() {
        let document = |root: &str, tool: &str, width: u32| {
            let references = json!([
                {"id": root, "type": "Plot", "attributes": {"toolbar": {"id": tool}, "width": width}},
                {"id": tool, "type": "Toolbar", "attributes": {}},
            ]);
            let doc = json!({"roots": {"references": references, "root_ids": [root]}, "version": "2.4.3"});
            json!({"target_id": null, "root_id": root, "doc": doc})
        };
        assert_eq!(digest(&document("1002", "1003", 3)), digest(&document("2044", "2045", 3)));
        assert_ne!(digest(&document("1002", "1003", 3)), digest(&document("1002", "1003", 4)));
        assert_ne!(digest(&document("1002", "1003", 3)), digest(&document("1002", "1002", 3)));
    }
}
