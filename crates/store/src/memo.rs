//! Answers from earlier runs: equal inputs of the same version give equal outputs, so nothing has to run.

use csw_core::{
    ids::{RunId, SimulationId},
    ports::StoreResult,
    run::NewRun,
};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    SqlStore,
    columns::select,
    rows,
    sql::{Columns, micros, optional, run, sql, whole},
};

impl SqlStore {
    /// The latest successful run with this key.
    pub(crate) async fn answer(&self, key: &str, on: &mut AnyConnection) -> StoreResult<Option<AnyRow>> {
        let statement = sql!(
            self,
            select!(
                runs,
                "WHERE memo_key = $1 AND task = 'sim' AND state = 'finished' AND reason = 'SUCCESS' \
             ORDER BY finished_at DESC LIMIT 1"
            ),
            key.to_owned()
        );
        optional(statement, on).await
    }

    /// Ends a simulation with the outputs of this run, and says which it was.
    pub(crate) async fn answer_by(
        &self,
        id: SimulationId,
        answer: &AnyRow,
        now: Timestamp,
        on: &mut AnyConnection,
    ) -> StoreResult<RunId> {
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
            micros(now),
            id.to_string()
        );
        run(statement, on).await?;
        Ok(source)
    }

    /// Answers a simulation whose inputs were found valid and run before, with what the validator said then, so that
    /// its `parse` run is not needed either. Says whether it could.
    pub(crate) async fn answer_at_once(
        &self,
        id: SimulationId,
        parse: &NewRun,
        now: Timestamp,
        on: &mut AnyConnection,
    ) -> StoreResult<bool> {
        let Some(key) = &parse.memo_key else { return Ok(false) };
        let Some(answer) = self.answer(key.as_str(), on).await? else { return Ok(false) };
        let statement = sql!(
            self,
            "UPDATE simulations SET inputs_status = 'SUCCESS', inputs_run_id = NULL, errors_warnings = v.said, \
             custom_adjustment = v.custom FROM (SELECT errors_warnings AS said, custom_adjustment AS custom \
             FROM simulations WHERE run_id = $1 AND inputs_status = 'SUCCESS' ORDER BY created_at LIMIT 1) AS v \
             WHERE simulations.id = $2",
            answer.text("id")?,
            id.to_string()
        );
        // Nobody may be left whose validation led to that run.
        if run(statement, on).await? == 0 {
            return Ok(false);
        }
        self.answer_by(id, &answer, now, on).await?;
        Ok(true)
    }
}
