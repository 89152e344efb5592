//! Simulations: making, submitting, looking, changing, copying, removing.

use csw_core::{
    ids::{AccountId, ModelId, OutputId, RunId, SimulationId, VersionId},
    output::{MediaType, Output, Thumbnail, object_key, thumbnail_key},
    page::{Page, PageRequest},
    ports::{Change, Created, NewSimulation, SimulationFilter, SimulationOrder, StoreError, StoreResult},
    run::{NewRun, Task},
    simulation::{Inputs, Simulation, SimulationPatch, SimulationStatus, UNTITLED},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::{
    SqlStore,
    columns::{columns, select},
    connect::Unit,
    listing::Conditions,
    rows::{self, SIMULATIONS},
    sql::{Columns, all, corrupt, flag, micros, number, optional, run, sql, text_of, whole},
};

/// The phases of a run that has not begun.
const NO_PHASES: &str = r#"{"queue":0,"start":0,"import":0,"run":0,"store":0}"#;

fn missing(id: impl std::fmt::Display) -> StoreError {
    StoreError::NotFound { what: format!("the simulation {id}") }
}

fn state(what: &str) -> StoreError {
    StoreError::State { what: what.to_owned() }
}

impl SqlStore {
    pub(crate) async fn simulation_in(&self, id: SimulationId, on: &mut AnyConnection) -> StoreResult<Simulation> {
        let text = format!("{SIMULATIONS} WHERE s.id = $1");
        let row = optional(sql!(self, AssertSqlSafe(text), id.to_string()), on).await?;
        rows::simulation(&row.ok_or_else(|| missing(id))?)
    }

    async fn next_number(&self, model: ModelId, on: &mut AnyConnection) -> StoreResult<i64> {
        let statement = sql!(
            self,
            "UPDATE models SET last_number = last_number + 1 WHERE id = $1 RETURNING last_number",
            model.to_string()
        );
        let row = optional(statement, on).await?;
        row.ok_or_else(|| StoreError::NotFound { what: format!("the model {model}") })?.int("last_number")
    }

    /// Puts a run into the queue, in the transaction that makes it due.
    pub(crate) async fn enqueue(
        &self,
        unit: &mut Unit,
        new: &NewRun,
        simulation: SimulationId,
        now: Timestamp,
    ) -> StoreResult<()> {
        let rank = i64::from(new.task == Task::Sim);
        self.enqueue_behind(unit, new, simulation, rank, now).await
    }

    /// The same, behind all runs of a lower rank.
    pub(crate) async fn enqueue_behind(
        &self,
        unit: &mut Unit,
        new: &NewRun,
        simulation: SimulationId,
        rank: i64,
        now: Timestamp,
    ) -> StoreResult<()> {
        let statement = sql!(
            self,
            "INSERT INTO runs (id, task, model_id, version_id, simulation_id, owner_id, arguments, memo_key, cpus, \
             memory_bytes, deadline_seconds, state, attempt, task_rank, enqueued_at, phases, cancel_requested) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', 0, $12, $13, $14, 0)",
            new.id.to_string(),
            new.task.as_str(),
            new.model.to_string(),
            new.version.to_string(),
            simulation.to_string(),
            new.owner.to_string(),
            new.arguments.to_string(),
            new.memo_key.as_ref().map(|key| key.as_str().to_owned()),
            new.limits.cpus,
            whole(new.limits.memory_bytes),
            i64::from(new.limits.deadline_seconds),
            rank,
            micros(now),
            NO_PHASES,
        );
        run(statement, unit.on()).await?;
        unit.tell(Change::Queue);
        Ok(())
    }

    async fn repeated(&self, new: &NewSimulation, on: &mut AnyConnection) -> StoreResult<Option<Created>> {
        let Some((key, digest)) = &new.idempotency else { return Ok(None) };
        let statement = sql!(
            self,
            "SELECT digest, simulation_id FROM idempotency WHERE account_id = $1 AND client_key = $2",
            new.owner.to_string(),
            key.clone()
        );
        match optional(statement, on).await? {
            Some(row) if row.text("digest")? == *digest => {
                Ok(Some(Created::Repeated(self.simulation_in(row.id("simulation_id")?, on).await?)))
            }
            Some(_) => Ok(Some(Created::KeyReused)),
            None => Ok(None),
        }
    }

    pub(crate) async fn create_simulation_now(&self, new: &NewSimulation) -> StoreResult<Created> {
        let mut unit = self.begin().await?;
        // The counter is a row lock too: of two requests with one key the second sees the first.
        let number = self.next_number(new.model, unit.on()).await?;
        if let Some(earlier) = self.repeated(new, unit.on()).await? {
            return Ok(earlier);
        }
        self.insert_simulation(new, number, unit.on()).await?;
        let (id, owner) = (new.id.to_string(), new.owner.to_string());
        self.own(&id, &owner, unit.on()).await?;
        if let Some((key, digest)) = &new.idempotency {
            let statement = sql!(
                self,
                "INSERT INTO idempotency (account_id, client_key, digest, simulation_id, created_at) \
                 VALUES ($1, $2, $3, $4, $5)",
                owner,
                key.clone(),
                digest.clone(),
                id,
                micros(new.now)
            );
            run(statement, unit.on()).await?;
        }
        if let Some(parse) = &new.parse
            && !self.answer_at_once(new.id, parse, new.now, unit.on()).await?
        {
            self.enqueue(&mut unit, parse, new.id, new.now).await?;
        }
        let simulation = self.simulation_in(new.id, unit.on()).await?;
        unit.tell(Change::Simulation(new.id));
        unit.commit().await?;
        Ok(Created::New(simulation))
    }

    async fn insert_simulation(&self, new: &NewSimulation, number: i64, on: &mut AnyConnection) -> StoreResult<()> {
        let inputs = &new.inputs;
        let statement = sql!(
            self,
            "INSERT INTO simulations (id, model_id, number, owner_id, title, title_key, readme, is_public, notify, status, \
             run_milliseconds, cost, phases, created_at, modified_at, parent_id, archived, inputs_status, \
             meta_parameters, adjustment, errors_warnings, custom_adjustment, inputs_traceback, client, inputs_run_id, \
             inputs_version_id) VALUES ($1, $2, $3, $4, $5, $21, $6, $7, $8, 'STARTED', 0, 0.0, $9, $10, $10, $11, 0, \
             $12, $13, $14, $15, $16, $17, $18, $19, $20)",
            new.id.to_string(),
            new.model.to_string(),
            number,
            new.owner.to_string(),
            new.title.clone(),
            new.readme.to_string(),
            flag(new.is_public),
            flag(new.notify_on_completion),
            NO_PHASES,
            micros(new.now),
            new.parent.map(|parent| parent.to_string()),
            inputs.status.as_str(),
            inputs.meta_parameters.to_string(),
            inputs.adjustment.to_string(),
            inputs.errors_warnings.to_string(),
            text_of(inputs.custom_adjustment.as_ref()),
            inputs.traceback.clone(),
            inputs.client.clone(),
            new.parse.as_ref().map(|parse| parse.id).or(inputs.run).map(|id| id.to_string()),
            inputs.version.map(|id| id.to_string()),
            new.title.to_lowercase(),
        );
        run(statement, on).await.map(|_| ())
    }

    /// The owner is admin and author.
    async fn own(&self, simulation: &str, owner: &str, on: &mut AnyConnection) -> StoreResult<()> {
        for text in [
            "INSERT INTO simulation_roles (simulation_id, account_id, role) VALUES ($1, $2, 'admin')",
            "INSERT INTO authors (simulation_id, account_id) VALUES ($1, $2)",
        ] {
            run(sql!(self, text, simulation.to_owned(), owner.to_owned()), on).await?;
        }
        Ok(())
    }

    pub(crate) async fn submit_inputs_now(
        &self,
        id: SimulationId,
        inputs: &Inputs,
        notify: Option<bool>,
        parent: Option<SimulationId>,
        parse: &NewRun,
        now: Timestamp,
    ) -> StoreResult<Simulation> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE simulations SET inputs_status = 'PENDING', meta_parameters = $1, adjustment = $2, \
             errors_warnings = $3, custom_adjustment = NULL, inputs_traceback = NULL, client = $4, inputs_run_id = $5, \
             inputs_version_id = $6, notify = COALESCE($7, notify), modified_at = $8 \
             WHERE id = $9 AND status = 'STARTED' AND inputs_status <> 'PENDING'",
            inputs.meta_parameters.to_string(),
            inputs.adjustment.to_string(),
            inputs.errors_warnings.to_string(),
            inputs.client.clone(),
            parse.id.to_string(),
            inputs.version.map(|id| id.to_string()),
            notify.map(flag),
            micros(now),
            id.to_string()
        );
        if run(statement, unit.on()).await? == 0 {
            return Err(state("This simulation is already pending or finished; make a new one from it."));
        }
        if let Some(parent) = parent {
            let statement = sql!(
                self,
                "UPDATE simulations SET parent_id = $1, title = CASE WHEN title = $2 THEN (SELECT p.title FROM \
                 simulations p WHERE p.id = $1) ELSE title END, title_key = CASE WHEN title = $2 THEN (SELECT \
                 p.title_key FROM simulations p WHERE p.id = $1) ELSE title_key END, readme = CASE WHEN readme = 'null' THEN (SELECT p.readme \
                 FROM simulations p WHERE p.id = $1) ELSE readme END WHERE id = $3 AND parent_id IS NULL",
                parent.to_string(),
                UNTITLED,
                id.to_string()
            );
            run(statement, unit.on()).await?;
        }
        if !self.answer_at_once(id, parse, now, unit.on()).await? {
            self.enqueue(&mut unit, parse, id, now).await?;
        }
        let simulation = self.simulation_in(id, unit.on()).await?;
        unit.tell(Change::Simulation(id));
        unit.commit().await?;
        Ok(simulation)
    }

    pub(crate) async fn find_simulation(
        &self,
        model: ModelId,
        number: u32,
    ) -> StoreResult<Option<(Simulation, Inputs)>> {
        let mut reader = self.reader().await?;
        let text = format!("{SIMULATIONS} WHERE s.model_id = $1 AND s.number = $2");
        let statement = sql!(self, AssertSqlSafe(text), model.to_string(), i64::from(number));
        let row = optional(statement, &mut reader).await?;
        row.as_ref().map(rows::simulation_with_inputs).transpose()
    }

    pub(crate) async fn simulation_with_inputs_now(
        &self,
        id: SimulationId,
    ) -> StoreResult<Option<(Simulation, Inputs)>> {
        let mut reader = self.reader().await?;
        let text = format!("{SIMULATIONS} WHERE s.id = $1");
        let row = optional(sql!(self, AssertSqlSafe(text), id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::simulation_with_inputs).transpose()
    }

    pub(crate) async fn inputs_now(&self, id: SimulationId) -> StoreResult<Inputs> {
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, select!(simulations, "WHERE id = $1"), id.to_string()), &mut reader).await?;
        rows::inputs(&row.ok_or_else(|| missing(id))?)
    }

    pub(crate) async fn outputs_now(&self, id: SimulationId, only: Option<OutputId>) -> StoreResult<Vec<Output>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            concat!(
                "SELECT ",
                columns!(run_outputs, "o."),
                " FROM run_outputs o JOIN simulations s ON o.run_id = COALESCE(s.answered_by, s.run_id) \
             WHERE s.id = $1 AND s.status = 'SUCCESS' AND ($2 = '' OR o.id = $2) ORDER BY o.kind DESC, o.position"
            ),
            id.to_string(),
            only.map(|id| id.to_string()).unwrap_or_default()
        );
        all(statement, &mut reader).await?.iter().map(rows::output).collect()
    }

    pub(crate) async fn list_simulations(
        &self,
        filter: &SimulationFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Simulation>> {
        let conditions = conditions(filter);
        let (columns, tables) = SIMULATIONS.trim_start_matches("SELECT ").split_once(" FROM ").unwrap_or(("*", ""));
        let from = format!("FROM {tables} {}", conditions.text());
        let keys = filter.order.iter().map(|(key, descending)| {
            let column = match key {
                SimulationOrder::CreatedAt => "s.created_at",
                SimulationOrder::ModelTitle => "m.title_key",
                SimulationOrder::ModelOwner => "mo.name_key",
                SimulationOrder::Title => "s.title_key",
                SimulationOrder::Status => "s.status",
            };
            format!("{column} {}, ", if *descending { "DESC" } else { "ASC" })
        });
        let order = format!("{}s.created_at DESC, s.id DESC", keys.collect::<String>());
        self.page(&from, columns, &order, conditions, page, rows::simulation).await
    }

    pub(crate) async fn patch_simulation(
        &self,
        id: SimulationId,
        patch: &SimulationPatch,
        now: Timestamp,
    ) -> StoreResult<Simulation> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE simulations SET title = COALESCE($1, title), title_key = COALESCE($8, title_key), readme = COALESCE($2, readme), \
             is_public = COALESCE($3, is_public), notify = COALESCE($4, notify), archived = COALESCE($5, archived), \
             modified_at = $6 WHERE id = $7",
            patch.title.clone(),
            text_of(patch.readme.as_ref()),
            patch.is_public.map(flag),
            patch.notify_on_completion.map(flag),
            patch.archived.map(flag),
            micros(now),
            id.to_string(),
            patch.title.as_ref().map(|title| title.to_lowercase())
        );
        run(statement, unit.on()).await?;
        let simulation = self.simulation_in(id, unit.on()).await?;
        unit.tell(Change::Simulation(id));
        unit.commit().await?;
        Ok(simulation)
    }

    pub(crate) async fn fork_now(
        &self,
        source: SimulationId,
        copy: SimulationId,
        owner: AccountId,
        now: Timestamp,
    ) -> StoreResult<Simulation> {
        let mut unit = self.begin().await?;
        unit.lock_simulation(source).await?;
        let original = self.simulation_in(source, unit.on()).await?;
        let statement = sql!(
            self,
            "SELECT COUNT(*) FROM simulations WHERE id = $1 AND inputs_status = 'PENDING'",
            source.to_string()
        );
        let validating = number(statement, unit.on()).await? > 0;
        if validating || original.status == SimulationStatus::Pending {
            return Err(state("This simulation is still at work; fork it when it is finished."));
        }
        let number = self.next_number(original.model, unit.on()).await?;
        let statement = sql!(
            self,
            "INSERT INTO simulations (id, model_id, number, owner_id, title, title_key, readme, is_public, notify, status, \
             reason, traceback, model_version, version_id, run_milliseconds, cost, phases, created_at, modified_at, expected_at, \
             finished_at, parent_id, run_id, answered_by, archived, inputs_status, meta_parameters, adjustment, \
             errors_warnings, custom_adjustment, inputs_traceback, client, inputs_run_id, inputs_version_id) \
             SELECT $1, model_id, $2, $3, title, title_key, readme, 0, 0, status, reason, traceback, model_version, version_id, \
             run_milliseconds, 0.0, phases, $4, modified_at, expected_at, finished_at, id, run_id, answered_by, 0, \
             inputs_status, meta_parameters, adjustment, errors_warnings, custom_adjustment, inputs_traceback, client, \
             NULL, inputs_version_id FROM simulations WHERE id = $5",
            copy.to_string(),
            number,
            owner.to_string(),
            micros(now),
            source.to_string()
        );
        run(statement, unit.on()).await?;
        self.own(&copy.to_string(), &owner.to_string(), unit.on()).await?;
        let simulation = self.simulation_in(copy, unit.on()).await?;
        unit.commit().await?;
        Ok(simulation)
    }

    pub(crate) async fn delete_simulation_now(&self, id: SimulationId) -> StoreResult<Vec<String>> {
        let mut unit = self.begin().await?;
        unit.lock_simulation(id).await?;
        let statement = sql!(
            self,
            "SELECT COUNT(*) FROM simulations WHERE id = $1 AND (status = 'PENDING' OR inputs_status = 'PENDING')",
            id.to_string()
        );
        if number(statement, unit.on()).await? > 0 {
            return Err(state("This simulation is still at work; cancel it first."));
        }
        let keys = self.remove_simulation(id, unit.on()).await?;
        unit.commit().await?;
        Ok(keys)
    }

    /// Removes a simulation, and the runs that nothing else needs.
    pub(crate) async fn remove_simulation(&self, id: SimulationId, on: &mut AnyConnection) -> StoreResult<Vec<String>> {
        let statement = sql!(
            self,
            "DELETE FROM simulations WHERE id = $1 RETURNING run_id, answered_by, inputs_run_id",
            id.to_string()
        );
        let row = optional(statement, on).await?.ok_or_else(|| missing(id))?;
        let mut runs = Vec::<RunId>::new();
        for column in ["run_id", "answered_by", "inputs_run_id"] {
            runs.extend(row.maybe_id::<RunId>(column)?);
        }
        // Validations of inputs that were replaced since.
        for row in all(sql!(self, "SELECT id FROM runs WHERE simulation_id = $1", id.to_string()), on).await? {
            runs.push(row.id("id")?);
        }
        let mut keys = Vec::new();
        for run in runs {
            keys.extend(self.forget_run(run, on).await?);
        }
        Ok(keys)
    }

    /// Removes a run that is over and that no simulation refers to; the keys of objects that nothing else refers to.
    pub(crate) async fn forget_run(&self, id: RunId, on: &mut AnyConnection) -> StoreResult<Vec<String>> {
        let id = id.to_string();
        let statement = sql!(
            self,
            "SELECT (SELECT COUNT(*) FROM simulations WHERE run_id = $1) + (SELECT COUNT(*) FROM simulations \
             WHERE answered_by = $1) + (SELECT COUNT(*) FROM simulations WHERE inputs_run_id = $1) + \
             (SELECT COUNT(*) FROM compared WHERE run_id = $1) + (SELECT COUNT(*) FROM compared WHERE \
             baseline_run_id = $1) + (SELECT COUNT(*) FROM runs WHERE id = $1 AND state <> 'finished')",
            id.clone()
        );
        if number(statement, on).await? > 0 {
            return Ok(Vec::new());
        }
        let text = "DELETE FROM run_outputs WHERE run_id = $1 RETURNING sha256, media_type, thumbnail";
        let rows = all(sql!(self, text, id.clone()), on).await?;
        run(sql!(self, "DELETE FROM logs WHERE owner = $1", format!("run {id}")), on).await?;
        run(sql!(self, "DELETE FROM runs WHERE id = $1", id), on).await?;
        let mut keys = Vec::new();
        for row in rows {
            let sha256 = row.text("sha256")?;
            let left = sql!(self, "SELECT COUNT(*) FROM run_outputs WHERE sha256 = $1", sha256.clone());
            if number(left, on).await? == 0 {
                keys.push(object_key(&sha256));
                if row.word("thumbnail", Thumbnail::parse)? == Thumbnail::Made {
                    keys.push(thumbnail_key(&sha256, row.word("media_type", MediaType::parse)?));
                }
            }
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    pub(crate) async fn parents_now(&self, id: SimulationId) -> StoreResult<Vec<Simulation>> {
        let mut reader = self.reader().await?;
        let text = format!(
            "WITH RECURSIVE chain (link, depth) AS (SELECT parent_id, 1 FROM simulations WHERE id = $1 UNION ALL \
             SELECT p.parent_id, c.depth + 1 FROM chain c JOIN simulations p ON p.id = c.link WHERE c.depth < 100) \
             {SIMULATIONS} JOIN chain ON chain.link = s.id ORDER BY chain.depth"
        );
        let rows = all(sql!(self, AssertSqlSafe(text), id.to_string()), &mut reader).await?;
        rows.iter().map(rows::simulation).collect()
    }

    pub(crate) async fn run_times(&self, version: VersionId, limit: u32) -> StoreResult<Vec<u64>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT phases FROM runs WHERE version_id = $1 AND task = 'sim' AND reason = 'SUCCESS' \
             ORDER BY finished_at DESC LIMIT $2",
            version.to_string(),
            i64::from(limit)
        );
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| rows::phases(row).map(|phases| phases.import + phases.run)).collect()
    }

    pub(crate) async fn pending_of(&self, account: AccountId) -> StoreResult<u64> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT (SELECT COUNT(*) FROM runs WHERE owner_id = $1 AND state = 'queued' AND task_rank = 1) + \
             (SELECT COUNT(*) FROM runs WHERE owner_id = $1 AND state = 'running' AND task_rank = 1)",
            account.to_string()
        );
        u64::try_from(number(statement, &mut reader).await?).map_err(|error| corrupt("count", error))
    }
}

fn conditions(filter: &SimulationFilter) -> Conditions {
    let mut conditions = Conditions::default();
    if let Some(account) = filter.account {
        let id = account.to_string();
        if filter.shared {
            let role = "EXISTS (SELECT 1 FROM simulation_roles r WHERE r.simulation_id = s.id AND r.account_id = ?)";
            conditions.add(&format!("(s.owner_id = ? OR {role})"), [id.clone(), id]);
        } else {
            conditions.add("s.owner_id = ?", [id]);
        }
    }
    if filter.public_only {
        conditions.add("s.is_public = 1 AND m.is_public = 1", []);
    }
    if let Some(model) = filter.model {
        conditions.add("s.model_id = ?", [model.to_string()]);
    }
    if let Some(status) = filter.status {
        conditions.add("s.status = ?", [status.as_str().to_owned()]);
    }
    match filter.archived {
        Some(true) => conditions.add("s.archived = 1", []),
        Some(false) => conditions.add("s.archived = 0", []),
        None => {}
    }
    if let Some(search) = &filter.search {
        conditions.search(search, &["s.title_key", "m.title_key", "mo.name_key", "o.name_key"]);
    }
    conditions
}
