//! Accounts and their tokens.

use csw_core::{
    account::{Account, Token},
    trust::Trust,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The caller's own account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserBody {
    /// Its identifier.
    pk: String,
    /// Its name.
    username: String,
    /// Its address for mail.
    email: String,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
}

impl From<&Account> for UserBody {
    fn from(account: &Account) -> Self {
        Self {
            pk: account.id.to_string(),
            username: account.name.to_string(),
            email: account.email.clone(),
            first_name: account.first_name.clone(),
            last_name: account.last_name.clone(),
        }
    }
}

/// An account, as admins see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountBody {
    #[serde(flatten)]
    user: UserBody,
    /// `member`, `maintainer` or `admin`.
    role: &'static str,
    /// Whether it may change anything.
    is_active: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Account> for AccountBody {
    fn from(account: &Account) -> Self {
        Self {
            user: account.into(),
            role: account.role.as_str(),
            is_active: account.is_active,
            created_at: account.created_at,
        }
    }
}

/// A token, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenBody {
    /// Its identifier.
    id: String,
    /// What its owner called it.
    name: String,
    /// The first characters of its text.
    prefix: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it stops working; null is never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

impl From<&Token> for TokenBody {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            prefix: token.prefix.clone(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A token that was just made, with its text, which is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewTokenBody {
    #[serde(flatten)]
    pub(crate) about: TokenBody,
    /// The text to send as `Authorization: Token ...`.
    pub(crate) token: String,
}

/// The token of a log-in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    /// The text to send as `Authorization: Token ...`.
    pub(crate) key: String,
}

/// Workflows that an account trusts to publish in its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustBody {
    /// Its identifier.
    id: String,
    /// `OWNER/NAME` of the repository on GitHub.
    repository: String,
    /// The branch, in full; `*` at its end stands for anything.
    #[serde(rename = "ref")]
    reference: String,
    /// The environment that a job must have been admitted to; empty where any will do.
    environment: String,
    /// The models that they may publish; none means all that the account may.
    models: Vec<String>,
    /// Whether they may make versions live, or only stage them.
    promote: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When one was last let in by it, to the hour.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

impl From<&Trust> for TrustBody {
    fn from(trust: &Trust) -> Self {
        Self {
            id: trust.id.to_string(),
            repository: trust.repository.clone(),
            reference: trust.reference.clone(),
            environment: trust.environment.clone(),
            models: trust.models.clone(),
            promote: trust.promote,
            created_at: trust.created_at,
            last_used_at: trust.last_used_at,
        }
    }
}
