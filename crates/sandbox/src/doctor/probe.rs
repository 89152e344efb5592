//! The helper's side of the report: each layer is tried in a child of its own.

use std::fs;
use std::io::{self, Write};

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use super::{Layer, State};
use crate::confinement::UserRange;
use crate::layers::LayerSet;
use crate::sys;

/// The oldest version of Landlock from which nothing here is missing.
const LANDLOCK_COMPLETE: i64 = 6;

/// What the helper prints.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub layers: Vec<Layer>,
    pub usable: LayerSet,
}

/// Prints the findings and ends the process.
pub(crate) fn print_and_exit() -> ! {
    let mut out = io::stdout();
    let code = match serde_json::to_vec(&findings()) {
        Ok(text) if out.write_all(&text).and_then(|()| out.flush()).is_ok() => 0,
        _ => i32::from(crate::SETUP_FAILED),
    };
    sys::exit_now(code)
}

fn findings() -> Findings {
    let root = geteuid().is_root();
    let user_cost = if root {
        "the runs of a zygote share one user; Landlock alone separates them"
    } else {
        "without root, no other namespace can be had either"
    };
    let user = layer("user namespace", in_child(own_user_namespace), user_cost);
    let namespaces = [
        ("mount namespace", CloneFlags::CLONE_NEWNS, "files are hidden by Landlock only"),
        ("pid namespace", CloneFlags::CLONE_NEWPID, "a run sees other processes, and its own can outlive it"),
        ("net namespace", CloneFlags::CLONE_NEWNET, "models reach the network"),
        ("ipc namespace", CloneFlags::CLONE_NEWIPC, "runs can share memory by name"),
        ("uts namespace", CloneFlags::CLONE_NEWUTS, "runs see the machine's name"),
    ]
    .map(|(name, flag, cost)| layer(name, in_child(|| in_namespace(flag)), cost));
    let landlock = landlock();
    let seccomp = layer("seccomp", in_child(filter), "programs can try every system call of the kernel");
    let usable = LayerSet {
        namespaces: namespaces.iter().all(|layer| layer.state == State::Present),
        user_namespace: user.state == State::Present,
        landlock: landlock.state != State::Missing,
        seccomp: seccomp.state == State::Present,
    };
    let mut layers = vec![unprivileged(root), user];
    layers.extend(namespaces);
    layers.extend([landlock, seccomp]);
    Findings { layers, usable }
}

fn layer(name: &str, found: io::Result<()>, cost: &str) -> Layer {
    let (state, detail) = match found {
        Ok(()) => (State::Present, "works".to_owned()),
        Err(error) => (State::Missing, format!("tried and refused: {error}")),
    };
    Layer { name: name.into(), state, detail, cost_of_absence: cost.into() }
}

/// Runs the attempt in a child; its error number comes back as the exit code.
fn in_child(attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let Some(child) = sys::fork()? else {
        let code = attempt().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
        sys::exit_now(code)
    };
    match waitpid(child, None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, code) => Err(io::Error::from_raw_os_error(code)),
        _ => Err(io::Error::other("the attempt was killed")),
    }
}

/// With a capability that means something: some systems grant the namespace
/// and then nothing in it.
fn own_user_namespace() -> io::Result<()> {
    enter_user_namespace()?;
    unshare(CloneFlags::CLONE_NEWUTS)?;
    nix::unistd::sethostname("probe")?;
    Ok(())
}

fn enter_user_namespace() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

fn in_namespace(flag: CloneFlags) -> io::Result<()> {
    if !geteuid().is_root() {
        enter_user_namespace()?;
    }
    unshare(flag | CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    if flag == CloneFlags::CLONE_NEWNS {
        mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), none)?;
        return sys::restrict_mount("/tmp".as_ref(), libc::MOUNT_ATTR_RDONLY);
    }
    if flag == CloneFlags::CLONE_NEWPID {
        let proc = || mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none);
        return in_child(|| Ok(proc()?));
    }
    if flag == CloneFlags::CLONE_NEWNET {
        return sys::loopback_up();
    }
    Ok(())
}

fn filter() -> io::Result<()> {
    crate::enter::seccomp_works().then_some(()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSYS))
}

fn landlock() -> Layer {
    let (state, detail) = match sys::landlock_abi() {
        Ok(version) if version >= LANDLOCK_COMPLETE => (State::Present, format!("version {version}")),
        Ok(version) => (
            State::Degraded,
            format!(
                "version {version}; signals and abstract sockets are confined from version {LANDLOCK_COMPLETE} on (Linux 6.12)"
            ),
        ),
        Err(error) => (State::Missing, format!("the kernel offers none: {error}")),
    };
    Layer {
        name: "Landlock".into(),
        state,
        detail,
        cost_of_absence: "one wall less around files, and none between the runs of a zygote \
                          where users cannot be changed"
            .into(),
    }
}

fn unprivileged(root: bool) -> Layer {
    let (name, cost) = ("unprivileged user", "programs run as the server's own user");
    if root {
        return layer(name, in_child(become_unprivileged), cost);
    }
    Layer {
        name: name.into(),
        state: State::Degraded,
        detail: "not root: programs run as the server's user, without capabilities; as root each \
                 would have users of its own"
            .into(),
        cost_of_absence: cost.into(),
    }
}

fn become_unprivileged() -> io::Result<()> {
    let id = UserRange::default().first;
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    Ok(())
}
