//! Why a run may have to stop before its time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Who ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody who may.
    Cancelled,
    /// Its deadline.
    TimedOut,
    /// The executor is shutting down.
    Closing,
}

/// All that can stop one run.
#[derive(Debug)]
pub(crate) struct Stops {
    cancel: CancellationToken,
    closing: CancellationToken,
    deadline: Mutex<Instant>,
}

impl Stops {
    pub(crate) fn new(cancel: CancellationToken, closing: CancellationToken, seconds: u32) -> Self {
        let deadline = Instant::now() + Duration::from_secs(u64::from(seconds));
        Self { cancel, closing, deadline: Mutex::new(deadline) }
    }

    /// Moves the deadline by time that the platform took for itself.
    pub(crate) fn give_back(&self, time: Duration) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first of them. May be dropped and asked again.
    pub(crate) async fn requested(&self) -> Stop {
        tokio::select! {
            biased;
            stop = self.by_somebody() => stop,
            () = tokio::time::sleep_until(self.deadline()) => Stop::TimedOut,
        }
    }

    /// The same without the deadline: for what the platform does after the model's function has returned.
    pub(crate) async fn by_somebody(&self) -> Stop {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Stop::Cancelled,
            () = self.closing.cancelled() => Stop::Closing,
        }
    }
}
