//! Process 1 of the namespaces: sets them up, starts the program, reaps.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};

use super::identity;
use super::messages::{Channel, Message};
use super::{forward, limits, program, root};
use crate::command::Execution;
use crate::confinement::NetworkAccess;
use crate::error::{SandboxError, Step};
use crate::sys;

/// Runs as init and never returns; the outer guardian hears of every failure.
pub(super) fn run(execution: &Execution, passed: Vec<OwnedFd>, channel: &Channel, signals: &SignalFd) -> ! {
    let last = match live(execution, passed, channel, signals) {
        Ok(message) => message,
        Err(error) => Message::Failed(error.to_string()),
    };
    // The guardian may be gone; then nobody needs to know.
    let _ = channel.send(&last);
    sys::exit_now(0)
}

fn live(
    execution: &Execution,
    passed: Vec<OwnedFd>,
    channel: &Channel,
    signals: &SignalFd,
) -> Result<Message, SandboxError> {
    prctl::set_pdeathsig(Signal::SIGKILL).step("binding init to its guardian")?;
    channel.await_begin()?;
    setsid().step("starting a session")?;
    let confinement = &execution.confinement;
    if confinement.layers.namespaces {
        nix::unistd::sethostname("sandbox").step("setting the host name")?;
        if confinement.network == NetworkAccess::Loopback {
            sys::loopback_up().step("bringing loopback up")?;
        }
        root::build(confinement)?;
    } else {
        prctl::set_child_subreaper(true).step("becoming the reaper")?;
    }
    let (ours, theirs) = Channel::pair()?;
    let Some(child) = sys::fork().step("starting the program's process")? else {
        drop(ours);
        program::run(execution, passed, theirs, channel)
    };
    drop((theirs, passed));
    if identity::uses_range(confinement) {
        // `None`: it has failed and said so to the guardian.
        if let Some(Message::Begin) = ours.receive()? {
            identity::map_range(child, confinement.users)?;
            ours.send(&Message::Begin)?;
        }
    }
    drop(ours);
    limits::no_core_dump()?;
    identity::become_init(confinement)?;
    // Changing the user has cleared it.
    prctl::set_pdeathsig(Signal::SIGKILL).step("binding init to its guardian")?;
    prctl::set_dumpable(false).step("closing init to tracers")?;
    reap(child, channel, signals)
}

/// Until the program ends; what it left behind dies with init.
fn reap(program: Pid, channel: &Channel, signals: &SignalFd) -> Result<Message, SandboxError> {
    loop {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == program => return Ok(Message::Exited(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                    return Ok(Message::Signalled(signal as i32));
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).step("waiting for processes"),
            }
        }
        let mut sources =
            [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other.step("waiting for processes")?,
        };
        // The guardian says nothing after the beginning: this is its end.
        if sources[1].any().unwrap_or(true) {
            return Err(SandboxError::Orphaned);
        }
        forward(signals, program)?;
    }
}
