//! kubectl, as somebody at the command line uses it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, ensure};
use csw_tests::{Done, Result};
use serde_json::Value;

/// kubectl with the rights of one kubeconfig, in one namespace.
#[derive(Debug, Clone)]
pub(super) struct Kubectl {
    kubeconfig: PathBuf,
    namespace: String,
}

impl Kubectl {
    pub(super) fn new(kubeconfig: &Path, namespace: &str) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), namespace: namespace.to_owned() }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The command with these words.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", &self.kubeconfig).args(["--namespace", &self.namespace]).args(words);
        command
    }

    /// Whatever comes of it.
    pub(super) fn attempt(&self, words: &[&str]) -> Result<Done> {
        Ok(self.command(words).stdin(Stdio::null()).output().context("kubectl is not there")?.into())
    }

    /// What it says; it must succeed.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let done = self.attempt(words)?;
        ensure!(done.code == 0, "kubectl {}: {}", words.join(" "), done.stderr);
        Ok(done.stdout.trim().to_owned())
    }

    /// The same for words that have JSON as their answer.
    pub(super) fn json(&self, words: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.ask(words)?)?)
    }

    /// The objects of a kind with these labels.
    pub(super) fn list(&self, kind: &str, labels: &str) -> Result<Vec<Value>> {
        let mut found = self.json(&["get", kind, "--selector", labels, "--output", "json"])?;
        Ok(found["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Gives it text on stdin.
    pub(super) fn give(&self, words: &[&str], text: &str) -> Result<Done> {
        let mut command = self.command(words);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        process.stdin.take().context("its stdin")?.write_all(text.as_bytes())?;
        Ok(process.wait_with_output()?.into())
    }

    /// The word by which no field that the API does not know is let pass; a former kubectl looks for itself.
    fn strict(&self) -> Option<&'static str> {
        let help = self.attempt(&["apply", "--help"]).ok()?;
        help.stdout.contains("--validate='strict'").then_some("--validate=strict")
    }

    /// The release of the server: the second number of it.
    pub(super) fn minor(&self) -> Result<u32> {
        let version = self.json(&["get", "--raw", "/version"])?;
        let minor = version["minor"].as_str().context("its release")?;
        Ok(minor.trim_end_matches(|sign: char| !sign.is_ascii_digit()).parse()?)
    }

    /// Has the cluster take these objects, which it must.
    pub(super) fn apply(&self, text: &str) -> Result {
        taken(&self.give(&self.applied(&["-f", "-"]), text)?)
    }

    /// The same with the objects in files, and more words.
    pub(super) fn apply_files(&self, files: &[String], words: &[&str]) -> Result {
        let files: Vec<&str> = files.iter().flat_map(|file| ["-f", file.as_str()]).collect();
        taken(&self.attempt(&self.applied(&[words, &files].concat()))?)
    }

    fn applied<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        ["apply"].into_iter().chain(self.strict()).chain(words.iter().copied()).collect()
    }
}

/// A cluster warns of fields that it is about to forget, and of pods that its policy will not let in.
fn taken(done: &Done) -> Result {
    ensure!(done.code == 0 && !done.stderr.contains("Warning:"), "kubectl apply: {}{}", done.stdout, done.stderr);
    Ok(())
}

/// A port of this machine that leads into the cluster, as long as this is held.
pub(super) struct Way {
    process: Child,
    /// kubectl says each connection, and ends where nobody listens.
    _said: BufReader<ChildStdout>,
    port: u16,
}

impl Way {
    /// Starts what ends in `kubectl port-forward`, and waits until it forwards.
    pub(super) fn open(mut command: Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut said = BufReader::new(process.stdout.take().context("its stdout")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        // Forwarding from 127.0.0.1:41235 -> 8888
        let port = line.split(' ').find_map(|word| word.strip_prefix("127.0.0.1:")?.parse().ok());
        let port = port.with_context(|| format!("kubectl forwards nothing: {line}"))?;
        Ok(Self { process, _said: said, port })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
