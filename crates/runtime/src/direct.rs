//! A run in this process's own container, which is the sandbox: one interpreter, no zygote, nothing around it.
//!
//! What runs in a pod has a cgroup, a user, namespaces and a read-only root already. What is left to do is what the
//! executor of one machine does inside: start the harness, pass on log and outputs, keep the deadline, word the end.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use csw_core::{
    ports::RunEvents,
    run::{Outcome, Phases, RunEnd, RunOrder, Usage},
};
use nix::{
    sys::{
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command, sync::oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    frame,
    harness::{Harness, Mode},
    layout::Layout,
    local,
    process::{Exit, Killer, Process, Wires, first_sign, last_words},
    report,
    stops::Stops,
    supervise::{Supervised, Supervisor},
    verdict,
};

/// Bytes of a run's log that are passed on.
const LOG_BYTES: u64 = 10_000_000;

/// Where a version lies in an image.
#[derive(Debug, Clone)]
pub struct Place {
    /// The environment; where there is none, the image's own Python has the packages.
    pub environment: Option<PathBuf>,
    /// The model's code.
    pub code: PathBuf,
    /// Where the run may write.
    pub scratch: PathBuf,
}

/// An interpreter that imports a version's code before it is known whether there is another run of it.
pub struct Ready {
    process: Process,
    /// The run before, without its arguments.
    like: RunOrder,
}

impl Ready {
    /// One for a run like this one; `None` where it can't be had, and a run starts its own.
    pub async fn after(order: &RunOrder, place: &Place) -> Option<Self> {
        let like = RunOrder { arguments: Value::Null, ..order.clone() };
        let layout = layout(place);
        let mut process = start(&like, place, &layout).await.ok()?;
        let words = frame::encode(frame::WARM, &local::words(&like, &layout)).ok()?;
        process.socket.write_all(&words).await.ok()?;
        Some(Self { process, like })
    }

    /// Its process, where it is as one that is started for the run.
    fn for_run(self, order: &RunOrder) -> Option<Process> {
        let of = |order: &RunOrder| {
            let secrets = order.secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
            (order.version, order.model.clone(), secrets.collect::<BTreeMap<_, _>>())
        };
        (of(&self.like) == of(order)).then_some(self.process)
    }
}

/// Ends whatever a run has left behind, where this process is the first of its container and so nobody else's is there.
pub fn clear(place: &Place) {
    if std::process::id() == 1 {
        // Nobody but us may be left: then that is an error.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive) {}
        let left = fs::read_dir(&place.scratch).into_iter().flatten().flatten();
        for entry in left {
            let path = entry.path();
            if fs::remove_file(&path).is_err() {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
    let _ = fs::remove_dir_all(home(place));
}

/// Executes an order here, and stays until its end is acknowledged. `stop` asks it to end before.
pub async fn execute(
    order: &RunOrder,
    place: &Place,
    events: &dyn RunEvents,
    stop: CancellationToken,
    ready: Option<Ready>,
) {
    let stops = Stops::new(CancellationToken::new(), stop.clone(), order.limits.deadline_seconds);
    if let Some(mut end) = attempt(order, place, events, &stops, ready).await {
        if stop.is_cancelled() && matches!(end.outcome, Outcome::Lost { .. }) {
            end.outcome = verdict::lost("its pod was asked to stop, as when its node is emptied");
        }
        report::end(events, order, end).await;
    }
}

/// `None`: nobody is to hear of the end.
async fn attempt(
    order: &RunOrder,
    place: &Place,
    events: &dyn RunEvents,
    stops: &Stops,
    ready: Option<Ready>,
) -> Option<RunEnd> {
    let begun = Instant::now();
    let lost = |sentence: String| {
        let (phases, usage) = (Phases::default(), Usage::default());
        Some(RunEnd { outcome: verdict::lost(&sentence), model_version: None, phases, usage })
    };
    let layout = layout(place);
    let process = match ready.and_then(|ready| ready.for_run(order)) {
        Some(process) => process,
        None => match start(order, place, &layout).await {
            Ok(process) => process,
            Err(sentence) => return lost(sentence),
        },
    };
    let start = begun.elapsed();
    let arguments = match frame::encode(frame::ARGUMENTS, &local::words(order, &layout)) {
        Ok(arguments) => arguments,
        Err(error) => return lost(error.to_string()),
    };
    let supervisor = Supervisor {
        order,
        events,
        stops,
        folder: &place.scratch,
        log_bytes: LOG_BYTES,
        memory_by_address_space: false,
    };
    let kills = killed_for_memory();
    let Supervised { outcome, model_version, import, run, usage } = supervisor.supervise(process, arguments).await;
    let outcome = match outcome? {
        // The kernel may end the interpreter alone, and leave its container.
        Outcome::Lost { .. } if killed_for_memory() > kills => {
            Outcome::OutOfMemory { limit_bytes: order.limits.memory_bytes }
        }
        other => other,
    };
    let phases =
        Phases { start: local::milliseconds(start), import: local::milliseconds(import), run, ..Phases::default() };
    Some(RunEnd { outcome, model_version, phases, usage })
}

/// Where a run begins, and its home.
fn home(place: &Place) -> PathBuf {
    place.scratch.join("home")
}

fn layout(place: &Place) -> Layout {
    let python = match &place.environment {
        Some(environment) => environment.join("bin/python"),
        None => PathBuf::from("python3"),
    };
    Layout::of_image(python, &place.code)
}

/// Starts the interpreter; the error is a sentence.
async fn start(order: &RunOrder, place: &Place, layout: &Layout) -> Result<Process, String> {
    let failed = |what: &str, error: &io::Error| format!("{what}: {error}");
    let home = home(place);
    fs::create_dir_all(home.join("tmp")).map_err(|error| failed("making a run's folder", &error))?;
    let harness = Harness::install(&place.scratch).map_err(|error| failed("writing the harness", &error))?;
    let wires = Wires::new().map_err(|error| failed("connecting a run's process", &error))?;
    let log = wires.their_log.try_clone().map_err(|error| failed("copying a descriptor", &error))?;
    let mut command = Command::new(&layout.python);
    command
        .args(harness.arguments(Mode::Direct))
        .env_clear()
        .envs(inherited())
        .envs(local::environment(layout, order, &home))
        .current_dir(&home)
        // The harness moves it to where it belongs.
        .stdin(Stdio::from(wires.their_socket))
        .stdout(Stdio::from(wires.their_log))
        .stderr(Stdio::from(log))
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn().map_err(|error| failed(&format!("starting `{}`", layout.python.display()), &error))?;
    // It holds the other ends of what it was given.
    drop(command);
    let (kill, killed) = oneshot::channel();
    let (tell, exit) = oneshot::channel();
    tokio::spawn(async move {
        // Nobody may be listening any more.
        let _ = tell.send(await_end(child, killed).await);
    });
    let mut killer = Killer::Guardian(Some(kill));
    if let Err(error) = first_sign(&wires.socket).await {
        killer.kill();
        let end = exit.await.map_or_else(|_| error.to_string(), |exit| exit.to_string());
        return Err(format!("the interpreter did not start ({end}): {}", last_words(wires.log).await));
    }
    Ok(Process { socket: wires.socket, log: wires.log, exit, killer, group: None, folder: home, keeps: Box::new(()) })
}

/// Waits for the interpreter; ends its whole group when told to.
async fn await_end(mut child: tokio::process::Child, killed: oneshot::Receiver<()>) -> Exit {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let status = tokio::select! {
        status = child.wait() => status,
        _ = killed => {
            if let Some(group) = group {
                // It may have ended by itself; `wait` tells.
                let _ = killpg(group, Signal::SIGKILL);
            }
            child.wait().await
        }
    };
    status.map_or(Exit::Unknown, |status| Exit::Status(status.into_raw(), Usage::default()))
}

/// What the image sets for models: where libraries and certificates are. Nothing of ours is in it.
fn inherited() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, _)| !name.starts_with("CSW_") && name != "PYTHONPATH").collect()
}

/// Processes of this container that the kernel has ended for want of memory.
fn killed_for_memory() -> u64 {
    let of = |path: &str| {
        let text = fs::read_to_string(Path::new("/sys/fs/cgroup").join(path)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        line.trim().parse().ok()
    };
    of("memory.events").or_else(|| of("memory/memory.oom_control")).unwrap_or_default()
}
