//! Secrets of the site, for its admins: what its services need to know.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use csw_app::SecretsOf;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    dto::{SecretBody, SecretEventBody},
    extract::Path,
    models::secrets::{SecretValueBody, store, unkept, with_token},
    page::{Envelope, ListQuery},
};
use crate::{auth::Identity, error::ApiResult, state::WebState};

/// The routes of the site's secrets.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(events))
        .routes(routes!(set, delete))
        .routes(routes!(value))
}

/// Names of the site's secrets, who set them and when; for admins. Values are never in here.
#[utoipa::path(
    get,
    path = "/api/v1/secrets/", operation_id = "site_secrets",
    tag = "secrets",
    responses((status = 200, body = Vec<SecretBody>), (status = 403)),
)]
async fn list(State(state): State<WebState>, who: Identity) -> ApiResult<Json<Vec<SecretBody>>> {
    let secrets = state.app.secrets(&who.caller, SecretsOf::Site).await?;
    Ok(Json(secrets.into_iter().map(SecretBody::from).collect()))
}

/// Set a secret of the site: a new one, or a new version of it; for admins.
#[utoipa::path(
    put,
    path = "/api/v1/secrets/{secret}/", operation_id = "set_site_secret",
    tag = "secrets",
    params(("secret" = String, Path, description = "Name of the secret")),
    request_body = SecretValueBody,
    responses((status = 200, body = SecretBody), (status = 400), (status = 403)),
)]
async fn set(
    State(state): State<WebState>,
    Path(name): Path<String>,
    who: Identity,
    fields: Fields,
) -> ApiResult<Json<SecretBody>> {
    // Who may not set any hears that first.
    state.app.may_keep_site_secrets(&who.caller)?;
    store(&state, &who, SecretsOf::Site, &name, fields).await
}

/// Delete a secret of the site with all its versions; for admins.
#[utoipa::path(
    delete,
    path = "/api/v1/secrets/{secret}/", operation_id = "delete_site_secret",
    tag = "secrets",
    params(("secret" = String, Path, description = "Name of the secret")),
    responses((status = 204), (status = 400), (status = 403), (status = 404)),
)]
async fn delete(State(state): State<WebState>, Path(name): Path<String>, who: Identity) -> ApiResult<StatusCode> {
    state.app.delete_secret(&who.caller, SecretsOf::Site, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The value of a secret of the site, as `{name: value}`; for admins that ask with a token, where the operator allows it.
/// It is noted who asked.
#[utoipa::path(
    get,
    path = "/api/v1/secrets/{secret}/value/", operation_id = "site_secret_value",
    tag = "secrets",
    params(("secret" = String, Path, description = "Name of the secret")),
    responses((status = 200, body = BTreeMap<String, String>), (status = 400), (status = 403), (status = 404)),
)]
async fn value(State(state): State<WebState>, Path(name): Path<String>, who: Identity) -> ApiResult<Response> {
    with_token(&who)?;
    let value = state.app.read_secret(&who.caller, SecretsOf::Site, &name).await?;
    Ok(unkept(&BTreeMap::from([(name.as_str(), value.expose())])))
}

/// Who set, read and deleted which secret of the site, newest first; for admins.
#[utoipa::path(
    get,
    path = "/api/v1/secrets/audit/", operation_id = "site_secret_events",
    tag = "secrets",
    params(("page" = Option<u32>, Query, description = "From 1")),
    responses((status = 200, body = Envelope<SecretEventBody>), (status = 403), (status = 404)),
)]
async fn events(
    State(state): State<WebState>,
    who: Identity,
    query: ListQuery,
) -> ApiResult<Json<Envelope<SecretEventBody>>> {
    let page = state.app.secret_events(&who.caller, SecretsOf::Site, query.page).await?;
    query.envelope(page.map(SecretEventBody::from))
}
