//! Checks beside commits on a forge.

use async_trait::async_trait;

use super::ForgeResult;
use crate::check::Check;

/// Shows checks of builds beside the commits they are of. Each call is one attempt: who calls tries again.
#[async_trait]
pub trait Checks: Send + Sync {
    /// Makes a check, or changes it to what it is now; what the forge calls it. `known` is what this said of it before. With
    /// `again`, an attempt of which nothing is known may have made it: it is looked for, and none is doubled.
    async fn show(&self, check: &Check, known: Option<&str>, again: bool) -> ForgeResult<String>;
}
