//! Commands that are part of the whole and not of this release. They say what they are for and what is missing, and
//! fail: a script must not take them for done.

use serde_json::json;

use crate::{
    cli::build::Services,
    failure::{Code, Failure, Outcome},
    output::Printer,
};

/// `csw svc ...`
pub(super) fn services(verb: Services, printer: Printer) -> Outcome {
    let (words, will) = match verb {
        Services::Build => (
            "csw svc build",
            "will make the images of the services: the web application, the scheduler and the processor of outputs",
        ),
        Services::Push => ("csw svc push", "will send the images of the services to a registry"),
        Services::Config => ("csw svc config", "will write the manifests of the services, for `kubectl apply -f -`"),
        Services::Serve => ("csw svc serve", "will serve the services of a cluster from this machine"),
    };
    not_yet(words, will, "`csw up` serves a whole site from one machine", printer)
}

/// `csw models config`
pub(super) fn model_manifests(name: &str, printer: Printer) -> Outcome {
    let will = format!("will write the manifests of {name}, for `kubectl apply -f -`");
    let instead = "`csw models build --image` and `push` make and send its image already";
    not_yet("csw models config", &will, instead, printer)
}

fn not_yet(words: &str, will: &str, instead: &str, printer: Printer) -> Outcome {
    let release = env!("CARGO_PKG_VERSION");
    let missing = "an executor that runs models in Kubernetes";
    let answer = json!({ "ok": false, "command": words, "will": will, "missing": missing, "release": release });
    printer.result(&answer, String::new)?;
    Err(Failure::new(
        Code::Refused,
        format!("`{words}` {will}. Release {release} does not: it lacks {missing}, with which the command comes"),
        instead,
    ))
}
