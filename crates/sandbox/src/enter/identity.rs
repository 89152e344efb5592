//! Users, groups and capabilities of the processes of a sandbox.

use std::fs;

use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};

use crate::confinement::{Confinement, Stage, UserRange};
use crate::error::{SandboxError, Step};
use crate::sys::{self, CAP_KILL, CAP_SETGID, CAP_SETUID};

/// Whether this sandbox can give its processes other users than its caller's.
///
/// Inside a user namespace made for the sandbox nobody is root: there only the
/// caller's user is mapped, as itself.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether the program gets a user namespace with a range of users.
pub(super) fn uses_range(confinement: &Confinement) -> bool {
    is_root() && confinement.layers.user_namespace
}

/// Maps the caller's user and group, and nothing else, into the namespace of `process`.
pub(super) fn map_own_user(process: Pid) -> Result<(), SandboxError> {
    let (user, group) = (geteuid(), getegid());
    write_map(process, "setgroups", "deny")?;
    write_map(process, "uid_map", &format!("{user} {user} 1"))?;
    write_map(process, "gid_map", &format!("{group} {group} 1"))
}

/// Maps the range, from 0 on, into the namespace of `process`.
pub(super) fn map_range(process: Pid, users: UserRange) -> Result<(), SandboxError> {
    let map = format!("0 {} {}", users.first, users.count);
    write_map(process, "uid_map", &map)?;
    write_map(process, "gid_map", &map)
}

fn write_map(process: Pid, file: &str, text: &str) -> Result<(), SandboxError> {
    fs::write(format!("/proc/{process}/{file}"), text).step(format!("mapping users: writing `{text}` to {file}"))
}

/// Init after the set-up: as root an unprivileged user that may still pass on
/// signals; otherwise the caller's user without any capability.
pub(super) fn become_init(confinement: &Confinement) -> Result<(), SandboxError> {
    if is_root() { become_user(confinement.users.first, CAP_KILL) } else { drop_to(0) }
}

/// The program's process. In a user namespace of its own the ids are the
/// namespace's, and a zygote keeps the right to change among them.
pub(super) fn become_program(confinement: &Confinement, in_range: bool) -> Result<(), SandboxError> {
    if in_range {
        let keep = if confinement.stage == Stage::Zygote { CAP_SETUID | CAP_SETGID } else { 0 };
        return become_user(UserRange::PROGRAM, keep);
    }
    if is_root() {
        // Never with capabilities: outside a namespace these would reach real users.
        return become_user(confinement.users.first + UserRange::PROGRAM, 0);
    }
    drop_to(0)
}

fn become_user(id: u32, keep: sys::Capabilities) -> Result<(), SandboxError> {
    sys::bound_capabilities(keep).step("bounding capabilities")?;
    nix::sys::prctl::set_keepcaps(true).step("keeping capabilities")?;
    setgroups(&[]).step("leaving groups")?;
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    setresgid(group, group, group).step(format!("changing to group {id}"))?;
    setresuid(user, user, user).step(format!("changing to user {id}"))?;
    nix::sys::prctl::set_keepcaps(false).step("keeping capabilities")?;
    sys::set_capabilities(keep).step("dropping capabilities")?;
    sys::raise_ambient(keep).step("passing capabilities on")
}

fn drop_to(keep: sys::Capabilities) -> Result<(), SandboxError> {
    // Without the right to change the bounding set there is nothing to bound.
    let _ = sys::bound_capabilities(keep);
    sys::set_capabilities(keep).step("dropping capabilities")
}
