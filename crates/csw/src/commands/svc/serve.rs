//! `csw svc serve`: a site of a cluster at a port of this machine. kubectl does that, with the rights of whoever asks.

use std::{os::unix::process::CommandExt, process::Command};

use super::namespace;
use crate::{
    cli::build::Serve,
    failure::{Failure, Outcome},
    settings::Settings,
    tools,
};

pub(super) fn run(settings: &Settings, options: &Serve) -> Outcome {
    let Some(kubectl) = tools::find("kubectl") else {
        return Err(Failure::local(
            "kubectl is not there, which brings ports of a cluster to this machine",
            "install it: https://kubernetes.io/docs/tasks/tools/",
        ));
    };
    let namespace = namespace(settings, options.namespace.as_deref());
    // It takes the place of this program: signals and its end are kubectl's own.
    let error = Command::new(&kubectl)
        .args(["--namespace", &namespace, "port-forward", "service/csw"])
        .arg(format!("{}:80", options.port))
        .exec();
    Err(Failure::file(&kubectl, &error))
}
