//! `csw sims outputs`

use csw_client::{Client, OutputReference};
use serde_json::{Value, json};

use crate::{
    failure::Outcome,
    output::{Printer, table},
};

pub(crate) async fn run(client: &Client, name: &str, number: u32, printer: Printer) -> Outcome {
    let outputs = client.remote(name, number).await?.outputs;
    let answer = outputs.as_ref().map_or_else(|| json!(null), |outputs| json!(outputs.outputs));
    printer.result(&answer, || {
        let Some(outputs) = &outputs else { return format!("{name}#{number} has no outputs") };
        let row = |kind: &str, output: &OutputReference| {
            let size =
                output.more.get("size").and_then(Value::as_u64).map_or_else(String::new, |size| size.to_string());
            [
                output.id.clone().unwrap_or_default(),
                kind.to_owned(),
                output.media_type.clone(),
                size,
                output.filename.clone(),
            ]
        };
        let shown = outputs.outputs.renderable.outputs.iter().map(|output| row("renderable", output));
        let files = outputs.outputs.downloadable.outputs.iter().map(|output| row("downloadable", output));
        table(["ID", "LIST", "TYPE", "BYTES", "FILE"], &shown.chain(files).collect::<Vec<_>>())
    })
}
