//! `csw webapp`: pages and REST API of a site, in any number of processes.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::check;
use crate::{
    cli::{Webapp, Workshop},
    commands::up::{drain, local_url, origin, serve, start_log, stop_signal},
    failure::Outcome,
    folder::Folder,
    output::Printer,
    settings::{LISTEN, Settings},
    wiring::{self, Runs},
};

/// Seconds that requests get when it is asked to stop.
const GRACE: u32 = 10;

pub(in crate::commands) async fn run(settings: &Settings, options: &Webapp, printer: Printer) -> Outcome {
    start_log(options.log)?;
    check(settings, &options.place)?;
    let public_url =
        options.front.public_url.as_ref().or(settings.public_url.as_ref()).map(|url| origin(url)).transpose()?;
    let stop = stop_signal()?;
    let folder = Folder::share(&settings.data(&options.place))?;
    let wanted = options.front.listen.as_deref().or(settings.listen.as_deref()).unwrap_or(LISTEN);
    let (listener, address) = super::listen(wanted).await?;
    let public_url = public_url.unwrap_or_else(|| local_url(address));
    let scheduler = wiring::scheduler(settings, folder.path())?;
    let parts = Workshop { place: options.place.clone(), ..Workshop::default() };
    let site =
        wiring::site(settings, &parts, &folder, public_url.clone(), Runs::Elsewhere(Arc::new(scheduler))).await?;
    let background = site.app.start().await;
    let closing = CancellationToken::new();
    let server = serve(listener, site.router, closing.clone());
    tracing::info!(url = %public_url, %address, "serving pages");
    let ready = json!({ "url": public_url, "listen": address.to_string(), "pid": std::process::id() });
    printer.result(&ready, || format!("Serving pages of {public_url}; Ctrl-C stops it."))?;
    stop.cancelled().await;
    drain(&site.leaving, options.front.drain).await;
    closing.cancel();
    background.shut_down(GRACE).await;
    site.cgroups.close();
    server.end().await;
    tracing::info!("stopped");
    Ok(())
}
