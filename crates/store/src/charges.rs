//! What runs cost, who paid, and what they may spend.

use async_trait::async_trait;
use csw_core::{
    cost::{Charge, ChargeFilter, ChargeSum, Prices},
    ids::{AccountId, ModelId, VersionId},
    model::Model,
    ports::{ChargeStore, StoreResult},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::{
    SqlStore,
    sql::{Columns, all, micros, optional, run, sql, whole},
};

impl SqlStore {
    /// Notes the cost of a run that ended now, for whoever pays: the model's sponsor, or who ran it.
    pub(crate) async fn charge(&self, charge: &Charge, on: &mut AnyConnection) -> StoreResult<()> {
        let statement = sql!(
            self,
            "INSERT INTO charges (run_id, at, payer_id, account_id, model_id, version_id, simulation_id, milliseconds, \
             cpus, memory_bytes, cost) SELECT r.id, $1, COALESCE((SELECT m.sponsor_id FROM models m WHERE m.id = \
             r.model_id), r.owner_id), r.owner_id, r.model_id, r.version_id, r.simulation_id, $2, r.cpus, r.memory_bytes, $3 \
             FROM runs r WHERE r.id = $4 ON CONFLICT (run_id) DO NOTHING",
            micros(charge.at),
            whole(charge.milliseconds),
            charge.cost,
            charge.run.to_string()
        );
        run(statement, on).await.map(|_| ())
    }
}

/// Months are those of UTC.
const SUMS: &str = "SELECT p.name AS payer, a.name AS account, o.name AS model_owner, m.title AS model_title, \
                    COUNT(*) AS runs, CAST(SUM(c.milliseconds) AS BIGINT) AS milliseconds, SUM(c.cost) AS cost \
                    FROM charges c LEFT JOIN accounts p ON p.id = c.payer_id LEFT JOIN accounts a ON a.id = c.account_id \
                    LEFT JOIN models m ON m.id = c.model_id LEFT JOIN accounts o ON o.id = m.owner_id \
                    WHERE c.at >= $1 AND c.at < $2";

#[async_trait]
impl ChargeStore for SqlStore {
    async fn charges(&self, filter: &ChargeFilter) -> StoreResult<Vec<ChargeSum>> {
        let mut reader = self.reader().await?;
        let whose = if filter.account.is_some() { " AND (c.payer_id = $3 OR c.account_id = $3)" } else { "" };
        let text = format!("{SUMS}{whose} GROUP BY p.name, a.name, o.name, m.title ORDER BY cost DESC, payer, account");
        let mut statement = sql!(self, AssertSqlSafe(text), micros(filter.from), micros(filter.until));
        if let Some(account) = filter.account {
            statement = statement.bind(account.to_string());
        }
        let rows = all(statement, &mut reader).await?;
        rows.iter()
            .map(|row| {
                let model = row.maybe_text("model_owner")?.zip(row.maybe_text("model_title")?);
                Ok(ChargeSum {
                    payer: row.maybe_text("payer")?,
                    account: row.maybe_text("account")?,
                    model: model.map(|(owner, title)| format!("{owner}/{title}")),
                    runs: row.unsigned("runs")?,
                    milliseconds: row.unsigned("milliseconds")?,
                    cost: row.float("cost")?,
                })
            })
            .collect()
    }

    async fn time_of_charges(&self, account: Option<AccountId>) -> StoreResult<Option<(Timestamp, Timestamp)>> {
        let mut reader = self.reader().await?;
        let whose = if account.is_some() { " WHERE payer_id = $1 OR account_id = $1" } else { "" };
        let text = format!("SELECT MIN(at) AS first_at, MAX(at) AS last_at FROM charges{whose}");
        let mut statement = sql!(self, AssertSqlSafe(text));
        if let Some(account) = account {
            statement = statement.bind(account.to_string());
        }
        let Some(row) = optional(statement, &mut reader).await? else { return Ok(None) };
        Ok(row.maybe_time("first_at")?.zip(row.maybe_time("last_at")?))
    }

    async fn spent(&self, payer: AccountId, from: Timestamp, prices: Prices) -> StoreResult<f64> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT COALESCE(SUM(cost), 0.0) AS cost FROM charges WHERE payer_id = $1 AND at >= $2",
            payer.to_string(),
            micros(from)
        );
        let paid = optional(statement, &mut reader).await?.map_or(Ok(0.0), |row| row.float("cost"))?;
        // Of what is queued or at work, the expected cost counts.
        let statement = sql!(
            self,
            "SELECT COALESCE(SUM((s.expected_at - s.created_at) / 3600000000.0 * (r.cpus * $2 + r.memory_bytes / \
             1000000000.0 * $3)), 0.0) AS cost FROM simulations s JOIN runs r ON r.id = s.run_id AND r.simulation_id = s.id \
             JOIN models m ON m.id = s.model_id WHERE s.status = 'PENDING' AND s.expected_at IS NOT NULL AND \
             COALESCE(m.sponsor_id, s.owner_id) = $1",
            payer.to_string(),
            prices.cpu_hour,
            prices.gigabyte_hour
        );
        let expected = optional(statement, &mut reader).await?.map_or(Ok(0.0), |row| row.float("cost"))?;
        Ok(paid + expected)
    }

    async fn in_validation(&self, payer: AccountId) -> StoreResult<Vec<(ModelId, VersionId, u64)>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT r.model_id, r.version_id, COUNT(*) AS count FROM runs r JOIN simulations s ON s.id = r.simulation_id \
             JOIN models m ON m.id = r.model_id WHERE r.task = 'parse' AND r.state IN ('queued', 'running') AND \
             s.status = 'STARTED' AND COALESCE(m.sponsor_id, s.owner_id) = $1 GROUP BY r.model_id, r.version_id",
            payer.to_string()
        );
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| Ok((row.id("model_id")?, row.id("version_id")?, row.unsigned("count")?))).collect()
    }

    async fn budget(&self, account: AccountId) -> StoreResult<Option<f64>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, "SELECT monthly FROM budgets WHERE account_id = $1", account.to_string());
        optional(statement, &mut reader).await?.map(|row| row.float("monthly")).transpose()
    }

    async fn set_budget(&self, account: AccountId, monthly: Option<f64>) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let key = account.to_string();
        let statement = if let Some(monthly) = monthly {
            sql!(
                self,
                "INSERT INTO budgets (account_id, monthly) VALUES ($1, $2) ON CONFLICT (account_id) DO UPDATE SET \
                 monthly = $2",
                key,
                monthly
            )
        } else {
            sql!(self, "DELETE FROM budgets WHERE account_id = $1", key)
        };
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn set_sponsor(&self, model: ModelId, sponsor: Option<(AccountId, Option<&str>)>) -> StoreResult<Model> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE models SET sponsor_id = $1, sponsor_message = $2 WHERE id = $3",
            sponsor.map(|(account, _)| account.to_string()),
            sponsor.and_then(|(_, message)| message).map(str::to_owned),
            model.to_string()
        );
        run(statement, unit.on()).await?;
        let changed = self.model_in(model, unit.on()).await?;
        unit.commit().await?;
        Ok(changed)
    }
}
