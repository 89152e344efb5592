//! What was paid, and what may be.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreResult;
use crate::{
    cost::{ChargeFilter, ChargeSum, Prices},
    ids::{AccountId, ModelId, VersionId},
    model::Model,
};

/// Charges, budgets and sponsors. A charge is noted in the transaction that ends its run, and stays when the simulation
/// goes.
#[async_trait]
pub trait ChargeStore: Send + Sync {
    /// Sums by payer, account and model; the largest first.
    async fn charges(&self, filter: &ChargeFilter) -> StoreResult<Vec<ChargeSum>>;
    /// When the first and the last of an account's charges were made, or of all.
    async fn time_of_charges(&self, account: Option<AccountId>) -> StoreResult<Option<(Timestamp, Timestamp)>>;
    /// What an account has paid since `from`, with the expected cost of what it is going to pay for at these prices.
    async fn spent(&self, payer: AccountId, from: Timestamp, prices: Prices) -> StoreResult<f64>;
    /// Simulations whose inputs are being validated, and whose runs the account is going to pay for if they pass: how many
    /// of each version.
    async fn in_validation(&self, payer: AccountId) -> StoreResult<Vec<(ModelId, VersionId, u64)>>;
    /// What an account may spend in a month, where it was said.
    async fn budget(&self, account: AccountId) -> StoreResult<Option<f64>>;
    /// Says what an account may spend in a month, or that nothing is said of it.
    async fn set_budget(&self, account: AccountId, monthly: Option<f64>) -> StoreResult<()>;
    /// Sets who pays for everybody's runs of a model, with a note of theirs, or takes them away.
    async fn set_sponsor(&self, model: ModelId, sponsor: Option<(AccountId, Option<&str>)>) -> StoreResult<Model>;
}
