//! `csw sims log`

use std::time::Duration;

use csw_client::Client;
use serde_json::json;

use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: &str, number: u32, follow: bool, printer: Printer) -> Outcome {
    let mut whole = Vec::new();
    loop {
        // The state comes first, so that the log read after the last state is whole.
        let over = !follow || client.remote(name, number).await?.is_over();
        let part = client.log(name, number, whole.len() as u64).await?;
        if !printer.is_json() {
            printer.stream(&String::from_utf8_lossy(&part))?;
        }
        whole.extend_from_slice(&part);
        if part.is_empty() {
            if over {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    if printer.is_json() {
        let answer = json!({ "model": name, "number": number, "log": String::from_utf8_lossy(&whole) });
        return printer.result(&answer, String::new);
    }
    Ok(())
}
