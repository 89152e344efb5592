//! Builds, and their queue.

use async_trait::async_trait;
use csw_core::{
    build::{Build, BuildState, StopReason},
    ids::{BuildId, ModelId},
    page::{Page, PageRequest},
    ports::{BuildStore, Change, StoreResult},
};

use crate::{
    SqlStore,
    columns::{columns, select},
    peers::in_hand,
    rows,
    sql::{all, micros, number, optional, optional_micros, run, sql, whole},
};

#[async_trait]
impl BuildStore for SqlStore {
    async fn insert_build(&self, build: &Build, here: bool) -> StoreResult<Vec<Build>> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            concat!(
                "UPDATE builds SET state = $1, message = $2, finished_at = $3 WHERE model_id = $4 AND line = $5 AND \
                 state = 'queued' RETURNING ",
                columns!(builds)
            ),
            BuildState::Cancelled.as_str(),
            StopReason::Superseded.sentence(),
            micros(build.created_at),
            build.model.to_string(),
            build.order.line()
        );
        let others: Vec<Build> =
            all(statement, unit.on()).await?.iter().map(rows::build).collect::<StoreResult<_>>()?;
        let statement = sql!(
            self,
            "INSERT INTO builds (id, model_id, requested_by, source, stage, state, message, version_id, created_at, \
             finished_at, reason, ordered, commit_id, stages, attempt, line, server) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            build.id.to_string(),
            build.model.to_string(),
            build.requested_by.to_string(),
            build.source.clone(),
            build.stage.as_str(),
            build.state.as_str(),
            build.message.clone(),
            build.version.map(|id| id.to_string()),
            micros(build.created_at),
            optional_micros(build.finished_at),
            build.trigger.as_str(),
            rows::json_text(&build.order)?,
            build.commit.clone(),
            rows::json_text(&build.stages)?,
            i64::from(build.attempt),
            build.order.line(),
            here.then(|| self.server())
        );
        run(statement, unit.on()).await?;
        if let Some(check) = build.check() {
            self.add_check(&check, unit.on()).await?;
        }
        for changed in others.iter().chain([build]) {
            unit.tell(Change::Build(changed.id));
        }
        unit.commit().await?;
        Ok(others)
    }

    async fn stop_build(&self, id: BuildId, why: StopReason) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        unit.tell(Change::StopBuild(id, why));
        unit.commit().await
    }

    async fn update_build(&self, build: &Build) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE builds SET stage = $1, state = $2, message = $3, version_id = $4, finished_at = $5, commit_id = $6, \
             stages = $7, attempt = $8 WHERE id = $9 AND state IN ('queued', 'running')",
            build.stage.as_str(),
            build.state.as_str(),
            build.message.clone(),
            build.version.map(|id| id.to_string()),
            optional_micros(build.finished_at),
            build.commit.clone(),
            rows::json_text(&build.stages)?,
            i64::from(build.attempt),
            build.id.to_string()
        );
        let changed = run(statement, unit.on()).await? > 0;
        if changed {
            unit.tell(Change::Build(build.id));
        }
        unit.commit().await?;
        Ok(changed)
    }

    async fn build(&self, id: BuildId) -> StoreResult<Option<Build>> {
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, select!(builds, "WHERE id = $1"), id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::build).transpose()
    }

    async fn builds(&self, model: ModelId, page: PageRequest) -> StoreResult<Page<Build>> {
        let mut reader = self.reader().await?;
        let total =
            number(sql!(self, "SELECT COUNT(*) FROM builds WHERE model_id = $1", model.to_string()), &mut reader)
                .await?;
        let statement = sql!(
            self,
            select!(builds, "WHERE model_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3"),
            model.to_string(),
            i64::from(page.size),
            whole(page.offset())
        );
        let items = all(statement, &mut reader).await?.iter().map(rows::build).collect::<StoreResult<_>>()?;
        Ok(Page { total: total.unsigned_abs(), items })
    }

    async fn begin_build(&self, build: &Build) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        // Others of its model are held off meanwhile.
        unit.lock_model(build.model).await?;
        let statement = sql!(
            self,
            "UPDATE builds SET state = 'running', attempt = $1, server = $2 WHERE id = $3 AND state = 'queued' AND \
             NOT EXISTS (SELECT 1 FROM builds o WHERE o.model_id = $4 AND o.state = 'running')",
            i64::from(build.attempt),
            self.server(),
            build.id.to_string(),
            build.model.to_string()
        );
        let begun = run(statement, unit.on()).await? > 0;
        if begun {
            unit.tell(Change::Build(build.id));
        }
        unit.commit().await?;
        Ok(begun)
    }

    async fn builds_in_hand(&self) -> StoreResult<Vec<Build>> {
        if !self.is_postgres() {
            return self.unfinished_builds().await;
        }
        let mut reader = self.reader().await?;
        let text =
            concat!(in_hand!(select!(builds, "WHERE state IN ('queued', 'running')")), " ORDER BY created_at, id");
        all(sql!(self, text, self.server()), &mut reader).await?.iter().map(rows::build).collect()
    }

    async fn unfinished_builds(&self) -> StoreResult<Vec<Build>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(builds, "WHERE state IN ('queued', 'running') ORDER BY created_at, id"));
        all(statement, &mut reader).await?.iter().map(rows::build).collect()
    }
}
