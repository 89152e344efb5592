//! URLs of repositories: which may be fetched, and which mean the same place.

use std::path::Path;

use csw_core::repository::from_scp;
pub(crate) use csw_core::repository::identity;

use crate::failure::Failure;

/// A URL that may be handed to git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryUrl {
    /// As git takes it.
    pub(crate) url: String,
}

impl RepositoryUrl {
    /// Checks what a user gave.
    pub(crate) fn parse(given: &str, allow_local: bool) -> Result<Self, Failure> {
        let text = given.trim();
        let refuse = |why: &str| Err(Failure::Unusable(format!("`{text}` cannot be fetched: {why}")));
        if text.is_empty() {
            return refuse(
                "it is empty. Give the URL of a git repository, such as https://github.com/OWNER/REPOSITORY",
            );
        }
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return refuse("a URL starts with a letter and holds no spaces");
        }
        let url = if text.starts_with('/') {
            format!("file://{text}")
        } else if let Some(ssh) = from_scp(text) {
            ssh
        } else {
            text.to_owned()
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return refuse("it is no URL. Write https://HOST/OWNER/REPOSITORY");
        };
        match scheme.to_ascii_lowercase().as_str() {
            "https" | "http" | "ssh" | "git"
                if rest.trim_matches('/').contains('/') && !rest.starts_with(['-', '/']) => {}
            "https" | "http" | "ssh" | "git" => return refuse("it names a host, and no repository on it"),
            "file" if allow_local => {}
            "file" => {
                return refuse(
                    "this server does not publish from its own disk. Push the repository to a host, or upload it with `csw models publish`",
                );
            }
            _ => return refuse("only https, http, ssh and git URLs are allowed"),
        }
        Ok(Self { url })
    }
}

/// Checks a branch, tag or commit.
pub(crate) fn check_reference(reference: &str) -> Result<(), Failure> {
    let bad = reference.starts_with('-')
        || reference.contains("..")
        || reference.chars().any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c));
    if bad {
        return Err(Failure::Unusable(format!(
            "`{reference}` is no branch, tag or commit: a name starts with no `-` and holds none of space, `..`, `~^:?*[\\`"
        )));
    }
    Ok(())
}

/// A `git+` reference taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GitReference {
    /// URL without `git+`, reference and fragment.
    pub(crate) url: String,
    /// Behind the `@`.
    pub(crate) reference: Option<String>,
    /// `egg=`, with extras cut off.
    pub(crate) egg: Option<String>,
    /// `subdirectory=`.
    pub(crate) subdirectory: Option<String>,
}

impl GitReference {
    /// Reads `git+https://host/owner/name.git@ref#egg=x&subdirectory=y`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("git+")?;
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let part = |name: &str| {
            let found = fragment.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        let (path, reference) = match path.split_once('@') {
            Some((path, reference)) => (path, Some(reference.to_owned())),
            None => (path, None),
        };
        Some(Self {
            url: format!("{scheme}://{authority}/{path}"),
            reference: reference.filter(|name| !name.is_empty()),
            egg: part("egg").map(|egg| egg.split('[').next().unwrap_or_default().to_owned()),
            subdirectory: part("subdirectory").filter(|path| is_plain(Path::new(path))),
        })
    }
}

/// Whether a relative path only goes down.
pub(crate) fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_repositories_of_allowed_schemes_pass() {
        for good in [
            "https://github.com/a/b",
            "ssh://git@h/a/b.git",
            "git://h/a",
            "git@github.com:a/b.git",
            "http://h:3000/a/b",
        ] {
            RepositoryUrl::parse(good, false).unwrap();
        }
        for bad in [
            "",
            "-uexec",
            "--upload-pack=x",
            "ext::sh -c x",
            "ftp://h/a",
            "file:///x",
            "/x",
            "https://h",
            "ssh://-oProxyCommand=x/a",
            "https://h/a b",
            "a/b",
        ] {
            RepositoryUrl::parse(bad, false).unwrap_err();
        }
        assert_eq!(RepositoryUrl::parse("/x/y", true).unwrap().url, "file:///x/y");
        assert_eq!(RepositoryUrl::parse("git@h:a/b.git", false).unwrap().url, "ssh://git@h/a/b.git");
    }

    #[test]
    fn references_that_git_would_misread_are_refused() {
        for good in ["master", "v1.2", "feature/x", "0a1b2c3", ""] {
            check_reference(good).unwrap();
        }
        for bad in ["-x", "--upload-pack=x", "a..b", "a b", "a:b", "+a^", "a\nb"] {
            check_reference(bad).unwrap_err();
        }
    }

    #[test]
    fn a_git_reference_is_taken_apart() {
        let found = GitReference::parse("git+https://h/a/b.git@v1#egg=b[x]&subdirectory=cs-config").unwrap();
        assert_eq!(found.url, "https://h/a/b.git");
        assert_eq!(found.reference.as_deref(), Some("v1"));
        assert_eq!(found.egg.as_deref(), Some("b"));
        assert_eq!(found.subdirectory.as_deref(), Some("cs-config"));
        let climbing = GitReference::parse("git+https://t@h/a/b#subdirectory=../../x").unwrap();
        assert_eq!((climbing.subdirectory, climbing.reference), (None, None));
        assert!(GitReference::parse("https://h/a/b").is_none());
    }

    proptest! {
        #[test]
        fn nothing_that_passes_can_be_an_option(text in "\\PC{0,40}") {
            if let Ok(url) = RepositoryUrl::parse(&text, true) {
                prop_assert!(!url.url.starts_with('-') && url.url.contains("://"));
            }
        }
    }
}
