//! Where secrets are kept, and who did what with them.

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;

use super::StoreResult;
use crate::{
    page::{Page, PageRequest},
    secret::{SecretEvent, SecretInfo, SecretName, SecretScope, SecretValue, Secrets},
};

/// Why a store of secrets did not do as asked. No value is ever in it.
#[derive(Debug, Error)]
pub enum SecretError {
    /// There is none of this name.
    #[error("there is no secret `{name}` of {scope}")]
    NotFound {
        /// Its name.
        name: String,
        /// Whose it would be.
        scope: String,
    },
    /// This version of it is not kept any more, or not kept here at all.
    #[error("version {version} of the secret `{name}` of {scope} is not kept: {why}")]
    NotKept {
        /// Its name.
        name: String,
        /// Whose.
        scope: String,
        /// Which version.
        version: u32,
        /// Why, and which are.
        why: String,
    },
    /// The store can't do this; another one could.
    #[error("{what}")]
    Unsupported {
        /// What, and the way out.
        what: String,
    },
    /// The store refuses: a right, a name or a size. Asking again changes nothing; an operator has to.
    #[error("{what}: {cause}. {way_out}")]
    Refused {
        /// What was asked, and of which object.
        what: String,
        /// What the store said.
        cause: String,
        /// What to do.
        way_out: String,
    },
    /// It does not answer now; the same may succeed later.
    #[error("{what}: {cause}")]
    Unavailable {
        /// What was asked, and of which object.
        what: String,
        /// What happened.
        cause: String,
    },
    /// What is stored can't be opened: it was changed, moved, or its key is lost.
    #[error("{what}: {cause}")]
    Damaged {
        /// Which secret.
        what: String,
        /// What is wrong, and the way out.
        cause: String,
    },
}

/// Results of a store of secrets.
pub type SecretResult<T> = Result<T, SecretError>;

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Name of the key that seals everything now.
    pub key: String,
    /// Rows that were sealed again.
    pub resealed: u64,
    /// Whether it finished one that was interrupted, instead of making a new key.
    pub resumed: bool,
}

/// Keeps secrets. Each method is whole or nothing; two who set different secrets at once lose neither.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Stores a value as the next version of a secret, which is made where it is new.
    async fn set(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        value: &SecretValue,
        by: &str,
        at: Timestamp,
    ) -> SecretResult<SecretInfo>;
    /// The value of a secret, or of a former version of it as far as the store keeps those.
    async fn get(&self, scope: &SecretScope, name: &SecretName, version: Option<u32>) -> SecretResult<SecretValue>;
    /// All secrets of a scope without their values, by name.
    async fn list(&self, scope: &SecretScope) -> SecretResult<Vec<SecretInfo>>;
    /// All secrets of a scope with their values, as a run gets them.
    async fn all(&self, scope: &SecretScope) -> SecretResult<Secrets>;
    /// Removes a secret with all its versions.
    async fn delete(&self, scope: &SecretScope, name: &SecretName) -> SecretResult<()>;
    /// Seals everything with a new key, so that the former one opens nothing. A rotation that was interrupted is
    /// finished by the next. Stores that seal by themselves refuse.
    async fn rotate(&self) -> SecretResult<Rotation>;
}

/// A version of a secret as rows keep it: sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Whose, as [`SecretScope::key`] says it.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// From 1.
    pub version: u32,
    /// Name of the key that opens it.
    pub key: String,
    /// What that key opens.
    pub sealed: Vec<u8>,
    /// Who set it.
    pub set_by: String,
    /// When.
    pub set_at: Timestamp,
}

/// Rows of sealed secrets, for a store that seals them itself. Each method is one transaction.
#[async_trait]
pub trait SecretRows: Send + Sync {
    /// Adds the next version, and drops those of this secret that are older than the newest `keep`. `Conflict` where this
    /// version is there already.
    async fn insert_secret(&self, row: &SealedSecret, keep: u32) -> StoreResult<()>;
    /// A version of a secret, the newest by default.
    async fn secret(&self, scope: &str, name: &str, version: Option<u32>) -> StoreResult<Option<SealedSecret>>;
    /// The newest version of each secret of a scope, by name.
    async fn secrets(&self, scope: &str) -> StoreResult<Vec<SealedSecret>>;
    /// Removes all versions of a secret; says whether there were any.
    async fn delete_secret(&self, scope: &str, name: &str) -> StoreResult<bool>;
    /// Up to `limit` rows, of any version, that another key than this one opens.
    async fn secrets_of_other_keys(&self, key: &str, limit: u32) -> StoreResult<Vec<SealedSecret>>;
    /// Puts another seal on a row, if it still has the one of `before`; says whether it had.
    async fn reseal_secret(&self, before: &SealedSecret, key: &str, sealed: &[u8]) -> StoreResult<bool>;
    /// Whether there is any row.
    async fn has_secrets(&self) -> StoreResult<bool>;
}

/// The audit trail of secrets, wherever they are kept.
#[async_trait]
pub trait SecretTrail: Send + Sync {
    /// Adds a line.
    async fn note_secret_event(&self, event: &SecretEvent) -> StoreResult<()>;
    /// Lines of a scope, or of all where none is named; newest first.
    async fn secret_events(&self, scope: Option<&str>, page: PageRequest) -> StoreResult<Page<SecretEvent>>;
}
