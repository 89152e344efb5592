//! The supervisor's side: a command that starts a program in a sandbox.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use serde::{Deserialize, Serialize};

use crate::confinement::Confinement;
use crate::error::{SandboxError, Step};

/// The sub-command of the helper; its `main` calls [`crate::enter`] for it
/// before it starts any thread.
pub const HELPER_SUBCOMMAND: &str = "exec-sandbox";

/// The exit code of a helper that could not put the sandbox in place; the
/// reason is on its standard error.
pub const SETUP_FAILED: u8 = 125;

/// A file descriptor that the program receives; all others are closed.
#[derive(Debug)]
pub struct PassedFd {
    /// What is passed; [`command`] sends a copy and closes this one.
    pub source: OwnedFd,
    /// The number it has in the program.
    pub target: RawFd,
}

/// What travels to the helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Enter a sandbox and execute a program.
    Execute(Box<Execution>),
    /// Try each layer and print the findings.
    Probe,
}

/// A program and its confinement.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Execution {
    pub confinement: Confinement,
    pub program: PathBuf,
    /// Bytes: an argument need not be UTF-8.
    pub args: Vec<Vec<u8>>,
    pub targets: Vec<RawFd>,
    pub supervisor: i32,
}

impl Execution {
    pub(crate) fn arguments(&self) -> impl Iterator<Item = OsString> + '_ {
        self.args.iter().map(|bytes| OsString::from_vec(bytes.clone()))
    }
}

/// A command that starts `program` in a sandbox by way of `helper`.
///
/// Standard output and error are the caller's to set; standard input is taken:
/// it carries the confinement, so that no secret shows in a list of processes,
/// and the program finds `/dev/null` there. To give it another one, pass a
/// descriptor with the target 0. The command works for one spawn.
///
/// The process that is spawned ends as the program ends (code or signal);
/// killing it, or the death of the calling process, kills everything inside.
/// It passes on SIGTERM, SIGINT and SIGHUP. Drop the command after the spawn:
/// it holds copies of the passed descriptors should the helper not take them.
pub fn command<A: AsRef<OsStr>>(
    helper: &Path,
    confinement: &Confinement,
    program: &Path,
    args: impl IntoIterator<Item = A>,
    passed: Vec<PassedFd>,
) -> Result<Command, SandboxError> {
    check(confinement, program, &passed)?;
    let request = Request::Execute(Box::new(Execution {
        confinement: confinement.clone(),
        program: program.to_path_buf(),
        args: args.into_iter().map(|arg| arg.as_ref().as_bytes().to_vec()).collect(),
        targets: passed.iter().map(|fd| fd.target).collect(),
        supervisor: std::process::id().cast_signed(),
    }));
    let command = helper_command(helper, &request, &passed);
    // Copies are in the socket; ours would keep the other side of a pipe open.
    drop(passed);
    command
}

/// A command that makes the helper carry out a request.
pub(crate) fn helper_command(helper: &Path, request: &Request, passed: &[PassedFd]) -> Result<Command, SandboxError> {
    use std::os::unix::process::CommandExt;
    let stdin = send_request(request, passed)?;
    let mut command = Command::new(helper);
    // A group of its own: a Ctrl-C at the server's terminal is the server's to handle.
    command.arg(HELPER_SUBCOMMAND).env_clear().stdin(Stdio::from(stdin)).process_group(0);
    Ok(command)
}

fn check(confinement: &Confinement, program: &Path, passed: &[PassedFd]) -> Result<(), SandboxError> {
    let invalid = |text: String| Err(SandboxError::Invalid(text));
    let shown: Vec<&Path> = confinement.read_only.iter().chain(&confinement.writable).map(PathBuf::as_path).collect();
    if shown.contains(&Path::new("/")) {
        return invalid("the root folder cannot be shown as a whole".into());
    }
    for path in shown.into_iter().chain([confinement.working_dir.as_path(), program]) {
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return invalid(format!("the path `{}` must be absolute and without `..`", path.display()));
        }
    }
    if confinement.users.first == 0 || confinement.users.count < 2 {
        return invalid("a range of users needs two ids at least and never holds 0".into());
    }
    let mut targets: Vec<RawFd> = passed.iter().map(|fd| fd.target).collect();
    targets.sort_unstable();
    targets.dedup();
    if targets.len() != passed.len() || targets.iter().any(|target| !(0..=255).contains(target)) {
        return invalid("passed descriptors need different numbers between 0 and 255".into());
    }
    Ok(())
}

/// Puts the request and the descriptors into a socket whose other end becomes
/// the helper's standard input: nothing is inheritable in the calling process,
/// so no other child of a threaded server can come by them.
fn send_request(request: &Request, passed: &[PassedFd]) -> Result<OwnedFd, SandboxError> {
    let text = serde_json::to_vec(request)
        .map_err(|error| SandboxError::Invalid(format!("the confinement cannot be written: {error}")))?;
    let memory = memfd_create("confinement", MFdFlags::MFD_CLOEXEC).step("creating a memory file")?;
    let mut memory = File::from(memory);
    memory.write_all(&text).step("writing the confinement")?;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .step("creating a socket pair")?;
    let mut descriptors = vec![memory.as_raw_fd()];
    descriptors.extend(passed.iter().map(|fd| fd.source.as_fd().as_raw_fd()));
    sendmsg::<()>(
        ours.as_raw_fd(),
        &[IoSlice::new(b"r")],
        &[ControlMessage::ScmRights(&descriptors)],
        MsgFlags::empty(),
        None,
    )
    .step("sending the confinement")?;
    Ok(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confinement() -> Confinement {
        Confinement { working_dir: "/".into(), ..Confinement::default() }
    }

    fn refuse(confinement: &Confinement) -> String {
        command(Path::new("/helper"), confinement, Path::new("/bin/true"), [""; 0], vec![])
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn relative_and_climbing_paths_are_refused() {
        for path in ["relative", "/a/../b"] {
            let confinement = Confinement { read_only: vec![path.into()], ..confinement() };
            assert!(refuse(&confinement).contains(path));
        }
        let whole = Confinement { writable: vec!["/".into()], ..confinement() };
        assert!(refuse(&whole).contains("root folder"));
    }

    #[test]
    fn root_is_never_among_the_users() {
        let users = crate::UserRange { first: 0, count: 10 };
        assert!(refuse(&Confinement { users, ..confinement() }).contains("never holds 0"));
    }

    #[test]
    fn secrets_do_not_show_in_the_arguments() {
        let env = [("TOKEN".to_owned(), "secret".to_owned())].into();
        let confinement = Confinement { env, ..confinement() };
        let command =
            command(Path::new("/helper"), &confinement, Path::new("/bin/true"), ["x"], vec![]).expect("valid");
        assert_eq!(command.get_args().collect::<Vec<_>>(), [HELPER_SUBCOMMAND]);
    }
}
