//! The helper's side: from a request to a confined program.

mod identity;
mod init;
mod limits;
mod messages;
mod program;
mod restrict;
mod root;

use std::convert::Infallible;
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getppid};

use crate::command::{Execution, Request};
use crate::confinement::NetworkAccess;
use crate::error::{SandboxError, Step};
use crate::{doctor, sys};
use messages::{Channel, Message};

pub(crate) use restrict::seccomp_works;

/// Carries out the request on standard input. Call it first thing in `main`:
/// the process must have one thread. It returns only an error; print that to
/// standard error and exit with [`crate::SETUP_FAILED`].
pub fn enter() -> Result<Infallible, SandboxError> {
    let (request, passed) = receive()?;
    match request {
        Request::Probe => doctor::probe::print_and_exit(),
        Request::Execute(execution) => guard(&execution, passed),
    }
}

fn receive() -> Result<(Request, Vec<OwnedFd>), SandboxError> {
    let mut byte = [0_u8; 1];
    let mut space = nix::cmsg_space!([RawFd; 253]);
    let mut buffer = [IoSliceMut::new(&mut byte)];
    let stdin = std::io::stdin();
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stdin.as_fd().as_raw_fd(), &mut buffer, Some(&mut space), flags)
        .step("receiving the confinement on standard input (this command is started by the server)")?;
    let mut received = vec![];
    for control in message.cmsgs().step("reading the descriptors of the confinement")? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            received.extend(sys::own_received(&fds));
        }
    }
    if received.is_empty() {
        return Err(SandboxError::Invalid("standard input carries no confinement".into()));
    }
    let passed = received.split_off(1);
    let path = format!("/proc/self/fd/{}", received[0].as_raw_fd());
    let text = fs::read(path).step("reading the confinement")?;
    let request = serde_json::from_slice(&text)
        .map_err(|error| SandboxError::Invalid(format!("the confinement is not understood: {error}")))?;
    Ok((request, passed))
}

/// The outer guardian: starts init, then waits for its word, for a signal, or
/// for the end of the supervisor.
fn guard(execution: &Execution, passed: Vec<OwnedFd>) -> Result<Infallible, SandboxError> {
    let supervisor = Pid::from_raw(execution.supervisor);
    let watch = sys::pidfd_open(supervisor).step("watching the supervisor")?;
    // Both before and after: a pid that was reused is not our parent.
    if getppid() != supervisor {
        return Err(SandboxError::Orphaned);
    }
    join_cgroups(execution)?;
    let null = fs::File::open("/dev/null").step("opening `/dev/null`")?;
    nix::unistd::dup2_stdin(&null).step("closing standard input")?;
    drop(null);

    if !execution.confinement.layers.namespaces {
        // What init leaves behind becomes ours to kill.
        prctl::set_child_subreaper(true).step("becoming the reaper")?;
    }
    let signals = take_signals()?;
    let (ours, theirs) = Channel::pair()?;
    let child = sys::clone_into(namespaces(execution)).step("creating the namespaces")?;
    let Some(init) = child else {
        drop((ours, watch));
        init::run(execution, passed, &theirs, &signals)
    };
    drop((theirs, passed));
    let end = introduce(execution, init, &ours).and_then(|()| wait(&watch, &signals, &ours, init));
    // Whatever the reason: pid 1 takes everything inside along.
    let _ = kill(init, Signal::SIGKILL);
    let _ = waitpid(init, None);
    if !execution.confinement.layers.namespaces {
        crate::tree::kill_descendants(std::process::id().cast_signed());
    }
    leave(&end?)
}

fn join_cgroups(execution: &Execution) -> Result<(), SandboxError> {
    for folder in &execution.confinement.cgroups {
        let file = folder.join("cgroup.procs");
        fs::write(&file, "0").step(format!("joining the cgroup `{}`", folder.display()))?;
    }
    Ok(())
}

fn take_signals() -> Result<SignalFd, SandboxError> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block().step("blocking signals")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(&signals, flags).step("watching signals")
}

fn namespaces(execution: &Execution) -> libc::c_int {
    let confinement = &execution.confinement;
    if !confinement.layers.namespaces {
        return 0;
    }
    let mut flags =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if confinement.network != NetworkAccess::Full {
        flags |= libc::CLONE_NEWNET;
    }
    // As root the user namespace comes last, so that it owns none of these.
    if !identity::is_root() {
        flags |= libc::CLONE_NEWUSER;
    }
    flags
}

/// Maps the caller's own user into init's namespace, then lets init begin.
fn introduce(execution: &Execution, init: Pid, channel: &Channel) -> Result<(), SandboxError> {
    if execution.confinement.layers.namespaces && !identity::is_root() {
        identity::map_own_user(init)?;
    }
    channel.send(&Message::Begin)
}

enum End {
    Exited(i32),
    Signalled(i32),
}

fn wait(watch: &OwnedFd, signals: &SignalFd, channel: &Channel, init: Pid) -> Result<End, SandboxError> {
    loop {
        let mut sources =
            [watch.as_fd(), signals.as_fd(), channel.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut sources, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other.step("waiting for the program")?,
        };
        let [supervisor, signal, word] = sources.map(|source| source.any().unwrap_or(true));
        if supervisor {
            return Err(SandboxError::Orphaned);
        }
        if word {
            match channel.receive()? {
                Some(Message::Exited(code)) => return Ok(End::Exited(code)),
                Some(Message::Signalled(signal)) => return Ok(End::Signalled(signal)),
                Some(Message::Failed(text)) => return Err(SandboxError::Inside(text)),
                Some(_) => {}
                // Init was killed, by the OOM killer for one.
                None => return Ok(End::Signalled(libc::SIGKILL)),
            }
        }
        if signal {
            forward(signals, init)?;
        }
    }
}

fn forward(signals: &SignalFd, to: Pid) -> Result<(), SandboxError> {
    while let Some(info) = signals.read_signal().step("reading a signal")? {
        let number = i32::try_from(info.ssi_signo).unwrap_or(libc::SIGTERM);
        if number != libc::SIGCHLD
            && let Ok(signal) = Signal::try_from(number)
        {
            // It may be gone already; then its last word is on its way.
            let _ = kill(to, signal);
        }
    }
    Ok(())
}

/// Ends this process as the program ended.
fn leave(end: &End) -> ! {
    match *end {
        End::Exited(code) => sys::exit_now(code),
        End::Signalled(number) => {
            let signal = Signal::try_from(number).unwrap_or(Signal::SIGKILL);
            let _ = limits::no_core_dump();
            let _ = sys::default_signal(signal);
            let _ = SigSet::all().thread_unblock();
            let _ = kill(Pid::this(), signal);
            // A signal whose default is to do nothing cannot have ended the program.
            sys::exit_now(128 + number)
        }
    }
}
