//! Named API tokens of the caller.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    dto::{NewTokenBody, TokenBody},
    extract::{Path, id},
};
use crate::{
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The routes of tokens.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

/// The caller's tokens, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/tokens/", operation_id = "tokens",
    tag = "tokens",
    responses((status = 200, body = Vec<TokenBody>), (status = 403, description = "Not logged in")),
)]
async fn list(State(state): State<WebState>, who: Identity) -> ApiResult<Json<Vec<TokenBody>>> {
    Ok(Json(state.app.tokens(&who.caller).await?.iter().map(TokenBody::from).collect()))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct TokenRequest {
    /// 1 to 100 characters.
    name: String,
    /// Days until it stops working; never where nothing is said.
    days: Option<u32>,
}

/// Make a token. Its text is in this answer, and never shown again.
#[utoipa::path(
    post,
    path = "/api/v1/tokens/", operation_id = "create_token",
    tag = "tokens",
    request_body = TokenRequest,
    responses((status = 201, body = NewTokenBody), (status = 400), (status = 403, description = "Not logged in")),
)]
async fn create(
    State(state): State<WebState>,
    who: Identity,
    mut fields: Fields,
) -> ApiResult<(StatusCode, Json<NewTokenBody>)> {
    let name = fields.text("name").unwrap_or_default();
    let days = fields.whole("days");
    if days == Some(0) {
        fields.refuse("days", "Ensure this value is greater than or equal to 1.");
    }
    if who.account.is_some() {
        fields.check()?;
    }
    let (token, secret) = state.app.create_token(&who.caller, &name, days).await?;
    Ok((StatusCode::CREATED, Json(NewTokenBody { about: (&token).into(), token: secret })))
}

/// Revoke a token.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}/", operation_id = "delete_token",
    tag = "tokens",
    params(("id" = String, Path, description = "Identifier of the token")),
    responses((status = 204), (status = 403, description = "Not logged in"), (status = 404)),
)]
async fn delete(State(state): State<WebState>, who: Identity, Path(token): Path<String>) -> ApiResult<StatusCode> {
    if who.account.is_none() {
        return Err(csw_app::AppError::LoginRequired.into());
    }
    if state.app.delete_token(&who.caller, id(&token)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found())
    }
}
