//! What is kept of forges elsewhere: checks, deliveries of webhooks, trust in workflows.

use async_trait::async_trait;
use csw_core::{
    check::KeptCheck,
    ids::{AccountId, CheckId, TrustId},
    ports::{Change, CheckStore, DeliveryStore, StoreResult, TrustStore},
    trust::Trust,
};
use jiff::Timestamp;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    SqlStore,
    columns::select,
    rows,
    sql::{Columns, all, flag, micros, number, optional, optional_micros, run, sql},
};

fn kept(row: &AnyRow) -> StoreResult<KeptCheck> {
    Ok(KeptCheck {
        id: row.id("id")?,
        model: row.id("model_id")?,
        on: rows::from_json(row, "beside")?,
        remote: row.maybe_text("remote_id")?,
        told: row.text("told")?,
        attempts: row.small("attempts")?,
        retry_at: row.time("retry_at")?,
        created_at: row.time("created_at")?,
    })
}

fn trust(row: &AnyRow) -> StoreResult<Trust> {
    Ok(Trust {
        id: row.id("id")?,
        account: row.id("account_id")?,
        repository: row.text("repository")?,
        reference: row.text("reference")?,
        environment: row.text("environment")?,
        models: rows::from_json(row, "models")?,
        promote: row.truth("promote")?,
        repository_id: row.maybe_text("repository_id")?,
        created_at: row.time("created_at")?,
        last_used_at: row.maybe_time("last_used_at")?,
    })
}

impl SqlStore {
    /// Adds a check, in a transaction that is under way.
    pub(crate) async fn add_check(&self, check: &KeptCheck, on: &mut AnyConnection) -> StoreResult<()> {
        let statement = sql!(
            self,
            "INSERT INTO checks (id, model_id, repository, commit_id, beside, remote_id, told, attempts, retry_at, is_over, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)",
            check.id.to_string(),
            check.model.to_string(),
            check.on.repository.to_lowercase(),
            check.on.commit.clone(),
            rows::json_text(&check.on)?,
            check.remote.clone(),
            check.told.clone(),
            i64::from(check.attempts),
            micros(check.retry_at),
            micros(check.created_at)
        );
        run(statement, on).await.map(drop)
    }
}

#[async_trait]
impl CheckStore for SqlStore {
    async fn insert_check(&self, check: &KeptCheck) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        self.add_check(check, unit.on()).await?;
        unit.tell(Change::Build(check.build()));
        unit.commit().await
    }

    async fn check(&self, id: CheckId) -> StoreResult<Option<KeptCheck>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(checks, "WHERE id = $1"), id.to_string());
        optional(statement, &mut reader).await?.as_ref().map(kept).transpose()
    }

    async fn checks_of_commit(&self, repository: &str, commit: &str) -> StoreResult<Vec<KeptCheck>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            select!(checks, "WHERE repository = $1 AND commit_id = $2 ORDER BY id DESC"),
            repository.to_lowercase(),
            commit.to_owned()
        );
        all(statement, &mut reader).await?.iter().map(kept).collect()
    }

    async fn open_checks(&self) -> StoreResult<Vec<KeptCheck>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(checks, "WHERE is_over = 0 ORDER BY created_at, id"));
        all(statement, &mut reader).await?.iter().map(kept).collect()
    }

    async fn claim_check(&self, id: CheckId, now: Timestamp, until: Timestamp) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE checks SET retry_at = $1, attempts = attempts + 1 WHERE id = $2 AND is_over = 0 AND retry_at <= $3",
            micros(until),
            id.to_string(),
            micros(now)
        );
        let taken = run(statement, unit.on()).await? > 0;
        unit.commit().await?;
        Ok(taken)
    }

    async fn note_check(&self, check: &KeptCheck, over: bool) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE checks SET remote_id = $1, told = $2, attempts = $3, retry_at = $4, is_over = $5 WHERE id = $6",
            check.remote.clone(),
            check.told.clone(),
            i64::from(check.attempts),
            micros(check.retry_at),
            flag(over),
            check.id.to_string()
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn forget_checks(&self, before: Timestamp) -> StoreResult<u64> {
        // Mostly there are none, and nobody need wait for a writer.
        let mut reader = self.reader().await?;
        let old = sql!(self, "SELECT COUNT(*) FROM checks WHERE is_over = 1 AND created_at < $1", micros(before));
        if number(old, &mut reader).await? == 0 {
            return Ok(0);
        }
        drop(reader);
        let mut unit = self.begin().await?;
        let statement = sql!(self, "DELETE FROM checks WHERE is_over = 1 AND created_at < $1", micros(before));
        let gone = run(statement, unit.on()).await?;
        unit.commit().await?;
        Ok(gone)
    }
}

#[async_trait]
impl DeliveryStore for SqlStore {
    async fn take_delivery(&self, keys: &[String], now: Timestamp, forget: Timestamp) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        run(sql!(self, "DELETE FROM deliveries WHERE at < $1", micros(forget)), unit.on()).await?;
        for key in keys {
            let statement = sql!(
                self,
                "INSERT INTO deliveries (key, at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                key.clone(),
                micros(now)
            );
            if run(statement, unit.on()).await? == 0 {
                // What was noted of the others goes with the transaction.
                return Ok(false);
            }
        }
        unit.commit().await?;
        Ok(true)
    }

    async fn give_back_delivery(&self, keys: &[String]) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        for key in keys {
            run(sql!(self, "DELETE FROM deliveries WHERE key = $1", key.clone()), unit.on()).await?;
        }
        unit.commit().await
    }
}

#[async_trait]
impl TrustStore for SqlStore {
    async fn insert_trust(&self, trust: &Trust) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO trusts (id, account_id, repository, repository_key, reference, environment, models, promote, \
             repository_id, created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            trust.id.to_string(),
            trust.account.to_string(),
            trust.repository.clone(),
            trust.repository.to_lowercase(),
            trust.reference.clone(),
            trust.environment.clone(),
            rows::json_text(&trust.models)?,
            flag(trust.promote),
            trust.repository_id.clone(),
            micros(trust.created_at),
            optional_micros(trust.last_used_at)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn trusts(&self, account: AccountId) -> StoreResult<Vec<Trust>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(trusts, "WHERE account_id = $1 ORDER BY id DESC"), account.to_string());
        all(statement, &mut reader).await?.iter().map(trust).collect()
    }

    async fn trusts_in(&self, repository: &str) -> StoreResult<Vec<Trust>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(trusts, "WHERE repository_key = $1 ORDER BY id"), repository.to_lowercase());
        all(statement, &mut reader).await?.iter().map(trust).collect()
    }

    async fn delete_trust(&self, account: AccountId, id: TrustId) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement =
            sql!(self, "DELETE FROM trusts WHERE id = $1 AND account_id = $2", id.to_string(), account.to_string());
        let removed = run(statement, unit.on()).await? > 0;
        unit.commit().await?;
        Ok(removed)
    }

    async fn touch_trust(&self, id: TrustId, repository_id: &str, now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE trusts SET last_used_at = $1, repository_id = COALESCE(repository_id, $2) WHERE id = $3",
            micros(now),
            repository_id.to_owned(),
            id.to_string()
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }
}
