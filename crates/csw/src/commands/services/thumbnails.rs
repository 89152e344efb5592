//! `csw thumbnails`: draws thumbnails, in any number of processes. A browser that takes too much ends none of the others.

use serde_json::json;

use super::check;
use crate::{
    cli::Thumbnails,
    commands::up::{serve, start_log, stop_signal},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring,
};

/// Seconds that a picture gets when it is asked to stop: the next process begins it again.
const GRACE: u32 = 0;

pub(in crate::commands) async fn run(settings: &Settings, options: &Thumbnails, printer: Printer) -> Outcome {
    // Browsers are beside this process, where there are no namespaces as the same user.
    csw_sandbox::hide().map_err(|error| Failure::local(error.to_string(), "start it again"))?;
    start_log(options.log)?;
    check(settings, &options.place)?;
    let stop = stop_signal()?;
    let folder = options.folder.clone().unwrap_or_else(|| std::env::temp_dir().join("csw-thumbnails"));
    std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
    let (listener, address) = super::listen(&options.listen).await?;
    let drawing = wiring::drawing(settings, &options.place, &folder).await?;
    let background = drawing.app.start().await;
    let server = serve(listener, drawing.router, stop.clone());
    tracing::info!(%address, browser = %drawing.browser.display(), "drawing thumbnails");
    let ready = json!({ "listen": address.to_string(), "pid": std::process::id() });
    printer.result(&ready, || format!("Drawing thumbnails with {}; Ctrl-C stops it.", drawing.browser.display()))?;
    stop.cancelled().await;
    background.shut_down(GRACE).await;
    drawing.cgroups.close();
    server.end().await;
    tracing::info!("stopped");
    Ok(())
}
