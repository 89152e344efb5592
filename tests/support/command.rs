//! The program under test, called as a user calls it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;

use crate::Result;

/// The program: `CSW`, or the one that was built beside this test.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CSW") {
        return Ok(path.into());
    }
    let path = this_release()?;
    ensure!(path.exists(), "{} is not built: run `cargo build -p csw`", path.display());
    Ok(path)
}

/// The program of this release, whatever the others of a test are.
pub fn this_release() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(2).context("a test is in target/PROFILE/deps")?.join("csw"))
}

/// The folder of the project.
pub(crate) fn root() -> Result<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().context("the tests are in the project")?.to_owned())
}

/// The folder of an example model or of one of the tests' own, `OWNER/TITLE`.
pub fn example(name: &str) -> Result<PathBuf> {
    let root = root()?;
    let mut places = ["examples/models", "tests/models"].iter().map(|place| root.join(place).join(name));
    places.find(|folder| folder.is_dir()).with_context(|| format!("{name} is no model"))
}

/// What a command said.
#[derive(Debug)]
pub struct Done {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said about it.
    pub stderr: String,
}

impl Done {
    /// The result of a command that must have succeeded.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if self.code != 0 {
            bail!("ended with {}: {}", self.code, self.stderr);
        }
        serde_json::from_str(self.stdout.trim()).with_context(|| format!("no JSON: {}", self.stdout))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command without any setting of the person who runs the tests.
pub(crate) fn command() -> Result<Command> {
    Ok(command_of(&program()?))
}

/// The same of another program.
pub(crate) fn command_of(program: &Path) -> Command {
    let mut command = Command::new(program);
    let is_setting =
        |name: &str| name.starts_with("CSW_") || ["CS_URL", "CS_API_TOKEN", "TAG", "PROJECT"].contains(&name);
    // Only a measurement may choose the program and its log.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if is_setting(&name) && name != "CSW_LOG" {
            command.env_remove(&*name);
        }
    }
    let nowhere = std::env::temp_dir().join("csw-tests-have-no-home");
    command.env("HOME", nowhere).env_remove("XDG_CONFIG_HOME");
    command
}

/// The same in a folder.
pub fn csw_in(folder: &Path, words: &[&str], variables: &[(&str, &str)]) -> Result<Done> {
    Ok(command()?.current_dir(folder).args(words).envs(variables.iter().copied()).output()?.into())
}

/// Runs `csw` with these words and variables to its end.
pub fn csw(words: &[&str], variables: &[(&str, &str)]) -> Result<Done> {
    Ok(command()?.args(words).envs(variables.iter().copied()).output()?.into())
}
