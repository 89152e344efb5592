//! The services of a site that is more than one process: pages, work, outputs on their way, and thumbnails. They share a
//! database of PostgreSQL, a bucket, the data folder, and the key of the tokens of runs.

mod outputs;
mod scheduler;
mod thumbnails;
mod webapp;

use std::net::SocketAddr;

use tokio::net::TcpListener;

pub(super) use self::{
    outputs::run as outputs, scheduler::run as scheduler, thumbnails::run as thumbnails, webapp::run as webapp,
};
use crate::{
    cli::Place,
    failure::{Failure, Outcome},
    settings::{ObjectBackend, Settings},
    wiring::Database,
};

/// Refuses where services could not see what the others do.
fn check(settings: &Settings, place: &Place) -> Outcome {
    if matches!(Database::choose(settings, place), Database::Sqlite(_)) {
        return Err(Failure::usage(
            "a site of several services needs PostgreSQL: a file is one process's",
            "name it as `database = \"postgres://...\"`, or start the whole site with `csw up`",
        ));
    }
    if matches!(settings.objects.store(), Ok(ObjectBackend::Folder)) {
        return Err(Failure::usage(
            "a site of several services needs a bucket for its outputs: a folder is one machine's",
            "name it in [objects], or start the whole site with `csw up`",
        ));
    }
    Ok(())
}

async fn listen(wanted: &str) -> Outcome<(TcpListener, SocketAddr)> {
    let failed = |error: std::io::Error| {
        Failure::local(format!("can't listen at {wanted}: {error}"), "choose another with `--listen ADDR:PORT`")
    };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
