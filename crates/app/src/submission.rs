//! Inputs on their way in: checked against the schema before anything is stored, so that nothing rejected leaves debris.

use csw_core::{
    ids::{RunId, VersionId},
    memo::MemoKey,
    model::{Model, Version},
    run::{Limits, NewRun, Task},
    simulation::{Inputs, InputsStatus},
};
use csw_params::{first_pass, normalise};
use serde_json::{Value, json};

use crate::{
    App,
    error::{AppError, AppResult},
    new_id,
    schemas::{SchemaView, limits_of},
};

/// What a user wants run.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// `{name: value or [VO]}`; null is none.
    pub meta_parameters: Value,
    /// `{section: {name: value or [VO]}}`; null is none.
    pub adjustment: Value,
    /// Number of the simulation of the same model it derives from.
    pub parent: Option<u32>,
    /// Mail at the end.
    pub notify_on_completion: Option<bool>,
    /// `web-alpha`, `web-beta`, `rest-api`, or nothing.
    pub client: String,
    /// Its title, where the client gives one.
    pub title: Option<String>,
    /// Whether anybody may see it.
    pub is_public: bool,
    /// A version other than the live one.
    pub version: Option<VersionId>,
    /// Run again, though an earlier result could answer.
    pub fresh: bool,
}

pub(crate) struct Prepared {
    pub(crate) inputs: Inputs,
    pub(crate) parse: NewRun,
}

impl App {
    /// Checks a submission and makes its inputs and `parse` run, storing nothing.
    pub(crate) fn prepare(
        &self,
        owner: csw_core::ids::AccountId,
        model: &Model,
        version: &Version,
        schema: &SchemaView,
        submission: &Submission,
    ) -> AppResult<Prepared> {
        let adjustment = object("adjustment", &submission.adjustment)?;
        if !["", "web-alpha", "web-beta", "rest-api"].contains(&submission.client.as_str()) {
            return Err(AppError::field("client", format!("\"{}\" is not a valid choice.", submission.client)));
        }
        let checked = first_pass(&schema.parsed, &adjustment);
        let meta = schema.meta_values.clone();
        let sections = checked.adjustment.clone();
        let deterministic = model.settings.deterministic && version.facts.get("deterministic") != Some(&json!(false));
        let memo_key = (deterministic && !submission.fresh)
            .then(|| MemoKey::new(&version.digest, &Value::Null, &normalise(&schema.parsed, &meta, &sections)));
        let errors_warnings = checked.errors_warnings_for_model();
        let run = new_id!(self, RunId);
        let parse = NewRun {
            id: run,
            task: Task::Parse,
            model: model.id,
            version: version.id,
            owner,
            arguments: json!({
                "meta_param_dict": meta,
                "adjustment": sections,
                "errors_warnings": errors_warnings,
            }),
            memo_key,
            limits: parse_limits(model, self.inner.config.parse_deadline_seconds),
        };
        let inputs = Inputs {
            status: InputsStatus::Pending,
            meta_parameters: meta,
            adjustment,
            errors_warnings,
            custom_adjustment: None,
            traceback: None,
            client: submission.client.clone(),
            run: Some(run),
            version: Some(version.id),
        };
        Ok(Prepared { inputs, parse })
    }

    /// Refuses inputs that are too large or of the wrong shape, before a schema is looked up.
    pub(crate) fn check_shape(&self, submission: &Submission) -> AppResult<()> {
        let adjustment = object("adjustment", &submission.adjustment)?;
        object("meta_parameters", &submission.meta_parameters)?;
        for (section, given) in adjustment.as_object().into_iter().flatten() {
            if !given.is_object() && !given.is_null() {
                let sentence = format!("The section \"{section}\" has to be a JSON object of parameters.");
                return Err(AppError::field("adjustment", sentence));
            }
        }
        let size = submission.adjustment.to_string().len() + submission.meta_parameters.to_string().len();
        let limit = self.inner.config.inputs_limit;
        if size > limit {
            return Err(AppError::field(
                "adjustment",
                format!("The inputs have {size} bytes; at most {limit} are taken."),
            ));
        }
        if let Some(title) = &submission.title {
            check_title(title)?;
        }
        Ok(())
    }
}

/// Validation gets one CPU, the model's memory, and its own deadline.
fn parse_limits(model: &Model, deadline_seconds: u32) -> Limits {
    let limits = limits_of(model);
    Limits { cpus: limits.cpus.min(1.0), deadline_seconds, ..limits }
}

fn object(field: &str, value: &Value) -> AppResult<Value> {
    match value {
        Value::Null => Ok(json!({})),
        Value::Object(_) => Ok(value.clone()),
        _ => Err(AppError::field(field, "This has to be a JSON object.")),
    }
}

pub(crate) fn check_title(title: &str) -> AppResult<()> {
    if title.trim().is_empty() {
        return Err(AppError::field("title", "This field may not be blank."));
    }
    if title.chars().count() > 500 {
        return Err(AppError::field("title", "Ensure this field has no more than 500 characters."));
    }
    Ok(())
}
