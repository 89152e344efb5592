//! The registry of images, and who we are there.

use std::path::Path;

use csw_publish::image::{Credentials, ImageOptions, Layout, Patience, Place, PushOptions, Target, Tool};

use crate::{
    failure::{Failure, Outcome},
    settings::Settings,
    tools,
};

/// The folder with everything that versions which are images are built with, below the data folder.
pub(crate) const FOLDER: &str = "images";

/// Seconds that a container tool may take: apt and compilers are slow.
const CONTAINER_SECONDS: u64 = 3600;

/// How often a site asks a registry that is away: a registry that is started again is back in a minute.
const ATTEMPTS: u32 = 8;

/// Where images go and as whom, if the operator names a place.
pub(crate) fn registry(settings: &Settings) -> Outcome<Option<(Place, Option<Credentials>)>> {
    let Some(named) = settings.images.registry() else { return Ok(None) };
    Ok(Some((Place::parse(&named)?, credentials(settings, settings.images.user())?)))
}

/// Who we are to the registry, by flag, variables and settings.
pub(crate) fn credentials(settings: &Settings, user: Option<String>) -> Outcome<Option<Credentials>> {
    match (user.or_else(|| settings.images.user()), settings.images.password()) {
        (Some(user), Some(password)) => Ok(Some(Credentials { user, password })),
        (None, None) => Ok(None),
        (Some(user), None) => Err(Failure::usage(
            format!("there is no password for `{user}`"),
            "set CSW_REGISTRY_PASSWORD, or leave the user to `docker login` or `podman login`",
        )),
        (None, Some(_)) => Err(Failure::usage(
            "there is a password for the registry, and nobody it is of",
            "set CSW_REGISTRY_USER as well",
        )),
    }
}

/// The tool that builds what can't be built otherwise.
pub(crate) fn tool(settings: &Settings, name: Option<String>, flags: &[String]) -> Tool {
    let flags = if flags.is_empty() { &settings.images.builder_flags } else { flags };
    Tool {
        name: name.or_else(|| settings.images.builder.clone()),
        flags: flags.iter().filter(|flag| !flag.is_empty()).cloned().collect(),
        seconds: CONTAINER_SECONDS,
    }
}

/// How often a site asks a registry that is away.
pub(crate) fn attempts(settings: &Settings) -> u32 {
    settings.images.attempts.unwrap_or(ATTEMPTS).max(1)
}

/// How versions of a site become images below `folder`, if there is a registry for them.
pub(crate) fn target(settings: &Settings, folder: &Path) -> Outcome<Option<Target>> {
    let Some((place, credentials)) = registry(settings)? else { return Ok(None) };
    let patience = Patience { attempts: attempts(settings), ..Patience::default() };
    let images = ImageOptions {
        layout: Layout::open(&folder.join("layout"))?,
        program: tools::own_program()?,
        base: settings.images.base(),
        tag: None,
        insecure: settings.images.insecure,
        login: credentials.clone().map(|known| (place.host.clone(), known)),
        patience,
        tool: tool(settings, None, &[]),
        ask_version: false,
    };
    let push = PushOptions { place, tag: None, credentials, insecure: settings.images.insecure, patience };
    Ok(Some(Target { images, push }))
}
