//! Examples: what a model's page shows of what it does. The first is made when the first version becomes live, from the
//! default inputs, so that no model starts with an empty page.

use std::net::{IpAddr, Ipv4Addr};

use csw_core::{
    access::Caller,
    build::Build,
    ids::{AccountId, ModelId},
    page::PageRequest,
    ports::{BuildLog, SimulationFilter, SimulationOrder},
    simulation::{Simulation, SimulationStatus},
};

use crate::{
    App,
    error::{AppError, AppResult},
    models::ModelView,
    submission::Submission,
};

/// The title of the first example.
const TITLE: &str = "Example: default inputs";

/// Examples on a model's page.
const SHOWN: u32 = 5;

/// Where the server's own submission comes from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl App {
    /// Makes the example of a model whose first version has just become live, and tells the build's log of it. A model
    /// that has simulations needs none; a failure is no failure of the build.
    pub(crate) async fn exemplify(&self, build: &Build, takes_defaults: bool, log: &dyn BuildLog) {
        let told = match self.store().model_counts(build.model).await {
            Ok((0, _)) if !takes_defaults => "No example is made: the model refuses its own default inputs".to_owned(),
            Ok((0, _)) => match self.make_example(build.requested_by, build.model).await {
                Ok(made) => format!(
                    "The default inputs run as an example: {}/{}#{}",
                    made.model_owner, made.model_title, made.number
                ),
                Err(error) => format!("No example could be made: {error}"),
            },
            Ok(_) => return,
            Err(error) => format!("No example could be made: {error}"),
        };
        log.write(&format!("{told}\n"));
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
