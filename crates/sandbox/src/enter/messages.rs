//! What the processes of one sandbox tell each other while it is set up and ends.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair};
use serde::{Deserialize, Serialize};

use crate::error::{SandboxError, Step};

/// One message; a socket of packets keeps them apart.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// The other side is ready for the next step.
    Begin,
    /// The set-up failed with this text.
    Failed(String),
    /// The program ended with this code.
    Exited(i32),
    /// The program was ended by this signal.
    Signalled(i32),
}

/// One end of a two-way channel; `exec` closes it.
pub(super) struct Channel(OwnedFd);

impl Channel {
    pub(super) fn pair() -> Result<(Self, Self), SandboxError> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).step("creating a channel")?;
        Ok((Self(a), Self(b)))
    }

    pub(super) fn over(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(super) fn send(&self, message: &Message) -> Result<(), SandboxError> {
        let text = serde_json::to_vec(message).map_err(io::Error::from).step("writing a message")?;
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(&text)], &[], flags, None).step("sending a message")?;
        Ok(())
    }

    /// The next message, or `None` when the other side is gone.
    pub(super) fn receive(&self) -> Result<Option<Message>, SandboxError> {
        let mut bytes = vec![0_u8; 64 * 1024];
        let length = loop {
            let mut buffer = [IoSliceMut::new(&mut bytes)];
            match recvmsg::<()>(self.0.as_raw_fd(), &mut buffer, None, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => break 0,
                other => break other.step("receiving a message")?.bytes,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(&bytes[..length]);
        message.map(Some).map_err(io::Error::from).step("reading a message")
    }

    /// Waits for the other side to be ready.
    pub(super) fn await_begin(&self) -> Result<(), SandboxError> {
        match self.receive()? {
            Some(Message::Begin) => Ok(()),
            _ => Err(SandboxError::Orphaned),
        }
    }
}
