//! Secrets of a model. Their values come back by two routes only, for admins of the model that ask with a token.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::SecretsOf;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    api::{
        body::Fields,
        dto::{SecretBody, SecretEventBody},
        extract::{AtModel, ModelPath, Path},
        page::{Envelope, ListQuery},
    },
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

pub(super) type SecretPath = (String, String, String);

/// The value of a secret.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the field; the handler takes it from any kind of body")]
pub(crate) struct SecretValueBody {
    /// 1 to 65536 bytes of text.
    value: String,
}

/// Names of a model's secrets, who set them and when; for its writers. Values are never in here.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/secrets/", operation_id = "secrets",
    tag = "secrets",
    params(ModelPath),
    responses((status = 200, body = Vec<SecretBody>), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn list(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<Vec<SecretBody>>> {
    let secrets = state.app.secrets(&at.who.caller, SecretsOf::Model(&at.view)).await?;
    Ok(Json(secrets.into_iter().map(SecretBody::from).collect()))
}

/// Set a secret of a model: a new one, or a new version of it. Runs that begin from now on have it as an environment
/// variable.
#[utoipa::path(
    put,
    path = "/publish/api/{owner}/{title}/secrets/{secret}/", operation_id = "set_secret",
    tag = "secrets",
    params(ModelPath, ("secret" = String, Path, description = "Name of the secret")),
    request_body = SecretValueBody,
    responses((status = 200, body = SecretBody), (status = 400), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn set(
    State(state): State<WebState>,
    Path((_, _, name)): Path<SecretPath>,
    at: AtModel,
    fields: Fields,
) -> ApiResult<Json<SecretBody>> {
    state.app.may_publish(&at.who.caller, &at.view)?;
    store(&state, &at.who, SecretsOf::Model(&at.view), &name, fields).await
}

/// Delete a secret of a model with all its versions.
#[utoipa::path(
    delete,
    path = "/publish/api/{owner}/{title}/secrets/{secret}/", operation_id = "delete_secret",
    tag = "secrets",
    params(ModelPath, ("secret" = String, Path, description = "Name of the secret")),
    responses((status = 204), (status = 400), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    Path((_, _, name)): Path<SecretPath>,
    at: AtModel,
) -> ApiResult<StatusCode> {
    state.app.delete_secret(&at.who.caller, SecretsOf::Model(&at.view), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The value of a secret, as `{name: value}`; for admins of the model that ask with a token, where the operator allows it.
/// It is noted who asked.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/secrets/{secret}/value/", operation_id = "secret_value",
    tag = "secrets",
    params(ModelPath, ("secret" = String, Path, description = "Name of the secret")),
    responses((status = 200, body = BTreeMap<String, String>), (status = 400), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn value(
    State(state): State<WebState>,
    Path((_, _, name)): Path<SecretPath>,
    at: AtModel,
) -> ApiResult<Response> {
    with_token(&at.who)?;
    let value = state.app.read_secret(&at.who.caller, SecretsOf::Model(&at.view), &name).await?;
    Ok(unkept(&BTreeMap::from([(name.as_str(), value.expose())])))
}

/// The values of all secrets of a model, as `{name: value}`, under the same conditions.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/secrets/values/", operation_id = "secret_values",
    tag = "secrets",
    params(ModelPath),
    responses((status = 200, body = BTreeMap<String, String>), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn values(State(state): State<WebState>, at: AtModel) -> ApiResult<Response> {
    with_token(&at.who)?;
    let values = state.app.read_secrets(&at.who.caller, SecretsOf::Model(&at.view)).await?;
    Ok(unkept(&values.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()))
}

/// Who set, read and deleted which secret of a model, newest first; for its writers.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/secrets/audit/", operation_id = "secret_events",
    tag = "secrets",
    params(ModelPath, ("page" = Option<u32>, Query, description = "From 1")),
    responses((status = 200, body = Envelope<SecretEventBody>), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn events(
    State(state): State<WebState>,
    at: AtModel,
    query: ListQuery,
) -> ApiResult<Json<Envelope<SecretEventBody>>> {
    let page = state.app.secret_events(&at.who.caller, SecretsOf::Model(&at.view), query.page).await?;
    query.envelope(page.map(SecretEventBody::from))
}

/// Stores the value of a body.
pub(crate) async fn store(
    state: &WebState,
    who: &Identity,
    whose: SecretsOf<'_>,
    name: &str,
    mut fields: Fields,
) -> ApiResult<Json<SecretBody>> {
    let value = fields.required("value");
    fields.check()?;
    let info = state.app.set_secret(&who.caller, whose, name, value).await?;
    Ok(Json(info.into()))
}

/// A page that somebody was lured to can use their session; it does not get values.
pub(crate) fn with_token(who: &Identity) -> ApiResult<()> {
    if who.session.is_none() {
        return Ok(());
    }
    Err(ApiError::detail(
        StatusCode::FORBIDDEN,
        "Values of secrets are told to tokens only, not to the session of a browser.",
    ))
}

/// An answer that no cache keeps.
pub(crate) fn unkept(values: &BTreeMap<&str, &str>) -> Response {
    let mut response = Json(values).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
