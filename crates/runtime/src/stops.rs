//! Why a run may have to stop before its time.

use std::time::Duration;

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
    deadline: Instant,
}

impl Stops {
    pub(crate) fn new(cancel: CancellationToken, closing: CancellationToken, seconds: u32) -> Self {
        Self { cancel, closing, deadline: Instant::now() + Duration::from_secs(u64::from(seconds)) }
    }

    /// Waits for the first of them. May be dropped and asked again.
    pub(crate) async fn requested(&self) -> Stop {
        tokio::select! {
            biased;
            stop = self.by_somebody() => stop,
            () = tokio::time::sleep_until(self.deadline) => Stop::TimedOut,
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
