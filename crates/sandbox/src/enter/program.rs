//! The last steps before the program: everything that binds itself alone.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{chdir, execve, setsid};

use super::messages::{Channel, Message};
use super::{identity, limits, restrict};
use crate::command::Execution;
use crate::error::{SandboxError, Step};
use crate::sys;

/// Becomes the program, or tells the guardian why not.
pub(super) fn run(execution: &Execution, passed: Vec<OwnedFd>, init: Channel, guardian: &Channel) -> ! {
    let Err(error) = become_program(execution, passed, init, guardian);
    sys::exit_now(error)
}

fn become_program(
    execution: &Execution,
    passed: Vec<OwnedFd>,
    init: Channel,
    guardian: &Channel,
) -> Result<std::convert::Infallible, i32> {
    // Both channels move above all targets, before those are overwritten.
    let least = execution.targets.iter().max().map_or(3, |target| target + 1).max(3);
    let above = |fd| sys::duplicate_above(fd, least);
    let (Ok(init_fd), Ok(guardian)) = (above(init.as_fd()), above(guardian.as_fd())) else {
        return Err(i32::from(crate::SETUP_FAILED));
    };
    drop(init);
    let (init, guardian) = (Channel::over(init_fd), Channel::over(guardian));
    let error = match confine(execution, passed, &init, least) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    let _ = guardian.send(&Message::Failed(error.to_string()));
    Err(i32::from(crate::SETUP_FAILED))
}

fn confine(
    execution: &Execution,
    passed: Vec<OwnedFd>,
    init: &Channel,
    least: RawFd,
) -> Result<std::convert::Infallible, SandboxError> {
    let confinement = &execution.confinement;
    prctl::set_pdeathsig(Signal::SIGKILL).step("binding the program to init")?;
    setsid().step("starting a session")?;
    place_descriptors(execution, passed, least)?;
    // Rather the program than a guardian, should memory run out. Best effort:
    // some kernels and containers refuse any change.
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    limits::apply(&confinement.limits)?;
    if confinement.gives_way {
        sys::lowest_priority().step("giving way to other programs")?;
    }
    let in_range = identity::uses_range(confinement);
    if in_range {
        unshare(CloneFlags::CLONE_NEWUSER).step("creating the user namespace")?;
        init.send(&Message::Begin)?;
        init.await_begin()?;
    }
    identity::become_program(confinement, in_range)?;
    prctl::set_pdeathsig(Signal::SIGKILL).step("binding the program to init")?;
    prctl::set_no_new_privs().step("refusing new privileges")?;
    chdir(&confinement.working_dir).step(format!("entering the folder `{}`", confinement.working_dir.display()))?;
    let image = Image::of(execution)?;
    if confinement.layers.landlock {
        restrict::landlock(confinement)?;
    }
    reset_signals()?;
    if confinement.layers.seccomp {
        restrict::seccomp(confinement)?;
    }
    execve(&image.program, &image.args, &image.env).step(format!("starting `{}`", execution.program.display()))
}

/// The passed descriptors get their numbers; all others end with `exec`.
fn place_descriptors(execution: &Execution, passed: Vec<OwnedFd>, least: RawFd) -> Result<(), SandboxError> {
    if passed.len() != execution.targets.len() {
        return Err(SandboxError::Invalid("not every passed descriptor has arrived".into()));
    }
    let mut moved = vec![];
    for fd in passed {
        moved.push(sys::duplicate_above(fd.as_fd(), least).step("moving a passed descriptor")?);
    }
    sys::close_on_exec_from(3).step("closing descriptors")?;
    for (fd, target) in moved.iter().zip(&execution.targets) {
        debug_assert!(fd.as_raw_fd() > *target);
        sys::place(fd.as_fd(), *target).step(format!("passing descriptor {target}"))?;
    }
    Ok(())
}

fn reset_signals() -> Result<(), SandboxError> {
    // The Rust runtime ignores it, and `exec` would keep that.
    sys::default_signal(Signal::SIGPIPE).step("resetting signals")?;
    SigSet::all().thread_unblock().step("unblocking signals")
}

struct Image {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    fn of(execution: &Execution) -> Result<Self, SandboxError> {
        let text = |bytes: Vec<u8>| {
            CString::new(bytes)
                .map_err(|_| SandboxError::Invalid("arguments and variables cannot hold a NUL byte".into()))
        };
        let program = text(execution.program.as_os_str().as_bytes().to_vec())?;
        let mut args = vec![program.clone()];
        for arg in execution.arguments() {
            args.push(text(arg.into_vec())?);
        }
        let env = execution.confinement.env.iter();
        let env = env.map(|(name, value)| text(format!("{name}={value}").into_bytes()));
        Ok(Self { program, args, env: env.collect::<Result<_, _>>()? })
    }
}
