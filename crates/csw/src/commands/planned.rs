//! A command that is part of the whole and not of this release. It says what it is for and what is missing, and fails: a
//! script must not take it for done.

use serde_json::json;

use crate::{
    failure::{Code, Failure, Outcome},
    output::Printer,
};

/// `csw models config`
pub(super) fn model_manifests(name: &str, printer: Printer) -> Outcome {
    let words = "csw models config";
    let will = format!("will write the manifests of the inputs server of {name}, for `kubectl apply -f -`");
    let missing = "inputs servers: validation is a Job like a run";
    let release = env!("CARGO_PKG_VERSION");
    let answer = json!({ "ok": false, "command": words, "will": will, "missing": missing, "release": release });
    printer.result(&answer, String::new)?;
    Err(Failure::new(
        Code::Refused,
        format!("`{words}` {will}. Release {release} has no {missing}"),
        "`csw svc config` writes all that a site needs; a model needs no objects of its own",
    ))
}
