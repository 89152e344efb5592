//! What draws thumbnails.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use csw_app::{App, Config, Duties, Ports};
use csw_sandbox::{LayerSet, cgroup::Manager};
use csw_thumbnails::{Chromium, NAMES, ThumbnailConfig};

use super::{Database, bucket, layers, metrics, of_services, open_database, run_key, unplugged};
use crate::{
    cli::Place,
    failure::{Failure, Outcome},
    settings::{Settings, ThumbnailSettings},
    tools,
};

/// What else the process does whose browsers draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Serve and run. Memory that a browser takes would be the server's, unless a namespace makes it end alone.
    Everything,
    /// Nothing.
    Nothing,
}

/// Who draws, or why nobody does.
pub(crate) enum Drawn {
    /// A browser.
    By(Chromium),
    /// Nobody; with a sentence.
    Nothing(String),
}

/// The browser that the settings name, or the first that is found, behind these layers of the sandbox.
pub(crate) fn chromium(
    settings: &ThumbnailSettings,
    data: &Path,
    layers: LayerSet,
    cgroups: &Manager,
    beside: Beside,
) -> Outcome<Drawn> {
    if !settings.are_wanted()? {
        return Ok(Drawn::Nothing("the operator wants none (thumbnails.enabled)".to_owned()));
    }
    let found = || NAMES.iter().find_map(|name| tools::find(name));
    let Some(browser): Option<PathBuf> = settings.chromium.clone().or_else(found) else {
        return Ok(Drawn::Nothing(
            "there is no Chromium: install the package chromium, or name one in thumbnails.chromium".to_owned(),
        ));
    };
    if beside == Beside::Everything && !layers.namespaces {
        return Ok(Drawn::Nothing(
            "a browser beside a server needs namespaces; `csw thumbnails --start` draws without them, apart".to_owned(),
        ));
    }
    let mut config = ThumbnailConfig::new(browser, data, tools::own_program()?);
    config.layers = layers;
    config.cgroups = cgroups.clone();
    Ok(match Chromium::new(config) {
        Ok(chromium) => Drawn::By(chromium),
        Err(error) => Drawn::Nothing(error.to_string()),
    })
}

/// A process that draws, and nothing else.
pub(crate) struct Drawing {
    pub(crate) app: App,
    pub(crate) router: Router,
    /// The groups of its browsers; to be closed at the end.
    pub(crate) cgroups: Manager,
    pub(crate) browser: PathBuf,
}

/// What draws for a site of several services, with a folder for pictures that are being drawn.
pub(crate) async fn drawing(settings: &Settings, place: &Place, folder: &Path) -> Outcome<Drawing> {
    let data = settings.data(place);
    let cgroups = Manager::detect(&format!("thumbnails-{}", std::process::id()));
    let layers = layers(&tools::own_program()?, &cgroups)?;
    let chromium = match chromium(&settings.thumbnails, folder, layers, &cgroups, Beside::Nothing)? {
        Drawn::By(chromium) => chromium,
        Drawn::Nothing(why) => {
            return Err(Failure::local(why, "`csw svc build --thumbnails` makes an image with all it takes"));
        }
    };
    let store = open_database(&Database::choose(settings, place)).await?;
    let objects = bucket(settings, &data, &store)
        .await?
        .ok_or_else(|| Failure::usage("there is no bucket to put thumbnails into", "name one in [objects]"))?;
    let browser = chromium.browser().to_owned();
    let ports = Ports {
        objects: Arc::new(objects),
        illustrator: Some(Arc::new(chromium)),
        ..unplugged(store, settings, place)?
    };
    let config = Config { duties: Duties::Thumbnails, ..settings.site(Config::default().public_url) };
    let app = App::new(ports, config);
    let router = csw_web::state_router(app.clone(), of_services(run_key(settings, &data)?, metrics()?));
    Ok(Drawing { app, router, cgroups, browser })
}
