//! Accounts, for admins.

use axum::{Json, extract::State};
use csw_core::access::AccountRole;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    dto::AccountBody,
    extract::Path,
    page::{Envelope, ListQuery},
};
use crate::{auth::Identity, error::ApiResult, state::WebState};

/// The routes of accounts.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, update))
}

/// All accounts, by name.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/", operation_id = "accounts",
    tag = "accounts",
    params(("page" = Option<u32>, Query, description = "From 1")),
    responses((status = 200, body = Envelope<AccountBody>), (status = 403, description = "Not an admin")),
)]
async fn list(
    State(state): State<WebState>,
    who: Identity,
    query: ListQuery,
) -> ApiResult<Json<Envelope<AccountBody>>> {
    let page = state.app.accounts(&who.caller, query.page).await?;
    query.envelope(page.map(|account| AccountBody::from(&account)))
}

/// An account.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{username}/", operation_id = "account",
    tag = "accounts",
    params(("username" = String, Path, description = "In any letter case")),
    responses((status = 200, body = AccountBody), (status = 403, description = "Not an admin"), (status = 404)),
)]
async fn one(
    State(state): State<WebState>,
    who: Identity,
    Path(username): Path<String>,
) -> ApiResult<Json<AccountBody>> {
    Ok(Json((&state.app.account_for_admin(&who.caller, &username).await?).into()))
}

/// Changes to an account; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct AccountChanges {
    /// `member`, `maintainer` or `admin`.
    role: Option<String>,
    /// Whether it may change anything. Deactivation ends its sessions.
    is_active: Option<bool>,
}

/// Change an account's role, activate or deactivate it.
#[utoipa::path(
    put,
    path = "/api/v1/accounts/{username}/", operation_id = "change_account",
    tag = "accounts",
    params(("username" = String, Path, description = "In any letter case")),
    request_body = AccountChanges,
    responses(
        (status = 200, body = AccountBody),
        (status = 400),
        (status = 403, description = "Not an admin, or one's own role"),
        (status = 404),
    ),
)]
async fn update(
    State(state): State<WebState>,
    who: Identity,
    Path(username): Path<String>,
    mut fields: Fields,
) -> ApiResult<Json<AccountBody>> {
    let before = state.app.account_for_admin(&who.caller, &username).await?;
    let role = fields.text("role").and_then(|word| {
        let role = AccountRole::parse(&word);
        if role.is_none() {
            fields.refuse("role", format!("\"{word}\" is not a valid choice."));
        }
        role
    });
    let is_active = fields.flag("is_active");
    fields.check()?;
    let role = role.filter(|role| *role != before.role);
    Ok(Json((&state.app.set_account(&who.caller, &username, role, is_active).await?).into()))
}
