//! `csw models config`: what the live version has in a cluster besides its runs.

use std::path::Path;

use csw_client::Client;
use serde_json::json;

use crate::{
    commands::svc::documents,
    failure::{Failure, Outcome},
    output::Printer,
};

pub(super) async fn run(client: &Client, name: &str, out: &Path, printer: Printer) -> Outcome {
    let objects = client.manifests(name).await?;
    let text = documents(&objects)?;
    if out != Path::new("-") {
        std::fs::write(out, &text).map_err(|error| Failure::file(out, &error))?;
        let answer = json!({ "file": out, "objects": objects.len() });
        return printer.result(&answer, || format!("{} objects are in {}", objects.len(), out.display()));
    }
    printer.result(&json!({ "objects": objects }), || text.trim_end().to_owned())
}
