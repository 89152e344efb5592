//! Why there is no image, or it is not where it should be: sentences that name the object and the way out.

use std::{io, path::Path};

use csw_core::{build::Stage, ports::BuildError};
use thiserror::Error;

use crate::{failure::Failure, mask::mask};

/// Everything that ends the making or pushing of an image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// Not the name of an image, tag or place.
    #[error("`{name}` is no name for an image: {why}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The registry is not in reach.
    #[error(
        "The registry {host} does not answer: {cause}. Nothing is lost: start it or mend the network, and try again; what it has already is not sent again"
    )]
    Down {
        /// Which.
        host: String,
        /// What the connection said.
        cause: String,
    },
    /// The registry takes nothing any more.
    #[error(
        "The registry {host} took no more bytes of {what} for {seconds} seconds. Try again when it is faster; what it has already is not sent again"
    )]
    Slow {
        /// Which.
        host: String,
        /// What was under way.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// It wants to know who asks, or does not believe it.
    #[error(
        "The registry {host} {} ({said}). Log in with `docker login {host}` or `podman login {host}`, or set CSW_REGISTRY_USER and CSW_REGISTRY_PASSWORD",
        unknown(who.as_deref())
    )]
    Unknown {
        /// Which.
        host: String,
        /// Who asked, if anybody said so.
        who: Option<String>,
        /// Its own words.
        said: String,
    },
    /// It knows who asks, and says no.
    #[error(
        "The registry {host} does not let {who} {action} {repository} ({said}). Ask its owner for the right, log in as somebody who has it, or choose another place with `--registry` or `images.registry`"
    )]
    Denied {
        /// Which.
        host: String,
        /// Who asked.
        who: String,
        /// `read` or `write to`.
        action: String,
        /// What.
        repository: String,
        /// Its own words.
        said: String,
    },
    /// There is no such image.
    #[error("The registry {host} has no {what} ({said}). Check the name and the tag")]
    Missing {
        /// Which.
        host: String,
        /// What was asked for.
        what: String,
        /// Its own words.
        said: String,
    },
    /// It has no room, or takes nothing of this size.
    #[error(
        "The registry {host} has no room for {what} of {bytes} bytes ({said}). Ask its operator for room or a higher limit, remove old images there, or choose another place with `--registry` or `images.registry`"
    )]
    Full {
        /// Which.
        host: String,
        /// What was sent.
        what: String,
        /// How large it is.
        bytes: u64,
        /// Its own words.
        said: String,
    },
    /// It fails, again and again.
    #[error(
        "The registry {host} failed {times} times at {what} ({said}). Its disk may be full or its storage away: ask its operator, and try again; what it has already is not sent again"
    )]
    Failing {
        /// Which.
        host: String,
        /// What was under way.
        what: String,
        /// Its own words.
        said: String,
        /// How often it was asked.
        times: u32,
    },
    /// It got something else than was sent.
    #[error(
        "The registry {host} got other bytes of {what} than were sent ({said}), again and again. Something between here and there changes or cuts what is sent, a proxy perhaps: mend that, and try again"
    )]
    Changed {
        /// Which.
        host: String,
        /// What was sent.
        what: String,
        /// Its own words.
        said: String,
    },
    /// It does not speak the protocol.
    #[error(
        "The registry {host} answered {said} to {what}, which no registry should. Is the address that of a registry?"
    )]
    Strange {
        /// Which.
        host: String,
        /// What was under way.
        what: String,
        /// Its own words.
        said: String,
    },
    /// The base does not suit.
    #[error("The base {base} cannot carry this version: {why}")]
    Base {
        /// Which.
        base: String,
        /// Why, and what to do.
        why: String,
    },
    /// The folder of images has no such image.
    #[error(
        "There is no image of {model} with the tag `{tag}` in {folder}{others}. `csw models -n {model} build --image` makes one"
    )]
    NotBuilt {
        /// Of which model.
        model: String,
        /// The tag.
        tag: String,
        /// Where it was looked for.
        folder: String,
        /// What else is there.
        others: String,
    },
    /// A file that is not what its name says.
    #[error("`{path}` is damaged: {why}. Remove it if it is there, and build the image again")]
    Damaged {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// A container tool is needed.
    #[error(
        "{why}, and for that one of buildah, podman or docker is needed; {found}. Install one of them and build again"
    )]
    NoBuilder {
        /// What for.
        why: String,
        /// What was found out about each of them.
        found: String,
    },
    /// Something of the build itself.
    #[error("{0}")]
    Build(String),
    /// Files of this machine.
    #[error("{what} failed: {source}. Check the free space and the rights of the folder")]
    Io {
        /// What was tried.
        what: String,
        /// What happened.
        source: io::Error,
    },
}

fn unknown(who: Option<&str>) -> String {
    who.map_or_else(
        || "wants to know who asks".to_owned(),
        |who| format!("does not know `{who}`, or not with this password"),
    )
}

impl ImageError {
    /// For `map_err` on file operations, naming a path.
    pub(crate) fn at(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} `{}`", path.display());
        move |source| Self::Io { what, source }
    }

    /// Whether the same command may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Down { .. } | Self::Slow { .. } | Self::Failing { .. } | Self::Changed { .. })
    }

    /// Whether the registry said no.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::Denied { .. }
                | Self::Missing { .. }
                | Self::Full { .. }
                | Self::Strange { .. }
                | Self::NotBuilt { .. }
        )
    }

    /// Whether something was named that makes no sense.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Name { .. })
    }

    /// As the pipeline wants it.
    #[must_use]
    pub fn during(&self, stage: Stage) -> BuildError {
        BuildError { stage, sentence: mask(&self.to_string()) }
    }
}

impl From<Failure> for ImageError {
    fn from(failure: Failure) -> Self {
        Self::Build(mask(&failure.to_string()))
    }
}
