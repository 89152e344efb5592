//! What a staged version makes of the simulations that are looked at most.

use axum::{Json, extract::State, http::StatusCode};
use csw_app::{AppError, ComparisonView};
use csw_core::comparison::{Compared, Verdict};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    api::{
        dto::VersionName,
        extract::{AtModel, ModelPath, Path, id},
    },
    error::ApiResult,
    state::WebState,
};

/// A comparison in numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct TallyBody {
    /// Simulations in it.
    all: usize,
    /// Those that wait or run.
    open: usize,
    /// Those whose outputs are all equal.
    equal: usize,
    /// Those with an output that is different, came or went.
    changed: usize,
    /// Those whose inputs are not valid any more.
    invalid: usize,
    /// Those that the version fails on.
    failed: usize,
    /// Those that could not be run, for no fault of the version.
    unfinished: usize,
}

/// A simulation in a comparison.
#[derive(Serialize, ToSchema)]
pub(super) struct ComparedBody {
    /// Its number within the model.
    model_pk: u32,
    /// Its title.
    title: String,
    /// Path of its page.
    gui_url: String,
    /// How many visitors looked at it, each once a day.
    views: u64,
    /// `open`, `ran`, `invalid`, `failed` or `unfinished`.
    state: &'static str,
    /// What is wrong, unless it ran.
    sentence: Option<String>,
    /// Of one that failed: `FAIL`, `TIMED_OUT` or `OUT_OF_MEMORY`.
    reason: Option<String>,
    /// Of one that ran, each with its `title`, `media_type`, `list`, and a `change` whose `kind` is `equal`, `changed`,
    /// `came` or `went`. A changed one has a `sentence`; a table also the `table` of what is different: `changed` of
    /// `compared` cells, the `largest` relative difference, the `cells` with the largest ones, and rows and columns that
    /// came and went as a number and the first names.
    #[schema(value_type = Vec<Object>)]
    outputs: Value,
}

/// A staged version beside the live one.
#[derive(Serialize, ToSchema)]
pub(super) struct ComparisonBody {
    /// The version that was live when it began.
    from: VersionName,
    /// The staged one.
    to: VersionName,
    /// `running`, `finished`, or `incomplete` where some could not be run.
    state: &'static str,
    /// It in words.
    summary: String,
    /// It in numbers; those that the caller may not see are counted.
    tally: TallyBody,
    /// Whether equal inputs give equal outputs; where they do not, differences may be chance.
    deterministic: bool,
    /// Simulations that the caller may not see; they were left out, or are only counted.
    unseen: u64,
    /// Those that the caller may see, what is looked at most first.
    simulations: Vec<ComparedBody>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

fn compared(name: &str, one: Compared) -> ComparedBody {
    let (state, sentence, reason, outputs) = match one.verdict {
        None => ("open", None, None, json!([])),
        Some(Verdict::Ran { outputs }) => ("ran", None, None, json!(outputs)),
        Some(Verdict::Invalid { sentence }) => ("invalid", Some(sentence), None, json!([])),
        Some(Verdict::Failed { reason, sentence }) => ("failed", Some(sentence), Some(reason), json!([])),
        Some(Verdict::Unfinished { sentence }) => ("unfinished", Some(sentence), None, json!([])),
    };
    ComparedBody {
        model_pk: one.number,
        gui_url: format!("/{name}/{}/", one.number),
        title: one.title,
        views: one.views,
        state,
        sentence,
        reason,
        outputs,
    }
}

impl ComparisonBody {
    fn of(at: &AtModel, found: ComparisonView) -> Self {
        let (name, tally) = (at.view.model.name().to_string(), found.tally);
        Self {
            from: VersionName::new(found.comparison.baseline, found.before),
            to: VersionName::new(found.comparison.version, found.after),
            state: found.comparison.state.as_str(),
            summary: tally.sentence(),
            tally: TallyBody {
                all: tally.all,
                open: tally.open,
                equal: tally.equal,
                changed: tally.changed,
                invalid: tally.invalid,
                failed: tally.failed,
                unfinished: tally.unfinished,
            },
            deterministic: found.deterministic,
            unseen: found.unseen,
            simulations: found.compared.into_iter().map(|one| compared(&name, one)).collect(),
            created_at: found.comparison.created_at,
            finished_at: found.comparison.finished_at,
        }
    }
}

/// What a staged version makes of the simulations that are looked at most: they run again on it, and their outputs are
/// compared with those of the version that was live. For those who may promote or publish. Begun by itself when a version
/// is staged.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/versions/{version}/comparison/", operation_id = "version_comparison",
    tag = "versions",
    params(ModelPath, ("version" = String, Path, description = "Identifier of the version")),
    responses(
        (status = 200, body = ComparisonBody),
        (status = 401),
        (status = 403),
        (status = 404, description = "Also where nothing was compared"),
    ),
)]
pub(super) async fn read(
    State(state): State<WebState>,
    Path((_, _, version)): Path<(String, String, String)>,
    at: AtModel,
) -> ApiResult<Json<ComparisonBody>> {
    let found = state.app.comparison(&at.who.caller, &at.view, id(&version)?).await?;
    let found = found.ok_or_else(|| AppError::missing("a comparison of this version"))?;
    Ok(Json(ComparisonBody::of(&at, found)))
}

/// Compare a staged version with the live one, again if it was compared before.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/versions/{version}/comparison/", operation_id = "compare_version",
    tag = "versions",
    params(ModelPath, ("version" = String, Path, description = "Identifier of the version")),
    responses(
        (status = 202, body = ComparisonBody),
        (status = 401),
        (status = 403),
        (status = 404, description = "Also where there is nothing to compare"),
        (status = 409, description = "The version is not staged"),
        (status = 429),
    ),
)]
pub(super) async fn begin(
    State(state): State<WebState>,
    Path((_, _, version)): Path<(String, String, String)>,
    at: AtModel,
) -> ApiResult<(StatusCode, Json<ComparisonBody>)> {
    let version = id(&version)?;
    state.app.compare(&at.who.caller, &at.view, version).await?;
    let found = state.app.comparison(&at.who.caller, &at.view, version).await?;
    let nothing =
        "anything to compare: nobody looked at a simulation of the live version, or comparisons are off, so that it";
    let found = found.ok_or_else(|| AppError::missing(nothing))?;
    Ok((StatusCode::ACCEPTED, Json(ComparisonBody::of(&at, found))))
}
