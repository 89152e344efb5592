//! `csw scheduler`: takes runs and builds from the queue, makes Jobs, and hears what becomes of them. Of several processes
//! one works; the others wait for its Lease.

use serde_json::json;

use super::check;
use crate::{
    cli::Scheduler,
    commands::up::{lead, led_no_more, lost, origin, serve, start_log, stop_signal},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring::{self, Runs},
};

/// Where the other services ask, unless told otherwise.
const LISTEN: &str = "127.0.0.1:8091";

pub(in crate::commands) async fn run(settings: &Settings, options: &Scheduler, printer: Printer) -> Outcome {
    start_log(options.log)?;
    check(settings, &options.workshop.place)?;
    let url = options.public_url.as_ref().or(settings.public_url.as_ref()).ok_or_else(|| {
        Failure::usage("where do browsers find the site?", "say so as `public_url`: it goes into mail")
    })?;
    let url = origin(url)?;
    let stop = stop_signal()?;
    let cluster = wiring::Cluster::find(settings).await?;
    let (folder, leadership) = tokio::select! {
        led = lead(settings, &options.workshop.place, &cluster) => led?,
        () = stop.cancelled() => return Ok(()),
    };
    let wanted = options.listen.as_deref().or(settings.cluster.scheduler_listen.as_deref()).unwrap_or(LISTEN);
    let (listener, address) = super::listen(wanted).await?;
    let site = wiring::site(settings, &options.workshop, &folder, url, Runs::Work(cluster)).await?;
    let callbacks = site.callbacks.map(|(listener, router)| tokio::spawn(axum::serve(listener, router).into_future()));
    let background = site.app.start().await;
    let server = serve(listener, site.router, stop.clone());
    tracing::info!(%address, "scheduling");
    let ready = json!({ "listen": address.to_string(), "pid": std::process::id() });
    printer.result(&ready, || format!("Scheduling; services ask at {address}; Ctrl-C stops it."))?;
    let lost = tokio::select! {
        () = stop.cancelled() => None,
        lost = lost(Some(&leadership)) => Some(lost),
    };
    stop.cancel();
    background.shut_down(options.grace).await;
    site.cgroups.close();
    server.end().await;
    if let Some(callbacks) = callbacks {
        callbacks.abort();
    }
    tracing::info!("stopped");
    match lost {
        Some(lost) => return Err(led_no_more(lost)),
        None => leadership.resign().await,
    }
    Ok(())
}
