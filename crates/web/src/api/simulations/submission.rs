//! What a client submits.

use axum::http::{HeaderMap, StatusCode};
use csw_app::Submission;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::body::Fields,
    error::{ApiError, ApiResult},
};

/// Inputs to be validated and run; every field may be left out.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; `read` takes them from any kind of body")]
pub(crate) struct SubmissionBody {
    /// `{name: value or [value object]}`.
    #[schema(value_type = Object, example = json!({"year": 2026}))]
    meta_parameters: Option<Value>,
    /// `{section: {name: value or [value object]}}`.
    #[schema(value_type = Object, example = json!({"policy": {"rate": [{"value": 0.2}]}}))]
    adjustment: Option<Value>,
    /// Number of the simulation of the same model it derives from; its title and readme are taken over.
    parent_model_pk: Option<u32>,
    /// Mail at the end.
    notify_on_completion: Option<bool>,
    /// `web-alpha`, `web-beta`, `rest-api`, or nothing.
    client: Option<String>,
    /// Its title; for new simulations.
    title: Option<String>,
    /// Whether anybody may see it; for new simulations.
    is_public: Option<bool>,
    /// Identifier of a version other than the live one.
    version: Option<String>,
    /// Run it again, though an earlier identical run could answer.
    fresh: Option<bool>,
}

/// Takes a submission from a body.
pub(crate) fn read(mut fields: Fields) -> ApiResult<Submission> {
    let version = fields.nullable_text("version").flatten().and_then(|text| {
        let id = text.parse().ok();
        if id.is_none() {
            fields.refuse("version", "This is not the identifier of a version.");
        }
        id
    });
    let submission = Submission {
        meta_parameters: fields.json("meta_parameters").unwrap_or_default(),
        adjustment: fields.json("adjustment").unwrap_or_default(),
        parent: fields.whole("parent_model_pk"),
        notify_on_completion: fields.flag("notify_on_completion"),
        client: fields.nullable_text("client").flatten().unwrap_or_default(),
        title: fields.nullable_text("title").flatten(),
        is_public: fields.flag("is_public").unwrap_or(false),
        version,
        fresh: fields.flag("fresh").unwrap_or(false),
    };
    fields.check()?;
    Ok(submission)
}

/// The client's idempotency key, with `request`, which tells requests apart.
pub(crate) fn idempotency(headers: &HeaderMap, request: String) -> ApiResult<Option<(String, String)>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > 255 {
        let sentence = "An Idempotency-Key has 1 to 255 visible ASCII characters.";
        return Err(ApiError::detail(StatusCode::BAD_REQUEST, sentence));
    }
    Ok(Some((key.to_owned(), request)))
}
