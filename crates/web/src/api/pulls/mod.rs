//! Pull requests of a model's repository, and of the one that all models are published from: the same operations in both.

mod model;
mod publish;

use std::collections::HashMap;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    middleware,
};
use csw_app::{MergeChoices, NewPull, PullChanges, PullView, RepositoryView};
use csw_core::page::Page;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    dto::PullBody,
    extract::{Path, id},
    page::{Envelope, ListQuery},
};
use crate::{
    auth::Identity,
    error::{self, ApiError, ApiResult},
    state::WebState,
};

/// The routes of pull requests.
pub(super) fn router() -> OpenApiRouter<WebState> {
    let publishing = OpenApiRouter::new()
        .routes(routes!(publish::list, publish::open))
        .routes(routes!(publish::one, publish::change))
        .routes(routes!(publish::check))
        .routes(routes!(publish::merge))
        .routes(routes!(publish::close))
        .layer(middleware::map_response(error::unauthorized));
    OpenApiRouter::new()
        .routes(routes!(model::list, model::open))
        .routes(routes!(model::one, model::change))
        .routes(routes!(model::check))
        .routes(routes!(model::merge))
        .routes(routes!(model::close))
        .merge(publishing)
}

/// A branch to be merged.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct PullRequest {
    /// The branch. Where it has a pull request that is open, that is answered, unchanged.
    branch: String,
    /// At most 200 characters; the first line of the newest commit's message where nothing is said.
    title: Option<String>,
    /// Markdown, at most 10,000 characters.
    body: Option<String>,
}

/// What changes about a pull request; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct PullRequestChanges {
    /// At most 200 characters.
    title: Option<String>,
    /// Markdown, at most 10,000 characters.
    body: Option<String>,
    /// `open` or `closed`. Opening it again begins its checks anew.
    state: Option<String>,
}

/// How to merge.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct MergeRequest {
    /// Merge whatever the checks say, for maintainers; false where nothing is said.
    anyway: Option<bool>,
    /// Remove the branch afterwards; false where nothing is said.
    delete_branch: Option<bool>,
}

/// A repository whose pull requests the caller may look at.
pub(super) struct AtRepository {
    who: Identity,
    repository: RepositoryView,
    number: Option<u32>,
}

impl FromRequestParts<WebState> for AtRepository {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let Path(named) = Path::<HashMap<String, String>>::from_request_parts(parts, state).await?;
        let who = Identity::from_request_parts(parts, state).await?;
        let repository = match (named.get("owner"), named.get("title")) {
            (Some(owner), Some(title)) => state.app.reviewed_repository(&who.caller, owner, title).await?,
            _ => state.app.publish_repository(&who.caller).await?,
        };
        let number = named.get("number").map(|number| id(number)).transpose()?;
        Ok(Self { who, repository, number })
    }
}

impl AtRepository {
    fn number(&self) -> ApiResult<u32> {
        self.number.ok_or_else(ApiError::not_found)
    }

    fn body(&self, view: PullView) -> Json<PullBody> {
        Json(PullBody::of(&self.repository, view))
    }
}

async fn listed(state: &WebState, at: &AtRepository, query: ListQuery) -> ApiResult<Json<Envelope<PullBody>>> {
    if let Some(branch) = query.get("branch") {
        let found = state.app.pull_of_branch(&at.who.caller, &at.repository, branch).await?;
        let items: Vec<_> = found.into_iter().map(|view| PullBody::of(&at.repository, view)).collect();
        return query.envelope(Page { total: items.len() as u64, items });
    }
    let open = match query.get("state") {
        None | Some("open") => true,
        Some("closed") => false,
        Some(_) => return Err(ApiError::field("state", "Write `open` or `closed`.")),
    };
    let page = state.app.pulls(&at.who.caller, &at.repository, open, query.page).await?;
    query.envelope(page.map(|view| PullBody::of(&at.repository, view)))
}

async fn opened(state: &WebState, at: &AtRepository, mut fields: Fields) -> ApiResult<(StatusCode, Json<PullBody>)> {
    let new = NewPull {
        branch: fields.required("branch"),
        title: fields.text("title").unwrap_or_default(),
        body: fields.text("body").unwrap_or_default(),
    };
    fields.check()?;
    let view = state.app.open_pull(&at.who.caller, &at.repository, new).await?;
    Ok((StatusCode::CREATED, at.body(view)))
}

async fn shown(state: &WebState, at: &AtRepository) -> ApiResult<Json<PullBody>> {
    Ok(at.body(state.app.pull(&at.who.caller, &at.repository, at.number()?).await?))
}

async fn changed(state: &WebState, at: &AtRepository, mut fields: Fields) -> ApiResult<Json<PullBody>> {
    let open = match fields.text("state").as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(other) => {
            fields.refuse("state", format!("\"{other}\" is not a valid choice."));
            None
        }
    };
    let changes = PullChanges { title: fields.text("title"), body: fields.text("body"), open };
    fields.check()?;
    Ok(at.body(state.app.change_pull(&at.who.caller, &at.repository, at.number()?, changes).await?))
}

async fn checked(state: &WebState, at: &AtRepository) -> ApiResult<Json<PullBody>> {
    Ok(at.body(state.app.check_pull(&at.who.caller, &at.repository, at.number()?).await?))
}

async fn merged(state: &WebState, at: &AtRepository, mut fields: Fields) -> ApiResult<Json<PullBody>> {
    let choices = MergeChoices {
        anyway: fields.flag("anyway").unwrap_or(false),
        delete_branch: fields.flag("delete_branch").unwrap_or(false),
    };
    fields.check()?;
    Ok(at.body(state.app.merge_pull(&at.who.caller, &at.repository, at.number()?, choices).await?))
}

async fn closed(state: &WebState, at: &AtRepository) -> ApiResult<Json<PullBody>> {
    let changes = PullChanges { open: Some(false), ..PullChanges::default() };
    Ok(at.body(state.app.change_pull(&at.who.caller, &at.repository, at.number()?, changes).await?))
}
