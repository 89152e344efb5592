//! Publishing models: making them, their details, their tags, and who else may change them.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::ModelView;
use csw_core::{
    access::{Caller, Role},
    model::ModelSettings,
    names::ModelTitle,
    ports::ModelFilter,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::settings::{self, ProjectChanges};
use crate::{
    api::{
        body::Fields,
        dto::{Project, TagsBody},
        extract::{AtModel, ModelPath},
        page::ListQuery,
    },
    auth::Identity,
    error::ApiResult,
    state::WebState,
};

/// The models that the caller may see and that are listed, by owner and title. Parts of a long list are told by the
/// `Link` header; `X-Total-Count` is its length.
#[utoipa::path(
    get,
    path = "/publish/api/", operation_id = "listed_models",
    tag = "models",
    params(
        ("page" = Option<u32>, Query, description = "From 1"),
        ("page_size" = Option<u32>, Query, description = "At most 200"),
        ("search" = Option<String>, Query, description = "Words in title, one-liner or owner"),
    ),
    responses((status = 200, body = Vec<Project>)),
)]
pub(super) async fn list(State(state): State<WebState>, who: Identity, query: ListQuery) -> ApiResult<Response> {
    let filter =
        ModelFilter { listed_only: true, search: query.get("search").map(str::to_owned), ..ModelFilter::default() };
    let page = state.app.models(&who.caller, filter, query.page).await?;
    let prices = &state.app.config().prices;
    let mut projects = Vec::with_capacity(page.items.len());
    for view in state.app.views(&who.caller, page.items).await? {
        let version = state.app.live_version(&view.model).await?;
        projects.push(Project::of(&view, prices).with_version(version.as_ref()));
    }
    let mut response = Json(projects).into_response();
    let headers = response.headers_mut();
    headers.insert("x-total-count", page.total.into());
    let (next, previous) = query.links(page.total);
    for (relation, url) in [("next", next), ("prev", previous)] {
        if let Some(value) = url.and_then(|url| HeaderValue::try_from(format!("<{url}>; rel=\"{relation}\"")).ok()) {
            headers.append(header::LINK, value);
        }
    }
    Ok(response)
}

/// Publish a model. It is `pending` until a build makes its first version.
#[utoipa::path(
    post,
    path = "/publish/api/", operation_id = "create_model",
    tag = "models",
    request_body = ProjectChanges,
    responses(
        (status = 201, body = Project),
        (status = 400, description = "Errors by field; `project_exists` where the caller has one of this title"),
        (status = 401),
        (status = 403, description = "The account is deactivated"),
        (status = 429),
    ),
)]
pub(super) async fn create(
    State(state): State<WebState>,
    who: Identity,
    mut fields: Fields,
) -> ApiResult<(StatusCode, Json<Project>)> {
    if who.caller == Caller::Anonymous {
        return Err(csw_app::AppError::LoginRequired.into());
    }
    let title = fields.required("title");
    for name in ["oneliner", "description"] {
        fields.required(name);
    }
    let mut wanted = ModelSettings::default();
    settings::read(&mut fields, &mut wanted);
    let owner = fields.text("owner");
    fields.check()?;
    let model = state.app.create_model_of(&who.caller, owner.as_deref(), &title, wanted).await?;
    let view = ModelView { model, role: Some(Role::Admin), maintainer: false, grant: None };
    Ok((StatusCode::CREATED, Json(body(&state, &view).await?)))
}

async fn body(state: &WebState, view: &ModelView) -> ApiResult<Project> {
    let counts = state.app.counts(view).await?;
    let version = state.app.live_version(&view.model).await?;
    Ok(Project::of(view, &state.app.config().prices).with_counts(counts).with_version(version.as_ref()))
}

/// A model.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/detail/", operation_id = "model",
    tag = "models",
    params(ModelPath),
    responses((status = 200, body = Project), (status = 404)),
)]
pub(super) async fn detail(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<Project>> {
    Ok(Json(body(&state, &at.view).await?))
}

/// Change a model's details. That makes nothing live: a build does.
#[utoipa::path(
    put,
    path = "/publish/api/{owner}/{title}/detail/", operation_id = "change_model",
    tag = "models",
    params(ModelPath),
    request_body = ProjectChanges,
    responses((status = 200, body = Project), (status = 400), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn update(State(state): State<WebState>, at: AtModel, mut fields: Fields) -> ApiResult<Json<Project>> {
    state.app.may_publish(&at.who.caller, &at.view)?;
    let title = fields.text("title");
    let kept = |text: &str| ModelTitle::cleaned(text).is_ok_and(|title| title.folded() == at.view.model.title.folded());
    if title.is_some_and(|title| !kept(&title)) {
        fields.refuse("title", "A published model keeps its title: simulations are found by it.");
    }
    let mut wanted = at.view.model.settings.clone();
    settings::read(&mut fields, &mut wanted);
    let status = settings::status(&mut fields, at.view.model.status);
    fields.check()?;
    if status.is_some() {
        // Before anything else of the request is done.
        state.app.may_set_model_status(&at.who.caller)?;
    }
    let mut model = state.app.update_model(&at.who.caller, &at.view, wanted).await?;
    if let Some(status) = status {
        state.app.set_model_status(&at.who.caller, &at.view, status).await?;
        model.status = status;
    }
    Ok(Json(body(&state, &ModelView { model, ..at.view }).await?))
}

/// Tags to keep; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct TagChanges {
    /// In production.
    latest_tag: Option<String>,
    /// In staging.
    staging_tag: Option<String>,
}

/// Tags that clients of 1.6 keep.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/deployments/", operation_id = "model_tags",
    tag = "models",
    params(ModelPath),
    responses((status = 200, body = TagsBody), (status = 404)),
)]
pub(super) async fn tags(at: AtModel) -> Json<TagsBody> {
    let model = at.view.model;
    Json(TagsBody { latest_tag: model.latest_tag, staging_tag: model.staging_tag })
}

/// Set those tags. They are notes: what runs is decided by promotion.
#[utoipa::path(
    post,
    path = "/publish/api/{owner}/{title}/deployments/", operation_id = "set_model_tags",
    tag = "models",
    params(ModelPath),
    request_body = TagChanges,
    responses((status = 200, body = TagsBody), (status = 400), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn set_tags(
    State(state): State<WebState>,
    at: AtModel,
    mut fields: Fields,
) -> ApiResult<Json<TagsBody>> {
    let (latest, staging) = (fields.nullable_text("latest_tag"), fields.nullable_text("staging_tag"));
    fields.check()?;
    let latest = latest.as_ref().map(Option::as_deref);
    let staging = staging.as_ref().map(Option::as_deref);
    let model = state.app.set_tags(&at.who.caller, &at.view, latest, staging).await?;
    Ok(Json(TagsBody { latest_tag: model.latest_tag, staging_tag: model.staging_tag }))
}

/// Somebody's role on a model.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    /// Who.
    username: String,
    /// `read`, `write` or `admin`.
    role: &'static str,
}

/// A role to give, change or take.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct MemberChange {
    /// Whose.
    username: String,
    /// `read`, `write`, `admin`, or null to take the role away.
    role: Option<String>,
}

/// Everybody with a role on a model, but its owner; for its admins.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/access/", operation_id = "model_roles",
    tag = "models",
    params(ModelPath),
    responses((status = 200, body = Vec<Member>), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn members(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<Vec<Member>>> {
    let members = state.app.model_members(&at.who.caller, &at.view).await?;
    Ok(Json(members.into_iter().map(|one| Member { username: one.name, role: one.role.as_str() }).collect()))
}

/// Give, change or take a role on a model.
#[utoipa::path(
    put,
    path = "/publish/api/{owner}/{title}/access/", operation_id = "set_model_role",
    tag = "models",
    params(ModelPath),
    request_body = MemberChange,
    responses((status = 204), (status = 400), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn set_members(
    State(state): State<WebState>,
    at: AtModel,
    mut fields: Fields,
) -> ApiResult<StatusCode> {
    let name = fields.required("username");
    let role = match fields.nullable_text("role") {
        Some(None) => None,
        Some(Some(word)) => {
            let role = Role::parse(&word);
            if role.is_none() {
                fields.refuse("role", format!("\"{word}\" is not a valid choice."));
            }
            role
        }
        None => {
            fields.refuse("role", "This field is required.");
            None
        }
    };
    fields.check()?;
    state.app.set_model_role(&at.who.caller, &at.view, &name, role).await?;
    Ok(StatusCode::NO_CONTENT)
}
