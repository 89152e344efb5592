//! Input schemas: what a form is generated from. Cached by version and meta parameter values, in memory and in the
//! database, so that looking at a form costs no process.

use std::{net::IpAddr, sync::Arc};

use csw_core::{
    ids::{Lease, RunId, VersionId},
    masking::Masks,
    memo::canonical,
    model::{CachedSchema, Model, Version},
    run::{Limits, Outcome, RunOrder, Sharing, Task, TaskResult},
    secret::Secrets,
    simulation::Inputs,
};
use csw_params::{InputSchema, apply_meta, meta_json, validate_meta};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    App,
    conformance::ask,
    error::{AppError, AppResult},
    models::ModelView,
    new_id,
    simulations::SimulationView,
};

/// Schemas kept in memory.
const IN_MEMORY: usize = 512;

/// The key of the schema with default meta parameters.
const DEFAULT_KEY: &str = "{}";

/// An input schema of a version for some values of its meta parameters. The texts keep the model's order of keys.
#[derive(Debug)]
pub struct SchemaView {
    /// Of which version.
    pub version: VersionId,
    /// All meta parameters with their values, `{name: [VO]}`.
    pub meta_values: Value,
    /// ParamTools dump with those values applied.
    pub meta_parameters: String,
    /// Dumps by section.
    pub model_parameters: String,
    /// Whether values may be given for consecutive years.
    pub extend: bool,
    /// The same, parsed.
    pub parsed: InputSchema,
}

impl SchemaView {
    fn new(version: VersionId, meta_parameters: String, model_parameters: String) -> AppResult<Self> {
        let broken = |error: String| AppError::ModelFailed {
            traceback: format!("The model's get_inputs returned a schema that can't be read: {error}"),
        };
        let meta: Value = serde_json::from_str(&meta_parameters).map_err(|error| broken(error.to_string()))?;
        let model: Value = serde_json::from_str(&model_parameters).map_err(|error| broken(error.to_string()))?;
        let parsed = InputSchema::parse(&meta, &model).map_err(|error| broken(error.to_string()))?;
        let values = validate_meta(&parsed.meta_parameters, &json!({}))
            .map_err(|report| broken(report.errors_json().to_string()))?;
        Ok(Self {
            version,
            meta_values: meta_json(&values),
            meta_parameters,
            model_parameters,
            extend: parsed.extends(),
            parsed,
        })
    }
}

impl App {
    /// The input schema of the live version, or of another one, for these values of meta parameters (`{}` for the
    /// defaults). Only a combination that nobody asked for before makes the model compute, and that is limited for each
    /// address.
    pub async fn schema(
        &self,
        from: IpAddr,
        view: &ModelView,
        version: Option<VersionId>,
        meta: &Value,
    ) -> AppResult<Arc<SchemaView>> {
        let version = self.runnable_version(view, version).await?;
        self.schema_of(&view.model, &version, meta, Some(from)).await
    }

    /// The version a new simulation of this model uses: the live one, or the one that is asked for.
    pub(crate) async fn runnable_version(&self, view: &ModelView, wanted: Option<VersionId>) -> AppResult<Version> {
        let model = &view.model;
        if let Some(wanted) = wanted {
            let known = self.versions(view).await?.into_iter().find(|version| version.id == wanted);
            return known.ok_or_else(|| AppError::field("version", "This model has no such version that you may use."));
        }
        match model.live_version {
            Some(id) if model.status.is_runnable() => self.version_by_id(id).await,
            _ => Err(AppError::Forbidden {
                sentence: format!("{} is not live: its status is {}.", model.name(), model.status.as_str()),
            }),
        }
    }

    pub(crate) async fn schema_of(
        &self,
        model: &Model,
        version: &Version,
        meta: &Value,
        from: Option<IpAddr>,
    ) -> AppResult<Arc<SchemaView>> {
        let base = self.cached(model, version, DEFAULT_KEY, None, from).await?;
        let nothing_asked = meta.as_object().is_some_and(serde_json::Map::is_empty) || meta.is_null();
        if nothing_asked {
            return Ok(base);
        }
        let values = validate_meta(&base.parsed.meta_parameters, meta)
            .map_err(|report| AppError::MetaParameters { errors: report.errors_json() })?;
        let wanted = meta_json(&values);
        let key = canonical(&wanted);
        if key == canonical(&base.meta_values) {
            return Ok(base);
        }
        let applied = apply_meta(&base.parsed.meta_parameters, &values).to_json();
        self.cached(model, version, &key, Some((wanted, applied)), from).await
    }

    async fn cached(
        &self,
        model: &Model,
        version: &Version,
        key: &str,
        asked: Option<(Value, Value)>,
        from: Option<IpAddr>,
    ) -> AppResult<Arc<SchemaView>> {
        let slot_key = (version.id, key.to_owned());
        let known = self.inner.schemas.read().await.get(&slot_key).cloned();
        let slot = if let Some(slot) = known {
            slot
        } else {
            let mut slots = self.inner.schemas.write().await;
            if slots.len() >= IN_MEMORY {
                slots.clear();
            }
            Arc::clone(slots.entry(slot_key).or_insert_with(|| Arc::new(OnceCell::new())))
        };
        slot.get_or_try_init(|| self.stored_or_computed(model, version, key, asked, from)).await.cloned()
    }

    async fn stored_or_computed(
        &self,
        model: &Model,
        version: &Version,
        key: &str,
        asked: Option<(Value, Value)>,
        from: Option<IpAddr>,
    ) -> AppResult<Arc<SchemaView>> {
        if let Some(row) = self.store().schema(version.id, key).await? {
            return Ok(Arc::new(SchemaView::new(version.id, row.meta_parameters, row.model_parameters)?));
        }
        if let Some(from) = from {
            self.inner.schema_limit.check(&from)?;
        }
        let (meta_values, applied) = match asked {
            Some((values, applied)) => (values, Some(applied)),
            None => (json!({}), None),
        };
        let (meta, model_parameters) = self.compute_schema(model, version, &meta_values).await?;
        let meta = applied.unwrap_or(meta);
        let row = CachedSchema {
            version: version.id,
            meta_values,
            meta_parameters: meta.to_string(),
            model_parameters: model_parameters.to_string(),
            created_at: self.now(),
        };
        let view = SchemaView::new(version.id, row.meta_parameters.clone(), row.model_parameters.clone())?;
        if let Err(error) = self.keep_schema(version.id, key, &row).await {
            tracing::warn!(%error, "a schema is computed again at the next start");
        }
        Ok(Arc::new(view))
    }

    async fn keep_schema(&self, version: VersionId, key: &str, row: &CachedSchema) -> AppResult<()> {
        if self.store().schema_count(version).await? < self.inner.config.schemas_per_version {
            self.store().insert_schema(key, row).await?;
        }
        Ok(())
    }

    async fn compute_schema(&self, model: &Model, version: &Version, meta: &Value) -> AppResult<(Value, Value)> {
        let secrets = self.secrets_of(model).await?;
        let masks = Masks::of(secrets.values());
        let order = self.side_order(model, version, Task::Defaults, json!({ "meta_param_dict": meta }));
        let order = RunOrder { secrets, ..order };
        let end = ask(&*self.inner.ports.executor, order)
            .await
            .map_err(|error| AppError::Unavailable { sentence: error.to_string() })?
            .end;
        match end.outcome {
            Outcome::Returned(TaskResult::Defaults { meta_parameters, model_parameters }) => {
                Ok((meta_parameters, model_parameters))
            }
            Outcome::Failed { traceback } => Err(AppError::ModelFailed { traceback: masks.text(&traceback) }),
            Outcome::TimedOut { seconds } => {
                Err(AppError::ModelFailed { traceback: format!("get_inputs did not answer within {seconds} seconds.") })
            }
            Outcome::OutOfMemory { .. } => {
                Err(AppError::ModelFailed { traceback: "get_inputs needed more memory than the model has.".to_owned() })
            }
            Outcome::Lost { sentence } => Err(AppError::Unavailable { sentence }),
            Outcome::Cancelled | Outcome::Returned(_) => {
                Err(AppError::Unavailable { sentence: "The computation was stopped; try again.".to_owned() })
            }
        }
    }

    /// The version and schema that inputs were made for, where the version still gives one.
    pub async fn schema_of_inputs(
        &self,
        from: IpAddr,
        view: &SimulationView,
        inputs: &Inputs,
    ) -> AppResult<Option<(Version, Arc<SchemaView>)>> {
        let Some(version) = inputs.version else { return Ok(None) };
        let version = self.version_by_id(version).await?;
        match self.schema_of(&view.model, &version, &inputs.meta_parameters, Some(from)).await {
            Ok(schema) => Ok(Some((version, schema))),
            Err(error) => {
                tracing::debug!(%error, version = %version.id, "a former schema is not at hand");
                Ok(None)
            }
        }
    }

    /// Somebody opened the form: have an interpreter ready by the time they press Run.
    pub async fn warm(&self, view: &ModelView, version: Option<VersionId>) -> AppResult<()> {
        let version = self.runnable_version(view, version).await?;
        let order = self.side_order(&view.model, &version, Task::Version, json!({}));
        self.inner.ports.executor.warm(order).await;
        Ok(())
    }

    /// An order outside the queue, for a question that somebody waits for; without secrets.
    pub(crate) fn side_order(&self, model: &Model, version: &Version, task: Task, arguments: Value) -> RunOrder {
        let limits = Limits { deadline_seconds: self.inner.config.schema_deadline_seconds, ..limits_of(model) };
        RunOrder {
            run: new_id!(self, RunId),
            lease: new_id!(self, Lease),
            task,
            model: model.name(),
            version: version.id,
            artifact: version.artifact.clone(),
            strategy: version.strategy,
            sharing: sharing_of(model),
            arguments,
            limits,
            network: model.settings.network,
            secrets: Secrets::new(),
        }
    }
}

/// What a run of this model may use.
pub(crate) fn limits_of(model: &Model) -> Limits {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are checked to 0.1..=1024 GB")]
    let memory_bytes = (model.settings.memory_gigabytes * 1e9) as u64;
    Limits { cpus: model.settings.cpus, memory_bytes, deadline_seconds: model.settings.deadline_seconds }
}

/// Who may share its zygotes.
pub(crate) fn sharing_of(model: &Model) -> Sharing {
    if model.settings.is_public { Sharing::Public } else { Sharing::PrivateTo(model.id) }
}
