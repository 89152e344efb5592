//! `csw outputs`: the outputs processor of a site, in any number of processes.

use std::sync::Arc;

use csw_kubernetes::outputs::{OutputsProcessor, router};
use serde_json::json;

use super::check;
use crate::{
    cli::Outputs,
    commands::up::{serve, start_log, stop_signal},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring::{self, Database},
};

/// Where Jobs send outputs, unless told otherwise.
const LISTEN: &str = "127.0.0.1:8092";

pub(in crate::commands) async fn run(settings: &Settings, options: &Outputs, printer: Printer) -> Outcome {
    start_log(options.log)?;
    check(settings, &options.place)?;
    let stop = stop_signal()?;
    let data = settings.data(&options.place);
    let server = settings.cluster.callback_url.clone().ok_or_else(|| {
        Failure::usage(
            "the outputs processor has to be told where the scheduler hears of ends",
            "set `kubernetes.callback_url`, such as http://csw-callbacks.NAMESPACE:8090",
        )
    })?;
    let store = wiring::open_database(&Database::choose(settings, &options.place)).await?;
    let objects = wiring::bucket(settings, &data, &store)
        .await?
        .ok_or_else(|| Failure::usage("there is no bucket to put outputs into", "name one in [objects]"))?;
    let folder = options.folder.clone().unwrap_or_else(|| std::env::temp_dir().join("csw-outputs"));
    let processor = OutputsProcessor {
        key: wiring::run_key(settings, &data)?,
        objects: Arc::new(objects),
        runs: Arc::new(store),
        folder: folder.clone(),
        server,
    };
    let router = router(processor).map_err(|error| Failure::file(&folder, &error))?;
    let wanted = options.listen.as_deref().or(settings.cluster.outputs_listen.as_deref()).unwrap_or(LISTEN);
    let (listener, address) = super::listen(wanted).await?;
    let server = serve(listener, router, stop.clone());
    tracing::info!(%address, "taking outputs");
    let ready = json!({ "listen": address.to_string(), "pid": std::process::id() });
    printer.result(&ready, || format!("Taking outputs at {address}; Ctrl-C stops it."))?;
    stop.cancelled().await;
    server.end().await;
    tracing::info!("stopped");
    Ok(())
}
