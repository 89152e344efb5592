//! What workers tell that are none of ours: section 1.3 of the 1.6 behaviour.

use axum::{extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_app::{TaskEnd, TaskWord};
use csw_core::{
    ids::{OutputId, RunId},
    output::{MediaType, OutputKind},
    run::{OutputBody, OutputDraft, Task},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::body::AnyBody;
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
    /// and `downloadable` of `{title, media_type, data}`, binary data in base64.
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
    let mut drafts = Vec::new();
    if callback.status == "SUCCESS" {
        for (kind, name) in [(OutputKind::Renderable, "renderable"), (OutputKind::Downloadable, "downloadable")] {
            drafts.extend(read_outputs(kind, name, callback.outputs.get(name))?);
        }
    }
    callback.end(&state, Task::Sim, TaskWord::Outputs(drafts)).await
}

/// Outputs as a model returns them.
fn read_outputs(kind: OutputKind, name: &str, value: Option<&Value>) -> ApiResult<Vec<OutputDraft>> {
    let wrong = |sentence: &str| ApiError::field("outputs", format!("{name}: {sentence}"));
    let Some(list) = value.unwrap_or(&json!([])).as_array().cloned() else {
        return Err(wrong("send a list of {title, media_type, data}; places in zip files are not read."));
    };
    list.iter().zip(0..).map(|(output, position)| read_output(kind, position, output).map_err(wrong)).collect()
}

fn read_output(kind: OutputKind, position: u32, output: &Value) -> Result<OutputDraft, &'static str> {
    let title = output["title"].as_str().ok_or("an output has no title.")?;
    let media_type = output["media_type"].as_str().and_then(MediaType::parse).ok_or("a media type is none of ours.")?;
    let bytes = match &output["data"] {
        Value::String(text) if media_type.is_binary() => STANDARD.decode(text).map_err(|_| "data is no base64.")?,
        Value::String(text) => text.clone().into_bytes(),
        Value::Null => return Err("an output has no data."),
        other if media_type == MediaType::Bokeh => other.to_string().into_bytes(),
        _ => return Err("data of this media type is a text."),
    };
    Ok(OutputDraft {
        id: OutputId::from_uuid(Uuid::new_v4()),
        kind,
        position,
        title: title.to_owned(),
        media_type,
        size: bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(&bytes)),
        body: OutputBody::Bytes(bytes.into()),
    })
}
