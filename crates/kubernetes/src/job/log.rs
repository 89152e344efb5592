//! The log of a Job's process, kept whole: a server that was restarted gets it again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// A log on its way. What may be in it is limited by whoever writes it.
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    grown: Notify,
    shrunk: Notify,
}

#[derive(Default)]
struct State {
    text: Vec<u8>,
    /// Where it begins in the log of the run.
    base: u64,
    /// How much of it the server has.
    sent: usize,
    abandoned: bool,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, base: u64) {
        self.lock().base = base;
    }

    pub(crate) fn base(&self) -> u64 {
        self.lock().base
    }

    pub(crate) fn push(&self, text: &[u8]) {
        self.lock().text.extend_from_slice(text);
        self.grown.notify_one();
    }

    /// Bytes of it.
    pub(crate) fn length(&self) -> u64 {
        self.lock().text.len() as u64
    }

    /// Nobody wants it.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.shrunk.notify_one();
    }

    /// The next piece and its place.
    pub(crate) async fn next(&self, longest: usize) -> (u64, Bytes) {
        loop {
            {
                let state = self.lock();
                let rest = &state.text[state.sent.min(state.text.len())..];
                if !rest.is_empty() {
                    let piece = Bytes::copy_from_slice(&rest[..rest.len().min(longest)]);
                    return (state.sent as u64, piece);
                }
            }
            self.grown.notified().await;
        }
    }

    /// The server has so much.
    pub(crate) fn sent(&self, received: u64) {
        let mut state = self.lock();
        state.sent = usize::try_from(received).unwrap_or(usize::MAX).min(state.text.len());
        drop(state);
        self.grown.notify_one();
        self.shrunk.notify_one();
    }

    /// Waits until the server has all of it.
    pub(crate) async fn all_sent(&self) {
        loop {
            {
                let state = self.lock();
                if state.abandoned || state.sent >= state.text.len() {
                    return;
                }
            }
            self.shrunk.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_server_lacks_is_given_again() {
        let log = Log::default();
        log.push(b"one two");
        assert_eq!(log.next(3).await, (0, Bytes::from("one")));
        log.sent(3);
        assert_eq!(log.next(9).await, (3, Bytes::from(" two")));
        // It was restarted, and has forgotten.
        log.sent(0);
        assert_eq!(log.next(99).await, (0, Bytes::from("one two")));
        log.sent(log.length());
        log.all_sent().await;
    }
}
