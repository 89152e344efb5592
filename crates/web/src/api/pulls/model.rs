//! Pull requests of a model's own repository.

use axum::{Json, extract::State, http::StatusCode};

use super::{AtRepository, MergeRequest, PullRequest, PullRequestChanges};
use crate::{
    api::{
        body::Fields,
        dto::PullBody,
        extract::ModelPath,
        page::{Envelope, ListQuery},
    },
    error::ApiResult,
    state::WebState,
};

/// The pull requests of a model's own repository; for those who may change the model, and maintainers. Newest first.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/pulls/", operation_id = "pulls",
    tag = "pull requests",
    params(
        ModelPath,
        ("state" = Option<String>, Query, description = "`open` (also where nothing is said), or `closed` for those that are over"),
        ("branch" = Option<String>, Query, description = "The open one of this branch"),
        ("page" = Option<u32>, Query, description = "From 1"),
    ),
    responses((status = 200, body = Envelope<PullBody>), (status = 400), (status = 403), (status = 404)),
)]
pub(super) async fn list(
    State(state): State<WebState>,
    at: AtRepository,
    query: ListQuery,
) -> ApiResult<Json<Envelope<PullBody>>> {
    super::listed(&state, &at, query).await
}

/// Propose a branch. What it changes is built and staged, and nothing becomes live before it is merged.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/pulls/", operation_id = "open_pull",
    tag = "pull requests",
    params(ModelPath),
    request_body = PullRequest,
    responses((status = 201, body = PullBody), (status = 400), (status = 403), (status = 404), (status = 409), (status = 429)),
)]
pub(super) async fn open(
    State(state): State<WebState>,
    at: AtRepository,
    fields: Fields,
) -> ApiResult<(StatusCode, Json<PullBody>)> {
    super::opened(&state, &at, fields).await
}

/// A pull request, with what it changes.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/pulls/{number}/", operation_id = "pull",
    tag = "pull requests",
    params(ModelPath, ("number" = u32, Path, description = "Number of the pull request")),
    responses((status = 200, body = PullBody), (status = 403), (status = 404)),
)]
pub(super) async fn one(State(state): State<WebState>, at: AtRepository) -> ApiResult<Json<PullBody>> {
    super::shown(&state, &at).await
}

/// Give a pull request another title or text, close it, or open it again; for its author, those who may change the
/// model, and maintainers.
#[utoipa::path(
    put,
    path = "/{owner}/{title}/api/v1/pulls/{number}/", operation_id = "change_pull",
    tag = "pull requests",
    params(ModelPath, ("number" = u32, Path, description = "Number of the pull request")),
    request_body = PullRequestChanges,
    responses((status = 200, body = PullBody), (status = 400), (status = 403), (status = 404), (status = 409)),
)]
pub(super) async fn change(
    State(state): State<WebState>,
    at: AtRepository,
    fields: Fields,
) -> ApiResult<Json<PullBody>> {
    super::changed(&state, &at, fields).await
}

/// Check a pull request again.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/pulls/{number}/checks/", operation_id = "check_pull",
    tag = "pull requests",
    params(ModelPath, ("number" = u32, Path, description = "Number of the pull request")),
    responses((status = 200, body = PullBody), (status = 403), (status = 404), (status = 409)),
)]
pub(super) async fn check(State(state): State<WebState>, at: AtRepository) -> ApiResult<Json<PullBody>> {
    super::checked(&state, &at).await
}

/// Merge a pull request whose checks have passed, and make live what they staged; for those who may promote versions.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/pulls/{number}/merge/", operation_id = "merge_pull",
    tag = "pull requests",
    params(ModelPath, ("number" = u32, Path, description = "Number of the pull request")),
    request_body = MergeRequest,
    responses(
        (status = 200, body = PullBody),
        (status = 400),
        (status = 403),
        (status = 404),
        (status = 409, description = "A check has failed or is not over, the branches conflict, or it is not open"),
    ),
)]
pub(super) async fn merge(
    State(state): State<WebState>,
    at: AtRepository,
    fields: Fields,
) -> ApiResult<Json<PullBody>> {
    super::merged(&state, &at, fields).await
}

/// Close a pull request without merging it. Its builds are stopped.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/pulls/{number}/close/", operation_id = "close_pull",
    tag = "pull requests",
    params(ModelPath, ("number" = u32, Path, description = "Number of the pull request")),
    responses((status = 200, body = PullBody), (status = 403), (status = 404), (status = 409)),
)]
pub(super) async fn close(State(state): State<WebState>, at: AtRepository) -> ApiResult<Json<PullBody>> {
    super::closed(&state, &at).await
}
