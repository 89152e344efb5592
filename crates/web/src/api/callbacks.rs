//! What workers tell that are none of ours: section 1.3 of the 1.6 behaviour.

use axum::{extract::State, http::StatusCode};
use csw_app::{TaskEnd, TaskWord};
use csw_core::{ids::RunId, run::Task};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{body::AnyBody, worker_outputs};
use crate::{
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The routes of workers.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(inputs)).routes(routes!(outputs))
}

/// The end of a run.
#[derive(Deserialize, ToSchema)]
struct Callback {
    /// The run: `job_id` of the inputs, or of the simulation. `task_id` is taken as well.
    #[serde(alias = "task_id")]
    #[schema(value_type = String)]
    job_id: RunId,
    /// `SUCCESS` or `FAIL`.
    status: String,
    /// `{"task_times": [seconds]}`.
    #[schema(value_type = Object)]
    meta: Meta,
    /// The model's own version.
    #[serde(default)]
    model_version: Option<String>,
    /// What the model said when it broke.
    #[serde(default)]
    traceback: Option<String>,
    /// Of inputs: `errors_warnings` and `custom_adjustment`, which may stand beside it as well. Of a run: lists `renderable`
    /// and `downloadable` of `{title, media_type, data}`, binary data in base64; or `{ziplocation, outputs}` in the place of
    /// a list, where `ziplocation` is `<job_id>_renderable.zip` of the site's bucket, and outputs name their members.
    #[serde(default)]
    #[schema(value_type = Object)]
    outputs: Map<String, Value>,
    #[serde(default)]
    #[schema(value_type = Object)]
    errors_warnings: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Object)]
    custom_adjustment: Option<Value>,
}

#[derive(Deserialize)]
struct Meta {
    task_times: Vec<f64>,
}

impl Callback {
    fn read(who: &Identity, state: &WebState, body: AnyBody) -> ApiResult<Self> {
        if !state.app.is_service(who.account.as_ref()) {
            let sentence = "Only the account comp-api-user may tell how runs ended; the site's operator makes it.";
            return Err(ApiError::detail(StatusCode::UNAUTHORIZED, sentence));
        }
        let callback: Self =
            serde_json::from_value(body.value).map_err(|error| ApiError::field("detail", error.to_string()))?;
        if !matches!(callback.status.as_str(), "SUCCESS" | "FAIL") {
            return Err(ApiError::field("status", "Write SUCCESS or FAIL."));
        }
        Ok(callback)
    }

    async fn end(self, state: &WebState, task: Task, told: TaskWord) -> ApiResult<StatusCode> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds that a run took")]
        let milliseconds = (self.meta.task_times.iter().sum::<f64>().clamp(0.0, 1e9) * 1000.0) as u64;
        let told = if self.status == "FAIL" {
            TaskWord::Failed { traceback: self.traceback.unwrap_or_default() }
        } else {
            told
        };
        let end = TaskEnd { job: self.job_id, task, told, model_version: self.model_version, milliseconds };
        state.app.end_told(end).await?;
        Ok(StatusCode::OK)
    }
}

/// Tells how a validation ended; valid inputs lead to a run at once. One that is over stays as it is.
#[utoipa::path(
    put,
    path = "/inputs/api/",
    operation_id = "end_inputs",
    tag = "service",
    request_body = Callback,
    responses(
        (status = 200, description = "It counts, or it was over already"),
        (status = 400, description = "It can't be read"),
        (status = 401, description = "It is not the site's service account that asks"),
        (status = 404, description = "There is no such run"),
    ),
)]
async fn inputs(State(state): State<WebState>, who: Identity, body: AnyBody) -> ApiResult<StatusCode> {
    let mut callback = Callback::read(&who, &state, body)?;
    let errors_warnings = callback.outputs.remove("errors_warnings").or_else(|| callback.errors_warnings.take());
    let custom_adjustment = callback.outputs.remove("custom_adjustment").or_else(|| callback.custom_adjustment.take());
    let told = match errors_warnings {
        Some(errors_warnings) => TaskWord::Inputs { errors_warnings, custom_adjustment },
        None if callback.status == "FAIL" => TaskWord::Failed { traceback: String::new() },
        None => return Err(ApiError::field("errors_warnings", "This field is required.")),
    };
    callback.end(&state, Task::Parse, told).await
}

/// Tells how a run ended, outputs included. One that is over stays as it is.
#[utoipa::path(
    put,
    path = "/outputs/api/",
    operation_id = "end_outputs",
    tag = "service",
    request_body = Callback,
    responses(
        (status = 200, description = "It counts, or it was over already"),
        (status = 400, description = "It can't be read"),
        (status = 401, description = "It is not the site's service account that asks"),
        (status = 404, description = "There is no such run"),
    ),
)]
async fn outputs(State(state): State<WebState>, who: Identity, body: AnyBody) -> ApiResult<StatusCode> {
    let callback = Callback::read(&who, &state, body)?;
    // What is over has no zip files any more.
    if callback.status == "FAIL" || !state.app.is_awaited(callback.job_id, Task::Sim).await? {
        return callback.end(&state, Task::Sim, TaskWord::Outputs(Vec::new())).await;
    }
    let mut received = worker_outputs::receive(&state, callback.job_id, &callback.outputs).await?;
    let drafts = std::mem::take(&mut received.drafts);
    let ended = callback.end(&state, Task::Sim, TaskWord::Outputs(drafts)).await?;
    for key in &received.zips {
        if let Err(error) = state.app.ports().objects.delete(key).await {
            tracing::warn!(%error, key, "a zip file of a worker could not be removed");
        }
    }
    Ok(ended)
}
