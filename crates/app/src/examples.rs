//! Examples: what a model's page shows of what it does. The first is made when the first version becomes live, from the
//! default inputs, so that no model starts with an empty page; whether that is by its build, by hand or by a merge.

use std::net::{IpAddr, Ipv4Addr};

use csw_core::{
    access::Caller,
    build::Build,
    ids::{AccountId, ModelId, VersionId},
    model::{Model, Version},
    page::PageRequest,
    ports::{SimulationFilter, SimulationOrder},
    simulation::{Simulation, SimulationStatus},
};

use crate::{
    App,
    error::{AppError, AppResult},
    models::ModelView,
    publishing::takes_defaults,
    submission::Submission,
};

/// The title of the first example.
const TITLE: &str = "Example: default inputs";

/// Builds among which that of a first version is looked for.
const LOOK_BACK: u32 = 100;

/// Examples on a model's page.
const SHOWN: u32 = 5;

/// Where the server's own submission comes from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl App {
    /// Makes the example of a model whose first version has just become live, where its build was not asked to leave it
    /// out; what came of it, in a sentence. A model that has simulations needs none; a failure is no failure of what made
    /// the version live.
    pub(crate) async fn exemplify(&self, build: &Build, version: &Version) -> Option<String> {
        if !build.order.example {
            return None;
        }
        Some(match self.store().model_counts(build.model).await {
            Ok((0, _)) if !takes_defaults(version) => {
                "No example is made: the model refuses its own default inputs".to_owned()
            }
            Ok((0, _)) => match self.make_example(build.requested_by, build.model).await {
                Ok(made) => format!(
                    "The default inputs run as an example: {}/{}#{}",
                    made.model_owner, made.model_title, made.number
                ),
                Err(error) => format!("No example could be made: {error}"),
            },
            Ok(_) => return None,
            Err(error) => format!("No example could be made: {error}"),
        })
    }

    /// Makes a staged version live, for good reasons that were looked at before. The first of a model brings an example.
    pub(crate) async fn go_live(&self, model: &Model, version: &Version, by: AccountId) -> AppResult<Model> {
        let promoted = self.store().promote(model.id, version.id, by, self.now()).await?;
        if model.live_version.is_none()
            && let Some(build) = self.build_of(model.id, version.id).await
            && let Some(told) = self.exemplify(&build, version).await
        {
            tracing::info!(model = %model.name(), "{told}");
        }
        Ok(promoted)
    }

    async fn build_of(&self, model: ModelId, version: VersionId) -> Option<Build> {
        // Without one there is no example; what is asked for is done.
        let builds = self.store().builds(model, PageRequest { number: 1, size: LOOK_BACK }).await.ok()?;
        builds.items.into_iter().find(|build| build.version == Some(version))
    }

    /// A simulation of the default inputs, the publisher's own, as public as its model.
    async fn make_example(&self, publisher: AccountId, model: ModelId) -> AppResult<Simulation> {
        let account = self.store().account(publisher).await?.ok_or_else(|| AppError::missing("the publisher"))?;
        let caller = account.caller();
        let view = self.view_of(&caller, self.model_by_id(model).await?).await?;
        let submission = Submission {
            title: Some(TITLE.to_owned()),
            is_public: view.model.settings.is_public,
            ..Submission::default()
        };
        Ok(self.create(&caller, HERE, &view, submission, None).await?.0)
    }

    /// The earliest simulations of a model that succeeded and that the caller may see: public ones, and of a private
    /// model the caller's own.
    pub async fn examples(&self, caller: &Caller, view: &ModelView) -> AppResult<Vec<Simulation>> {
        let public = view.model.settings.is_public;
        let filter = SimulationFilter {
            account: caller.account().filter(|_| !public),
            shared: !public,
            public_only: public || caller.account().is_none(),
            model: Some(view.model.id),
            status: Some(SimulationStatus::Success),
            archived: Some(false),
            order: vec![(SimulationOrder::CreatedAt, false)],
            ..SimulationFilter::default()
        };
        Ok(self.store().simulations(&filter, PageRequest { number: 1, size: SHOWN }).await?.items)
    }
}
