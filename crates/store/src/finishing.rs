//! How runs end: each end is one transaction that counts once. A stale lease changes nothing.

use csw_core::{
    cost::Charge,
    ids::{Lease, RunId, SimulationId},
    memo::MemoKey,
    output::Output,
    ports::{Cancelled, Change, ParseApplied, ParseEnd, SimEnd, StoreError, StoreResult},
    run::{NOBODY, NewRun, Phases, Reason, Run},
    simulation::{InputsStatus, Simulation, SimulationStatus},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::{
    SqlStore,
    columns::columns,
    comparisons::LAST,
    connect::Unit,
    rows::{self, SIMULATIONS, phases_text},
    sql::{Columns, Statement, all, micros, optional, optional_micros, run, sql, text_of, whole},
};

/// What the row of a run keeps of its end.
struct Ending<'a> {
    reason: Reason,
    sentence: Option<&'a str>,
    model_version: Option<&'a str>,
    phases: Phases,
    now: Timestamp,
}

/// What users read of a run that was stopped on request.
const CANCELLED: &str = "This run was cancelled.";

impl SqlStore {
    /// Closes a run that is still this lease's; the run as it was, or none.
    async fn close_run(
        &self,
        id: RunId,
        lease: Lease,
        end: Ending<'_>,
        on: &mut AnyConnection,
    ) -> StoreResult<Option<Run>> {
        // A traceback belongs to the model and its simulation; a sentence on any other end to the run as well.
        let message = end.sentence.filter(|_| end.reason != Reason::Fail).map(str::to_owned);
        let statement = sql!(
            self,
            concat!(
                "UPDATE runs SET state = 'finished', reason = $1, phases = $2, finished_at = $3, lease = NULL, \
                 message = COALESCE($6, message), model_version = $7 \
                 WHERE id = $4 AND lease = $5 AND state = 'running' RETURNING ",
                columns!(runs)
            ),
            end.reason.as_str(),
            phases_text(end.phases),
            micros(end.now),
            id.to_string(),
            lease.to_string(),
            message,
            end.model_version.map(str::to_owned)
        );
        optional(statement, on).await?.as_ref().map(rows::run).transpose()
    }

    pub(crate) async fn finish_parse_now(&self, end: &ParseEnd) -> StoreResult<ParseApplied> {
        let mut unit = self.begin().await?;
        if let (true, Some(key)) = (end.share, end.sim.as_ref().and_then(|sim| sim.memo_key.as_ref())) {
            unit.lock_memo(key.as_str()).await?;
        }
        let ending = Ending {
            reason: end.reason,
            sentence: end.traceback.as_deref(),
            model_version: None,
            phases: end.phases,
            now: end.now,
        };
        let closed = self.close_run(end.run, end.lease, ending, unit.on()).await?;
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
            if cancelled { Some(CANCELLED.to_owned()) } else { end.traceback.clone() },
            micros(end.now),
            id.to_string(),
            end.run.to_string()
        );
        let current = run(statement, unit.on()).await? > 0;
        unit.tell(Change::Simulation(id));
        unit.tell(Change::Queue);
        if !current {
            // The simulation was removed with its owner.
            self.forget_run(end.run, unit.on()).await?;
        }
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
                let source = self.answer_by(id, &answer, end.now, unit.on()).await?;
                return Ok(ParseApplied::Answered(id, source));
            }
            if let Some(shared) = self.under_way(unit, key).await? {
                self.take_over(unit, id, shared).await?;
                self.make_pending(unit, id, shared, end).await?;
                return Ok(ParseApplied::Joined(id, shared));
            }
        }
        self.enqueue(unit, sim, id, end.now).await?;
        self.make_pending(unit, id, sim.id, end).await?;
        Ok(ParseApplied::Enqueued(id))
    }

    /// The run with this key that is in the queue or executes, held.
    pub(crate) async fn under_way(&self, unit: &mut Unit, key: &MemoKey) -> StoreResult<Option<RunId>> {
        let statement = sql!(
            self,
            "SELECT id FROM runs WHERE memo_key = $1 AND task = 'sim' AND state <> 'finished' AND \
             cancel_requested = 0 ORDER BY enqueued_at LIMIT 1",
            key.as_str().to_owned()
        );
        self.still_open(unit, statement).await
    }

    /// A run of nobody that somebody waits for now takes their turn.
    async fn take_over(&self, unit: &mut Unit, id: SimulationId, shared: RunId) -> StoreResult<()> {
        let statement = sql!(
            self,
            "UPDATE runs SET task_rank = 1, owner_id = (SELECT owner_id FROM simulations WHERE id = $1) \
             WHERE id = $2 AND state = 'queued' AND task_rank = $3",
            id.to_string(),
            shared.to_string(),
            LAST
        );
        run(statement, unit.on()).await.map(|_| ())
    }

    /// The run that `statement` finds, held, unless it ended or was stopped before it could be held.
    async fn still_open(&self, unit: &mut Unit, statement: Statement<'_>) -> StoreResult<Option<RunId>> {
        let Some(row) = optional(statement, unit.on()).await? else { return Ok(None) };
        let id: RunId = row.id("id")?;
        unit.lock_run(id).await?;
        let statement = sql!(
            self,
            "SELECT id FROM runs WHERE id = $1 AND state <> 'finished' AND cancel_requested = 0",
            id.to_string()
        );
        Ok(optional(statement, unit.on()).await?.map(|_| id))
    }

    async fn make_pending(&self, unit: &mut Unit, id: SimulationId, sim: RunId, end: &ParseEnd) -> StoreResult<()> {
        let statement = sql!(
            self,
            "UPDATE simulations SET status = 'PENDING', run_id = $1, version_id = inputs_version_id, created_at = $2, \
             modified_at = $2, expected_at = $3 WHERE id = $4",
            sim.to_string(),
            micros(end.now),
            optional_micros(end.expected_at),
            id.to_string()
        );
        run(statement, unit.on()).await.map(|_| ())
    }

    pub(crate) async fn finish_sim_now(&self, end: &SimEnd) -> StoreResult<Vec<Simulation>> {
        let mut unit = self.begin().await?;
        unit.lock_memo_of(end.run).await?;
        let phases = phases_text(end.phases);
        let ending = Ending {
            reason: end.reason,
            sentence: end.traceback.as_deref(),
            model_version: end.model_version.as_deref(),
            phases: end.phases,
            now: end.now,
        };
        if self.close_run(end.run, end.lease, ending, unit.on()).await?.is_none() {
            return Ok(Vec::new());
        }
        let paid =
            Charge { run: end.run, at: end.now, milliseconds: end.phases.import + end.phases.run, cost: end.cost };
        self.charge(&paid, unit.on()).await?;
        let id = end.run.to_string();
        for output in &end.outputs {
            self.insert_output(&id, output, unit.on()).await?;
        }
        if end.reason == Reason::Fail {
            // A comparison has no other place for it.
            let text = "UPDATE runs SET message = $1 WHERE id = $2 AND id IN (SELECT run_id FROM compared)";
            run(sql!(self, text, end.traceback.clone(), id.clone()), unit.on()).await?;
        }
        let statement = sql!(
            self,
            "UPDATE simulations SET status = $1, reason = $2, traceback = $3, model_version = $4, \
             run_milliseconds = $5, cost = CASE WHEN id = (SELECT simulation_id FROM runs WHERE id = $6) THEN $7 ELSE 0.0 \
             END, phases = $8, finished_at = $9, modified_at = $9 WHERE run_id = $6 AND status = 'PENDING'",
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
        let mut finished = Vec::new();
        if run(statement, unit.on()).await? == 0 {
            // All who wanted it were removed with their owners, or it is kept for a comparison.
            self.forget_run(end.run, unit.on()).await?;
        } else {
            let text = format!("{SIMULATIONS} WHERE s.run_id = $1 ORDER BY s.created_at, s.id");
            let statement = sql!(self, AssertSqlSafe(text), end.run.to_string());
            for row in all(statement, unit.on()).await? {
                let simulation = rows::simulation(&row)?;
                unit.tell(Change::Simulation(simulation.id));
                finished.push(simulation);
            }
        }
        self.tell_comparisons(&mut unit, end.run).await?;
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
        let cancelled = self.cancel_in(&mut unit, id, now).await?;
        if cancelled != Cancelled::NotPending {
            unit.commit().await?;
        }
        Ok(cancelled)
    }

    /// The run that a simulation waits for, and whether it validates.
    async fn awaited(&self, id: SimulationId, on: &mut AnyConnection) -> StoreResult<Option<(RunId, bool)>> {
        let statement = sql!(
            self,
            "SELECT status, run_id, inputs_status, inputs_run_id FROM simulations WHERE id = $1",
            id.to_string()
        );
        let row = optional(statement, on).await?;
        let row = row.ok_or_else(|| StoreError::NotFound { what: format!("the simulation {id}") })?;
        if row.word("inputs_status", InputsStatus::parse)? == InputsStatus::Pending {
            return Ok(row.maybe_id("inputs_run_id")?.map(|run| (run, true)));
        }
        if row.word("status", SimulationStatus::parse)? == SimulationStatus::Pending {
            return Ok(row.maybe_id("run_id")?.map(|run| (run, false)));
        }
        Ok(None)
    }

    pub(crate) async fn cancel_in(&self, unit: &mut Unit, id: SimulationId, now: Timestamp) -> StoreResult<Cancelled> {
        let (awaited, validates) = loop {
            let Some(found) = self.awaited(id, unit.on()).await? else { return Ok(Cancelled::NotPending) };
            unit.lock_run(found.0).await?;
            // Until the run was held it may have ended, and another one begun.
            if self.awaited(id, unit.on()).await? == Some(found) {
                break found;
            }
        };
        if !validates && self.leave(unit, id, awaited, now).await? {
            return Ok(Cancelled::Done);
        }
        if self.end_unclaimed(unit, awaited, now).await? {
            return Ok(Cancelled::Done);
        }
        let statement =
            sql!(self, "UPDATE runs SET cancel_requested = 1 WHERE id = $1 AND state = 'running'", awaited.to_string());
        if run(statement, unit.on()).await? == 0 {
            return Ok(Cancelled::NotPending);
        }
        unit.tell(Change::Cancel(awaited));
        Ok(Cancelled::Running(awaited))
    }

    /// Lets a simulation go from a run that others follow too; says whether there are others. One of them leads from now
    /// on.
    async fn leave(&self, unit: &mut Unit, id: SimulationId, shared: RunId, now: Timestamp) -> StoreResult<bool> {
        let statement = sql!(
            self,
            "SELECT id, owner_id FROM simulations WHERE run_id = $1 AND status = 'PENDING' AND id <> $2 \
             ORDER BY created_at, id LIMIT 1",
            shared.to_string(),
            id.to_string()
        );
        if let Some(heir) = optional(statement, unit.on()).await? {
            let statement = sql!(
                self,
                "UPDATE runs SET simulation_id = $1, owner_id = $2 WHERE id = $3 AND simulation_id = $4",
                heir.text("id")?,
                heir.text("owner_id")?,
                shared.to_string(),
                id.to_string()
            );
            run(statement, unit.on()).await?;
        } else if !self.leave_to_comparison(unit, shared).await? {
            return Ok(false);
        }
        let statement = sql!(
            self,
            "UPDATE simulations SET status = 'WORKER_FAILURE', reason = 'CANCELLED', traceback = $1, finished_at = $2, \
             modified_at = $2, run_id = NULL WHERE id = $3",
            CANCELLED,
            micros(now),
            id.to_string()
        );
        run(statement, unit.on()).await?;
        unit.tell(Change::Simulation(id));
        Ok(true)
    }

    /// Leaves a run to the comparison that waits for it, if one does: it is nobody's from now on.
    async fn leave_to_comparison(&self, unit: &mut Unit, shared: RunId) -> StoreResult<bool> {
        let statement = sql!(
            self,
            "UPDATE runs SET owner_id = $1, task_rank = $2 WHERE id = $3 AND EXISTS (SELECT 1 FROM compared \
             WHERE run_id = $3 AND verdict IS NULL)",
            NOBODY.to_string(),
            LAST,
            shared.to_string()
        );
        Ok(run(statement, unit.on()).await? > 0)
    }

    /// Ends a run that nobody has claimed, and what waits for it; false if somebody has.
    pub(crate) async fn end_unclaimed(&self, unit: &mut Unit, id: RunId, now: Timestamp) -> StoreResult<bool> {
        let statement = sql!(
            self,
            "UPDATE runs SET state = 'finished', reason = 'CANCELLED', message = $1, finished_at = $2 \
             WHERE id = $3 AND state = 'queued'",
            CANCELLED,
            micros(now),
            id.to_string()
        );
        if run(statement, unit.on()).await? == 0 {
            return Ok(false);
        }
        for text in [
            "UPDATE simulations SET inputs_status = 'WORKER_FAILURE', inputs_traceback = $1, modified_at = $2 \
             WHERE inputs_run_id = $3 AND inputs_status = 'PENDING' RETURNING id",
            "UPDATE simulations SET status = 'WORKER_FAILURE', reason = 'CANCELLED', traceback = $1, finished_at = $2, \
             modified_at = $2 WHERE run_id = $3 AND status = 'PENDING' RETURNING id",
        ] {
            for row in all(sql!(self, text, CANCELLED, micros(now), id.to_string()), unit.on()).await? {
                unit.tell(Change::Simulation(row.id("id")?));
            }
        }
        self.tell_comparisons(unit, id).await?;
        // What waits behind it moves up.
        unit.tell(Change::Queue);
        Ok(true)
    }
}
