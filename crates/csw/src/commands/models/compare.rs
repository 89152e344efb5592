//! `csw models compare`: what a staged version makes of the simulations that are looked at most.

use std::time::Duration;

use csw_client::{Client, ClientError, Version};
use serde_json::Value;

use super::promote::staged;
use crate::{
    failure::{Code, Failure, Outcome},
    output::Printer,
};

/// How often the server is asked.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run(client: &Client, name: &str, wanted: Option<&str>, again: bool, printer: Printer) -> Outcome {
    let versions = client.versions(name).await?;
    let version = staged(&versions, name, wanted)?;
    let known = if again { None } else { client.comparison(name, &version.id).await? };
    if known.is_none() {
        match client.compare(name, &version.id).await {
            Ok(_) => {}
            Err(ClientError::Refused { status: 404, .. }) => return Err(nothing(name, version)),
            Err(other) => return Err(other.into()),
        }
    }
    let found = waited(client, name, &version.id, printer).await?.ok_or_else(|| nothing(name, version))?;
    printer.result(&found, || told(&found))
}

fn nothing(name: &str, version: &Version) -> Failure {
    Failure::new(
        Code::Refused,
        format!("there is nothing to compare version {} of {name} with", version.version),
        "nobody has looked at a simulation of the live version yet, or this site compares nothing",
    )
}

/// The comparison of a version once it is over; none where there is none.
pub(super) async fn waited(client: &Client, name: &str, version: &str, printer: Printer) -> Outcome<Option<Value>> {
    let mut summary = String::new();
    let mut silent = 0_u32;
    loop {
        match client.comparison(name, version).await {
            Ok(Some(found)) if found["state"] == "running" => {
                silent = 0;
                let now = found["summary"].as_str().unwrap_or_default();
                if now != summary {
                    now.clone_into(&mut summary);
                    printer.note(&format!("comparing with the live version: {now}"));
                }
            }
            Ok(found) => return Ok(found),
            // A restart of the server in between is no reason to give up.
            Err(error) if error.is_temporary() && silent < 60 => silent += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// It for people: a line for each simulation, and one for each output that is not equal.
pub(super) fn told(found: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines =
        vec![format!("{}, compared with version {}", text(&found["summary"]), text(&found["from"]["version"]))];
    if found["deterministic"] == false {
        lines.push("equal inputs give different outputs of this model: differences may be chance".to_owned());
    }
    for simulation in found["simulations"].as_array().into_iter().flatten() {
        let sentence = simulation["sentence"].as_str().and_then(|text| text.lines().last()).unwrap_or_default();
        let (number, title) = (&simulation["model_pk"], text(&simulation["title"]));
        lines.push(format!("#{number} {title}: {} {sentence}", text(&simulation["state"])).trim_end().to_owned());
        for output in simulation["outputs"].as_array().into_iter().flatten() {
            let change = &output["change"];
            if change["kind"] == "equal" {
                continue;
            }
            let how = change["sentence"].as_str().map_or_else(|| text(&change["kind"]), str::to_owned);
            lines.push(format!("    {}: {how}", text(&output["title"])));
        }
    }
    if let Some(unseen @ 1..) = found["unseen"].as_u64() {
        lines.push(format!("{unseen} more are private and not for you to see"));
    }
    lines.join("\n")
}
