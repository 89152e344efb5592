//! Models, versions and schemas.

use async_trait::async_trait;
use csw_core::{
    access::Role,
    ids::{AccountId, ModelId, VersionId},
    model::{CachedSchema, Model, ModelSettings, ModelStatus, Promotion, Version, VersionState},
    page::{Page, PageRequest},
    ports::{ModelFilter, ModelStore, StoreError, StoreResult},
    simulation::Collaborator,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, any::AnyRow};

use crate::{
    SqlStore,
    columns::select,
    listing::Conditions,
    rows::{self, MODEL},
    sql::{Columns, all, corrupt, flag, micros, number, optional, run, sql},
};

impl SqlStore {
    pub(crate) async fn model_in(&self, id: ModelId, on: &mut AnyConnection) -> StoreResult<Model> {
        let text = format!("SELECT {MODEL} FROM models m JOIN accounts o ON o.id = m.owner_id WHERE m.id = $1");
        let row = optional(sql!(self, AssertSqlSafe(text), id.to_string()), on).await?;
        rows::model(&row.ok_or_else(|| StoreError::NotFound { what: format!("the model {id}") })?)
    }
}

/// The values may be longer than an index allows; their hash is not.
fn schema_key(meta_key: &str) -> String {
    hex::encode(Sha256::digest(meta_key))
}

fn expected(settings: &ModelSettings) -> Option<i64> {
    settings.expected_seconds.map(i64::from)
}

#[async_trait]
impl ModelStore for SqlStore {
    async fn insert_model(&self, model: &Model) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let settings = &model.settings;
        let statement = sql!(
            self,
            "INSERT INTO models (id, owner_id, title, title_key, oneliner, description, repo_url, repo_tag, cpus, \
             oneliner_key, memory_gigabytes, expected_seconds, deadline_seconds, listed, is_public, network, deterministic, warm_up, build_limits, \
             status, live_version_id, latest_tag, staging_tag, sponsor_id, sponsor_message, last_number, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $25, $10, $11, $12, $13, $14, $15, $16, $17, $26, $18, $19, $20, $21, \
             $22, $23, 0, $24)",
            model.id.to_string(),
            model.owner.to_string(),
            model.title.to_string(),
            model.title.folded(),
            settings.oneliner.clone(),
            settings.description.clone(),
            settings.repo_url.clone(),
            settings.repo_tag.clone(),
            settings.cpus,
            settings.memory_gigabytes,
            expected(settings),
            i64::from(settings.deadline_seconds),
            flag(settings.listed),
            flag(settings.is_public),
            flag(settings.network),
            flag(settings.deterministic),
            flag(settings.warm_up),
            model.status.as_str(),
            model.live_version.map(|id| id.to_string()),
            model.latest_tag.clone(),
            model.staging_tag.clone(),
            model.sponsor.map(|id| id.to_string()),
            model.sponsor_message.clone(),
            micros(model.created_at),
            settings.oneliner.to_lowercase(),
            rows::json_text(&settings.build)?,
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn model(&self, id: ModelId) -> StoreResult<Option<Model>> {
        let mut reader = self.reader().await?;
        match self.model_in(id, &mut reader).await {
            Ok(model) => Ok(Some(model)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn model_by_name(&self, owner: &str, title: &str) -> StoreResult<Option<Model>> {
        let mut reader = self.reader().await?;
        let text = format!(
            "SELECT {MODEL} FROM models m JOIN accounts o ON o.id = m.owner_id WHERE o.name_key = $1 AND m.title_key = $2"
        );
        let statement = sql!(self, AssertSqlSafe(text), owner.to_lowercase(), title.to_lowercase());
        optional(statement, &mut reader).await?.as_ref().map(rows::model).transpose()
    }

    async fn models(&self, filter: &ModelFilter, page: PageRequest) -> StoreResult<Page<Model>> {
        let mut conditions = Conditions::default();
        if let Some(owner) = filter.owner {
            conditions.add("m.owner_id = ?", [owner.to_string()]);
        }
        let shown = [(filter.listed_only, "m.listed = 1"), (filter.published_only, "m.status <> 'pending'")];
        if let Some(account) = filter.visible_to {
            let role = "EXISTS (SELECT 1 FROM model_roles r WHERE r.model_id = m.id AND r.account_id = ?)";
            let own = format!("m.owner_id = ? OR {role}");
            let id = account.to_string();
            conditions.add(&format!("(m.is_public = 1 OR {own})"), [id.clone(), id.clone()]);
            for (wanted, condition) in shown {
                if wanted {
                    conditions.add(&format!("({condition} OR {own})"), [id.clone(), id.clone()]);
                }
            }
        } else {
            for (_, condition) in shown.into_iter().filter(|(wanted, _)| *wanted) {
                conditions.add(condition, []);
            }
        }
        if filter.public_only {
            conditions.add("m.is_public = 1", []);
        }
        if let Some(search) = &filter.search {
            conditions.search(search, &["m.title_key", "m.oneliner_key", "o.name_key"]);
        }
        let from = format!("FROM models m JOIN accounts o ON o.id = m.owner_id {}", conditions.text());
        let order = if filter.newest_first { "m.created_at DESC, m.id DESC" } else { "o.name_key, m.title_key" };
        self.page(&from, MODEL, order, conditions, page, rows::model).await
    }

    async fn recent_models(&self, account: AccountId, limit: u32) -> StoreResult<Vec<Model>> {
        let mut reader = self.reader().await?;
        let text = format!(
            "SELECT {MODEL} FROM models m JOIN accounts o ON o.id = m.owner_id JOIN (SELECT model_id, \
             MAX(created_at) AS latest FROM simulations WHERE owner_id = $1 GROUP BY model_id) l ON l.model_id = m.id \
             ORDER BY l.latest DESC LIMIT $2"
        );
        let statement = sql!(self, AssertSqlSafe(text), account.to_string(), i64::from(limit));
        all(statement, &mut reader).await?.iter().map(rows::model).collect()
    }

    async fn update_model(&self, id: ModelId, before: &ModelSettings, wanted: &ModelSettings) -> StoreResult<Model> {
        let mut unit = self.begin().await?;
        unit.lock_model(id).await?;
        let settings = &self.model_in(id, unit.on()).await?.settings.merged(before, wanted);
        let statement = sql!(
            self,
            "UPDATE models SET oneliner = $1, oneliner_key = $15, description = $2, repo_url = $3, repo_tag = $4, cpus = $5, \
             memory_gigabytes = $6, expected_seconds = $7, deadline_seconds = $8, listed = $9, is_public = $10, \
             network = $11, deterministic = $12, warm_up = $13, build_limits = $16 WHERE id = $14",
            settings.oneliner.clone(),
            settings.description.clone(),
            settings.repo_url.clone(),
            settings.repo_tag.clone(),
            settings.cpus,
            settings.memory_gigabytes,
            expected(settings),
            i64::from(settings.deadline_seconds),
            flag(settings.listed),
            flag(settings.is_public),
            flag(settings.network),
            flag(settings.deterministic),
            flag(settings.warm_up),
            id.to_string(),
            settings.oneliner.to_lowercase(),
            rows::json_text(&settings.build)?,
        );
        run(statement, unit.on()).await?;
        let model = self.model_in(id, unit.on()).await?;
        unit.commit().await?;
        Ok(model)
    }

    async fn set_model_status(&self, id: ModelId, status: ModelStatus) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(self, "UPDATE models SET status = $1 WHERE id = $2", status.as_str(), id.to_string());
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn set_model_tags(
        &self,
        id: ModelId,
        latest: Option<Option<&str>>,
        staging: Option<Option<&str>>,
    ) -> StoreResult<Model> {
        let mut unit = self.begin().await?;
        unit.lock_model(id).await?;
        let before = self.model_in(id, unit.on()).await?;
        let latest = latest.map_or(before.latest_tag, |tag| tag.map(str::to_owned));
        let staging = staging.map_or(before.staging_tag, |tag| tag.map(str::to_owned));
        let statement = sql!(
            self,
            "UPDATE models SET latest_tag = $1, staging_tag = $2 WHERE id = $3",
            latest,
            staging,
            id.to_string()
        );
        run(statement, unit.on()).await?;
        let model = self.model_in(id, unit.on()).await?;
        unit.commit().await?;
        Ok(model)
    }

    async fn model_role(&self, model: ModelId, account: AccountId) -> StoreResult<Option<Role>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT 'admin' AS role FROM models WHERE id = $1 AND owner_id = $2 UNION ALL \
             SELECT role FROM model_roles WHERE model_id = $1 AND account_id = $2",
            model.to_string(),
            account.to_string()
        );
        let roles = all(statement, &mut reader).await?;
        let roles = roles.iter().map(|row| row.word("role", Role::parse)).collect::<StoreResult<Vec<_>>>()?;
        Ok(roles.into_iter().max())
    }

    async fn model_roles(&self, account: AccountId) -> StoreResult<Vec<(ModelId, Role)>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, "SELECT model_id, role FROM model_roles WHERE account_id = $1", account.to_string());
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| Ok((row.id("model_id")?, row.word("role", Role::parse)?))).collect()
    }

    async fn model_members(&self, model: ModelId) -> StoreResult<Vec<Collaborator>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT r.account_id, r.role, a.name FROM model_roles r JOIN accounts a ON a.id = r.account_id \
             WHERE r.model_id = $1 ORDER BY a.name_key",
            model.to_string()
        );
        let rows = all(statement, &mut reader).await?;
        rows.iter()
            .map(|row| {
                Ok(Collaborator {
                    account: row.id("account_id")?,
                    name: row.text("name")?,
                    role: row.word("role", Role::parse)?,
                    is_owner: false,
                })
            })
            .collect()
    }

    async fn set_model_role(&self, model: ModelId, account: AccountId, role: Option<Role>) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = if let Some(role) = role {
            sql!(
                self,
                "INSERT INTO model_roles (model_id, account_id, role) VALUES ($1, $2, $3) \
                 ON CONFLICT (model_id, account_id) DO UPDATE SET role = excluded.role",
                model.to_string(),
                account.to_string(),
                role.as_str()
            )
        } else {
            sql!(
                self,
                "DELETE FROM model_roles WHERE model_id = $1 AND account_id = $2",
                model.to_string(),
                account.to_string()
            )
        };
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn model_counts(&self, model: ModelId) -> StoreResult<(u64, u64)> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT COUNT(*) AS simulations, COUNT(DISTINCT owner_id) AS users FROM simulations WHERE model_id = $1",
            model.to_string()
        );
        let row = optional(statement, &mut reader).await?.ok_or_else(|| corrupt("count", "no row"))?;
        Ok((row.unsigned("simulations")?, row.unsigned("users")?))
    }

    async fn insert_version(&self, version: &Version) -> StoreResult<Version> {
        let mut unit = self.begin().await?;
        let artifact = serde_json::to_string(&version.artifact).map_err(|error| corrupt("artifact", error))?;
        let statement = sql!(
            self,
            "INSERT INTO versions (id, model_id, digest, commit_id, reported, artifact, strategy, state, facts, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (model_id, digest) DO NOTHING",
            version.id.to_string(),
            version.model.to_string(),
            version.digest.clone(),
            version.commit.clone(),
            version.reported.clone(),
            artifact,
            version.strategy.as_str(),
            version.state.as_str(),
            version.facts.to_string(),
            micros(version.created_at),
        );
        run(statement, unit.on()).await?;
        let statement = sql!(
            self,
            select!(versions, "WHERE model_id = $1 AND digest = $2"),
            version.model.to_string(),
            version.digest.clone()
        );
        let row = optional(statement, unit.on()).await?.ok_or_else(|| corrupt("version", "it vanished"))?;
        unit.commit().await?;
        rows::version(&row)
    }

    async fn version(&self, id: VersionId) -> StoreResult<Option<Version>> {
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, select!(versions, "WHERE id = $1"), id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::version).transpose()
    }

    async fn versions(&self, model: ModelId) -> StoreResult<Vec<Version>> {
        let mut reader = self.reader().await?;
        let statement =
            sql!(self, select!(versions, "WHERE model_id = $1 ORDER BY created_at DESC, id DESC"), model.to_string());
        all(statement, &mut reader).await?.iter().map(rows::version).collect()
    }

    async fn update_version(&self, version: &Version) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE versions SET strategy = $1, reported = $2, facts = $3, state = $4 WHERE id = $5",
            version.strategy.as_str(),
            version.reported.clone(),
            version.facts.to_string(),
            version.state.as_str(),
            version.id.to_string()
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn promote(&self, model: ModelId, version: VersionId, by: AccountId, now: Timestamp) -> StoreResult<Model> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "SELECT state FROM versions WHERE id = $1 AND model_id = $2",
            version.to_string(),
            model.to_string()
        );
        let row = optional(statement, unit.on()).await?;
        let row = row.ok_or_else(|| StoreError::NotFound { what: "the version".to_owned() })?;
        if row.word("state", VersionState::parse)? == VersionState::Failed {
            return Err(StoreError::State { what: "This version was withdrawn; build another one.".to_owned() });
        }
        let statement = sql!(
            self,
            "UPDATE versions SET state = 'retired' WHERE model_id = $1 AND state = 'live' AND id <> $2",
            model.to_string(),
            version.to_string()
        );
        run(statement, unit.on()).await?;
        run(sql!(self, "UPDATE versions SET state = 'live' WHERE id = $1", version.to_string()), unit.on()).await?;
        let statement = sql!(
            self,
            "UPDATE models SET live_version_id = $1, status = 'live' WHERE id = $2",
            version.to_string(),
            model.to_string()
        );
        run(statement, unit.on()).await?;
        let statement = sql!(
            self,
            "INSERT INTO promotions (model_id, version_id, account_id, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (model_id, at) DO UPDATE SET version_id = $2, account_id = $3",
            model.to_string(),
            version.to_string(),
            by.to_string(),
            micros(now)
        );
        run(statement, unit.on()).await?;
        let model = self.model_in(model, unit.on()).await?;
        unit.commit().await?;
        Ok(model)
    }

    async fn promotions(&self, model: ModelId, limit: u32) -> StoreResult<Vec<Promotion>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            select!(promotions, "WHERE model_id = $1 ORDER BY at DESC LIMIT $2"),
            model.to_string(),
            i64::from(limit)
        );
        let found = all(statement, &mut reader).await?;
        let promotion = |row: &AnyRow| {
            Ok(Promotion { version: row.id("version_id")?, by: row.id("account_id")?, at: row.time("at")? })
        };
        found.iter().map(promotion).collect()
    }

    async fn schema(&self, version: VersionId, meta_key: &str) -> StoreResult<Option<CachedSchema>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            select!(schemas, "WHERE version_id = $1 AND meta_key = $2"),
            version.to_string(),
            schema_key(meta_key)
        );
        let row = optional(statement, &mut reader).await?;
        row.map(|row| {
            Ok(CachedSchema {
                version,
                meta_values: row.json("meta_values")?,
                meta_parameters: row.text("meta_parameters")?,
                model_parameters: row.text("model_parameters")?,
                created_at: row.time("created_at")?,
            })
        })
        .transpose()
    }

    async fn insert_schema(&self, meta_key: &str, schema: &CachedSchema) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO schemas (version_id, meta_key, meta_values, meta_parameters, model_parameters, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (version_id, meta_key) DO NOTHING",
            schema.version.to_string(),
            schema_key(meta_key),
            schema.meta_values.to_string(),
            schema.meta_parameters.clone(),
            schema.model_parameters.clone(),
            micros(schema.created_at)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn schema_count(&self, version: VersionId) -> StoreResult<u64> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, "SELECT COUNT(*) FROM schemas WHERE version_id = $1", version.to_string());
        Ok(number(statement, &mut reader).await?.unsigned_abs())
    }
}
