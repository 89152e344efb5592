//! The queue of thumbnails: outputs that have none and whose simulation somebody may look at.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreResult;
use crate::{
    ids::{AccountId, OutputId, RunId, SimulationId},
    output::{Output, Thumbnail},
    simulation::Simulation,
};

/// How often a thumbnail is begun at most, whoever ended in the middle of it.
pub const MAX_DRAWINGS: u32 = 3;

/// An output whose thumbnail is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedThumbnail {
    /// Whose output.
    pub run: RunId,
    /// Which.
    pub output: Output,
    /// How often it was begun.
    pub attempts: u32,
}

/// Thumbnails. Nothing of this is in the transaction that ends a run: its outputs are rows whose thumbnail is wanted.
#[async_trait]
pub trait ThumbnailStore: Send + Sync {
    /// Up to `limit` outputs whose thumbnail is wanted and that nobody is at, the newest runs first; and where there are
    /// none, when one is due that somebody is at or that waits for another attempt.
    async fn wanted_thumbnails(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<(Vec<WantedThumbnail>, Option<Timestamp>)>;
    /// Takes one until a time, as one more attempt; false if somebody else did. Should its taker be gone then, it is wanted
    /// again.
    async fn claim_thumbnail(&self, wanted: &WantedThumbnail, now: Timestamp, until: Timestamp) -> StoreResult<bool>;
    /// Stores how it stands now, of this output and of equal ones.
    async fn set_thumbnail(&self, output: &Output, state: Thumbnail) -> StoreResult<()>;
    /// Gives one back: it is due again at that time, and has had so many attempts.
    async fn give_back_thumbnail(&self, wanted: &WantedThumbnail, attempts: u32, at: Timestamp) -> StoreResult<()>;
    /// Makes all that are wanted due now: nobody is at any, where no other server uses the database.
    async fn release_thumbnails(&self, now: Timestamp) -> StoreResult<()>;
    /// Of each of these simulations the output whose thumbnail shows it best, as `MediaType::telling` says; the first of
    /// several.
    async fn best_thumbnails(&self, simulations: &[SimulationId]) -> StoreResult<Vec<(SimulationId, OutputId)>>;
    /// An output with a simulation that has it: one on which the account has a role rather than a public one, and a public
    /// one rather than any other.
    async fn output_anywhere(
        &self,
        output: OutputId,
        account: Option<AccountId>,
    ) -> StoreResult<Option<(Output, Simulation)>>;
}
