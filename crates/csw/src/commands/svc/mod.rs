//! `csw svc`

mod secrets;

use super::planned;
use crate::{cli::Svc, failure::Outcome, output::Printer, settings::Settings};

pub(crate) async fn run(settings: &Settings, verb: Svc, printer: Printer) -> Outcome {
    match verb {
        Svc::Secrets { place, verb } => secrets::run(settings, place, verb, printer).await,
        Svc::Cluster(verb) => planned::services(verb, printer),
    }
}
