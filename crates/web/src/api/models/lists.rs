//! Lists of models.

use axum::{Json, extract::State};
use csw_core::{access::Caller, model::Model, page::Page, ports::ModelFilter};
use utoipa::IntoParams;

use crate::{
    api::{
        dto::Project,
        extract::Path,
        page::{Envelope, ListQuery},
    },
    auth::Identity,
    error::ApiResult,
    state::WebState,
};

/// Which models.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the document shows the parameters; handlers read them from the query")]
pub(super) struct ModelsQuery {
    /// From 1.
    page: Option<u32>,
    /// At most 200; 50 where nothing is said.
    page_size: Option<u32>,
    /// Words in title, one-liner or owner.
    search: Option<String>,
}

/// The caller's models, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/models/", operation_id = "models",
    tag = "lists",
    params(ModelsQuery),
    responses((status = 200, body = Envelope<Project>), (status = 403, description = "Not logged in")),
)]
pub(super) async fn own(
    State(state): State<WebState>,
    who: Identity,
    query: ListQuery,
) -> ApiResult<Json<Envelope<Project>>> {
    let owner = who.caller.account().ok_or(csw_app::AppError::LoginRequired)?;
    let filter = ModelFilter {
        owner: Some(owner),
        newest_first: true,
        search: query.get("search").map(str::to_owned),
        ..ModelFilter::default()
    };
    let page = state.app.models(&who.caller, filter, query.page).await?;
    query.envelope(shown(&state, &who.caller, page, true).await?)
}

/// The listed models of an account.
#[utoipa::path(
    get,
    path = "/api/v1/models/{username}/", operation_id = "models_of_account",
    tag = "lists",
    params(("username" = String, Path, description = "Whose, in any letter case"), ModelsQuery),
    responses((status = 200, body = Envelope<Project>), (status = 404)),
)]
pub(super) async fn of_account(
    State(state): State<WebState>,
    who: Identity,
    Path(username): Path<String>,
    query: ListQuery,
) -> ApiResult<Json<Envelope<Project>>> {
    let account = state.app.account_by_name(&username).await?;
    let filter = ModelFilter {
        owner: Some(account.id),
        listed_only: true,
        newest_first: true,
        search: query.get("search").map(str::to_owned),
        ..ModelFilter::default()
    };
    let page = state.app.models(&who.caller, filter, query.page).await?;
    query.envelope(shown(&state, &who.caller, page, false).await?)
}

/// The models the caller last made simulations of, at most seven.
#[utoipa::path(
    get,
    path = "/api/v1/models/recent/", operation_id = "recent_models",
    tag = "lists",
    responses((status = 200, body = Envelope<Project>), (status = 403, description = "Not logged in")),
)]
pub(super) async fn recent(
    State(state): State<WebState>,
    who: Identity,
    query: ListQuery,
) -> ApiResult<Json<Envelope<Project>>> {
    let views = state.app.recent_models(&who.caller).await?;
    let prices = &state.app.config().prices;
    let items: Vec<_> = views.iter().map(|view| Project::of(view, prices)).collect();
    query.whole().envelope(Page { total: items.len() as u64, items })
}

async fn shown(state: &WebState, caller: &Caller, page: Page<Model>, counted: bool) -> ApiResult<Page<Project>> {
    let prices = &state.app.config().prices;
    let mut items = Vec::with_capacity(page.items.len());
    for view in state.app.views(caller, page.items).await? {
        let version = state.app.live_version(&view.model).await?;
        let counts = if counted { state.app.counts(&view).await? } else { None };
        items.push(Project::of(&view, prices).with_counts(counts).with_version(version.as_ref()));
    }
    Ok(Page { total: page.total, items })
}
