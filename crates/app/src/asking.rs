//! What the other services of a site ask of its scheduler: questions to a model that somebody waits for, and a look at the
//! queue. Who asks is no account, and was checked at the door.

use csw_core::{
    ids::{RunId, VersionId},
    masking::Masks,
    model::Model,
    names::ModelName,
    run::{Outcome, RunEnd, RunOrder, RunState, Task},
};
use serde_json::Value;

use crate::{
    App,
    conformance::ask,
    error::{AppError, AppResult},
};

impl App {
    /// Asks a version of a model, or the live one, outside the queue. Secrets of the model are in nothing that comes back.
    pub async fn ask_model(
        &self,
        name: &ModelName,
        version: Option<VersionId>,
        task: Task,
        arguments: Value,
    ) -> AppResult<RunEnd> {
        let model = self.model_named(name).await?;
        let version = match version.or(model.live_version) {
            Some(id) => self.version_by_id(id).await?,
            None => return Err(AppError::Conflict { sentence: format!("No version of {name} is live yet.") }),
        };
        if version.model != model.id {
            return Err(AppError::missing("the version"));
        }
        let secrets = self.secrets_of(&model).await?;
        let masks = Masks::of(secrets.values());
        let order = RunOrder { secrets, ..self.side_order(&model, &version, task, arguments) };
        let asked = ask(&*self.inner.ports.executor, order).await;
        let mut end = asked.map_err(|error| AppError::Unavailable { sentence: error.to_string() })?.end;
        if let Outcome::Failed { traceback } = &mut end.outcome {
            *traceback = masks.text(traceback);
        }
        Ok(end)
    }

    /// Has the queue looked at for the sake of a run that waits in it.
    pub async fn look_at_queue(&self, name: &ModelName, run: RunId) -> AppResult<()> {
        let model = self.model_named(name).await?;
        let found = self.store().run(run).await?.filter(|run| run.model == model.id);
        let found = found.ok_or_else(|| AppError::missing("the run"))?;
        if found.state == RunState::Queued {
            self.inner.wake.notify_one();
        }
        Ok(())
    }

    async fn model_named(&self, name: &ModelName) -> AppResult<Model> {
        let found = self.store().model_by_name(name.owner.as_str(), name.title.as_str()).await?;
        found.ok_or_else(|| AppError::missing("the model"))
    }
}
