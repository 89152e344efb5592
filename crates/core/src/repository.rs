//! Repositories: those of this site, and which URLs of others mean the same place.

use std::{fmt, str::FromStr};

use crate::ids::ModelId;

/// What the repository of all models is called in addresses and on disk; no account has this name.
pub const PUBLISH: &str = "publish";

/// A repository of the site's own forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RepositoryId {
    /// The source of a model.
    Model(ModelId),
    /// The one with a file for each model, whose pull requests publish them.
    Publish,
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(id) => id.fmt(f),
            Self::Publish => f.write_str(PUBLISH),
        }
    }
}

impl FromStr for RepositoryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == PUBLISH { Ok(Self::Publish) } else { text.parse().map(Self::Model) }
    }
}

/// `git@host:owner/name` as a URL; nothing where the text is something else.
#[must_use]
pub fn from_scp(text: &str) -> Option<String> {
    let (login, path) = text.split_once(':')?;
    let (user, host) = login.split_once('@')?;
    let plain = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let fits = plain(user) && plain(host) && !user.starts_with('-') && !path.starts_with("//");
    fits.then(|| format!("ssh://{user}@{host}/{}", path.trim_start_matches('/')))
}

/// What two URLs of one repository have in common, however they are written: its [`place`] in small letters.
#[must_use]
pub fn identity(url: &str) -> String {
    place(url).to_lowercase()
}

/// Where a repository is, `host/owner/name`: without what a URL says of the way there.
#[must_use]
pub fn place(url: &str) -> String {
    let url = url.trim();
    let url = url.strip_prefix("git+").unwrap_or(url);
    let url = from_scp(url).unwrap_or_else(|| url.to_owned());
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host.split(':').next().unwrap_or(host).trim_start_matches("www.");
    let path = path.split(['#', '?']).next().unwrap_or(path);
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    format!("{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_of_the_site_is_found_by_its_name() {
        let model = RepositoryId::Model(ModelId::from_uuid(uuid::Uuid::nil()));
        for one in [model, RepositoryId::Publish] {
            assert_eq!(one.to_string().parse::<RepositoryId>().unwrap(), one);
        }
        assert!("other".parse::<RepositoryId>().is_err());
        assert!(crate::names::RESERVED.contains(&PUBLISH));
    }

    #[test]
    fn one_repository_has_one_identity() {
        let all = [
            "https://github.com/PSLmodels/Tax-Cruncher",
            "git+https://github.com/pslmodels/tax-cruncher.git",
            "https://me:tok@github.com/PSLmodels/Tax-Cruncher/",
            "git@github.com:PSLmodels/Tax-Cruncher.git",
            "ssh://git@github.com:22/PSLmodels/Tax-Cruncher.git",
        ];
        for url in all {
            assert_eq!(identity(url), "github.com/pslmodels/tax-cruncher");
        }
        assert_ne!(identity("https://github.com/other/tax-cruncher"), identity(all[0]));
    }
}
