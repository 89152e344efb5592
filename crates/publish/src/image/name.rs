//! Names of images: what people write, and what a model is called in a registry.

use std::fmt;

use csw_core::names::ModelName;
use sha2::{Digest, Sha256};

use super::failure::ImageError;

/// Where names without a host are.
const DOCKER_HUB: &str = "docker.io";
/// Characters of a tag.
const TAG: usize = 128;

/// `HOST/REPOSITORY[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// Host, and port if it is not the usual one.
    pub host: String,
    /// Path below it.
    pub repository: String,
    /// Tag; `latest` where neither tag nor digest was given.
    pub tag: Option<String>,
    /// `sha256:...`
    pub digest: Option<String>,
}

impl ImageName {
    /// Reads a name as container tools do: without a host it is of Docker Hub.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let wrong = |why: &str| ImageError::Name { name: text.to_owned(), why: why.to_owned() };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        if digest.as_deref().is_some_and(|digest| super::oci::hexadecimal(digest).is_none()) {
            return Err(wrong("a digest is `sha256:` and 64 hexadecimal digits"));
        }
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if let Some(tag) = &tag {
            check_tag(tag)?;
        }
        let (host, repository) = match rest.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path.to_owned()),
            Some(_) => (DOCKER_HUB, rest.to_owned()),
            None => (DOCKER_HUB, format!("library/{rest}")),
        };
        if !is_host(host) {
            return Err(wrong("its host is no host"));
        }
        if !is_repository(&repository) {
            return Err(wrong("its path may have lower-case letters, digits and single `.`, `_`, `-`, `/` only"));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }

    /// What to ask a registry for: the digest if there is one.
    pub(crate) fn reference(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Refuses what no registry takes as a tag.
pub fn check_tag(tag: &str) -> Result<(), ImageError> {
    let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let all = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && all && tag.len() <= TAG {
        return Ok(());
    }
    Err(ImageError::Name {
        name: tag.to_owned(),
        why: format!("a tag has at most {TAG} letters, digits and `_`, `.`, `-`"),
    })
}

/// `HOST[/PREFIX]`, as an operator names the place for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Host, and port if it is not the usual one.
    pub host: String,
    /// Path below it; may be empty.
    pub prefix: String,
}

impl Place {
    /// Reads it; a scheme in front is no part of a name.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let bare = text.trim_end_matches('/');
        let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
        let wrong = |why: &str| ImageError::Name { name: text.to_owned(), why: why.to_owned() };
        if bare.contains("://") {
            return Err(wrong("write HOST/PREFIX, without `https://`"));
        }
        if !is_host(host) || !(host.contains(['.', ':']) || host == "localhost") {
            return Err(wrong("write HOST[:PORT]/PREFIX, such as `ghcr.io/my-name`"));
        }
        if !prefix.is_empty() && !is_repository(prefix) {
            return Err(wrong("its path may have lower-case letters, digits and single `.`, `_`, `-`, `/` only"));
        }
        Ok(Self { host: host.to_owned(), prefix: prefix.to_owned() })
    }

    /// Where a model's images are.
    #[must_use]
    pub fn repository(&self, model: &ModelName) -> String {
        let model = repository(model);
        if self.prefix.is_empty() { model } else { format!("{}/{model}", self.prefix) }
    }
}

/// A model's name as the path of a repository. Registries know lower-case ASCII only; a name with anything else gets a
/// few digits of its own, so that no two models share a repository.
pub(crate) fn repository(model: &ModelName) -> String {
    format!("{}/{}", part(model.owner.as_str()), part(model.title.as_str()))
}

fn part(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut plain = String::new();
    for c in lower.chars() {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        if c != '-' || !(plain.is_empty() || plain.ends_with('-')) {
            plain.push(c);
        }
    }
    let plain = plain.trim_end_matches('-').to_owned();
    if plain == lower {
        return plain;
    }
    let digits = hex::encode(&Sha256::digest(&lower)[..4]);
    if plain.is_empty() { digits } else { format!("{plain}-{digits}") }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(']') || host.starts_with('[') => (name, Some(port)),
        _ => (host, None),
    };
    let known = |c: char| c.is_ascii_alphanumeric() || "-.[]:_".contains(c);
    !name.is_empty() && name.chars().all(known) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_repository(path: &str) -> bool {
    path.len() <= 255 && path.split('/').all(is_component)
}

fn is_component(part: &str) -> bool {
    let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    alphanumeric(part.chars().next())
        && alphanumeric(part.chars().next_back())
        && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        && !part.contains("..")
        && !part.contains("___")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_container_tools_do() {
        for (text, full) in [
            ("python", "docker.io/library/python:latest"),
            ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
            ("me/x", "docker.io/me/x:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
            ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
        ] {
            assert_eq!(ImageName::parse(text).unwrap().to_string(), full);
        }
        let digest = format!("ghcr.io/a/b@sha256:{}", "0".repeat(64));
        let name = ImageName::parse(&digest).unwrap();
        assert_eq!((name.to_string(), name.tag.is_none()), (digest, true));
        for wrong in ["", "a b", "ghcr.io/A/b", "ghcr.io/a/b:", "x@sha256:1", "h:x/a", "ghcr.io/../x", "a//b"] {
            assert!(ImageName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_a_host_with_a_path() {
        let place = Place::parse("127.0.0.1:5000/studio/").unwrap();
        assert_eq!(place.repository(&"PSLmodels/Tax-Cruncher".parse().unwrap()), "studio/pslmodels/tax-cruncher");
        assert_eq!(Place::parse("ghcr.io").unwrap().repository(&"a/b".parse().unwrap()), "a/b");
        for wrong in ["https://ghcr.io/x", "studio", "ghcr.io/X", ""] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn models_of_different_names_have_different_repositories() {
        let names = ["a/b", "a+/b", "a-/b", "å/b", "a./b", "a@/b", "a_/b", "ü/b"];
        let all: std::collections::BTreeSet<String> =
            names.iter().map(|name| repository(&name.parse().unwrap())).collect();
        assert_eq!(all.len(), names.len(), "{all:?}");
        assert!(all.iter().all(|name| is_repository(name)), "{all:?}");
        assert_eq!(repository(&"Ann/Null".parse().unwrap()), repository(&"ann/null".parse().unwrap()));
    }
}
