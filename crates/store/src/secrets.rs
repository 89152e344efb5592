//! Sealed secrets, and the trail of who did what with them.

use async_trait::async_trait;
use csw_core::{
    page::{Page, PageRequest},
    ports::{SealedSecret, SecretRows, SecretTrail, StoreError, StoreResult},
    secret::{SecretAction, SecretEvent},
};
use sqlx::any::AnyRow;

use crate::{
    SqlStore,
    columns::select,
    listing::Conditions,
    sql::{Columns, all, corrupt, micros, number, optional, run, sql},
};

fn sealed(row: &AnyRow) -> StoreResult<SealedSecret> {
    Ok(SealedSecret {
        scope: row.text("scope")?,
        name: row.text("name")?,
        version: row.small("version")?,
        key: row.text("key_id")?,
        sealed: row.bytes("sealed")?,
        set_by: row.text("set_by")?,
        set_at: row.time("set_at")?,
    })
}

fn event(row: &AnyRow) -> StoreResult<SecretEvent> {
    let version = row.maybe_int("version")?;
    Ok(SecretEvent {
        at: row.time("at")?,
        who: row.text("who")?,
        action: row.word("action", SecretAction::parse)?,
        scope: row.text("scope")?,
        secret: row.text("secret")?,
        version: version
            .map(|version| u32::try_from(version).map_err(|error| corrupt("version", error)))
            .transpose()?,
    })
}

#[async_trait]
impl SecretRows for SqlStore {
    async fn insert_secret(&self, row: &SealedSecret, keep: u32) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO secrets (scope, name, version, key_id, sealed, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT DO NOTHING",
            row.scope.clone(),
            row.name.clone(),
            i64::from(row.version),
            row.key.clone(),
            row.sealed.clone(),
            row.set_by.clone(),
            micros(row.set_at)
        );
        if run(statement, unit.on()).await? == 0 {
            return Err(StoreError::Conflict { what: "this version of the secret" });
        }
        let statement = sql!(
            self,
            "DELETE FROM secrets WHERE scope = $1 AND name = $2 AND version <= $3",
            row.scope.clone(),
            row.name.clone(),
            i64::from(row.version) - i64::from(keep)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn secret(&self, scope: &str, name: &str, version: Option<u32>) -> StoreResult<Option<SealedSecret>> {
        let mut reader = self.reader().await?;
        let statement = if let Some(version) = version {
            sql!(
                self,
                select!(secrets, "WHERE scope = $1 AND name = $2 AND version = $3"),
                scope.to_owned(),
                name.to_owned(),
                i64::from(version)
            )
        } else {
            sql!(
                self,
                select!(secrets, "WHERE scope = $1 AND name = $2 ORDER BY version DESC LIMIT 1"),
                scope.to_owned(),
                name.to_owned()
            )
        };
        optional(statement, &mut reader).await?.as_ref().map(sealed).transpose()
    }

    async fn secrets(&self, scope: &str) -> StoreResult<Vec<SealedSecret>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            select!(
                secrets,
                "s WHERE scope = $1 AND version = \
             (SELECT MAX(version) FROM secrets t WHERE t.scope = s.scope AND t.name = s.name) ORDER BY name"
            ),
            scope.to_owned()
        );
        all(statement, &mut reader).await?.iter().map(sealed).collect()
    }

    async fn delete_secret(&self, scope: &str, name: &str) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement =
            sql!(self, "DELETE FROM secrets WHERE scope = $1 AND name = $2", scope.to_owned(), name.to_owned());
        let removed = run(statement, unit.on()).await?;
        unit.commit().await?;
        Ok(removed > 0)
    }

    async fn secrets_of_other_keys(&self, key: &str, limit: u32) -> StoreResult<Vec<SealedSecret>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            select!(secrets, "WHERE key_id <> $1 ORDER BY scope, name, version LIMIT $2"),
            key.to_owned(),
            i64::from(limit)
        );
        all(statement, &mut reader).await?.iter().map(sealed).collect()
    }

    async fn reseal_secret(&self, before: &SealedSecret, key: &str, sealed: &[u8]) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE secrets SET key_id = $1, sealed = $2 WHERE scope = $3 AND name = $4 AND version = $5 AND key_id = $6 \
             AND sealed = $7",
            key.to_owned(),
            sealed.to_vec(),
            before.scope.clone(),
            before.name.clone(),
            i64::from(before.version),
            before.key.clone(),
            before.sealed.clone()
        );
        let changed = run(statement, unit.on()).await?;
        unit.commit().await?;
        Ok(changed > 0)
    }

    async fn has_secrets(&self) -> StoreResult<bool> {
        let mut reader = self.reader().await?;
        Ok(number(sql!(self, "SELECT COUNT(*) FROM secrets"), &mut reader).await? > 0)
    }
}

#[async_trait]
impl SecretTrail for SqlStore {
    async fn note_secret_event(&self, event: &SecretEvent) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO secret_events (id, at, who, action, scope, secret, version) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            uuid::Uuid::now_v7().to_string(),
            micros(event.at),
            event.who.clone(),
            event.action.as_str(),
            event.scope.clone(),
            event.secret.clone(),
            event.version.map(i64::from)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn secret_events(&self, scope: Option<&str>, page: PageRequest) -> StoreResult<Page<SecretEvent>> {
        let mut conditions = Conditions::default();
        if let Some(scope) = scope {
            conditions.add("scope = ?", [scope.to_owned()]);
        }
        let from = format!("FROM secret_events {}", conditions.text());
        self.page(&from, "*", "id DESC", conditions, page, event).await
    }
}
