//! Who works at a run: what those ask who take something for it and know nothing else of the queue.

use async_trait::async_trait;

use super::StoreResult;
use crate::ids::{Lease, RunId};

/// Who works at a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// There is no such run.
    Unknown,
    /// Nobody: it waits, or is over.
    Nobody,
    /// Whoever has this lease.
    Lease(Lease),
}

/// Says who works at runs.
#[async_trait]
pub trait RunHolds: Send + Sync {
    /// Who works at a run.
    async fn hold(&self, id: RunId) -> StoreResult<Hold>;
}
