//! A service of a site that is more than one process.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Result,
    command::{command, command_of},
};

/// A process that ends with this value.
pub struct Service {
    words: Vec<String>,
    data: PathBuf,
    settings: PathBuf,
    variables: Vec<(&'static str, String)>,
    log: PathBuf,
    process: Option<Child>,
    program: Option<PathBuf>,
}

impl Service {
    pub(crate) fn new(
        words: Vec<String>,
        data: PathBuf,
        settings: PathBuf,
        variables: Vec<(&'static str, String)>,
        log: PathBuf,
    ) -> Self {
        Self { words, data, settings, variables, log, process: None, program: None }
    }

    /// From its next start on it is another program.
    pub fn becomes(&mut self, program: PathBuf) {
        self.program = Some(program);
    }

    /// From its next start on it has this variable.
    pub fn variable(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Starts it, and does not wait until it is ready: it may wait for its turn.
    pub fn begin(&mut self) -> Result {
        let stderr = File::options().create(true).append(true).open(&self.log)?;
        let mut command = match &self.program {
            Some(program) => command_of(program),
            None => command()?,
        };
        command.args(&self.words).args(["--json", "--log", "json", "--data"]).arg(&self.data);
        // Who tests those asks for them.
        command.env("CSW_THUMBNAILS", "false");
        command.arg("--config").arg(&self.settings).envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.process = Some(command.stdout(Stdio::piped()).stderr(stderr).spawn()?);
        Ok(())
    }

    /// Starts it, and waits until it is ready. Gives what it says then.
    pub fn start(&mut self) -> Result<String> {
        self.begin()?;
        let process = self.process.as_mut().context("it was started")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its stdout")?).read_line(&mut line)?;
        if line.is_empty() {
            process.wait()?;
            bail!("csw {} did not start: {}", self.words.join(" "), self.log()?);
        }
        Ok(line)
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> Result {
        let mut process = self.process.take().context("it is not there")?;
        kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM)?;
        let status = process.wait()?;
        ensure!(status.success(), "csw {} ended with {status}: {}", self.words.join(" "), self.log()?);
        Ok(())
    }

    /// The power fails.
    pub fn kill(&mut self) -> Result {
        let mut process = self.process.take().context("it is not there")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// The power fails and comes back after a while.
    pub fn interrupt(&mut self, pause: Duration) -> Result {
        self.kill()?;
        std::thread::sleep(pause);
        self.start()?;
        Ok(())
    }

    /// What it and its fellows wrote to stderr so far.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.process.is_some() {
            // It is gone either way.
            let _ = self.kill();
        }
    }
}
