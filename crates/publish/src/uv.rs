//! uv: which packages satisfy a model, as a lock.
//!
//! Two ways. Where wheels of the operator's index are enough, our own uv resolves and installs them with `--no-build`,
//! from a cache that nobody else can write: no stranger's code runs. Where something must be built, or comes from another
//! index or repository, uv runs in the sandbox, with the network and a cache that ends with the build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    asked::plan::package_name,
    config::PublishConfig,
    failure::Failure,
    interpreter::Interpreter,
    jail::{Jail, Step, index_variables},
    mask::Log,
    process::{Ended, Output, run},
};

/// How long the versions of a model's packages are taken for the newest ones. PyPI lets everybody keep its answers for so
/// long.
pub(crate) const NEWEST: Duration = Duration::from_mins(10);

/// The same of tools, which are not the model's own choice.
pub(crate) const TOOLS: Duration = Duration::from_hours(24);

/// What a lock must satisfy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Requirements.
    pub(crate) requirements: Vec<String>,
    /// Limits on what they bring along.
    pub(crate) constraints: Vec<String>,
    /// Options that name other indexes.
    pub(crate) indexes: Vec<String>,
    /// Whether versions before a release will do.
    pub(crate) prereleases: bool,
    /// The index as it was at this time.
    pub(crate) as_of: Option<Timestamp>,
}

/// Exact versions with hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// As `uv pip compile` writes it; empty for no packages.
    pub(crate) text: String,
    /// Whether its packages are installed in the sandbox.
    pub(crate) confined: bool,
}

impl Lock {
    /// Each requirement of the lock, without hashes.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().filter(|line| !line.starts_with([' ', '#', '-']));
        lines.map(|line| line.trim_end_matches('\\').trim()).filter(|line| !line.is_empty())
    }

    /// Canonical names of the packages.
    pub(crate) fn names(&self) -> Vec<String> {
        self.packages().filter_map(package_name).collect()
    }

    /// The lock without some packages.
    pub(crate) fn without(&self, names: &[String]) -> Self {
        let mut keep = true;
        let mut text = String::new();
        for line in self.text.lines() {
            if !line.starts_with(' ') {
                keep = package_name(line).is_none_or(|name| !names.contains(&name));
            }
            if keep {
                text.push_str(line);
                text.push('\n');
            }
        }
        Self { text, confined: self.confined }
    }
}

/// Calls of uv for one build.
pub(crate) struct Uv<'a> {
    /// Where it is, and for how long it may run.
    pub(crate) config: &'a PublishConfig,
    /// The build.
    pub(crate) jail: &'a Jail<'a>,
    /// The Python to install for.
    pub(crate) interpreter: &'a Interpreter,
    /// The log of the stage.
    pub(crate) log: &'a Log<'a>,
}

impl Uv<'_> {
    /// Resolves.
    pub(crate) async fn resolve(&self, wanted: &Wanted) -> Result<Lock, Failure> {
        if wanted.requirements.is_empty() {
            return Ok(Lock::default());
        }
        let args = self.resolve_args(wanted)?;
        let foreign =
            !wanted.indexes.is_empty() || wanted.requirements.iter().any(|requirement| requirement.contains("://"));
        if !foreign {
            let ended = self.trusted("Resolving the packages", &with(&args, &["--no-build"]), Output::Captured).await?;
            if ended.status.success() {
                return Ok(Lock { text: text_of(&ended), confined: false });
            }
            if !needs_a_build(&ended) {
                return Err(unresolved(&ended, wanted));
            }
            self.log
                .line("A package has no wheel for this machine: resolving again in the sandbox, where it can be built");
        }
        let ended = self.confined("Resolving the packages", args, None, Output::Captured).await?;
        if ended.status.success() {
            return Ok(Lock { text: text_of(&ended), confined: true });
        }
        Err(unresolved(&ended, wanted))
    }

    /// The same; what was found not longer than `age` ago is found again, and no index is asked.
    pub(crate) async fn resolve_within(&self, age: Duration, wanted: &Wanted) -> Result<Lock, Failure> {
        let python = self.interpreter;
        let asked = format!(
            "{} {} {}\n{:?}\n{wanted:?}",
            python.version(),
            python.soabi,
            python.platform,
            index_variables().collect::<Vec<_>>()
        );
        let folder = self.config.data.join("cache").join("locks");
        let file = folder.join(hex::encode(Sha256::digest(asked)));
        let found_at = fs::metadata(&file).and_then(|found| found.modified());
        let is_new = found_at.is_ok_and(|time| time.elapsed().is_ok_and(|old| old < age));
        if let Some(text) = is_new.then(|| fs::read_to_string(&file).ok()).flatten() {
            return Ok(Lock { text, confined: false });
        }
        let lock = self.resolve(wanted).await?;
        if !lock.confined {
            let part = folder.join(format!(".{}", uuid::Uuid::now_v7()));
            // Whoever cannot keep it asks again.
            let _ = fs::create_dir_all(&folder)
                .and_then(|()| fs::write(&part, &lock.text))
                .and_then(|()| fs::rename(&part, &file));
        }
        Ok(lock)
    }

    fn resolve_args(&self, wanted: &Wanted) -> Result<Vec<String>, Failure> {
        let name = uuid::Uuid::now_v7();
        let write = |ending: &str, lines: &[String]| {
            let path = self.jail.desk.join(format!("{name}.{ending}"));
            fs::write(&path, lines.join("\n") + "\n").map_err(Failure::at("Writing", &path))?;
            Ok::<_, Failure>(path.display().to_string())
        };
        let mut args = vec!["pip".to_owned(), "compile".to_owned(), write("in", &wanted.requirements)?];
        if !wanted.constraints.is_empty() {
            args.extend(["--constraints".to_owned(), write("limits", &wanted.constraints)?]);
        }
        args.extend(["--generate-hashes", "--no-header", "--no-annotate", "--no-progress"].map(str::to_owned));
        args.extend(["--python".to_owned(), self.interpreter.executable.display().to_string()]);
        args.extend(wanted.indexes.iter().cloned());
        if !wanted.indexes.is_empty() {
            args.push("--emit-index-url".to_owned());
            args.push("--emit-find-links".to_owned());
            // An index that is named beside the usual one is meant to be looked at for every package, as pip does.
            args.push("--index-strategy=unsafe-best-match".to_owned());
        }
        if wanted.prereleases {
            args.push("--prerelease=allow".to_owned());
        }
        if let Some(time) = wanted.as_of {
            args.push(format!("--exclude-newer={time}"));
        }
        Ok(args)
    }

    /// Runs uv as ourselves. Only for calls with `--no-build` on the operator's index.
    pub(crate) async fn trusted(&self, what: &str, args: &[String], output: Output) -> Result<Ended, Failure> {
        let mut command = Command::new(program(self.config)?);
        command.args(common(args)).arg("--cache-dir").arg(&self.config.cache);
        // No configuration of a project that the data folder may lie in, and nothing of the server's own variables.
        command.env_clear().current_dir(&self.jail.desk).stdin(std::process::Stdio::null());
        command.envs(index_variables());
        for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        run(what, command, self.config.build_seconds, output, self.log).await
    }

    /// Runs uv in the sandbox, with the network; it may also read what is shown.
    pub(crate) async fn confined(
        &self,
        what: &str,
        args: Vec<String>,
        shown: Option<&Path>,
        output: Output,
    ) -> Result<Ended, Failure> {
        let program = program(self.config)?;
        let mut read_only = self.interpreter.shown();
        read_only.extend(shown.map(Path::to_path_buf));
        read_only.push(program.clone());
        let cache = self.jail.room.join("cache").display().to_string();
        self.jail
            .run(Step {
                what,
                program: &program,
                args: common(&args).chain(["--cache-dir".to_owned(), cache]).collect(),
                working_dir: self.jail.room.clone(),
                // Versions that a package takes from its tags are not in a fetched tree.
                env: vec![("SETUPTOOLS_SCM_PRETEND_VERSION".to_owned(), "0.0.0".to_owned())],
                read_only,
                network: true,
                seconds: self.config.build_seconds,
                output,
            })
            .await
    }
}

fn common(args: &[String]) -> impl Iterator<Item = String> + '_ {
    args.iter().cloned().chain(["--no-config", "--color=never"].map(str::to_owned))
}

fn with(args: &[String], more: &[&str]) -> Vec<String> {
    args.iter().cloned().chain(more.iter().map(|arg| (*arg).to_owned())).collect()
}

/// Where uv is; the sandbox needs to know the file itself.
fn program(config: &PublishConfig) -> Result<PathBuf, Failure> {
    let missing = |source| Failure::Tool { tool: config.uv.display().to_string(), source };
    if config.uv.components().count() > 1 {
        return config.uv.canonicalize().map_err(missing);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found =
        std::env::split_paths(&path).filter(|folder| !folder.ends_with("shims")).map(|folder| folder.join(&config.uv));
    let found = found.find(|file| file.is_file()).ok_or_else(|| missing(std::io::ErrorKind::NotFound.into()))?;
    found.canonicalize().map_err(missing)
}

fn text_of(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.output).into_owned()
}

fn needs_a_build(ended: &Ended) -> bool {
    let said = said(ended);
    ["no wheels", "no usable wheels", "source distribution", "disabled", "--no-build"]
        .iter()
        .any(|words| said.contains(words))
}

/// What uv said, as one line: it wraps and draws.
fn said(ended: &Ended) -> String {
    let drawn = |c: char| c.is_whitespace() || "×╰─▶│├".contains(c);
    let lines = ended.tail.iter().map(|line| line.trim_matches(drawn));
    lines.filter(|line| !line.is_empty() && !line.starts_with("Using ")).collect::<Vec<_>>().join(" ")
}

fn unresolved(ended: &Ended, wanted: &Wanted) -> Failure {
    let said = said(ended);
    let as_of =
        wanted.as_of.map(|time| format!(" (as they were on {})", time.strftime("%Y-%m-%d"))).unwrap_or_default();
    if let Some((_, reason)) = said.split_once("No solution found when resolving dependencies") {
        let mut reason = reason.trim_start_matches([':', ' ']).to_owned();
        if reason.contains("was not found in the package registry") {
            reason.push_str(" Check the spelling; a package that only conda has needs a replacement from PyPI.");
        }
        return Failure::Unresolvable { as_of, reason };
    }
    let reason = said.split_once("error: ").map_or(said.as_str(), |(_, reason)| reason).to_owned();
    let what = "Resolving the packages".to_owned();
    Failure::Ended { what, status: ended.status.to_string(), reason }
}

/// Arguments that install a lock into a virtual environment.
pub(crate) fn sync_args(lock: &Path, python: &Path) -> Vec<String> {
    let (lock, python) = (lock.display().to_string(), python.display().to_string());
    ["pip", "sync", &lock, "--python", &python, "--require-hashes", "--no-build", "--no-progress"]
        .map(str::to_owned)
        .into()
}

/// Arguments that install a lock, building what must be built, into a folder.
pub(crate) fn target_args(lock: &Path, folder: &Path, python: &Path) -> Vec<String> {
    let (lock, folder, python) =
        (lock.display().to_string(), folder.display().to_string(), python.display().to_string());
    let args = ["pip", "install", "--requirements", &lock, "--target", &folder, "--python", &python, "--no-deps"];
    args.iter()
        .copied()
        .chain(["--verify-hashes", "--no-progress", "--index-strategy=unsafe-best-match"])
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_listed_and_left_out() {
        let text = "a-b==1 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nc @ git+https://h/c@0a\nd==2 ; x \\\n    --hash=sha256:3\n";
        let lock = Lock { text: text.into(), confined: false };
        assert_eq!(lock.packages().collect::<Vec<_>>(), ["a-b==1", "c @ git+https://h/c@0a", "d==2 ; x"]);
        assert_eq!(lock.without(&["a-b".into(), "d".into()]).text, "c @ git+https://h/c@0a\n");
        assert_eq!(lock.names(), ["a-b", "c", "d"]);
    }
}
