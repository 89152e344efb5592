//! The refusals that several use cases share.

use csw_core::{
    access::{AccountRole, Caller, Role, may_administer, may_write},
    ids::AccountId,
};

use crate::{
    error::{AppError, AppResult},
    models::ModelView,
};

const REFUSED: &str = "You do not have permission to perform this action.";

/// The caller's account, if it may change anything.
pub(crate) fn active(caller: &Caller) -> AppResult<AccountId> {
    match caller {
        Caller::Anonymous => Err(AppError::LoginRequired),
        Caller::Workflow { .. } => {
            Err(AppError::forbidden("The token of a workflow is good for publishing alone: use a token of an account."))
        }
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

/// Refuses unless the caller may publish the model; in whose name they do. A workflow may do this and no more.
pub(crate) fn publisher(caller: &Caller, view: &ModelView) -> AppResult<AccountId> {
    match &view.grant {
        Some(grant) if view.may_write() => Ok(grant.account),
        Some(_) => Err(refused()),
        None => match caller {
            Caller::Workflow { name, .. } => Err(AppError::forbidden(format!(
                "No account that trusts workflows of {name} lets them publish {}.",
                view.model.name()
            ))),
            _ => writer(caller, view.role),
        },
    }
}

/// Refuses unless the caller may look at what is not live.
pub(crate) fn reviewer(caller: &Caller, view: &ModelView) -> AppResult<AccountId> {
    let account = match &view.grant {
        Some(grant) => grant.account,
        None => active(caller)?,
    };
    if view.may_review() { Ok(account) } else { Err(refused()) }
}

/// Whether the caller may make versions of the model live, on a site that asks for approval or not.
pub(crate) fn may_promote(caller: &Caller, view: &ModelView, approval_required: bool) -> bool {
    match &view.grant {
        Some(grant) => grant.promote && (!approval_required || grant.role >= AccountRole::Maintainer),
        None => !approval_required || caller.is_maintainer(),
    }
}

/// Refuses unless the caller may decide on access to the thing.
pub(crate) fn administrator(caller: &Caller, role: Option<Role>) -> AppResult<AccountId> {
    let id = active(caller)?;
    if may_administer(caller, role) { Ok(id) } else { Err(AppError::forbidden(REFUSED)) }
}

/// Refuses unless the caller runs the site.
pub(crate) fn operator(caller: &Caller) -> AppResult<AccountId> {
    let id = active(caller)?;
    if caller.is_admin() { Ok(id) } else { Err(AppError::forbidden(REFUSED)) }
}

/// Refuses unless the caller may merge what changes these models, each as the caller sees it, and something else where
/// there is `more`. Who merges makes versions live.
pub(crate) fn merger(caller: &Caller, models: &[ModelView], more: bool, approval: bool) -> AppResult<AccountId> {
    let id = active(caller)?;
    if caller.is_maintainer() {
        return Ok(id);
    }
    if approval {
        return Err(AppError::forbidden("On this site a maintainer merges."));
    }
    if more || models.is_empty() {
        return Err(AppError::forbidden("A maintainer merges this: it changes more than the files of your models."));
    }
    models.iter().try_for_each(|view| writer(caller, view.role).map(drop))?;
    Ok(id)
}

/// Refuses without a word on what would be needed.
pub(crate) fn refused() -> AppError {
    AppError::forbidden(REFUSED)
}
