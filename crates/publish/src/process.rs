//! One child process: its output line by line into the log, a limit on its time, its end.

use std::{
    collections::VecDeque,
    io,
    process::{Command, ExitStatus, Stdio},
    sync::Mutex,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::unix::pipe::Receiver,
};

use crate::{failure::Failure, mask::Log};

/// Lines kept for the sentence of a failure.
const TAIL_LINES: usize = 400;
/// A line without an end is cut here.
const LINE_BYTES: usize = 8 * 1024;
/// Captured output, and text that one step may add to the log.
const OUTPUT_BYTES: usize = 32 << 20;

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its status.
    pub(crate) status: ExitStatus,
    /// Its last lines of both streams, or of the errors alone where the output was captured.
    pub(crate) tail: Vec<String>,
    /// Its standard output where it was captured.
    pub(crate) output: Vec<u8>,
}

impl Ended {
    /// The last line that says something.
    pub(crate) fn last_line(&self) -> String {
        let said = self.tail.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
        said.unwrap_or("(it printed nothing)").to_owned()
    }

    /// Fails with the last line unless the child succeeded.
    pub(crate) fn success(self, what: &str) -> Result<Self, Failure> {
        if self.status.success() {
            return Ok(self);
        }
        let reason = self.last_line();
        Err(Failure::Ended { what: what.to_owned(), status: self.status.to_string(), reason })
    }
}

/// What becomes of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// It goes into the log, as the errors do.
    Logged,
    /// It is kept for the caller; errors go into the log.
    Captured,
    /// It is kept for the caller; errors go into the tail alone.
    Quiet,
}

/// Runs a command to its end. Its process group is killed when the time is over.
pub(crate) async fn run(
    what: &str,
    command: Command,
    seconds: u64,
    output: Output,
    log: &Log<'_>,
) -> Result<Ended, Failure> {
    run_unless(what, command, seconds, output, log, std::future::pending()).await
}

/// The same; its process group is also killed when `spoiled` says why.
pub(crate) async fn run_unless(
    what: &str,
    mut command: Command,
    seconds: u64,
    output: Output,
    log: &Log<'_>,
    spoiled: impl Future<Output = Failure>,
) -> Result<Ended, Failure> {
    use std::os::unix::process::CommandExt;
    let tool = command.get_program().to_string_lossy().into_owned();
    // One pipe where both are logged: by two, a last word could overtake the one before.
    let (errors, writer) = pipe().map_err(Failure::io("Making a pipe"))?;
    match output {
        Output::Logged => command.stdout(writer.try_clone().map_err(Failure::io("Making a pipe"))?),
        Output::Captured | Output::Quiet => command.stdout(Stdio::piped()),
    };
    command.stderr(writer).process_group(0);
    let mut command = tokio::process::Command::from(command);
    let mut child = command.kill_on_drop(true).spawn().map_err(|source| Failure::Tool { tool, source })?;
    // The command holds a copy of what it passes on; the child must have the only one.
    drop(command);
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let stdout = child.stdout.take();
    let lines = Lines { log: (output != Output::Quiet).then_some(log), tail: Mutex::default() };
    let mut captured = vec![];
    let all = async {
        let out = async {
            if let Some(stream) = stdout {
                captured = capture(stream).await;
            }
        };
        tokio::join!(out, lines.pump(errors));
        child.wait().await
    };
    let ended = tokio::select! {
        status = all => Ok(status),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => Err(None),
        why = spoiled => Err(Some(why)),
    };
    let why = match ended {
        Ok(status) => {
            let status = status.map_err(Failure::io(format!("Waiting for {what}")))?;
            return Ok(Ended { status, tail: lines.into_tail(), output: captured });
        }
        Err(why) => why,
    };
    if let Some(group) = group {
        // It may just have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
    }
    // Reaped before anybody removes the folders that it works in.
    let _ = child.wait().await;
    let last = lines.into_tail().pop().unwrap_or_default();
    Err(why.unwrap_or_else(|| Failure::TimedOut { what: what.to_owned(), seconds, last }))
}

fn pipe() -> io::Result<(Receiver, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((Receiver::from_owned_fd(reader.into())?, writer))
}

async fn capture(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut chunk) = (vec![], vec![0; 16 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        let room = OUTPUT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
    kept
}

struct Lines<'a> {
    log: Option<&'a Log<'a>>,
    tail: Mutex<VecDeque<String>>,
}

impl Lines<'_> {
    async fn pump(&self, mut stream: impl AsyncRead + Unpin) {
        let (mut line, mut chunk, mut total) = (vec![], vec![0; 16 * 1024], 0);
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            for &byte in &chunk[..count] {
                if byte == b'\n' || byte == b'\r' || line.len() >= LINE_BYTES {
                    total += line.len();
                    self.take(&mut line, total);
                }
                if byte != b'\n' && byte != b'\r' {
                    line.push(byte);
                }
            }
        }
        self.take(&mut line, total);
    }

    fn take(&self, line: &mut Vec<u8>, total: usize) {
        let text = String::from_utf8_lossy(line).into_owned();
        line.clear();
        if text.trim().is_empty() || total > OUTPUT_BYTES {
            return;
        }
        if let Some(log) = self.log {
            log.line(&text);
        }
        if let Ok(mut tail) = self.tail.lock() {
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(text);
        }
    }

    fn into_tail(self) -> Vec<String> {
        self.tail.into_inner().unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use csw_core::ports::BuildLog;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<String>);

    impl BuildLog for Kept {
        fn write(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn lines_are_logged_and_the_last_one_explains() {
        let kept = Kept::default();
        let log = Log::new(&kept);
        let script = "echo one; echo https://a:b@h/ >&2; exit 3";
        let ended = run("the step", shell(script), 20, Output::Logged, &log).await.unwrap();
        assert!(kept.0.lock().unwrap().contains("https://***@h/\n"));
        let error = ended.success("the step").unwrap_err().to_string();
        assert!(error.starts_with("the step failed with exit status: 3: "), "{error}");
    }

    #[tokio::test]
    async fn captured_output_stays_out_of_the_log() {
        let kept = Kept::default();
        let ended = run("x", shell("echo a; echo b >&2"), 20, Output::Captured, &Log::new(&kept)).await.unwrap();
        assert_eq!((ended.output.as_slice(), kept.0.lock().unwrap().as_str()), (&b"a\n"[..], "b\n"));
    }

    #[tokio::test]
    async fn a_step_that_hangs_is_stopped_with_its_children() {
        let kept = Kept::default();
        let script = "echo started; sleep 600 & sleep 600";
        let error = run("the step", shell(script), 1, Output::Logged, &Log::new(&kept)).await.unwrap_err();
        assert_eq!(error.to_string(), "the step was stopped after 1 seconds; the last line was: started");
    }

    #[tokio::test]
    async fn a_step_is_stopped_for_other_reasons_too() {
        let kept = Kept::default();
        let why = std::future::ready(Failure::Unusable("It is too large".to_owned()));
        let (log, step) = (Log::new(&kept), shell("sleep 600 & sleep 600"));
        let ended = run_unless("the step", step, 20, Output::Logged, &log, why).await;
        assert_eq!(ended.unwrap_err().to_string(), "It is too large");
    }
}
