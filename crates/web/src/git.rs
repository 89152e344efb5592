//! Git over HTTP: `git push https://<site>/git/<owner>/<title>.git` publishes a model, and `https://<site>/git/publish.git` is
//! the repository whose pull requests do. Git's own smart protocol, with the accounts and tokens of the site.

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use csw_core::ports::{GitRequest, GitService};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::{
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The routes of repositories.
pub(crate) fn router() -> Router<WebState> {
    let places = ["/git/{owner}/{repository}", "/git/publish.git", "/git/publish"];
    places.into_iter().fold(Router::new(), |router, place| {
        router
            .route(&format!("{place}/info/refs"), get(advertise))
            .route(&format!("{place}/git-upload-pack"), post(upload_pack))
            .route(&format!("{place}/git-receive-pack"), post(receive_pack))
    })
}

/// What the path names: a model, or nothing where it is the publish repository.
#[derive(Deserialize)]
struct Named {
    owner: Option<String>,
    repository: Option<String>,
}

async fn advertise(
    State(state): State<WebState>,
    Path(named): Path<Named>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let service = query.as_deref().and_then(|query| query.strip_prefix("service="));
    let Some(service) = service.and_then(GitService::parse) else {
        let sentence = "This address is for git, version 1.6.6 or later: clone, fetch or push it.";
        return told(&ApiError::detail(StatusCode::FORBIDDEN, sentence));
    };
    answer(state, named, service, true, request).await
}

async fn upload_pack(State(state): State<WebState>, Path(named): Path<Named>, request: Request) -> Response {
    answer(state, named, GitService::UploadPack, false, request).await
}

async fn receive_pack(State(state): State<WebState>, Path(named): Path<Named>, request: Request) -> Response {
    answer(state, named, GitService::ReceivePack, false, request).await
}

async fn answer(state: WebState, named: Named, service: GitService, advertise: bool, request: Request) -> Response {
    match serve(&state, &named, service, advertise, request).await {
        Ok(response) => response,
        Err(error) => told(&error),
    }
}

async fn serve(
    state: &WebState,
    named: &Named,
    service: GitService,
    advertise: bool,
    request: Request,
) -> ApiResult<Response> {
    use axum::extract::FromRequestParts;
    let (mut parts, body) = request.into_parts();
    // A browser's cookie is no credential here: its owner did not ask git for anything.
    parts.headers.remove(header::COOKIE);
    let who = Identity::from_request_parts(&mut parts, state).await?;
    let repository = match (&named.owner, &named.repository) {
        (Some(owner), Some(name)) => {
            let title = name.strip_suffix(".git").unwrap_or(name);
            state.app.model_of_repository(&who.caller, owner, title, service).await?
        }
        _ => state.app.publish_repository(&who.caller).await?,
    };
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let asked = GitRequest {
        service,
        advertise,
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        protocol: text(HeaderName::from_static("git-protocol")),
        body: body.into_data_stream().map_err(std::io::Error::other).boxed(),
        note: String::new(),
        only: Vec::new(),
        refusal: String::new(),
    };
    let found = state.app.git(&who.caller, &repository, asked).await?;
    let mut headers = HeaderMap::new();
    for (name, value) in found.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let status = StatusCode::from_u16(found.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok((status, headers, Body::from_stream(found.body)).into_response())
}

/// A refusal as git shows it: the text of an answer that is no success, line by line.
fn told(error: &ApiError) -> Response {
    let status = match error.status() {
        // Git asks for a name and a password only after this, with a challenge.
        StatusCode::FORBIDDEN if error.is_login_required() => StatusCode::UNAUTHORIZED,
        status => status,
    };
    let mut response = (status, format!("{}\n", error.sentence())).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"Compute Studio\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
