//! `csw models logs`

use csw_client::Client;
use serde_json::json;

use crate::{
    failure::{Code, Failure, Outcome},
    output::Printer,
};

pub(crate) async fn run(client: &Client, name: &str, build: Option<&str>, printer: Printer) -> Outcome {
    let id = match build {
        Some(id) => id.to_owned(),
        None => client.builds(name).await?.results.into_iter().next().map(|build| build.id).ok_or_else(|| {
            Failure::new(Code::Refused, format!("{name} was never built"), "`csw models publish` builds it")
        })?,
    };
    let build = client.build_state(name, &id).await?;
    let log = client.build_log(name, &id, 0).await?;
    let text = String::from_utf8_lossy(&log);
    if printer.is_json() {
        return printer.result(&json!({ "build": build, "log": text }), String::new);
    }
    printer.stream(&text)
}
