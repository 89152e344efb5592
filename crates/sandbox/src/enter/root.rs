//! A root folder of the sandbox's own: nothing of the machine's but what is named.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use super::identity;
use crate::confinement::{Confinement, DEVICES, NetworkAccess, UserRange};
use crate::error::{SandboxError, Step};
use crate::sys;

/// Where the machine's root is while the new one is built.
const MACHINE: &str = "/.machine";
const NONE: Option<&str> = None;
const STRICT: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DEFAULT_TEMPORARY_BYTES: u64 = 512 << 20;

/// Builds the root in this process's mount namespace and moves into it.
pub(super) fn build(confinement: &Confinement) -> Result<(), SandboxError> {
    // Before the pivot: what exists is asked of the machine's root.
    let mut shown: Vec<(PathBuf, bool)> = confinement.all_read_only().into_iter().map(|path| (path, false)).collect();
    shown.extend(confinement.writable.iter().map(|path| (path.clone(), true)));
    // Parents first, or a parent would cover what was shown below it.
    shown.sort_by_key(|(path, _)| path.components().count());
    pivot()?;
    proc_and_devices(confinement)?;
    for (path, writable) in &shown {
        show(path, *writable)?;
    }
    names(confinement)?;
    umount2(MACHINE, MntFlags::MNT_DETACH).step("hiding the machine's root")?;
    fs::remove_dir(MACHINE).step("hiding the machine's root")?;
    remount_root_read_only()
}

fn pivot() -> Result<(), SandboxError> {
    let private = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(NONE, "/", NONE, private, NONE).step("separating the mounts")?;
    // Any folder does; the mount moves to the root and uncovers it again.
    let place = "/tmp";
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("mode=0755,size=16m")).step("mounting the new root")?;
    let old = format!("{place}{MACHINE}");
    fs::create_dir(&old).step("preparing the new root")?;
    pivot_root(place, old.as_str()).step("changing the root")?;
    chdir("/").step("entering the new root")
}

/// The path where the machine's own file is now, through all its links.
fn on_machine(path: &Path) -> io::Result<PathBuf> {
    let mut found = PathBuf::from(MACHINE);
    let mut rest: Vec<PathBuf> = vec![path.to_path_buf()];
    let mut links = 0;
    while let Some(next) = rest.pop() {
        let mut parts = next.components();
        match parts.next() {
            None => continue,
            Some(Component::RootDir) => found = PathBuf::from(MACHINE),
            Some(Component::ParentDir) if found != Path::new(MACHINE) => {
                found.pop();
            }
            Some(Component::Normal(name)) => {
                let here = found.join(name);
                if fs::symlink_metadata(&here)?.is_symlink() {
                    links += 1;
                    if links > 40 {
                        return Err(io::Error::from_raw_os_error(libc::ELOOP));
                    }
                    rest.push(parts.as_path().to_path_buf());
                    rest.push(fs::read_link(&here)?);
                    continue;
                }
                found = here;
            }
            Some(_) => {}
        }
        rest.push(parts.as_path().to_path_buf());
    }
    Ok(found)
}

/// Shows one path of the machine at the same place.
fn show(path: &Path, writable: bool) -> Result<(), SandboxError> {
    let machine = Path::new(MACHINE).join(path.strip_prefix("/").unwrap_or(path));
    // A link of the system, such as /bin, stays one: its target is shown as well.
    if let Ok(target) = fs::read_link(&machine)
        && crate::confinement::SYSTEM_PATHS.iter().any(|system| Path::new(system) == path)
        && target.is_relative()
        && path.parent() == Some(Path::new("/"))
    {
        return symlink(target, path).step(format!("linking `{}`", path.display()));
    }
    let what = || format!("showing `{}`", path.display());
    let source = on_machine(path).step(what())?;
    make_place(&source, path).step(what())?;
    bind(&source, path).step(what())?;
    let attributes = if writable { STRICT } else { STRICT | libc::MOUNT_ATTR_RDONLY };
    sys::restrict_mount(path, attributes).step(format!("protecting `{}`", path.display()))
}

fn make_place(source: &Path, place: &Path) -> io::Result<()> {
    if place.exists() {
        return Ok(());
    }
    if fs::metadata(source)?.is_dir() {
        return fs::create_dir_all(place);
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(place, "")
}

fn bind(source: &Path, place: &Path) -> nix::Result<()> {
    mount(Some(source), place, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
}

fn proc_and_devices(confinement: &Confinement) -> Result<(), SandboxError> {
    fs::create_dir("/proc").step("mounting `/proc`")?;
    mount_proc().step("mounting `/proc`")?;
    fs::create_dir("/dev").step("preparing `/dev`")?;
    for device in DEVICES {
        let source = PathBuf::from(format!("{MACHINE}{device}"));
        let place = Path::new(device);
        let what = || format!("showing `{device}`");
        make_place(&source, place).step(what())?;
        bind(&source, place).step(what())?;
        sys::restrict_mount(place, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC).step(what())?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{target}"), format!("/dev/{name}")).step("preparing `/dev`")?;
    }
    // Without the right to list: names of a sibling's files are its own business.
    let size = confinement.temporary_bytes.unwrap_or(DEFAULT_TEMPORARY_BYTES);
    let options = format!("mode=1733,size={size}");
    for place in ["/tmp", "/dev/shm"] {
        let what = || format!("mounting `{place}`");
        fs::create_dir_all(place).step(what())?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options.as_str())).step(what())?;
    }
    Ok(())
}

/// Processes that the reader could not trace are not even listed; kernels before
/// 5.8 know only the weaker form.
fn mount_proc() -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let attempt = |options| mount(Some("proc"), "/proc", Some("proc"), flags, Some(options));
    attempt("hidepid=ptraceable").or_else(|_| attempt("hidepid=2"))
}

/// The few files by which libraries learn names.
fn names(confinement: &Confinement) -> Result<(), SandboxError> {
    fs::create_dir_all("/etc").step("preparing `/etc`")?;
    let user = if identity::uses_range(confinement) {
        UserRange::PROGRAM
    } else if identity::is_root() {
        confinement.users.first + UserRange::PROGRAM
    } else {
        nix::unistd::geteuid().as_raw()
    };
    let home = confinement.env.get("HOME").map_or("/", String::as_str);
    let home = if home.contains([':', '\n']) { "/" } else { home };
    let mut files = vec![
        ("/etc/passwd", format!("model:x:{user}:{user}::{home}:/bin/sh\n")),
        ("/etc/group", format!("model:x:{user}:\n")),
    ];
    if confinement.network != NetworkAccess::Full {
        files.push(("/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n".into()));
        files.push(("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".into()));
    }
    for (path, text) in files {
        fs::write(path, text).step(format!("writing `{path}`"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).step(format!("writing `{path}`"))?;
    }
    Ok(())
}

fn remount_root_read_only() -> Result<(), SandboxError> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(NONE, "/", NONE, flags, NONE).step("protecting the new root")
}
