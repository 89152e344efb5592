//! Tokens that a forge gives to its workflows, to say who they are.

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;

use crate::trust::WorkflowClaims;

/// Why a workflow's token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WorkflowTokenError {
    /// It is not a good one.
    #[error("The workflow's token is not accepted: {0}.")]
    Bad(String),
    /// Nobody can say: the keys of the forge are out of reach.
    #[error("The workflow's token can't be checked now: {0}")]
    Unavailable(String),
}

/// Checks such tokens.
#[async_trait]
pub trait WorkflowTokens: Send + Sync {
    /// What a token says, where the forge signed it for `audience` and it is good at `now`.
    async fn verify(&self, token: &str, audience: &str, now: Timestamp) -> Result<WorkflowClaims, WorkflowTokenError>;
}
