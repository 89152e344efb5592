//! What draws thumbnails.

use std::path::{Path, PathBuf};

use csw_sandbox::{LayerSet, cgroup::Manager};
use csw_thumbnails::{Chromium, NAMES, ThumbnailConfig};

use crate::{failure::Outcome, settings::ThumbnailSettings, tools};

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
    let mut config = ThumbnailConfig::new(browser, data, tools::own_program()?);
    config.layers = layers;
    config.cgroups = cgroups.clone();
    Ok(match Chromium::new(config) {
        Ok(chromium) => Drawn::By(chromium),
        Err(error) => Drawn::Nothing(error.to_string()),
    })
}
