//! Trust in workflows: whose tokens of GitHub Actions may publish in the name of an account.

use axum::{Json, extract::State, http::StatusCode};
use csw_app::{AppError, NewTrust};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    dto::TrustBody,
    extract::{Path, Query, id},
};
use crate::{
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The routes of trust.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

/// Whose trust.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Another account's, for admins.
    username: Option<String>,
}

/// The workflows that the caller trusts to publish in their name, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/trust/", operation_id = "trusts",
    tag = "trust",
    params(Whose),
    responses(
        (status = 200, body = Vec<TrustBody>),
        (status = 403, description = "Not logged in, or another's and no admin"),
        (status = 404),
    ),
)]
async fn list(
    State(state): State<WebState>,
    who: Identity,
    Query(whose): Query<Whose>,
) -> ApiResult<Json<Vec<TrustBody>>> {
    let trusts = state.app.trusts(&who.caller, whose.username.as_deref()).await?;
    Ok(Json(trusts.iter().map(TrustBody::from).collect()))
}

/// Workflows to be trusted.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct TrustRequest {
    /// `OWNER/NAME` of the repository on GitHub.
    repository: String,
    /// The branch: `main`, or in full `refs/heads/main`; `*` at its end stands for anything.
    #[serde(rename = "ref")]
    reference: String,
    /// The environment that a job must have been admitted to; any where nothing is said.
    environment: Option<String>,
    /// `owner/title` of the models that they may publish; all that the account may where nothing is said. In forms: one
    /// text, with spaces or commas between them.
    models: Option<Vec<String>>,
    /// Whether they may make versions live, or only stage them; true where nothing is said.
    promote: Option<bool>,
    /// Of another account, for admins.
    username: Option<String>,
}

/// Trust workflows of a repository on GitHub: they publish in the name of the account with the token that GitHub gives
/// them, `Authorization: Bearer TOKEN`, and need no stored one. They may do nothing else.
#[utoipa::path(
    post,
    path = "/api/v1/trust/", operation_id = "create_trust",
    tag = "trust",
    request_body = TrustRequest,
    responses(
        (status = 201, body = TrustBody),
        (status = 400),
        (status = 403, description = "Not logged in, or another's and no admin"),
        (status = 404),
    ),
)]
async fn create(
    State(state): State<WebState>,
    who: Identity,
    mut fields: Fields,
) -> ApiResult<(StatusCode, Json<TrustBody>)> {
    if who.account.is_none() {
        return Err(AppError::LoginRequired.into());
    }
    let new = NewTrust {
        repository: fields.required("repository"),
        reference: fields.required("ref"),
        environment: fields.nullable_text("environment").flatten().unwrap_or_default(),
        models: models(&mut fields),
        promote: fields.flag("promote").unwrap_or(true),
    };
    let username = fields.nullable_text("username").flatten();
    fields.check()?;
    let trust = state.app.add_trust(&who.caller, username.as_deref(), &new).await.map_err(renamed)?;
    Ok((StatusCode::CREATED, Json((&trust).into())))
}

/// A list of names, or one text of them.
fn models(fields: &mut Fields) -> Vec<String> {
    let names = match fields.json_or_text("models") {
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        Some(Value::String(text)) => Some(csw_app::names_in(&text)),
        None | Some(Value::Null) => Some(Vec::new()),
        Some(_) => None,
    };
    names.unwrap_or_else(|| {
        fields.refuse("models", "Expected a list of names, OWNER/TITLE.");
        Vec::new()
    })
}

/// The field is called as GitHub calls it.
fn renamed(error: AppError) -> ApiError {
    match error {
        AppError::Invalid { errors: Value::Object(mut errors) } => {
            if let Some(sentence) = errors.remove("reference") {
                errors.insert("ref".to_owned(), sentence);
            }
            AppError::Invalid { errors: Value::Object(errors) }.into()
        }
        other => other.into(),
    }
}

/// Trust workflows no more.
#[utoipa::path(
    delete,
    path = "/api/v1/trust/{id}/", operation_id = "delete_trust",
    tag = "trust",
    params(("id" = String, Path, description = "Identifier of the trust"), Whose),
    responses((status = 204), (status = 403, description = "Not logged in, or another's and no admin"), (status = 404)),
)]
async fn delete(
    State(state): State<WebState>,
    who: Identity,
    Path(trust): Path<String>,
    Query(whose): Query<Whose>,
) -> ApiResult<StatusCode> {
    if who.account.is_none() {
        return Err(AppError::LoginRequired.into());
    }
    if state.app.remove_trust(&who.caller, whose.username.as_deref(), id(&trust)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found())
    }
}
