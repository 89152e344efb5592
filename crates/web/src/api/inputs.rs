//! Input schemas: what a form is generated from.

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, request::Parts},
    response::Response,
};
use csw_core::ids::VersionId;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    extract::{ModelPath, Path, Query},
    schema_cache::SchemaCache,
};
use crate::{
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The routes of schemas.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(defaults, with_meta_parameters))
}

/// Values of meta parameters.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the field; the handler takes it from any kind of body")]
struct MetaParameters {
    /// `{name: value or [value object]}`.
    #[schema(value_type = Object, example = json!({"year": 2026}))]
    meta_parameters: Option<Value>,
}

/// An input schema.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; answers are sent as text that is ready")]
struct InputsSchema {
    /// ParamTools dump of the meta parameters, with the values that were asked for.
    #[schema(value_type = Object)]
    meta_parameters: Value,
    /// ParamTools dumps by section.
    #[schema(value_type = Object)]
    model_parameters: Value,
    /// Present and true where values may be given for consecutive years.
    extend: Option<bool>,
}

/// Who asks for which model; the model is looked up only where no ready answer is at hand.
struct Asked {
    path: ModelPath,
    who: Identity,
    version: Option<VersionId>,
}

/// Of which version.
#[derive(Deserialize)]
struct OfVersion {
    version: Option<String>,
}

impl FromRequestParts<WebState> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let Path(path) = Path::<ModelPath>::from_request_parts(parts, state).await?;
        let Query(OfVersion { version }) = Query::<OfVersion>::from_request_parts(parts, state).await?;
        let wrong = |_| ApiError::field("version", "This is not the identifier of a version.");
        let version = version.filter(|text| !text.is_empty()).map(|text| text.parse().map_err(wrong)).transpose()?;
        Ok(Self { path, who: Identity::from_request_parts(parts, state).await?, version })
    }
}

/// The input schema with default meta parameters.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/inputs/", operation_id = "default_inputs",
    tag = "inputs",
    params(ModelPath, ("version" = Option<String>, Query, description = "Identifier of a version other than the live one")),
    responses(
        (status = 200, body = InputsSchema),
        (status = 304, description = "The client has it"),
        (status = 403, description = "The model is not live"),
        (status = 404),
        (status = 429, description = "Too many new schemas; ones that were asked for before are not limited"),
        (status = 502, description = "The model failed; `traceback` says how"),
    ),
)]
async fn defaults(State(state): State<WebState>, asked: Asked, headers: HeaderMap) -> ApiResult<Response> {
    answer(&state, asked, Value::Object(Map::new()), &headers).await
}

/// The input schema for these values of meta parameters.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/inputs/", operation_id = "inputs_for",
    tag = "inputs",
    params(ModelPath, ("version" = Option<String>, Query, description = "Identifier of a version other than the live one")),
    request_body = MetaParameters,
    responses(
        (status = 200, body = InputsSchema),
        (status = 400, description = "`{\"errors\": {name: [sentence]}}`"),
        (status = 403, description = "The model is not live"),
        (status = 404),
        (status = 429, description = "Too many new schemas; ones that were asked for before are not limited"),
        (status = 502, description = "The model failed; `traceback` says how"),
    ),
)]
async fn with_meta_parameters(
    State(state): State<WebState>,
    asked: Asked,
    headers: HeaderMap,
    mut fields: Fields,
) -> ApiResult<Response> {
    let meta = fields.json("meta_parameters").filter(|value| !value.is_null());
    if meta.as_ref().is_some_and(|meta| !meta.is_object()) {
        fields.refuse("meta_parameters", "This has to be a JSON object.");
    }
    fields.check()?;
    answer(&state, asked, meta.unwrap_or_else(|| Value::Object(Map::new())), &headers).await
}

async fn answer(state: &WebState, asked: Asked, meta: Value, headers: &HeaderMap) -> ApiResult<Response> {
    let Asked { path, who, version } = asked;
    let key = SchemaCache::key(&path.owner, &path.title, &meta);
    if version.is_none()
        && let Some(ready) = state.schemas.recent(&key)
    {
        return Ok(ready.answer(headers));
    }
    let view = state.app.model(&who.caller, &path.owner, &path.title).await?;
    let schema = state.app.schema(who.from, &view, version, &meta).await?;
    let ready = state.schemas.ready(&schema);
    if version.is_none() && view.model.settings.is_public {
        state.schemas.remember(key, ready.clone());
    }
    Ok(ready.answer(headers))
}
