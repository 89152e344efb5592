//! Pythons of this machine, and the one that suits a model.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::{
    config::PublishConfig,
    failure::Failure,
    mask::Log,
    process::{Output, run},
};

const PROBE: &str = "
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    'version': list(sys.version_info[:3]), 'executable': os.path.realpath(sys.executable),
    'prefix': sys.base_prefix, 'platform': sysconfig.get_platform(), 'soabi': sysconfig.get_config_var('SOABI') or '',
    'cache_tag': sys.implementation.cache_tag,
    'compiled': os.path.exists(importlib.util.cache_from_source(os.__file__)),
}))";

/// An interpreter of this machine.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Interpreter {
    version: (u32, u32, u32),
    /// The file itself, behind all links.
    pub(crate) executable: PathBuf,
    /// Where its standard library is.
    pub(crate) prefix: PathBuf,
    /// Such as `linux-x86_64`.
    pub(crate) platform: String,
    /// Such as `cpython-311-x86_64-linux-gnu`.
    pub(crate) soabi: String,
    /// Such as `cpython-311`: what the names of its byte code have.
    pub(crate) cache_tag: String,
    /// Whether its standard library has byte code.
    pub(crate) compiled: bool,
}

impl Interpreter {
    /// `3.11.2`.
    pub(crate) fn version(&self) -> String {
        let (major, minor, micro) = self.version;
        format!("{major}.{minor}.{micro}")
    }

    /// `3.11`.
    pub(crate) fn short_version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    /// What a sandbox must show beside the system, for this interpreter to run.
    pub(crate) fn shown(&self) -> Vec<PathBuf> {
        if self.prefix.starts_with("/usr") { vec![] } else { vec![self.prefix.clone()] }
    }

    fn allows(&self, requests: &[String]) -> bool {
        requests.iter().all(|request| allows(request, self.version))
    }
}

/// Finds the interpreter for a model that asks for these versions; the second answer is a warning.
pub(crate) async fn choose(
    config: &PublishConfig,
    requests: &[String],
    log: &Log<'_>,
) -> Result<(Interpreter, Option<String>), Failure> {
    let usual = find(&config.python, log).await;
    if let Some(usual) = &usual
        && usual.allows(requests)
    {
        return Ok((usual.clone(), None));
    }
    let mut others = BTreeSet::new();
    for minor in (7..=16).rev() {
        let Some(other) = find(&format!("3.{minor}"), log).await else { continue };
        if !requests.is_empty() && other.allows(requests) {
            return Ok((other, None));
        }
        others.insert(other.version());
    }
    let here = others.into_iter().collect::<Vec<_>>().join(", ");
    match usual {
        Some(usual) => {
            let warning = format!(
                "The model asks for Python {}; this machine has {here}. It was built with {}",
                requests.join(" and "),
                usual.version()
            );
            Ok((usual, Some(warning)))
        }
        None => Err(Failure::Unusable(format!(
            "Python {} was not found (here are: {}). Install it, or configure another version",
            config.python,
            if here.is_empty() { "none" } else { &here }
        ))),
    }
}

async fn find(version: &str, log: &Log<'_>) -> Option<Interpreter> {
    let name = format!("python{version}");
    for path in candidates(&name) {
        let mut command = Command::new(&path);
        command.args(["-I", "-S", "-c", PROBE]).current_dir("/");
        let Ok(ended) = run(&name, command, 20, Output::Quiet, log).await else { continue };
        if let Ok(found) = serde_json::from_slice::<Interpreter>(&ended.output)
            && found.short_version() == version
        {
            return Some(found);
        }
    }
    None
}

/// Files of this name. Those of the system first: every user may read them.
fn candidates(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from).into();
    // A shim chooses by the working directory; the interpreters behind it are what is meant.
    folders.extend(env::split_paths(&path).filter(|folder| !folder.ends_with("shims")));
    let versions = env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    for folder in versions.iter().filter_map(|path| fs::read_dir(path).ok()).flat_map(Iterator::flatten) {
        folders.push(folder.path().join("bin"));
    }
    let mut found: Vec<PathBuf> = vec![];
    for file in folders.into_iter().map(|folder| folder.join(name)).filter(|file| file.is_absolute() && file.is_file())
    {
        if !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// Whether a version satisfies a comma-separated specification of PEP 440; what is not understood is satisfied.
pub(crate) fn allows(specification: &str, version: (u32, u32, u32)) -> bool {
    specification.split(',').map(str::trim).filter(|part| !part.is_empty()).all(|part| allows_one(part, version))
}

fn allows_one(part: &str, version: (u32, u32, u32)) -> bool {
    let digits = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
    let (operator, text) = part.split_at(digits);
    let prefix = text.trim().ends_with('*');
    let numbers: Vec<u32> = text.split('.').map_while(|number| number.trim().parse().ok()).collect();
    if numbers.is_empty() {
        return true;
    }
    let whole = [version.0, version.1, version.2];
    let cut = &whole[..numbers.len().min(3)];
    let given = &numbers[..numbers.len().min(3)];
    let mut padded = [0; 3];
    padded[..given.len()].copy_from_slice(given);
    match operator.trim() {
        // Of Python, `=3.9` and `==3.9` mean any 3.9 in practice.
        "==" | "=" | "===" | "" => cut == given,
        "!=" if prefix => cut != given,
        "!=" => whole != padded,
        ">=" => whole >= padded,
        "<=" => whole <= padded || cut == given,
        ">" => whole > padded && cut != given,
        "<" => whole < padded,
        "~=" => whole >= padded && cut[..given.len() - 1] == given[..given.len() - 1],
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_read_as_of_python() {
        let version = (3, 11, 2);
        for yes in
            ["", ">=3.7", "==3.11", "=3.11", "3.11.*", ">=3.9,<3.12", "~=3.8", "!=3.9.*", "<=3.11", ">3.10", "strange"]
        {
            assert!(allows(yes, version), "{yes}");
        }
        for no in ["<3.11", "==3.9", "=3.7.*", ">=3.12", "!=3.11.*", ">3.11", "~=4.0"] {
            assert!(!allows(no, version), "{no}");
        }
    }
}
