//! Where a version's interpreter, packages and code are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use csw_core::model::Artifact;
use serde::Serialize;

/// A file in a code folder that lists, one a line, what of it comes first on the path of imports.
const PATH_FILE: &str = "csw-path.txt";

/// Places of a version, all checked to be there.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The environment's interpreter.
    pub(crate) python: PathBuf,
    /// What the sandbox shows read-only.
    pub(crate) read_only: Vec<PathBuf>,
    /// Additions to the path of imports.
    pub(crate) paths: ImportPaths,
}

/// Additions to the path of imports, before and after what the environment has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ImportPaths {
    first: Vec<PathBuf>,
    last: Vec<PathBuf>,
}

impl Layout {
    /// Finds the places; the error says what is missing.
    pub(crate) fn find(data: &Path, artifact: &Artifact) -> Result<Self, String> {
        let Artifact::Environment { environment, code } = artifact else {
            return Err("it is an image, and this executor runs folders of environments".to_owned());
        };
        for digest in [environment, code] {
            if digest.is_empty() || digest.contains('/') || digest.starts_with('.') {
                return Err(format!("`{digest}` is no name of a folder"));
            }
        }
        let environment = data.join("envs").join(environment);
        let code = data.join("code").join(code);
        let python = environment.join("bin/python");
        for path in [&python, &code] {
            if !path.exists() {
                return Err(format!("`{}` is missing; publish the version again", path.display()));
            }
        }
        let mut read_only = vec![environment.clone(), code.clone()];
        read_only.extend(base_of(&environment, &python));
        Ok(Self { python, read_only, paths: import_paths(&code) })
    }
}

impl Layout {
    /// The places of a version in an image: the container shows them.
    pub(crate) fn of_image(python: PathBuf, code: &Path) -> Self {
        Self { python, read_only: vec![], paths: import_paths(code) }
    }
}

/// What an environment borrows from the Python it was made of, where that is no part of the system.
fn base_of(environment: &Path, python: &Path) -> Vec<PathBuf> {
    let configured = fs::read_to_string(environment.join("pyvenv.cfg")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == "home"))?;
        Some(PathBuf::from(line.1.trim()))
    });
    let real = fs::canonicalize(python).ok().and_then(|file| file.parent().map(Path::to_path_buf));
    let mut found = vec![];
    for bin in configured.into_iter().chain(real) {
        let Some(prefix) = bin.parent() else { continue };
        let system = ["/usr", "/bin", "/lib"].iter().any(|system| bin.starts_with(system));
        if system || bin.starts_with(environment) {
            continue;
        }
        for part in [bin.clone(), prefix.join("lib")] {
            if part.is_absolute() && part.exists() && !found.contains(&part) {
                found.push(part);
            }
        }
    }
    found
}

fn import_paths(code: &Path) -> ImportPaths {
    if let Ok(text) = fs::read_to_string(code.join(PATH_FILE)) {
        let inside =
            |line: &&str| !line.is_empty() && !line.starts_with('/') && !line.split('/').any(|part| part == "..");
        let first = text.lines().map(str::trim).filter(inside).map(|line| join(code, line)).collect();
        return ImportPaths { first, last: vec![] };
    }
    // The code's own folder comes last: a folder in it that is named like an installed package must not hide that.
    ImportPaths { first: vec![code.join("cs-config")], last: vec![code.to_path_buf()] }
}

fn join(code: &Path, line: &str) -> PathBuf {
    if line == "." { code.to_path_buf() } else { code.join(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(environment: &str, code: &str) -> Artifact {
        Artifact::Environment { environment: environment.to_owned(), code: code.to_owned() }
    }

    #[test]
    fn what_is_missing_is_named() {
        let data = tempfile::tempdir().unwrap();
        let error = Layout::find(data.path(), &artifact("e", "c")).unwrap_err();
        assert!(error.contains("envs/e/bin/python"), "{error}");
        assert!(Layout::find(data.path(), &artifact("../e", "c")).unwrap_err().contains("no name of a folder"));
        assert!(Layout::find(data.path(), &Artifact::Image { reference: "r".to_owned() }).is_err());
    }

    #[test]
    fn the_path_file_stays_inside_the_code() {
        let code = tempfile::tempdir().unwrap();
        fs::write(code.path().join(PATH_FILE), "cs-config\n.\n\n/etc\n../x\nsrc/lib\n").unwrap();
        let at = |part: &str| code.path().join(part);
        let expected = vec![at("cs-config"), code.path().to_path_buf(), at("src/lib")];
        assert_eq!(import_paths(code.path()), ImportPaths { first: expected, last: vec![] });
    }
}
