//! Versions, and which of them is live.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use csw_app::ModelView;
use csw_core::{ids::VersionId, model::Model, sbom::bill_of_materials};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::{
        body::Fields,
        dto::{Project, SchemaChangesBody, VersionBody},
        extract::{AtModel, ModelPath, Path, Query, id},
    },
    error::ApiResult,
    state::WebState,
};

/// The versions of a model that the caller may use, newest first; staged ones for its writers.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/versions/", operation_id = "versions",
    tag = "versions",
    params(ModelPath),
    responses((status = 200, body = Vec<VersionBody>), (status = 404)),
)]
pub(super) async fn list(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<Vec<VersionBody>>> {
    let versions = state.app.versions(&at.view).await?;
    Ok(Json(versions.into_iter().map(VersionBody::from).collect()))
}

/// The bill of materials of a version: what it is made of, CycloneDX 1.5.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/versions/{version}/sbom/", operation_id = "version_sbom",
    tag = "versions",
    params(ModelPath, ("version" = String, Path, description = "Identifier of the version")),
    responses((status = 200, body = Value, content_type = "application/vnd.cyclonedx+json"), (status = 404)),
)]
pub(super) async fn sbom(
    State(state): State<WebState>,
    Path((_, _, version)): Path<(String, String, String)>,
    at: AtModel,
) -> ApiResult<impl IntoResponse> {
    let version = state.app.version(&at.view, id(&version)?).await?;
    let bill = bill_of_materials(&at.view.model.name(), &version);
    Ok(([(header::CONTENT_TYPE, "application/vnd.cyclonedx+json; version=1.5")], bill.to_string()))
}

/// Objects of Kubernetes.
#[derive(Serialize, ToSchema)]
pub(super) struct Manifests {
    /// Each as `kubectl apply` takes it.
    objects: Vec<Value>,
}

/// The objects that the live version has in the site's cluster besides its runs: its inputs server. For those who publish
/// the model; 409 where runs are not executed in a cluster, or nothing is live.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/manifests/", operation_id = "manifests",
    tag = "versions",
    params(ModelPath),
    responses((status = 200, body = Manifests), (status = 401), (status = 403), (status = 404), (status = 409)),
)]
pub(super) async fn manifests(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<Manifests>> {
    let objects = state.app.manifests(&at.who.caller, &at.view).await?;
    Ok(Json(Manifests { objects }))
}

/// With which version to compare.
#[derive(Deserialize)]
pub(super) struct Compared {
    from: Option<String>,
}

/// What a version changes in the form: its input schema beside that of another version, the live one where nothing is
/// said. Values, texts and validators of parameters as they were and as they are.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/versions/{version}/changes/", operation_id = "version_changes",
    tag = "versions",
    params(
        ModelPath,
        ("version" = String, Path, description = "Identifier of the version"),
        ("from" = Option<String>, Query, description = "Identifier of the version to compare with"),
    ),
    responses(
        (status = 200, body = SchemaChangesBody),
        (status = 400, description = "There is no live version to compare with"),
        (status = 404),
    ),
)]
pub(super) async fn changes(
    State(state): State<WebState>,
    Path((_, _, version)): Path<(String, String, String)>,
    Query(Compared { from }): Query<Compared>,
    at: AtModel,
) -> ApiResult<Json<SchemaChangesBody>> {
    let from = from.filter(|text| !text.is_empty()).map(|text| id(&text)).transpose()?;
    let changes = state.app.schema_changes(&at.view, from, id(&version)?).await?;
    Ok(Json(SchemaChangesBody::from(changes)))
}

/// The lock of a version: every package with its exact version and hashes, as requirements that pip and uv read.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/versions/{version}/lock/", operation_id = "version_lock",
    tag = "versions",
    params(ModelPath, ("version" = String, Path, description = "Identifier of the version")),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404)),
)]
pub(super) async fn lock(
    State(state): State<WebState>,
    Path((_, _, version)): Path<(String, String, String)>,
    at: AtModel,
) -> ApiResult<impl IntoResponse> {
    let version = state.app.version(&at.view, id(&version)?).await?;
    let lock = version.facts.get("lock").and_then(Value::as_str).unwrap_or_default();
    let as_of = version.facts.get("as_of").and_then(Value::as_str);
    let head = as_of.map(|date| format!("# packages as they were at {date}\n")).unwrap_or_default();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{head}{lock}")))
}

/// What to promote.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the field; the handler takes it from any kind of body")]
pub(super) struct Promotion {
    /// Identifier of the version.
    version: String,
    /// Do not wait for its comparison with the live version; false where nothing is said.
    skip_comparison: Option<bool>,
}

/// How to promote.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the field; the handler takes it from any kind of body")]
pub(super) struct PromotionChoices {
    /// Do not wait for its comparison with the live version; false where nothing is said.
    skip_comparison: Option<bool>,
}

/// Make a version live, a former one too. A pointer moves; simulations keep their versions. A staged one is compared with
/// the live one first; while that is at work the answer is 409.
#[utoipa::path(
    post,
    path = "/publish/api/{owner}/{title}/promote/", operation_id = "promote",
    tag = "versions",
    params(ModelPath),
    request_body = Promotion,
    responses(
        (status = 200, body = Project),
        (status = 400),
        (status = 401),
        (status = 403),
        (status = 404),
        (status = 409, description = "Its comparison is at work, or it can't be promoted"),
    ),
)]
pub(super) async fn promote(
    State(state): State<WebState>,
    at: AtModel,
    mut fields: Fields,
) -> ApiResult<Json<Project>> {
    let version: Option<VersionId> = fields.required("version").parse().ok();
    if version.is_none() {
        fields.refuse("version", "This is not the identifier of a version.");
    }
    let skip = fields.flag("skip_comparison").unwrap_or(false);
    fields.check()?;
    match version {
        Some(version) => carry_out(&state, &at, version, skip).await,
        None => Err(crate::error::ApiError::not_found()),
    }
}

/// The same, with the version in the path.
#[utoipa::path(
    post,
    path = "/publish/api/{owner}/{title}/versions/{version}/promote/", operation_id = "promote_version",
    tag = "versions",
    params(ModelPath, ("version" = String, Path, description = "Identifier of the version")),
    request_body = PromotionChoices,
    responses(
        (status = 200, body = Project),
        (status = 400),
        (status = 401),
        (status = 403),
        (status = 404),
        (status = 409, description = "Its comparison is at work, or it can't be promoted"),
    ),
)]
pub(super) async fn promote_by_id(
    State(state): State<WebState>,
    Path((_, _, version)): Path<(String, String, String)>,
    at: AtModel,
    mut fields: Fields,
) -> ApiResult<Json<Project>> {
    let skip = fields.flag("skip_comparison").unwrap_or(false);
    fields.check()?;
    carry_out(&state, &at, id(&version)?, skip).await
}

/// Make the version live that was so before the present one.
#[utoipa::path(
    post,
    path = "/publish/api/{owner}/{title}/rollback/", operation_id = "roll_back",
    tag = "versions",
    params(ModelPath),
    responses(
        (status = 200, body = Project),
        (status = 400, description = "No other version was live"),
        (status = 401),
        (status = 403),
        (status = 404),
    ),
)]
pub(super) async fn roll_back(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<Project>> {
    let model = state.app.roll_back(&at.who.caller, &at.view).await?;
    answer(&state, &at, model).await
}

async fn carry_out(state: &WebState, at: &AtModel, version: VersionId, skip: bool) -> ApiResult<Json<Project>> {
    let model = state.app.promote(&at.who.caller, &at.view, version, skip).await?;
    answer(state, at, model).await
}

async fn answer(state: &WebState, at: &AtModel, model: Model) -> ApiResult<Json<Project>> {
    let view = ModelView { model, ..at.view.clone() };
    let live = state.app.live_version(&view.model).await?;
    Ok(Json(Project::of(&view, &state.app.config().prices).with_version(live.as_ref())))
}
