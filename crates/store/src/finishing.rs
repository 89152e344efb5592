//! How runs end: each end is one transaction that counts once. A stale lease changes nothing.

use csw_core::{
    ids::{Lease, RunId, SimulationId},
    output::Output,
    ports::{Cancelled, Change, ParseApplied, ParseEnd, SimEnd, StoreResult},
    run::{NewRun, Reason, Run},
    simulation::{InputsStatus, Simulation, SimulationStatus},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    SqlStore,
    connect::Unit,
    rows::{self, phases_text},
    sql::{Columns, all, micros, number, optional, optional_micros, run, sql, text_of, whole},
};

impl SqlStore {
    /// Closes a run that is still this lease's; the run as it was, or none.
    async fn close_run(
        &self,
        id: RunId,
        lease: Lease,
        reason: Reason,
        phases: String,
        now: Timestamp,
        on: &mut AnyConnection,
    ) -> StoreResult<Option<Run>> {
        let statement = sql!(
            self,
            "UPDATE runs SET state = 'finished', reason = $1, phases = $2, finished_at = $3, lease = NULL \
             WHERE id = $4 AND lease = $5 AND state = 'running' RETURNING *",
            reason.as_str(),
            phases,
            micros(now),
            id.to_string(),
            lease.to_string()
        );
        optional(statement, on).await?.as_ref().map(rows::run).transpose()
    }

    pub(crate) async fn finish_parse_now(&self, end: &ParseEnd) -> StoreResult<ParseApplied> {
        let mut unit = self.begin().await?;
        let phases = phases_text(end.phases);
        let closed = self.close_run(end.run, end.lease, end.reason, phases, end.now, unit.on()).await?;
        let Some(parse) = closed else { return Ok(ParseApplied::Stale) };
        let id = parse.simulation;
        let cancelled = parse.cancel_requested;
        let status = if cancelled { InputsStatus::WorkerFailure } else { end.status };
        let statement = sql!(
            self,
            "UPDATE simulations SET inputs_status = $1, errors_warnings = COALESCE($2, errors_warnings), \
             custom_adjustment = $3, inputs_traceback = $4, modified_at = $5 WHERE id = $6 AND inputs_run_id = $7",
            status.as_str(),
            text_of(end.errors_warnings.as_ref()),
            text_of(end.custom_adjustment.as_ref()),
            if cancelled { Some("This run was cancelled.".to_owned()) } else { end.traceback.clone() },
            micros(end.now),
            id.to_string(),
            end.run.to_string()
        );
        let current = run(statement, unit.on()).await? > 0;
        unit.tell(Change::Simulation(id));
        unit.tell(Change::Queue);
        let applied = match &end.sim {
            Some(sim) if current && !cancelled => self.follow(&mut unit, id, sim, end).await?,
            _ => ParseApplied::Stored(id),
        };
        unit.commit().await?;
        Ok(applied)
    }

    /// What a valid validation leads to: an answer from the memo, a shared run, or a run of its own.
    async fn follow(
        &self,
        unit: &mut Unit,
        id: SimulationId,
        sim: &NewRun,
        end: &ParseEnd,
    ) -> StoreResult<ParseApplied> {
        if end.share
            && let Some(key) = &sim.memo_key
        {
            if let Some(answer) = self.answer(key.as_str(), unit.on()).await? {
                return self.answer_by(unit, id, &answer, end).await;
            }
            let statement = sql!(
                self,
                "SELECT id FROM runs WHERE memo_key = $1 AND task = 'sim' AND state <> 'finished' AND \
                 cancel_requested = 0 ORDER BY enqueued_at LIMIT 1",
                key.as_str().to_owned()
            );
            if let Some(row) = optional(statement, unit.on()).await? {
                let shared: RunId = row.id("id")?;
                self.make_pending(unit, id, shared, end).await?;
                return Ok(ParseApplied::Joined(id, shared));
            }
        }
        self.enqueue(unit, sim, id, end.now).await?;
        self.make_pending(unit, id, sim.id, end).await?;
        Ok(ParseApplied::Enqueued(id))
    }

    async fn make_pending(&self, unit: &mut Unit, id: SimulationId, sim: RunId, end: &ParseEnd) -> StoreResult<()> {
        let statement = sql!(
            self,
            "UPDATE simulations SET status = 'PENDING', run_id = $1, version_id = inputs_version_id, created_at = $2, \
             expected_at = $3 WHERE id = $4",
            sim.to_string(),
            micros(end.now),
            optional_micros(end.expected_at),
            id.to_string()
        );
        run(statement, unit.on()).await.map(|_| ())
    }

    pub(crate) async fn answer(&self, key: &str, on: &mut AnyConnection) -> StoreResult<Option<AnyRow>> {
        let statement = sql!(
            self,
            "SELECT * FROM runs WHERE memo_key = $1 AND task = 'sim' AND state = 'finished' AND reason = 'SUCCESS' \
             ORDER BY finished_at DESC LIMIT 1",
            key.to_owned()
        );
        optional(statement, on).await
    }

    async fn answer_by(
        &self,
        unit: &mut Unit,
        id: SimulationId,
        answer: &AnyRow,
        end: &ParseEnd,
    ) -> StoreResult<ParseApplied> {
        let source: RunId = answer.id("id")?;
        let phases = rows::phases(answer)?;
        let statement = sql!(
            self,
            "UPDATE simulations SET status = 'SUCCESS', reason = 'SUCCESS', answered_by = $1, \
             version_id = inputs_version_id, model_version = $2, run_milliseconds = $3, cost = 0.0, created_at = $4, \
             expected_at = $4, finished_at = $4 WHERE id = $5",
            source.to_string(),
            answer.maybe_text("model_version")?,
            whole(phases.run),
            micros(end.now),
            id.to_string()
        );
        run(statement, unit.on()).await?;
        Ok(ParseApplied::Answered(id, source))
    }

    pub(crate) async fn finish_sim_now(&self, end: &SimEnd) -> StoreResult<Vec<Simulation>> {
        let mut unit = self.begin().await?;
        let phases = phases_text(end.phases);
        let closed = self.close_run(end.run, end.lease, end.reason, phases.clone(), end.now, unit.on()).await?;
        if closed.is_none() {
            return Ok(Vec::new());
        }
        let id = end.run.to_string();
        let statement =
            sql!(self, "UPDATE runs SET model_version = $1 WHERE id = $2", end.model_version.clone(), id.clone());
        run(statement, unit.on()).await?;
        for output in &end.outputs {
            self.insert_output(&id, output, unit.on()).await?;
        }
        let statement = sql!(
            self,
            "UPDATE simulations SET status = $1, reason = $2, traceback = $3, model_version = $4, \
             run_milliseconds = $5, cost = CASE WHEN id = (SELECT simulation_id FROM runs WHERE id = $6) THEN $7 ELSE 0.0 \
             END, phases = $8, finished_at = $9 WHERE run_id = $6 AND status = 'PENDING' RETURNING id",
            SimulationStatus::of(end.reason).as_str(),
            end.reason.as_str(),
            end.traceback.clone(),
            end.model_version.clone(),
            whole(end.phases.run),
            id,
            end.cost,
            phases,
            micros(end.now)
        );
        let rows = all(statement, unit.on()).await?;
        let mut finished = Vec::with_capacity(rows.len());
        for row in rows {
            let id: SimulationId = row.id("id")?;
            finished.push(self.simulation_in(id, unit.on()).await?);
            unit.tell(Change::Simulation(id));
        }
        unit.tell(Change::Queue);
        unit.commit().await?;
        Ok(finished)
    }

    async fn insert_output(&self, run_id: &str, output: &Output, on: &mut AnyConnection) -> StoreResult<()> {
        let statement = sql!(
            self,
            "INSERT INTO run_outputs (run_id, id, kind, position, title, media_type, filename, size, sha256) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            run_id.to_owned(),
            output.id.to_string(),
            output.kind.as_str(),
            i64::from(output.position),
            output.title.clone(),
            output.media_type.as_str(),
            output.filename.clone(),
            whole(output.size),
            output.sha256.clone()
        );
        run(statement, on).await.map(|_| ())
    }

    pub(crate) async fn cancel_now(&self, id: SimulationId, now: Timestamp) -> StoreResult<Cancelled> {
        let mut unit = self.begin().await?;
        let simulation = self.simulation_in(id, unit.on()).await?;
        let row = optional(sql!(self, "SELECT * FROM simulations WHERE id = $1", id.to_string()), unit.on()).await?;
        let inputs = row.as_ref().map(rows::inputs).transpose()?;
        let validating = inputs.filter(|inputs| inputs.status == InputsStatus::Pending).and_then(|inputs| inputs.run);
        let cancelled = match (validating, simulation.run) {
            (Some(parse), _) => self.cancel_parse(&mut unit, id, parse, now).await?,
            (None, Some(sim)) if simulation.status == SimulationStatus::Pending => {
                self.cancel_sim(&mut unit, id, sim, now).await?
            }
            _ => return Ok(Cancelled::NotPending),
        };
        unit.tell(Change::Simulation(id));
        unit.tell(Change::Queue);
        if let Cancelled::Running(run) = cancelled {
            unit.tell(Change::Cancel(run));
        }
        unit.commit().await?;
        Ok(cancelled)
    }

    async fn cancel_parse(
        &self,
        unit: &mut Unit,
        id: SimulationId,
        parse: RunId,
        now: Timestamp,
    ) -> StoreResult<Cancelled> {
        if !self.drop_queued(parse, now, unit.on()).await? {
            return self.mark(parse, unit.on()).await;
        }
        let statement = sql!(
            self,
            "UPDATE simulations SET inputs_status = 'WORKER_FAILURE', inputs_traceback = 'This run was cancelled.' \
             WHERE id = $1",
            id.to_string()
        );
        run(statement, unit.on()).await?;
        Ok(Cancelled::Done)
    }

    async fn cancel_sim(
        &self,
        unit: &mut Unit,
        id: SimulationId,
        sim: RunId,
        now: Timestamp,
    ) -> StoreResult<Cancelled> {
        let statement = sql!(
            self,
            "SELECT COUNT(*) FROM simulations WHERE run_id = $1 AND status = 'PENDING' AND id <> $2",
            sim.to_string(),
            id.to_string()
        );
        let shared = number(statement, unit.on()).await? > 0;
        if !shared && !self.drop_queued(sim, now, unit.on()).await? {
            return self.mark(sim, unit.on()).await;
        }
        let statement = sql!(
            self,
            "UPDATE simulations SET status = 'WORKER_FAILURE', reason = 'CANCELLED', finished_at = $1, \
             run_id = CASE WHEN $2 = 1 THEN NULL ELSE run_id END, traceback = 'This run was cancelled.' WHERE id = $3",
            micros(now),
            i64::from(shared),
            id.to_string()
        );
        run(statement, unit.on()).await?;
        Ok(Cancelled::Done)
    }

    /// Ends a run that nobody has claimed yet; false if somebody has.
    async fn drop_queued(&self, id: RunId, now: Timestamp, on: &mut AnyConnection) -> StoreResult<bool> {
        let statement = sql!(
            self,
            "UPDATE runs SET state = 'finished', reason = 'CANCELLED', finished_at = $1 \
             WHERE id = $2 AND state = 'queued'",
            micros(now),
            id.to_string()
        );
        Ok(run(statement, on).await? > 0)
    }

    async fn mark(&self, id: RunId, on: &mut AnyConnection) -> StoreResult<Cancelled> {
        let statement = sql!(self, "UPDATE runs SET cancel_requested = 1 WHERE id = $1", id.to_string());
        run(statement, on).await?;
        Ok(Cancelled::Running(id))
    }
}
