//! Pull requests of the site's own forge.

use async_trait::async_trait;
use csw_core::{
    page::{Page, PageRequest},
    ports::{PullStore, StoreError, StoreResult},
    pull::Pull,
    repository::RepositoryId,
};
use sqlx::AssertSqlSafe;

use crate::{
    SqlStore,
    columns::columns,
    rows,
    sql::{Columns, all, corrupt, flag, micros, number, optional, optional_micros, run, sql, whole},
};

/// How often somebody else may take a number before it is this one's turn.
const TRIES: u32 = 10;

/// Pull requests with the names of their authors; `WHERE` follows.
const PULLS: &str = concat!(
    "SELECT ",
    columns!(pulls, "p."),
    ", a.name AS author_name FROM pulls p JOIN accounts a ON a.id = p.author_id"
);

impl SqlStore {
    async fn try_insert_pull(&self, pull: &Pull) -> StoreResult<u32> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO pulls (id, repository, number, author_id, title, body, branch, target, head, state, checks, \
             skip_tests, revision, created_at, updated_at) SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5, $6, \
             $7, $8, $9, $10, $11, 1, $12, $12 FROM pulls WHERE repository = $2 \
             RETURNING number",
            pull.id.to_string(),
            pull.repository.to_string(),
            pull.author.to_string(),
            pull.title.clone(),
            pull.body.clone(),
            pull.branch.clone(),
            pull.into.clone(),
            pull.head.clone(),
            pull.state.as_str(),
            rows::json_text(&pull.checks)?,
            flag(pull.skip_tests),
            micros(pull.created_at)
        );
        let row = optional(statement, unit.on()).await?.ok_or_else(|| corrupt("pull request", "it vanished"))?;
        unit.commit().await?;
        row.small("number")
    }
}

#[async_trait]
impl PullStore for SqlStore {
    async fn insert_pull(&self, pull: &Pull) -> StoreResult<Pull> {
        for _ in 0..TRIES {
            match self.try_insert_pull(pull).await {
                Ok(number) => return Ok(Pull { number, revision: 1, ..pull.clone() }),
                // Of two who come at once one finds the number taken, or the branch proposed.
                Err(StoreError::Conflict { .. }) => {}
                Err(other) => return Err(other),
            }
            if let Some(found) = self.open_pull(pull.repository, &pull.branch).await? {
                return Ok(found);
            }
        }
        Err(StoreError::Conflict { what: "pull request" })
    }

    async fn update_pull(&self, pull: &Pull) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE pulls SET title = $1, body = $2, head = $3, state = $4, checks = $5, skip_tests = $6, merge = $7, \
             outcome = $8, updated_at = $9, closed_at = $10, revision = revision + 1 WHERE id = $11 AND revision = $12",
            pull.title.clone(),
            pull.body.clone(),
            pull.head.clone(),
            pull.state.as_str(),
            rows::json_text(&pull.checks)?,
            flag(pull.skip_tests),
            pull.merge.as_ref().map(rows::json_text).transpose()?,
            pull.outcome.clone(),
            micros(pull.updated_at),
            optional_micros(pull.closed_at),
            pull.id.to_string(),
            whole(pull.revision)
        );
        let changed = run(statement, unit.on()).await? > 0;
        unit.commit().await?;
        Ok(changed)
    }

    async fn pull(&self, repository: RepositoryId, number: u32) -> StoreResult<Option<Pull>> {
        let mut reader = self.reader().await?;
        let text = format!("{PULLS} WHERE p.repository = $1 AND p.number = $2");
        let statement = sql!(self, AssertSqlSafe(text), repository.to_string(), i64::from(number));
        optional(statement, &mut reader).await?.as_ref().map(rows::pull).transpose()
    }

    async fn open_pull(&self, repository: RepositoryId, branch: &str) -> StoreResult<Option<Pull>> {
        let mut reader = self.reader().await?;
        let text = format!("{PULLS} WHERE p.repository = $1 AND p.branch = $2 AND p.state IN ('open', 'merging')");
        let statement = sql!(self, AssertSqlSafe(text), repository.to_string(), branch.to_owned());
        optional(statement, &mut reader).await?.as_ref().map(rows::pull).transpose()
    }

    async fn pulls(&self, repository: RepositoryId, open: bool, page: PageRequest) -> StoreResult<Page<Pull>> {
        let mut reader = self.reader().await?;
        let states = if open { "('open', 'merging')" } else { "('merged', 'closed')" };
        let text = format!("SELECT COUNT(*) FROM pulls WHERE repository = $1 AND state IN {states}");
        let total = number(sql!(self, AssertSqlSafe(text), repository.to_string()), &mut reader).await?;
        let text = format!(
            "{PULLS} WHERE p.repository = $1 AND p.state IN {states} ORDER BY p.number DESC LIMIT $2 OFFSET $3"
        );
        let statement =
            sql!(self, AssertSqlSafe(text), repository.to_string(), i64::from(page.size), whole(page.offset()));
        let items = all(statement, &mut reader).await?.iter().map(rows::pull).collect::<StoreResult<_>>()?;
        Ok(Page { total: total.unsigned_abs(), items })
    }

    async fn merging_pulls(&self) -> StoreResult<Vec<Pull>> {
        let mut reader = self.reader().await?;
        let text = format!("{PULLS} WHERE p.state = 'merging' ORDER BY p.id");
        all(sql!(self, AssertSqlSafe(text)), &mut reader).await?.iter().map(rows::pull).collect()
    }
}
