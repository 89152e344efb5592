//! One live process of a run, wherever it came from, and the descriptors it is given.

use std::{
    fmt, io,
    os::fd::{AsRawFd, OwnedFd},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use nix::{
    fcntl::OFlag,
    sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt},
    unistd::pipe2,
};
use tokio::{
    io::{AsyncReadExt, Interest},
    net::{UnixStream, unix::pipe},
    sync::oneshot,
};

use csw_core::run::Usage;

use crate::{frame::HELLO, group::RunGroup};

/// The exit code by which the harness says that it could not report.
pub(crate) const NO_REPORT: i32 = 70;

/// How a process ended.
#[derive(Debug)]
pub(crate) enum Exit {
    /// By itself or by a signal, as `wait` encodes it, after it had used so much.
    Status(i32, Usage),
    /// Nobody can tell any more: its zygote is gone.
    Unknown,
}

/// What ends a process with everything it started.
#[derive(Debug)]
pub(crate) enum Killer {
    /// Tells the task that owns the sandbox's guardian.
    Guardian(Option<oneshot::Sender<()>>),
    /// A child of a zygote, by its process id on this machine.
    Tree(i32),
}

/// A process that has given its first sign of life.
pub(crate) struct Process {
    pub(crate) socket: UnixStream,
    pub(crate) log: pipe::Receiver,
    pub(crate) exit: oneshot::Receiver<Exit>,
    pub(crate) killer: Killer,
    /// What limits it, where the machine can.
    pub(crate) group: Option<Arc<RunGroup>>,
    /// What it may write to.
    pub(crate) folder: PathBuf,
    /// What must outlive the process: its folder, its user, its zygote.
    pub(crate) keeps: Box<dyn Send>,
}

impl Exit {
    /// The end of a process that could not report because the model took its socket away.
    pub(crate) fn unreported() -> Self {
        Self::Status(NO_REPORT << 8, Usage::default())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, _) => write!(f, "{}", ExitStatus::from_raw(*status)),
            Self::Unknown => f.write_str("its end is not known"),
        }
    }
}

impl Killer {
    pub(crate) fn kill(&mut self) {
        match self {
            Self::Guardian(word) => {
                if let Some(word) = word.take() {
                    // The owner may have seen the end already.
                    let _ = word.send(());
                }
            }
            Self::Tree(pid) => csw_sandbox::tree::kill_tree(*pid),
        }
    }
}

/// Both ends of what connects a run's process with the server.
pub(crate) struct Wires {
    pub(crate) socket: UnixStream,
    pub(crate) log: pipe::Receiver,
    pub(crate) their_socket: OwnedFd,
    pub(crate) their_log: OwnedFd,
}

impl Wires {
    pub(crate) fn new() -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        setsockopt(&ours, sockopt::PassCred, &true)?;
        // One pipe for both streams: the log keeps their order.
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self {
            socket: UnixStream::from_std(ours)?,
            log: pipe::Receiver::from_owned_fd(reader)?,
            their_socket: theirs.into(),
            their_log: writer,
        })
    }
}

/// Waits for a process to say that it is there. Answers its id on this machine, which the kernel vouches for.
pub(crate) async fn first_sign(socket: &UnixStream) -> io::Result<i32> {
    let mut got = [0; HELLO.len()];
    let mut filled = 0;
    let mut process = None;
    while filled < got.len() {
        let (length, pid) = socket.async_io(Interest::READABLE, || receive(socket, &mut got[filled..])).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += length;
        process = process.or(pid);
    }
    if got != HELLO {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first frame is not the sign of life"));
    }
    process.ok_or_else(|| io::Error::other("the kernel does not tell who has sent the sign of life"))
}

/// What a process that did not start has printed.
pub(crate) async fn last_words(log: pipe::Receiver) -> String {
    let mut said = vec![];
    // Whatever holds the other end without having started has nothing to say.
    let _ = tokio::time::timeout(Duration::from_millis(500), log.take(4096).read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// Bytes, and who sent them where the kernel says so.
fn receive(socket: &UnixStream, into: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut buffer = [io::IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut buffer, Some(&mut space), flags)?;
    let mut pid = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmCredentials(who) = control {
            pid = Some(who.pid());
        }
    }
    Ok((message.bytes, pid))
}
