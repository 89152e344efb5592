//! Everything a model asks for, gathered.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use super::{conda, pip};
use crate::repository::identity;

/// A package of the repository itself: part of the model's code, not of its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// Its folder or wheel, relative to the repository; empty is the repository.
    pub(crate) path: PathBuf,
    /// Extras asked for.
    pub(crate) extras: Vec<String>,
    /// Whether its files are used where they are.
    pub(crate) editable: bool,
    /// Whether what it declares is to be installed as well.
    pub(crate) with_dependencies: bool,
}

/// What install.sh asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Requirements as uv reads them.
    pub(crate) requirements: Vec<String>,
    /// Limits without an installation.
    pub(crate) constraints: Vec<String>,
    /// Options that name package indexes.
    pub(crate) indexes: Vec<String>,
    /// Packages of the repository.
    pub(crate) own: Vec<Own>,
    /// Packages of the operating system.
    pub(crate) system: Vec<String>,
    /// Versions of Python asked for.
    pub(crate) python: Vec<String>,
    /// Whether versions before a release were asked for.
    pub(crate) prereleases: bool,
    /// Whether steps of Python wait for the packages.
    pub(crate) replay: bool,
    /// Links that a mapped `git clone` made.
    pub(crate) links: Vec<PathBuf>,
    /// What a reader of the log should know.
    pub(crate) warnings: Vec<String>,
}

/// One line of the shims.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    pub(crate) tool: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    pub(crate) cwd: PathBuf,
    #[serde(default)]
    pub(crate) files: BTreeMap<PathBuf, String>,
    #[serde(default)]
    pub(crate) link: Option<PathBuf>,
}

/// The repository that a plan is about.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// Where its files are while install.sh runs.
    pub(crate) source: PathBuf,
    /// What its URL is, in the sense of [`identity`].
    pub(crate) identity: Option<String>,
}

impl Repository {
    /// The repository at a folder, and where it came from.
    pub(crate) fn new(source: &Path, url: Option<&str>) -> Self {
        Self { source: source.to_path_buf(), identity: url.map(identity) }
    }

    /// Whether a URL means this repository.
    pub(crate) fn is(&self, url: &str) -> bool {
        self.identity.as_deref() == Some(&identity(url))
    }

    /// A path relative to the repository, if it is in it.
    pub(crate) fn inside(&self, path: &Path) -> Option<PathBuf> {
        normal(path).strip_prefix(&self.source).map(Path::to_path_buf).ok()
    }
}

/// An absolute path without `.` and `..`.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

impl Asked {
    /// The text of a file that was named, relative to a folder.
    pub(crate) fn text(&self, folder: &Path, name: &str) -> Option<(PathBuf, &str)> {
        let path = normal(&folder.join(name));
        self.files.get(&path).map(|text| (path, text.as_str()))
    }
}

impl Plan {
    /// Reads what the shims wrote down. Lines that are not theirs are passed over.
    pub(crate) fn read(record: &str, repository: &Repository) -> Self {
        let mut plan = Self::default();
        for line in record.lines() {
            let Ok(asked) = serde_json::from_str::<Asked>(line) else { continue };
            match asked.tool.as_str() {
                "pip" => pip::read(&asked, repository, &mut plan),
                "conda" => conda::read(&asked, repository, &mut plan),
                "apt-get" => plan.system.extend(asked.args.iter().skip(1).map(|name| apt_name(name))),
                "python" => plan.replay = true,
                "git" => plan.links.extend(asked.link),
                _ => {}
            }
        }
        for list in [
            &mut plan.requirements,
            &mut plan.constraints,
            &mut plan.indexes,
            &mut plan.system,
            &mut plan.python,
            &mut plan.warnings,
        ] {
            keep_first(list);
        }
        plan
    }

    /// Adds a package of the repository, or what is new of it.
    pub(crate) fn add_own(&mut self, own: Own) {
        match self.own.iter_mut().find(|known| known.path == own.path) {
            Some(known) => {
                known.editable |= own.editable;
                known.with_dependencies |= own.with_dependencies;
                known.extras.extend(own.extras);
                keep_first(&mut known.extras);
            }
            None => self.own.push(own),
        }
    }

    /// Adds a requirement, if it can be one line of a requirements file.
    pub(crate) fn require(&mut self, requirement: &str) {
        let requirement = requirement.trim();
        if requirement.is_empty() {
            return;
        }
        if requirement.starts_with('-') || requirement.chars().any(char::is_control) {
            self.warnings.push(format!("`{requirement}` was not understood, and left out"));
            return;
        }
        self.requirements.push(requirement.to_owned());
    }
}

/// `name=1.0` or `name/stable` of apt without the choice of a version.
fn apt_name(name: &str) -> String {
    name.split(['=', '/']).next().unwrap_or(name).to_owned()
}

fn keep_first(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

/// The name in a requirement, as package indexes compare names.
pub(crate) fn package_name(requirement: &str) -> Option<String> {
    let end =
        requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    // `https://...` and `./folder` have no name; `name @ https://...` has.
    if name.is_empty() || rest.starts_with([':', '/', '+']) || name.starts_with('.') {
        return None;
    }
    Some(canonical_name(name))
}

/// A name as package indexes compare it.
pub(crate) fn canonical_name(name: &str) -> String {
    let mut canonical = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if "-_.".contains(c) { '-' } else { c.to_ascii_lowercase() };
        if c != '-' || !canonical.ends_with('-') {
            canonical.push(c);
        }
    }
    canonical
}

/// Whether a requirement leaves every version open.
pub(crate) fn is_unpinned(requirement: &str) -> bool {
    let part = requirement.split(';').next().unwrap_or(requirement);
    package_name(part).is_some() && !part.contains(['=', '<', '>', '~', '@', '!'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_taken_from_requirements() {
        for (requirement, name) in [
            ("Foo_Bar.baz>=1", Some("foo-bar-baz")),
            ("a[b] ; python_version<'3'", Some("a")),
            ("a @ https://h/x.whl", Some("a")),
            ("https://h/x.whl", None),
            ("git+https://h/x", None),
            ("./a", None),
        ] {
            assert_eq!(package_name(requirement).as_deref(), name, "{requirement}");
        }
        assert!(is_unpinned("pandas[x]") && is_unpinned("a; python_version < '3'"));
        assert!(!is_unpinned("pandas>=1") && !is_unpinned("a @ https://h/x"));
    }

    proptest! {
        #[test]
        fn no_record_breaks_the_reading_or_becomes_an_option(
            tool in "pip|conda|apt-get|python|git",
            args in prop::collection::vec("install|env|update|-f|-r|-e|-c|--file=x|\\PC{0,12}|[a-z]{1,5}[=<>]{1,2}[0-9.]{1,4}", 0..8),
        ) {
            let line = serde_json::json!({"tool": tool, "args": args, "cwd": "/s", "files": {"/s/x": "-r x\n- a\nb=1\n"}});
            let plan = Plan::read(&line.to_string(), &Repository::new(Path::new("/s"), None));
            for requirement in plan.requirements.iter().chain(&plan.constraints) {
                prop_assert!(!requirement.starts_with('-') && !requirement.contains('\n'), "{}", requirement);
            }
        }
    }
}
