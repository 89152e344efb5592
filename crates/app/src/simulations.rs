//! Simulations: making, looking, changing, stopping, removing.

use std::{net::IpAddr, ops::Range, time::Duration};

use bytes::Bytes;
use csw_core::{
    access::{Caller, Role, effective, may_read},
    ids::{AccountId, OutputId, SimulationId},
    model::Model,
    output::{MediaType, Output},
    page::{Page, PageRequest},
    ports::{Cancelled, Created, DownloadHeaders, NewSimulation, SimulationFilter},
    run::LogOf,
    simulation::{Inputs, InputsStatus, Simulation, SimulationPatch, SimulationStatus, UNTITLED},
};
use futures::stream::BoxStream;
use serde_json::Value;

use crate::{
    App,
    access_rules::{active, administrator, writer},
    error::{AppError, AppResult},
    models::ModelView,
    new_id,
    submission::{Submission, check_title},
};

/// Readers of a log wait so long for what a live run has just written.
const LATEST_LOG: Duration = Duration::from_secs(1);

/// A simulation as one caller sees it.
#[derive(Debug, Clone)]
pub struct SimulationView {
    /// The simulation.
    pub simulation: Simulation,
    /// What was submitted, as of the same moment.
    pub inputs: Inputs,
    /// The caller's role, if any.
    pub role: Option<Role>,
    /// Its model.
    pub model: Model,
}

impl App {
    /// Makes a simulation, whose validation and run follow by themselves.
    ///
    /// `idempotency` is the client's key and a digest of its request: the same pair gives the same simulation again.
    pub async fn create(
        &self,
        caller: &Caller,
        from: IpAddr,
        view: &ModelView,
        submission: Submission,
        idempotency: Option<(String, String)>,
    ) -> AppResult<(Simulation, Inputs)> {
        let owner = active(caller)?;
        self.check_shape(&submission)?;
        self.admit_submission(owner).await?;
        let version = self.runnable_version(view, submission.version).await?;
        // Before anything is asked of the model.
        drop(self.admit_cost(&view.model, owner, version.id).await?);
        let schema = self.schema_of(&view.model, &version, &submission.meta_parameters, Some(from)).await?;
        let prepared = self.prepare(owner, &view.model, &version, &schema, &submission)?;
        let parent = self.parent_of(caller, view, submission.parent).await?;
        let (parent_title, readme) = match &parent {
            Some(parent) => (Some(parent.title.clone()), parent.readme.clone()),
            None => (None, Value::Null),
        };
        let new = NewSimulation {
            id: new_id!(self, SimulationId),
            model: view.model.id,
            owner,
            title: submission.title.or(parent_title).unwrap_or_else(|| UNTITLED.to_owned()),
            readme,
            is_public: submission.is_public,
            notify_on_completion: submission.notify_on_completion.unwrap_or(false),
            parent: parent.map(|parent| parent.id),
            inputs: prepared.inputs.clone(),
            parse: Some(prepared.parse),
            now: self.now(),
            idempotency,
        };
        let admitted = self.admit_cost(&view.model, owner, version.id).await?;
        let simulation = self.insert_simulation(&new).await?;
        drop(admitted);
        self.submitted(simulation, (new.id, prepared.inputs)).await
    }

    /// What to answer to a submission: `inputs` were stored with the simulation of this id, unless an earlier request or
    /// an earlier result stands for them.
    async fn submitted(
        &self,
        simulation: Simulation,
        (id, inputs): (SimulationId, Inputs),
    ) -> AppResult<(Simulation, Inputs)> {
        if simulation.id == id && simulation.answered_by.is_none() {
            self.inner.wake.notify_one();
            return Ok((simulation, inputs));
        }
        if simulation.id == id {
            metrics::counter!("csw_memo_hits_total").increment(1);
            self.tell_owner(&simulation).await;
        }
        self.as_stored(simulation.id).await
    }

    async fn as_stored(&self, id: SimulationId) -> AppResult<(Simulation, Inputs)> {
        let found = self.store().simulation_with_inputs(id).await?;
        found.ok_or_else(|| AppError::missing("the simulation"))
    }

    /// Makes an empty simulation, to be filled in and submitted. `idempotency` is as in [`App::create`].
    pub async fn create_blank(
        &self,
        caller: &Caller,
        view: &ModelView,
        idempotency: Option<(String, String)>,
    ) -> AppResult<(Simulation, Inputs)> {
        let owner = active(caller)?;
        self.inner.submission_limit.check(&owner)?;
        let new = NewSimulation {
            id: new_id!(self, SimulationId),
            model: view.model.id,
            owner,
            title: UNTITLED.to_owned(),
            readme: Value::Null,
            is_public: false,
            notify_on_completion: false,
            parent: None,
            inputs: Inputs::blank(),
            parse: None,
            now: self.now(),
            idempotency,
        };
        let simulation = self.insert_simulation(&new).await?;
        if simulation.id == new.id { Ok((simulation, new.inputs)) } else { self.as_stored(simulation.id).await }
    }

    async fn insert_simulation(&self, new: &NewSimulation) -> AppResult<Simulation> {
        match self.store().create_simulation(new).await? {
            Created::New(simulation) | Created::Repeated(simulation) => Ok(simulation),
            Created::KeyReused => Err(AppError::Conflict {
                sentence: "This Idempotency-Key was used for a different request; use a new key.".to_owned(),
            }),
        }
    }

    async fn admit_submission(&self, owner: AccountId) -> AppResult<()> {
        self.inner.submission_limit.check(&owner)?;
        let limit = self.inner.config.pending_runs_per_account;
        if self.store().pending_runs(owner).await? >= limit {
            return Err(AppError::TooMany {
                sentence: format!("You have {limit} simulations waiting or running, which is the most; wait for some."),
                retry_after_seconds: 10,
            });
        }
        Ok(())
    }

    async fn parent_of(&self, caller: &Caller, view: &ModelView, number: Option<u32>) -> AppResult<Option<Simulation>> {
        let Some(number) = number else { return Ok(None) };
        let found = self.store().simulation(view.model.id, number).await?;
        let missing = || AppError::missing(format!("the simulation {}#{number}", view.model.name()));
        let (simulation, _) = found.ok_or_else(missing)?;
        let role = self.role_on(caller, simulation.id).await?;
        if may_read(caller, simulation.is_public, role) { Ok(Some(simulation)) } else { Err(missing()) }
    }

    async fn role_on(&self, caller: &Caller, simulation: SimulationId) -> AppResult<Option<Role>> {
        let stored = match caller.account() {
            Some(account) => self.store().simulation_role(simulation, account).await?,
            None => None,
        };
        Ok(effective(caller, stored))
    }

    /// Submits inputs to a simulation that has not run yet.
    pub async fn submit(
        &self,
        caller: &Caller,
        from: IpAddr,
        view: &SimulationView,
        submission: Submission,
    ) -> AppResult<(Simulation, Inputs)> {
        let owner = writer(caller, view.role)?;
        self.check_shape(&submission)?;
        if view.simulation.status != SimulationStatus::Started {
            return Err(AppError::field(
                "status",
                "This simulation is already pending or finished; make a new one from it.",
            ));
        }
        self.admit_submission(owner).await?;
        let model = self.view_of(caller, view.model.clone()).await?;
        let version = self.runnable_version(&model, submission.version).await?;
        // Whoever owns it pays, though somebody else may submit its inputs.
        drop(self.admit_cost(&view.model, view.simulation.owner, version.id).await?);
        let schema = self.schema_of(&view.model, &version, &submission.meta_parameters, Some(from)).await?;
        let prepared = self.prepare(owner, &view.model, &version, &schema, &submission)?;
        let parent = match view.simulation.parent {
            None => self.parent_of(caller, &model, submission.parent).await?.map(|parent| parent.id),
            Some(_) => None,
        };
        let admitted = self.admit_cost(&view.model, view.simulation.owner, version.id).await?;
        let simulation = self
            .store()
            .submit_inputs(
                view.simulation.id,
                &prepared.inputs,
                submission.notify_on_completion,
                parent,
                &prepared.parse,
                self.now(),
            )
            .await
            .map_err(|error| match AppError::from(error) {
                AppError::Conflict { sentence } => AppError::field("status", sentence),
                other => other,
            })?;
        drop(admitted);
        self.submitted(simulation, (view.simulation.id, prepared.inputs)).await
    }

    /// A simulation by its model and number. One that is private answers `Forbidden` to those without a role.
    pub async fn simulation(
        &self,
        caller: &Caller,
        owner: &str,
        title: &str,
        number: u32,
    ) -> AppResult<SimulationView> {
        let missing = || AppError::missing(format!("the simulation {owner}/{title}#{number}"));
        let model = self.store().model_by_name(owner, title).await?.ok_or_else(missing)?;
        let (simulation, inputs) = self.store().simulation(model.id, number).await?.ok_or_else(missing)?;
        let role = self.check_reader(caller, &simulation, &model).await?;
        Ok(SimulationView { simulation, inputs, role, model })
    }

    /// Refuses unless the caller may see the simulation; their role on it, if any.
    pub(crate) async fn check_reader(
        &self,
        caller: &Caller,
        simulation: &Simulation,
        model: &Model,
    ) -> AppResult<Option<Role>> {
        let role = self.role_on(caller, simulation.id).await?;
        if !may_read(caller, simulation.is_public, role) {
            return Err(match caller {
                Caller::Anonymous => AppError::LoginRequired,
                Caller::Account { .. } | Caller::Workflow { .. } => crate::access_rules::refused(),
            });
        }
        if role.is_none() && !model.settings.is_public {
            // A public simulation of a private model shows to those who may see the model.
            let model_role = self.view_of(caller, model.clone()).await?.role;
            if model_role.is_none() {
                return Err(AppError::missing(format!("the simulation {}#{}", model.name(), simulation.number)));
            }
        }
        Ok(role)
    }

    /// Its outputs, renderable ones first.
    pub async fn outputs(&self, view: &SimulationView) -> AppResult<Vec<Output>> {
        Ok(self.store().outputs(view.simulation.id).await?)
    }

    /// One of its outputs.
    pub async fn output(&self, view: &SimulationView, id: OutputId) -> AppResult<Output> {
        self.store().output(view.simulation.id, id).await?.ok_or_else(|| AppError::missing("the output"))
    }

    /// The bytes of an output, or a range of them.
    pub async fn read_output(
        &self,
        output: &Output,
        range: Option<Range<u64>>,
    ) -> AppResult<BoxStream<'static, Result<Bytes, csw_core::ports::ObjectError>>> {
        self.inner.ports.objects.get(&output.object_key(), range).await.map_err(AppError::from)
    }

    /// An address at which the object storage itself gives an output to be saved as a file, for a short time; `None`
    /// where it has none. Whoever has the address may read it, and no one can have it shown there: what a model made is
    /// always sent as an attachment, and never under a type that a browser would run.
    pub async fn download_address(
        &self,
        output: &Output,
        disposition: &str,
        valid: Duration,
    ) -> AppResult<Option<String>> {
        let content_type = match output.media_type {
            MediaType::Csv | MediaType::Png | MediaType::Jpeg | MediaType::Mp3 | MediaType::Mp4 | MediaType::Hdf5 => {
                output.media_type.content_type()
            }
            _ => "application/octet-stream",
        };
        let headers =
            DownloadHeaders { content_type: content_type.to_owned(), content_disposition: disposition.to_owned() };
        Ok(self.inner.ports.objects.signed_download(&output.object_key(), &headers, valid).await?)
    }

    /// Changes title, readme, notification or archiving (writers), or visibility (admins of the simulation).
    pub async fn update(
        &self,
        caller: &Caller,
        view: &SimulationView,
        patch: SimulationPatch,
    ) -> AppResult<Simulation> {
        writer(caller, view.role)?;
        if patch.is_public.is_some_and(|public| public != view.simulation.is_public) {
            administrator(caller, view.role)?;
        }
        if let Some(title) = &patch.title {
            check_title(title)?;
        }
        if let Some(readme) = &patch.readme {
            let limit = self.inner.config.readme_limit;
            if readme.to_string().len() > limit {
                return Err(AppError::field("readme", format!("The readme may have {limit} bytes.")));
            }
        }
        Ok(self.store().update_simulation(view.simulation.id, &patch, self.now()).await?)
    }

    /// Copies a simulation for the caller, outputs included.
    pub async fn fork(&self, caller: &Caller, view: &SimulationView) -> AppResult<Simulation> {
        let owner = active(caller)?;
        self.inner.submission_limit.check(&owner)?;
        if view.inputs.status == InputsStatus::Pending {
            return Err(AppError::field(
                "fork",
                "The inputs of this simulation are being validated; fork it afterwards.",
            ));
        }
        if view.simulation.status == SimulationStatus::Pending {
            return Err(AppError::field("fork", "This simulation is running; fork it when it is finished."));
        }
        let copy = new_id!(self, SimulationId);
        let forked = self.store().fork_simulation(view.simulation.id, copy, owner, self.now()).await;
        forked.map_err(|error| match AppError::from(error) {
            AppError::Conflict { sentence } => AppError::field("fork", sentence),
            other => other,
        })
    }

    /// Stops the validation or run of a simulation; says whether there was one.
    pub async fn cancel(&self, caller: &Caller, view: &SimulationView) -> AppResult<bool> {
        writer(caller, view.role)?;
        match self.store().cancel(view.simulation.id, self.now()).await? {
            Cancelled::NotPending => Ok(false),
            Cancelled::Done => Ok(true),
            Cancelled::Running(run) => {
                self.stop_run(run).await;
                Ok(true)
            }
        }
    }

    /// Removes a simulation that is not pending, and the bytes that nothing else refers to.
    pub async fn delete(&self, caller: &Caller, view: &SimulationView) -> AppResult<()> {
        administrator(caller, view.role)?;
        for key in self.store().delete_simulation(view.simulation.id).await? {
            if let Err(error) = self.delete_object(&key).await {
                tracing::warn!(%error, "an object of a removed simulation stays");
            }
        }
        Ok(())
    }

    /// Simulations of the caller, and those shared with them where the filter says so.
    pub async fn own_simulations(
        &self,
        caller: &Caller,
        filter: SimulationFilter,
        page: PageRequest,
    ) -> AppResult<Page<Simulation>> {
        let account = caller.account().ok_or(AppError::LoginRequired)?;
        let filter = SimulationFilter { account: Some(account), public_only: false, ..filter };
        Ok(self.store().simulations(&filter, page).await?)
    }

    /// Public simulations, of one account or of all.
    pub async fn public_simulations(&self, filter: SimulationFilter, page: PageRequest) -> AppResult<Page<Simulation>> {
        let filter = SimulationFilter { public_only: true, shared: false, ..filter };
        Ok(self.store().simulations(&filter, page).await?)
    }

    /// The simulations it derives from, nearest first, without those the caller may not see.
    pub async fn parents(&self, caller: &Caller, view: &SimulationView) -> AppResult<Vec<Simulation>> {
        let mut parents = self.store().parents(view.simulation.id).await?;
        let hidden: Vec<_> = parents.iter().filter(|parent| !parent.is_public).map(|parent| parent.id).collect();
        if hidden.is_empty() || caller.is_admin() {
            return Ok(parents);
        }
        let roles = match caller.account() {
            Some(account) => self.store().simulation_roles(&hidden, account).await?,
            None => Vec::new(),
        };
        parents.retain(|parent| parent.is_public || roles.iter().any(|(id, _)| *id == parent.id));
        Ok(parents)
    }

    /// The caller's roles on several simulations.
    pub async fn roles_on(&self, caller: &Caller, ids: &[SimulationId]) -> AppResult<Vec<(SimulationId, Role)>> {
        if caller.is_admin() {
            return Ok(ids.iter().map(|id| (*id, Role::Admin)).collect());
        }
        match caller.account() {
            Some(account) if !ids.is_empty() => Ok(self.store().simulation_roles(ids, account).await?),
            _ => Ok(Vec::new()),
        }
    }

    /// Text of the run's log from `offset`, at most `limit` bytes, and the length of the whole. Before the run there is
    /// the log of the validation.
    pub async fn log(&self, view: &SimulationView, offset: u64, limit: u64) -> AppResult<(Bytes, u64)> {
        let Some(log) = self.log_of(&view.simulation).await? else { return Ok((Bytes::new(), 0)) };
        // What is stored can be read while the database takes nothing new.
        let flushed = tokio::time::timeout(LATEST_LOG, self.flush_log(log)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::debug!("the latest part of a log is not stored yet");
        }
        let length = self.store().log_length(log).await?;
        Ok((self.store().read_log(log, offset, limit).await?, length))
    }

    pub(crate) async fn log_of(&self, simulation: &Simulation) -> AppResult<Option<LogOf>> {
        let run = match simulation.answered_by.or(simulation.run) {
            Some(run) => Some(run),
            None => self.store().inputs(simulation.id).await?.run,
        };
        Ok(run.map(LogOf::Run))
    }
}
