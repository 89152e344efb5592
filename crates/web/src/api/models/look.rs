//! A look at a repository, before anything is published from it.

use axum::{Json, extract::State};
use csw_core::{
    access::Caller,
    look::{Found, FoundFunction, Problem},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{api::body::Fields, auth::Identity, error::ApiResult, state::WebState};

/// What to look at.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(super) struct LookRequest {
    /// Where the source is.
    repo_url: String,
    /// Branch, tag or commit; the default branch where nothing is said.
    repo_tag: Option<String>,
}

/// One of the four functions.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionBody {
    /// Its name.
    name: String,
    /// The line that defines or imports it; null where it was not found.
    line: Option<u32>,
}

/// Something that is not as it should be.
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// `stops` where a build would fail of it, `warns` otherwise.
    weight: &'static str,
    /// What is wrong.
    sentence: String,
    /// What to do about it.
    way_out: String,
}

/// What was found in a repository.
#[derive(Serialize, ToSchema)]
pub(super) struct FoundBody {
    /// Whether nothing that was seen would stop a build.
    publishable: bool,
    /// The commit that was looked at.
    commit: String,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    committed_at: Option<Timestamp>,
    /// The first heading of its README.
    readme_title: Option<String>,
    /// The one line that it says of its model.
    oneliner: Option<String>,
    /// Bytes of its files.
    bytes: u64,
    /// How many files it has.
    files: u64,
    /// Whether `cs-config` is there.
    cs_config: bool,
    /// The four functions.
    functions: Vec<FunctionBody>,
    /// Files that say what is to be installed.
    lists: Vec<String>,
    /// Packages of the operating system that they ask for.
    system_packages: Vec<String>,
    /// Versions of Python that they ask for.
    python: Vec<String>,
    /// How many tests of its own it has.
    tests: u32,
    /// What is not as it should be, what stops a build first.
    problems: Vec<ProblemBody>,
}

impl From<Found> for FoundBody {
    fn from(found: Found) -> Self {
        let function = |FoundFunction { name, line }: FoundFunction| FunctionBody { name, line };
        let problem =
            |Problem { weight, sentence, way_out }: Problem| ProblemBody { weight: weight.as_str(), sentence, way_out };
        Self {
            publishable: found.is_publishable(),
            commit: found.commit,
            committed_at: found.committed_at,
            readme_title: found.readme_title,
            oneliner: found.described.oneliner,
            bytes: found.bytes,
            files: found.files,
            cs_config: found.has_config,
            functions: found.functions.into_iter().map(function).collect(),
            lists: found.lists,
            system_packages: found.system_packages,
            python: found.python,
            tests: found.tests,
            problems: found.problems.into_iter().map(problem).collect(),
        }
    }
}

/// Look at a repository before its first build: what is there, what is missing, and the way out. It is fetched as a build
/// does, its files are read, nothing of it is run, and nothing is kept.
#[utoipa::path(
    post,
    path = "/publish/api/look/", operation_id = "look",
    tag = "models",
    request_body = LookRequest,
    responses(
        (status = 200, body = FoundBody),
        (status = 400, description = "It can't be fetched; `repo_url` says why"),
        (status = 401),
        (status = 403, description = "The account is deactivated"),
        (status = 429),
    ),
)]
pub(super) async fn look(
    State(state): State<WebState>,
    who: Identity,
    mut fields: Fields,
) -> ApiResult<Json<FoundBody>> {
    if who.caller == Caller::Anonymous {
        return Err(csw_app::AppError::LoginRequired.into());
    }
    let url = fields.required("repo_url");
    let reference = fields.nullable_text("repo_tag").flatten().unwrap_or_default();
    fields.check()?;
    let found = state.app.look(&who.caller, &url, &reference).await?;
    Ok(Json(FoundBody::from(found)))
}
