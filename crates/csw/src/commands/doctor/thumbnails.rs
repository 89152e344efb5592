//! Whether thumbnails can be made: one is.

use bytes::Bytes;
use csw_core::{
    output::MediaType,
    ports::{Illustrator, Subject},
};
use csw_sandbox::{cgroup::Manager, doctor::State};

use super::Finding;
use crate::{
    failure::{Failure, Outcome},
    settings::Settings,
    tools,
    wiring::{Beside, Drawn, chromium},
};

/// Tries to draw a word.
pub(super) async fn examine(settings: &Settings) -> Outcome<Finding> {
    let (state, detail) = match attempt(settings).await? {
        Ok(detail) => (State::Present, detail),
        Err(why) => (State::Missing, why),
    };
    Ok(Finding {
        kind: "thumbnails",
        name: "thumbnails".to_owned(),
        state,
        needed: false,
        detail,
        cost_of_absence: "outputs have no thumbnails; `[thumbnails]` of the configuration file says which browser"
            .to_owned(),
    })
}

async fn attempt(settings: &Settings) -> Outcome<Result<String, String>> {
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::local(format!("no temporary folder: {error}"), "is the disk full?"))?;
    let helper = tools::own_program()?;
    let report = tokio::task::spawn_blocking(move || csw_sandbox::doctor::report(&helper, &Manager::none()));
    let report = report.await.map_err(|error| Failure::local(error.to_string(), "try again"))?;
    let layers = match report {
        Ok(report) => report.usable,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let chromium = match chromium(&settings.thumbnails, folder.path(), layers, &Manager::none(), Beside::Everything)? {
        Drawn::By(chromium) => chromium,
        Drawn::Nothing(why) => return Ok(Err(why)),
    };
    let subject = Subject { media_type: MediaType::Text, bytes: Bytes::from_static(b"doctor"), scripts: vec![] };
    Ok(match chromium.draw(&subject).await {
        Ok(_) => Ok(format!("one was drawn by {}", chromium.browser().display())),
        Err(error) => Err(format!("{}: {error}", chromium.browser().display())),
    })
}
