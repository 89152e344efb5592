//! Accounts, their tokens and sessions. Secrets are stored as hashes only.

use jiff::Timestamp;

use crate::{
    access::{AccountRole, Caller},
    ids::{AccountId, TokenId},
    names::AccountName,
};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Its name, unique without regard to case.
    pub name: AccountName,
    /// Its address for mail, unique without regard to case where not empty.
    pub email: String,
    /// Given name, may be empty.
    pub first_name: String,
    /// Family name, may be empty.
    pub last_name: String,
    /// Argon2 in PHC form; `None` for accounts that log in by token alone.
    pub password_hash: Option<String>,
    /// Standing on the site.
    pub role: AccountRole,
    /// A deactivated account may look, and change nothing.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Account {
    /// The account as the one who asks.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::Account { id: self.id, name: self.name.to_string(), role: self.role, active: self.is_active }
    }
}

/// Changes to an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// New address.
    pub email: Option<String>,
    /// New given name.
    pub first_name: Option<String>,
    /// New family name.
    pub last_name: Option<String>,
    /// New password hash.
    pub password_hash: Option<String>,
    /// New standing.
    pub role: Option<AccountRole>,
    /// Activate or deactivate.
    pub is_active: Option<bool>,
}

/// A named API token. The token itself is shown once, when made, and stored as a SHA-256 hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its identifier.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// What the owner called it.
    pub name: String,
    /// The first characters, to tell tokens apart in a list.
    pub prefix: String,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
}

/// A browser's session. The cookie's value is stored as a SHA-256 hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie's value, hexadecimal.
    pub hash: String,
    /// Whose it is.
    pub account: AccountId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}
