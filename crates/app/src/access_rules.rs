//! The refusals that several use cases share.

use csw_core::{
    access::{Caller, Role, may_administer, may_write},
    ids::AccountId,
};

use crate::error::{AppError, AppResult};

const REFUSED: &str = "You do not have permission to perform this action.";

/// The caller's account, if it may change anything.
pub(crate) fn active(caller: &Caller) -> AppResult<AccountId> {
    match caller {
        Caller::Anonymous => Err(AppError::LoginRequired),
        Caller::Account { active: false, .. } => {
            Err(AppError::forbidden("Your account is deactivated; ask the operator to activate it."))
        }
        Caller::Account { id, .. } => Ok(*id),
    }
}

/// Refuses unless the caller may change the thing.
pub(crate) fn writer(caller: &Caller, role: Option<Role>) -> AppResult<AccountId> {
    let id = active(caller)?;
    if may_write(caller, role) { Ok(id) } else { Err(AppError::forbidden(REFUSED)) }
}

/// Refuses unless the caller may decide on access to the thing.
pub(crate) fn administrator(caller: &Caller, role: Option<Role>) -> AppResult<AccountId> {
    let id = active(caller)?;
    if may_administer(caller, role) { Ok(id) } else { Err(AppError::forbidden(REFUSED)) }
}

/// Refuses without a word on what would be needed.
pub(crate) fn refused() -> AppError {
    AppError::forbidden(REFUSED)
}
