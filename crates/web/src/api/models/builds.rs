//! Builds: passes of the publishing pipeline.

use std::path::PathBuf;

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{FromRequest, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use csw_core::{
    build::{BuildOrder, Source, Trigger},
    ids::BuildId,
};
use futures::StreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use utoipa::ToSchema;

use crate::{
    api::{
        body::{Fields, broken, flag, too_large},
        dto::BuildBody,
        extract::{AtModel, ModelPath, Path, Query, id},
        page::{Envelope, ListQuery},
        simulations::{LogQuery, build_events, log_answer},
    },
    error::{ApiError, ApiResult},
    layers::BODY_LIMIT,
    state::WebState,
};

/// Bytes of a form's text fields.
const TEXT: usize = 10_000;

/// What to build: a repository, or (as `multipart/form-data`) files.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct BuildRequest {
    /// Where the source is; the model's own where nothing is said. With `source`: a reference to it means these files.
    repo_url: Option<String>,
    /// Branch, tag or commit; the model's own where nothing is said.
    repo_tag: Option<String>,
    /// Resolve packages as they were at this time.
    #[schema(format = DateTime)]
    as_of: Option<String>,
    /// In a multipart form: a tar of the files, instead of a repository.
    #[schema(format = Binary)]
    source: Option<String>,
    /// With `source`: the commit the files are of; empty where they are no clean commit.
    commit: Option<String>,
    /// With `source`: when they were committed. Where the newest packages fail, those of this time are tried.
    #[schema(format = DateTime)]
    committed_at: Option<String>,
    /// Whether a model without simulations gets one of its default inputs, as an example; true where nothing is said.
    example: Option<bool>,
    /// Whether its version becomes live where every stage succeeds; true where nothing is said. Otherwise it is staged.
    promote: Option<bool>,
    /// Leave the model's own tests out; false where nothing is said. The four functions are checked anyway.
    skip_tests: Option<bool>,
    /// Run no simulations of the live version again before it is made live; false where nothing is said.
    skip_comparison: Option<bool>,
}

/// Ask for a build. Its version becomes live (or staged) where every stage succeeds; otherwise the live version stays. A
/// build of the same model that waits or is at work is cancelled. On a site where maintainers approve, the version of
/// anybody else is staged.
#[utoipa::path(
    post,
    path = "/publish/api/{owner}/{title}/builds/", operation_id = "start_build",
    tag = "builds",
    params(ModelPath),
    request_body(content(
        (BuildRequest = "application/json"),
        (BuildRequest = "multipart/form-data"),
    )),
    responses(
        (status = 201, body = BuildBody),
        (status = 400),
        (status = 401),
        (status = 403),
        (status = 404),
        (status = 413, description = "The archive is too large"),
        (status = 429, description = "Too many builds at work"),
    ),
)]
pub(super) async fn start(
    State(state): State<WebState>,
    at: AtModel,
    request: Request,
) -> ApiResult<(StatusCode, Json<BuildBody>)> {
    // Before a byte of an upload is stored.
    state.app.may_publish(&at.who.caller, &at.view)?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = if kind.starts_with("multipart/form-data") {
        let form = Multipart::from_request(request, &state).await.map_err(|error| broken(&error.body_text()))?;
        read_form(&state, form).await?
    } else {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, BODY_LIMIT).await.map_err(|_| too_large(BODY_LIMIT))?;
        let request = Request::from_parts(parts, Body::from(bytes));
        let mut fields = Fields::from_request(request, &state).await?;
        let mut wanted =
            Wanted { url: fields.text("repo_url"), reference: fields.text("repo_tag"), ..Wanted::default() };
        wanted.as_of = fields.nullable_text("as_of").flatten();
        wanted.example = fields.flag("example");
        wanted.promote = fields.flag("promote");
        wanted.skip_tests = fields.flag("skip_tests");
        wanted.skip_comparison = fields.flag("skip_comparison");
        fields.check()?;
        wanted
    };
    let upload = wanted.upload.clone();
    let begun = begin(&state, &at, wanted).await;
    if let (Err(_), Some(file)) = (&begun, upload) {
        remove(&file).await;
    }
    begun.map(|build| (StatusCode::CREATED, Json(build)))
}

async fn begin(state: &WebState, at: &AtModel, wanted: Wanted) -> ApiResult<BuildBody> {
    let order = wanted.order(at)?;
    let build = state.app.publish(&at.who.caller, &at.view, order, Trigger::Request).await?;
    Ok(BuildBody::new(&at.view.model, &build))
}

#[derive(Default)]
struct Wanted {
    url: Option<String>,
    reference: Option<String>,
    as_of: Option<String>,
    example: Option<bool>,
    promote: Option<bool>,
    skip_tests: Option<bool>,
    skip_comparison: Option<bool>,
    upload: Option<PathBuf>,
    commit: String,
    committed_at: Option<String>,
}

fn time(name: &str, text: Option<&str>) -> ApiResult<Option<Timestamp>> {
    let text = text.filter(|text| !text.is_empty());
    let wrong = |_| ApiError::field(name, "Write a time as 2026-01-31T00:00:00Z.");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

impl Wanted {
    fn order(self, at: &AtModel) -> ApiResult<BuildOrder> {
        let as_of = time("as_of", self.as_of.as_deref())?;
        let (skip_tests, promote) = (self.skip_tests.unwrap_or(false), self.promote.unwrap_or(true));
        let (example, skip_comparison) = (self.example.unwrap_or(true), self.skip_comparison.unwrap_or(false));
        let order = BuildOrder::of(self.source(at)?);
        Ok(BuildOrder { as_of, skip_tests, promote, example, skip_comparison, ..order })
    }

    fn source(self, at: &AtModel) -> ApiResult<Source> {
        let settings = &at.view.model.settings;
        let given = self.url.filter(|url| !url.is_empty());
        if let Some(file) = self.upload {
            let committed_at = time("committed_at", self.committed_at.as_deref())?;
            let own = Some(settings.repo_url.clone()).filter(|url| !url.is_empty());
            return Ok(Source::Archive { file, commit: self.commit, committed_at, url: given.or(own) });
        }
        let own = given.is_none();
        let url = given.unwrap_or_else(|| settings.repo_url.clone());
        if url.is_empty() {
            return Err(ApiError::field(
                "repo_url",
                "The model has no repository: name one here, or upload its files.",
            ));
        }
        // The model's own reference belongs to its own repository.
        let reference = self.reference.unwrap_or_else(|| if own { settings.repo_tag.clone() } else { String::new() });
        Ok(Source::Git { url, reference })
    }
}

async fn read_form(state: &WebState, mut form: Multipart) -> ApiResult<Wanted> {
    let mut wanted = Wanted::default();
    let read = fill(state, &mut form, &mut wanted).await;
    if let (Err(_), Some(file)) = (&read, &wanted.upload) {
        remove(file).await;
    }
    read.map(|()| wanted)
}

async fn fill(state: &WebState, form: &mut Multipart, wanted: &mut Wanted) -> ApiResult<()> {
    let limit = state.options.upload_limit;
    let failed = |error: axum::extract::multipart::MultipartError| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE { too_large(limit) } else { broken(&error.body_text()) }
    };
    while let Some(field) = form.next_field().await.map_err(failed)? {
        match field.name().unwrap_or_default() {
            "source" | "archive" => {
                if wanted.upload.is_some() {
                    return Err(ApiError::field("source", "Send one archive."));
                }
                let file = state.options.uploads.join(format!("{}.tar", uuid::Uuid::new_v4()));
                wanted.upload = Some(file.clone());
                save(field, &file, limit).await?;
            }
            name => {
                let name = name.to_owned();
                let text = short_text(field, &name).await?;
                match name.as_str() {
                    "repo_url" => wanted.url = Some(text),
                    "repo_tag" => wanted.reference = Some(text),
                    "as_of" => wanted.as_of = Some(text),
                    "commit" => wanted.commit = text,
                    "committed_at" => wanted.committed_at = Some(text),
                    "example" => wanted.example = Some(yes_or_no(&name, &text)?),
                    "promote" => wanted.promote = Some(yes_or_no(&name, &text)?),
                    "skip_tests" => wanted.skip_tests = Some(yes_or_no(&name, &text)?),
                    "skip_comparison" => wanted.skip_comparison = Some(yes_or_no(&name, &text)?),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

fn yes_or_no(name: &str, text: &str) -> ApiResult<bool> {
    flag(text).ok_or_else(|| ApiError::field(name, "Must be a valid boolean."))
}

/// A text field, which is never held where it is long: the limit of this route is made for archives.
async fn short_text(mut field: Field<'_>, name: &str) -> ApiResult<String> {
    let mut bytes = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|error| broken(&error.body_text()))? {
        bytes.extend_from_slice(&part);
        if bytes.len() > TEXT {
            return Err(ApiError::field(name, format!("Ensure this field has no more than {TEXT} characters.")));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::field(name, "Not a valid string."))
}

/// Stores a part of a form as a file, never holding more than a part of it in memory.
async fn save(mut field: Field<'_>, file: &std::path::Path, limit: usize) -> ApiResult<()> {
    let full = |error: std::io::Error| {
        tracing::error!(%error, "an upload can't be stored");
        ApiError::detail(StatusCode::SERVICE_UNAVAILABLE, "The server can't store the archive now; try again later.")
    };
    if let Some(folder) = file.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(full)?;
    }
    let mut out = tokio::fs::File::create_new(file).await.map_err(full)?;
    loop {
        match field.chunk().await {
            Ok(Some(part)) => out.write_all(&part).await.map_err(full)?,
            Ok(None) => break,
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => return Err(too_large(limit)),
            Err(error) => return Err(broken(&error.body_text())),
        }
    }
    out.flush().await.map_err(full)
}

async fn remove(file: &std::path::Path) {
    if let Err(error) = tokio::fs::remove_file(file).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "an upload that is not needed stays");
    }
}

/// The builds of a model, newest first; for its writers.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/builds/", operation_id = "builds",
    tag = "builds",
    params(ModelPath, ("page" = Option<u32>, Query, description = "From 1")),
    responses((status = 200, body = Envelope<BuildBody>), (status = 401), (status = 403), (status = 404)),
)]
pub(super) async fn list(
    State(state): State<WebState>,
    at: AtModel,
    query: ListQuery,
) -> ApiResult<Json<Envelope<BuildBody>>> {
    let page = state.app.builds(&at.who.caller, &at.view, query.page).await?;
    query.envelope(page.map(|build| BuildBody::new(&at.view.model, &build)))
}

type BuildPath = (String, String, String);

/// A build; for writers of the model.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/builds/{build}/", operation_id = "build",
    tag = "builds",
    params(ModelPath, ("build" = String, Path, description = "Identifier of the build")),
    responses((status = 200, body = BuildBody), (status = 404)),
)]
pub(super) async fn one(
    State(state): State<WebState>,
    Path((_, _, build)): Path<BuildPath>,
    at: AtModel,
) -> ApiResult<Json<BuildBody>> {
    let build = state.app.build(&at.view, id(&build)?).await?;
    Ok(Json(BuildBody::new(&at.view.model, &build)))
}

/// Stop a build. The live version stays.
#[utoipa::path(
    post,
    path = "/publish/api/{owner}/{title}/builds/{build}/cancel/", operation_id = "cancel_build",
    tag = "builds",
    params(ModelPath, ("build" = String, Path, description = "Identifier of the build")),
    responses(
        (status = 202, body = BuildBody, description = "It is being stopped"),
        (status = 401),
        (status = 403),
        (status = 404),
        (status = 409, description = "It is over"),
    ),
)]
pub(super) async fn cancel(
    State(state): State<WebState>,
    Path((_, _, build)): Path<BuildPath>,
    at: AtModel,
) -> ApiResult<(StatusCode, Json<BuildBody>)> {
    let build: BuildId = id(&build)?;
    if !state.app.cancel_build(&at.who.caller, &at.view, build).await? {
        return Err(ApiError::detail(StatusCode::CONFLICT, "This build is over."));
    }
    let build = state.app.build(&at.view, build).await?;
    Ok((StatusCode::ACCEPTED, Json(BuildBody::new(&at.view.model, &build))))
}

/// The log of a build as plain text.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/builds/{build}/log/", operation_id = "build_log",
    tag = "builds",
    params(ModelPath, ("build" = String, Path, description = "Identifier of the build"), LogQuery),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 206, description = "The range that was asked for"),
        (status = 404),
        (status = 416, description = "The log is shorter"),
    ),
)]
pub(super) async fn read_log(
    State(state): State<WebState>,
    Path((_, _, build)): Path<BuildPath>,
    at: AtModel,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let build: BuildId = id(&build)?;
    log_answer(&headers, &query, move |offset, limit| {
        let (app, view) = (state.app.clone(), at.view.clone());
        async move { app.build_log(&view, build, offset, limit).await }
    })
    .await
}

/// What happens to a build, as it happens: `status` with `{"status", "stage", "stages", "message", "version", "final"}`, `log`
/// with `{"offset", "text"}`, and `end`.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/builds/{build}/events/", operation_id = "build_events",
    tag = "builds",
    params(ModelPath, ("build" = String, Path, description = "Identifier of the build"), LogQuery),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 404)),
)]
pub(super) async fn events(
    State(state): State<WebState>,
    Path((_, _, build)): Path<BuildPath>,
    at: AtModel,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let build = state.app.build(&at.view, id(&build)?).await?;
    Ok(build_events(&headers, &query, |offset| state.app.follow_build(build.id, offset).boxed()))
}
