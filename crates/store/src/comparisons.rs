//! Views of simulations, and comparisons of a staged version with the live one.

use async_trait::async_trait;
use csw_core::{
    comparison::{Candidate, Compared, Comparison, ComparisonState, Verdict},
    ids::{AccountId, ModelId, RunId, SimulationId, VersionId},
    output::Output,
    ports::{Change, ComparisonStore, StoreError, StoreResult},
    run::NewRun,
};
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::{
    SqlStore,
    columns::{columns, select},
    connect::Unit,
    rows,
    sql::{Columns, all, flag, micros, number, optional, optional_micros, run, sql, whole},
};

/// What runs of nobody come behind, in the queue.
pub(crate) const LAST: i64 = 2;

/// Simulations that people look at and that the live version is known by: `$1` is the model, `$2` the live version.
const VIEWED: &str = "FROM simulations s LEFT JOIN (SELECT c.simulation_id, c.run_id FROM compared c JOIN runs r \
    ON r.id = c.run_id AND r.reason = 'SUCCESS' WHERE c.version_id = $2) p ON p.simulation_id = s.id \
    WHERE s.model_id = $1 AND s.views > 0 AND s.status = 'SUCCESS' AND s.archived = 0 \
    AND COALESCE(s.answered_by, s.run_id) IS NOT NULL AND (s.version_id = $2 OR p.run_id IS NOT NULL)";

/// Those of them that the account `$3` may see; all of them where `$4` is 1.
const VISIBLE: &str = "($4 = 1 OR s.is_public = 1 OR EXISTS (SELECT 1 FROM simulation_roles r \
    WHERE r.simulation_id = s.id AND r.account_id = $3))";

impl SqlStore {
    /// Tells the comparisons that wait for a run.
    pub(crate) async fn tell_comparisons(&self, unit: &mut Unit, id: RunId) -> StoreResult<()> {
        let statement = sql!(self, "SELECT DISTINCT version_id FROM compared WHERE run_id = $1", id.to_string());
        for row in all(statement, unit.on()).await? {
            unit.tell(Change::Comparison(row.id("version_id")?));
        }
        Ok(())
    }

    /// Stops the runs that nothing but this comparison waits for.
    async fn stop_compared(&self, unit: &mut Unit, version: VersionId, now: Timestamp) -> StoreResult<()> {
        let statement = sql!(
            self,
            "SELECT r.id FROM compared c JOIN runs r ON r.id = c.run_id AND r.state <> 'finished' WHERE c.version_id = $1 \
             AND NOT EXISTS (SELECT 1 FROM simulations s WHERE s.run_id = r.id AND s.status = 'PENDING') \
             AND NOT EXISTS (SELECT 1 FROM compared o WHERE o.run_id = r.id AND o.version_id <> c.version_id \
             AND o.verdict IS NULL) ORDER BY r.id",
            version.to_string()
        );
        for row in all(statement, unit.on()).await? {
            let id: RunId = row.id("id")?;
            unit.lock_run(id).await?;
            if self.end_unclaimed(unit, id, now).await? {
                continue;
            }
            let text = "UPDATE runs SET cancel_requested = 1 WHERE id = $1 AND state = 'running'";
            if run(sql!(self, text, id.to_string()), unit.on()).await? > 0 {
                unit.tell(Change::Cancel(id));
            }
        }
        Ok(())
    }

    /// Lets the runs of comparisons go that no later one needs: only that of the live version is known by them.
    async fn let_go(&self, unit: &mut Unit, comparison: &Comparison) -> StoreResult<Vec<String>> {
        let statement = sql!(
            self,
            "SELECT c.run_id, c.baseline_run_id FROM compared c JOIN comparisons o ON o.version_id = c.version_id \
             WHERE o.model_id = $1 AND o.version_id <> $2",
            comparison.model.to_string(),
            comparison.baseline.to_string()
        );
        let mut runs = Vec::new();
        for row in all(statement, unit.on()).await? {
            runs.extend(row.maybe_id::<RunId>("run_id")?);
            runs.extend(row.maybe_id::<RunId>("baseline_run_id")?);
        }
        let own = sql!(self, "DELETE FROM comparisons WHERE version_id = $1", comparison.version.to_string());
        run(own, unit.on()).await?;
        let statement = sql!(
            self,
            "UPDATE compared SET run_id = NULL, baseline_run_id = NULL WHERE version_id <> $2 AND version_id IN \
             (SELECT version_id FROM comparisons WHERE model_id = $1 AND state <> 'running')",
            comparison.model.to_string(),
            comparison.baseline.to_string()
        );
        run(statement, unit.on()).await?;
        let mut keys = Vec::new();
        for id in runs {
            keys.extend(self.forget_run(id, unit.on()).await?);
        }
        Ok(keys)
    }
}

#[async_trait]
impl ComparisonStore for SqlStore {
    async fn add_views(&self, views: &[(SimulationId, u64)]) -> StoreResult<()> {
        if views.is_empty() {
            return Ok(());
        }
        // In one order, so that two who count at once do not wait for each other.
        let mut views = views.to_vec();
        views.sort_unstable();
        let mut unit = self.begin().await?;
        for (id, count) in views {
            let text = "UPDATE simulations SET views = views + $1 WHERE id = $2";
            run(sql!(self, text, whole(count), id.to_string()), unit.on()).await?;
        }
        unit.commit().await
    }

    async fn candidates(
        &self,
        model: ModelId,
        live: VersionId,
        account: AccountId,
        everything: bool,
        limit: u32,
    ) -> StoreResult<(Vec<Candidate>, u64)> {
        let mut reader = self.reader().await?;
        let text = format!(
            "SELECT s.id, COALESCE(p.run_id, s.answered_by, s.run_id) AS baseline {VIEWED} AND {VISIBLE} \
             ORDER BY s.views DESC, s.created_at DESC, s.id DESC LIMIT $5"
        );
        let statement = sql!(
            self,
            AssertSqlSafe(text),
            model.to_string(),
            live.to_string(),
            account.to_string(),
            flag(everything),
            i64::from(limit)
        );
        let found = all(statement, &mut reader).await?;
        let candidates = found.iter().map(rows::candidate).collect::<StoreResult<_>>()?;
        let text = format!("SELECT COUNT(*) {VIEWED} AND NOT {VISIBLE}");
        let statement =
            sql!(self, AssertSqlSafe(text), model.to_string(), live.to_string(), account.to_string(), flag(everything));
        Ok((candidates, number(statement, &mut reader).await?.unsigned_abs()))
    }

    async fn begin_comparison(&self, comparison: &Comparison, candidates: &[Candidate]) -> StoreResult<Vec<String>> {
        let mut unit = self.begin().await?;
        self.stop_compared(&mut unit, comparison.version, comparison.created_at).await?;
        let keys = self.let_go(&mut unit, comparison).await?;
        let version = comparison.version.to_string();
        let statement = sql!(
            self,
            "INSERT INTO comparisons (version_id, model_id, baseline_id, requested_by, state, hidden, created_at, \
             finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            version.clone(),
            comparison.model.to_string(),
            comparison.baseline.to_string(),
            comparison.requested_by.to_string(),
            comparison.state.as_str(),
            whole(comparison.hidden),
            micros(comparison.created_at),
            optional_micros(comparison.finished_at)
        );
        run(statement, unit.on()).await?;
        for (position, candidate) in candidates.iter().enumerate() {
            let statement = sql!(
                self,
                "INSERT INTO compared (version_id, simulation_id, position, baseline_run_id) VALUES ($1, $2, $3, $4)",
                version.clone(),
                candidate.simulation.to_string(),
                whole(position as u64),
                candidate.baseline.to_string()
            );
            run(statement, unit.on()).await?;
        }
        unit.tell(Change::Comparison(comparison.version));
        unit.commit().await?;
        Ok(keys)
    }

    async fn comparison(&self, version: VersionId) -> StoreResult<Option<Comparison>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(comparisons, "WHERE version_id = $1"), version.to_string());
        optional(statement, &mut reader).await?.as_ref().map(rows::comparison).transpose()
    }

    async fn compared(&self, version: VersionId) -> StoreResult<Vec<Compared>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            concat!(
                "SELECT ",
                columns!(compared, "c."),
                ", s.number, s.title, s.is_public, s.views FROM compared c JOIN simulations s \
             ON s.id = c.simulation_id WHERE c.version_id = $1 ORDER BY c.position"
            ),
            version.to_string()
        );
        all(statement, &mut reader).await?.iter().map(rows::compared).collect()
    }

    async fn running_comparisons(&self) -> StoreResult<Vec<Comparison>> {
        let mut reader = self.reader().await?;
        let text = select!(comparisons, "WHERE state = 'running' ORDER BY created_at, version_id");
        all(sql!(self, text), &mut reader).await?.iter().map(rows::comparison).collect()
    }

    async fn run_compared(
        &self,
        version: VersionId,
        simulation: SimulationId,
        new: &NewRun,
        now: Timestamp,
    ) -> StoreResult<RunId> {
        let mut unit = self.begin().await?;
        let mut known = None;
        if let Some(key) = &new.memo_key {
            unit.lock_memo(key.as_str()).await?;
            known = self.answer(key.as_str(), unit.on()).await?.map(|row| row.id("id")).transpose()?;
            if known.is_none() {
                known = self.under_way(&mut unit, key).await?;
            }
        }
        let id = if let Some(known) = known {
            known
        } else {
            self.enqueue_behind(&mut unit, new, simulation, LAST, now).await?;
            new.id
        };
        let statement = sql!(
            self,
            "UPDATE compared SET run_id = $1 WHERE version_id = $2 AND simulation_id = $3",
            id.to_string(),
            version.to_string(),
            simulation.to_string()
        );
        if run(statement, unit.on()).await? == 0 {
            return Err(StoreError::NotFound { what: format!("the simulation {simulation} in this comparison") });
        }
        unit.commit().await?;
        Ok(id)
    }

    async fn judge(&self, version: VersionId, simulation: SimulationId, verdict: &Verdict) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE compared SET verdict = $1 WHERE version_id = $2 AND simulation_id = $3",
            rows::json_text(verdict)?,
            version.to_string(),
            simulation.to_string()
        );
        run(statement, unit.on()).await?;
        unit.tell(Change::Comparison(version));
        unit.commit().await
    }

    async fn end_comparison(&self, version: VersionId, state: ComparisonState, now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        self.stop_compared(&mut unit, version, now).await?;
        let statement = sql!(
            self,
            "UPDATE comparisons SET state = $1, finished_at = $2 WHERE version_id = $3 AND state = 'running'",
            state.as_str(),
            micros(now),
            version.to_string()
        );
        run(statement, unit.on()).await?;
        unit.tell(Change::Comparison(version));
        unit.commit().await
    }

    async fn run_outputs(&self, id: RunId) -> StoreResult<Vec<Output>> {
        let mut reader = self.reader().await?;
        let text = select!(run_outputs, "WHERE run_id = $1 ORDER BY kind DESC, position");
        all(sql!(self, text, id.to_string()), &mut reader).await?.iter().map(rows::output).collect()
    }
}
