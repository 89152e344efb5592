//! Who may do what. Every authorisation decision is one of the functions here; nothing else in the code decides.

use serde::{Deserialize, Serialize};

use crate::{ids::AccountId, names::ModelName};

/// The standing of an account on the whole site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountRole {
    /// May run models and publish their own.
    Member,
    /// May also approve and promote the models of others.
    Maintainer,
    /// May do everything.
    Admin,
}

impl AccountRole {
    /// The stored and printed word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Maintainer => "maintainer",
            Self::Admin => "admin",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Member, Self::Maintainer, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// What an account may do with one simulation or one model; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See it, though private.
    Read,
    /// Change its title and readme, submit its inputs; of a model: publish versions.
    Write,
    /// Decide who else may, and whether it is public.
    Admin,
}

impl Role {
    /// The stored and printed word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody who said a name.
    Anonymous,
    /// An account.
    Account {
        /// Which.
        id: AccountId,
        /// Its name, as shown.
        name: String,
        /// Its standing.
        role: AccountRole,
        /// Whether it may still change anything.
        active: bool,
    },
    /// A workflow on a forge, which accounts trust to publish in their names, and to do nothing else.
    Workflow {
        /// Repository and branch, for people.
        name: String,
        /// What it was trusted with, by whom; of active accounts only.
        grants: Vec<Grant>,
    },
}

/// What an account lets a workflow do in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose name.
    pub account: AccountId,
    /// The name.
    pub name: String,
    /// The account's standing.
    pub role: AccountRole,
    /// `owner/title` of the models that may be published; none means all that the account may.
    pub models: Vec<String>,
    /// Whether versions may be made live, or only staged.
    pub promote: bool,
}

impl Grant {
    /// Whether it is about this model.
    #[must_use]
    pub fn covers(&self, model: &ModelName) -> bool {
        let name = model.to_string().to_lowercase();
        self.models.is_empty() || self.models.iter().any(|one| one.to_lowercase() == name)
    }

    /// The role that it gives on a model on which the account has `stored`: never more than publishing needs.
    #[must_use]
    pub fn role_on(&self, stored: Option<Role>) -> Option<Role> {
        if self.role == AccountRole::Admin { Some(Role::Write) } else { stored.map(|role| role.min(Role::Write)) }
    }
}

impl Caller {
    /// The account, if any. A workflow is none: what asks for an account is closed to it.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Anonymous | Self::Workflow { .. } => None,
            Self::Account { id, .. } => Some(*id),
        }
    }

    /// An account that may change things: logged in and not deactivated.
    #[must_use]
    pub fn active(&self) -> Option<AccountId> {
        match self {
            Self::Account { id, active: true, .. } => Some(*id),
            _ => None,
        }
    }

    /// Whether the caller runs the site.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        matches!(self, Self::Account { role: AccountRole::Admin, active: true, .. })
    }

    /// Whether the caller may approve and promote the models of others.
    #[must_use]
    pub fn is_maintainer(&self) -> bool {
        matches!(self, Self::Account { role, active: true, .. } if *role >= AccountRole::Maintainer)
    }
}

/// The role a caller effectively has on a simulation or a model: the stored one, or `Admin` for admins of the site.
#[must_use]
pub fn effective(caller: &Caller, stored: Option<Role>) -> Option<Role> {
    if caller.is_admin() { Some(Role::Admin) } else { stored }
}

/// Whether the caller may look at something that is `public` or on which they have a role.
#[must_use]
pub fn may_read(caller: &Caller, public: bool, stored: Option<Role>) -> bool {
    public || effective(caller, stored).is_some()
}

/// Whether the caller may change it. A deactivated account may not, whatever its role.
#[must_use]
pub fn may_write(caller: &Caller, stored: Option<Role>) -> bool {
    caller.active().is_some() && effective(caller, stored) >= Some(Role::Write)
}

/// Whether the caller may decide on its visibility and on the roles of others.
#[must_use]
pub fn may_administer(caller: &Caller, stored: Option<Role>) -> bool {
    caller.active().is_some() && effective(caller, stored) >= Some(Role::Admin)
}
