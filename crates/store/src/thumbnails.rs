//! The queue of thumbnails: columns of the outputs.

use async_trait::async_trait;
use csw_core::{
    ids::{AccountId, OutputId, SimulationId},
    output::{MediaType, Output, Thumbnail},
    ports::{MAX_DRAWINGS, StoreResult, ThumbnailStore, WantedThumbnail},
    simulation::Simulation,
};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, any::AnyRow};

use crate::{
    SqlStore,
    columns::{columns, select},
    rows::{self, SIMULATIONS},
    sql::{Columns, all, micros, optional, run, sql},
};

/// Outputs that somebody may see and nobody has seen drawn. Those of comparisons alone are nobody's.
const WANTED: &str = "FROM run_outputs o WHERE o.thumbnail = 'wanted' AND o.kind = 'renderable' \
                      AND o.thumbnail_attempts < $1 AND (EXISTS (SELECT 1 FROM simulations s WHERE s.run_id = o.run_id) \
                      OR EXISTS (SELECT 1 FROM simulations s WHERE s.answered_by = o.run_id))";

fn wanted(row: &AnyRow) -> StoreResult<WantedThumbnail> {
    Ok(WantedThumbnail {
        run: row.id("run_id")?,
        output: rows::output(row)?,
        attempts: row.small("thumbnail_attempts")?,
    })
}

#[async_trait]
impl ThumbnailStore for SqlStore {
    async fn wanted_thumbnails(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<(Vec<WantedThumbnail>, Option<Timestamp>)> {
        let mut reader = self.reader().await?;
        let most = i64::from(MAX_DRAWINGS);
        // Runs that came later have larger identifiers.
        let text = format!(
            concat!(
                "SELECT ",
                columns!(run_outputs, "o."),
                " {} AND o.thumbnail_due <= $2 ORDER BY o.run_id DESC, o.position LIMIT $3"
            ),
            WANTED
        );
        let statement = sql!(self, AssertSqlSafe(text), most, micros(now), i64::from(limit));
        let due = all(statement, &mut reader).await?.iter().map(wanted).collect::<StoreResult<Vec<_>>>()?;
        if !due.is_empty() {
            return Ok((due, None));
        }
        let text = format!("SELECT MIN(o.thumbnail_due) AS due {WANTED}");
        let row = optional(sql!(self, AssertSqlSafe(text), most), &mut reader).await?;
        let next = row.map(|row| row.maybe_time("due")).transpose()?.flatten();
        Ok((due, next))
    }

    async fn claim_thumbnail(&self, wanted: &WantedThumbnail, now: Timestamp, until: Timestamp) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE run_outputs SET thumbnail_due = $1, thumbnail_attempts = thumbnail_attempts + 1 \
             WHERE run_id = $2 AND kind = 'renderable' AND position = $3 AND thumbnail = 'wanted' AND thumbnail_due <= $4",
            micros(until),
            wanted.run.to_string(),
            i64::from(wanted.output.position),
            micros(now)
        );
        let taken = run(statement, unit.on()).await? > 0;
        unit.commit().await?;
        Ok(taken)
    }

    async fn set_thumbnail(&self, output: &Output, state: Thumbnail) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE run_outputs SET thumbnail = $1, thumbnail_attempts = 0, thumbnail_due = 0 \
             WHERE sha256 = $2 AND media_type = $3 AND kind = 'renderable' AND thumbnail <> $1",
            state.as_str(),
            output.sha256.clone(),
            output.media_type.as_str()
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn give_back_thumbnail(&self, wanted: &WantedThumbnail, attempts: u32, at: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE run_outputs SET thumbnail_due = $1, thumbnail_attempts = $2 \
             WHERE run_id = $3 AND kind = 'renderable' AND position = $4 AND thumbnail = 'wanted'",
            micros(at),
            i64::from(attempts),
            wanted.run.to_string(),
            i64::from(wanted.output.position)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn release_thumbnails(&self, now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE run_outputs SET thumbnail_due = $1 WHERE thumbnail = 'wanted' AND kind = 'renderable' AND thumbnail_due > $1",
            micros(now)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn best_thumbnails(&self, simulations: &[SimulationId]) -> StoreResult<Vec<(SimulationId, OutputId)>> {
        if simulations.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader().await?;
        let places = (1..=simulations.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let rank = MediaType::ALL.map(|media| format!("WHEN '{}' THEN {}", media.as_str(), media.telling())).join(" ");
        let text = format!(
            "SELECT simulation_id, id FROM (SELECT s.id AS simulation_id, o.id, ROW_NUMBER() OVER (PARTITION BY s.id \
             ORDER BY CASE o.media_type {rank} END, o.position) AS place FROM simulations s JOIN run_outputs o \
             ON o.run_id = COALESCE(s.answered_by, s.run_id) WHERE s.id IN ({places}) AND s.status = 'SUCCESS' \
             AND o.kind = 'renderable' AND o.thumbnail = 'made') ranked WHERE place = 1"
        );
        let mut statement = sql!(self, AssertSqlSafe(text));
        for simulation in simulations {
            statement = statement.bind(simulation.to_string());
        }
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| Ok((row.id("simulation_id")?, row.id("id")?))).collect()
    }

    async fn output_anywhere(
        &self,
        output: OutputId,
        account: Option<AccountId>,
    ) -> StoreResult<Option<(Output, Simulation)>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(run_outputs, "WHERE id = $1"), output.to_string());
        let Some(row) = optional(statement, &mut reader).await? else { return Ok(None) };
        let text = format!(
            "{SIMULATIONS} WHERE (s.answered_by = $1 OR (s.answered_by IS NULL AND s.run_id = $1)) AND s.status = 'SUCCESS' \
             ORDER BY CASE WHEN EXISTS (SELECT 1 FROM simulation_roles r WHERE r.simulation_id = s.id AND r.account_id = $2) \
             THEN 0 ELSE 1 END, s.is_public DESC LIMIT 1"
        );
        let account = account.map(|account| account.to_string()).unwrap_or_default();
        let simulation = optional(sql!(self, AssertSqlSafe(text), row.text("run_id")?, account), &mut reader).await?;
        simulation.map(|simulation| Ok((rows::output(&row)?, rows::simulation(&simulation)?))).transpose()
    }
}
