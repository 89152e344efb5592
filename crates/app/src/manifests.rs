//! What a model has in a cluster besides its runs.

use csw_core::{access::Caller, run::Task};
use serde_json::{Value, json};

use crate::{
    App,
    access_rules::publisher,
    error::{AppError, AppResult},
    models::ModelView,
};

impl App {
    /// The objects of the live version for `kubectl apply`, for those who publish the model.
    pub async fn manifests(&self, caller: &Caller, view: &ModelView) -> AppResult<Vec<Value>> {
        publisher(caller, view)?;
        let conflict = |sentence: String| AppError::Conflict { sentence };
        let nothing = || conflict("No version of this model is live yet: promote one first.".to_owned());
        let live = view.model.live_version.ok_or_else(nothing)?;
        let version = self.version_by_id(live).await?;
        let order = self.side_order(&view.model, &version, Task::Version, json!({}));
        let written = self.inner.ports.executor.manifests(&order);
        written.map_err(|reason| conflict(format!("{} has no objects in a cluster: {reason}.", view.model.name())))
    }
}
