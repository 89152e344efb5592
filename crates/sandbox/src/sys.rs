//! System calls that nix offers no safe form of, each as a safe function.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::libc;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid};

/// The bit of a capability; two per word, the lower word first.
pub(crate) type Capabilities = u64;
pub(crate) const CAP_KILL: Capabilities = 1 << 5;
pub(crate) const CAP_SETGID: Capabilities = 1 << 6;
pub(crate) const CAP_SETUID: Capabilities = 1 << 7;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Ends the process at once, without destructors: for the forked processes.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Forks. Only for a process with one thread, as every helper process is.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: one thread, so the child holds no lock that nobody will release.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Forks into new namespaces. Only for a process with one thread.
pub(crate) fn clone_into(namespaces: libc::c_int) -> io::Result<Option<Pid>> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and without a new stack this is a fork: the
    // child has its own copy of all memory; one thread, so no lock is lost.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    Ok((pid != 0).then(|| Pid::from_raw(pid)))
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    own(fd)
}

fn own(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes over descriptors that a message has delivered.
pub(crate) fn own_received(fds: &[RawFd]) -> Vec<OwnedFd> {
    // SAFETY: the kernel made them for the receiver of the message, and the
    // only caller hands each over once.
    fds.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }).collect()
}

/// Marks every descriptor from `first` on to be closed by `exec`.
pub(crate) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: changes flags only.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flag) }).map(drop)
}

/// A copy of the descriptor with a number of at least `least`.
pub(crate) fn duplicate_above(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a valid descriptor and two integers.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    own(check(copy.into())?)
}

/// Puts a copy of the descriptor, inheritable, at the number `target`.
pub(crate) fn place(fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: the caller has moved every descriptor it still needs above all targets.
    check(unsafe { libc::dup2(fd.as_raw_fd(), target) }.into()).map(drop)
}

/// Gives a signal its default meaning again.
pub(crate) fn default_signal(signal: Signal) -> io::Result<()> {
    // SAFETY: the default is no handler, so nothing can run at a bad time.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    Ok(())
}

/// Lets every other program go first, and keeps that for all it will start.
pub(crate) fn lowest_priority() -> io::Result<()> {
    // SAFETY: three integers; 0 is the calling process.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) }.into()).map(drop)
}

/// Makes a mount, with all that is mounted below it, read-only or free of
/// set-user-id and device files, by the `MOUNT_ATTR_*` bits.
pub(crate) fn restrict_mount(path: &Path, attributes: u64) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all-zero is a valid `mount_attr`.
    let mut change: libc::mount_attr = unsafe { mem::zeroed() };
    change.attr_set = attributes;
    // SAFETY: the path ends in NUL, the structure has the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const change,
            mem::size_of::<libc::mount_attr>(),
        )
    };
    check(result).map(drop)
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: three integers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = own(check(socket.into())?)?;
    // SAFETY: all-zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    // SAFETY: this request reads an `ifreq`.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into()).map(drop)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct CapabilityWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Keeps only these capabilities, in all three sets.
pub(crate) fn set_capabilities(keep: Capabilities) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = CapabilityHeader { version: VERSION_3, pid: 0 };
    let mut words = [CapabilityWord::default(); 2];
    for (index, word) in words.iter_mut().enumerate() {
        let bits = u32::try_from((keep >> (32 * index)) & u64::from(u32::MAX)).map_err(io::Error::other)?;
        *word = CapabilityWord { effective: bits, permitted: bits, inheritable: bits };
    }
    // SAFETY: version 3 means a header and two words, as given.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) }).map(drop)
}

fn prctl(option: libc::c_int, first: u64, second: u64) -> io::Result<()> {
    // SAFETY: the options used here take integers only.
    check(unsafe { libc::prctl(option, first, second, 0, 0) }.into()).map(drop)
}

/// Takes every capability but these from the bounding set, for good.
pub(crate) fn bound_capabilities(keep: Capabilities) -> io::Result<()> {
    for number in 0..64 {
        if keep & (1 << number) != 0 {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, number, 0) {
            // Beyond the last capability this kernel knows.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Lets these capabilities, already inheritable, survive `exec`.
pub(crate) fn raise_ambient(capabilities: Capabilities) -> io::Result<()> {
    for number in (0..64).filter(|number| capabilities & (1 << number) != 0) {
        let raise = u64::try_from(libc::PR_CAP_AMBIENT_RAISE).map_err(io::Error::other)?;
        prctl(libc::PR_CAP_AMBIENT, raise, number)?;
    }
    Ok(())
}

/// The version of Landlock the kernel offers; an error says that it has none.
pub(crate) fn landlock_abi() -> io::Result<libc::c_long> {
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: with this flag the call takes no structure and only answers a number.
    check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, VERSION) })
}
