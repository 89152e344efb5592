//! The queue: claiming, giving back, looking; and logs.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use csw_core::{
    ids::{Lease, RunId, SimulationId},
    memo::MemoKey,
    ports::{Cancelled, Change, ParseApplied, ParseEnd, Room, RunStore, SimEnd, StoreResult},
    run::{ClaimedRun, LogOf, Run},
    simulation::Simulation,
};
use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::{
    SqlStore, rows,
    sql::{Columns, all, micros, number, optional, run, sql, whole},
};

/// Owners looked at in one claim.
const OWNERS: i64 = 50;

/// Jumps from owner to owner through the index, so that a long queue of one costs the others nothing.
const WAITING_OWNERS: &str = "WITH RECURSIVE o (owner_id) AS (SELECT MIN(owner_id) FROM runs WHERE state = 'queued' \
    UNION ALL SELECT (SELECT MIN(r.owner_id) FROM runs r WHERE r.state = 'queued' AND r.owner_id > o.owner_id) FROM o \
    WHERE o.owner_id IS NOT NULL) SELECT owner_id, (SELECT COUNT(*) FROM runs b WHERE b.state = 'running' AND \
    b.owner_id = o.owner_id) AS busy, (SELECT MIN(q.enqueued_at) FROM runs q WHERE q.state = 'queued' AND \
    q.owner_id = o.owner_id) AS since FROM o WHERE owner_id IS NOT NULL ORDER BY busy, since LIMIT $1";

const FITTING: &str = "SELECT id FROM runs WHERE state = 'queued' AND owner_id = $1 AND \
    (CASE WHEN cpus > $2 THEN $2 ELSE cpus END) <= $3 AND \
    (CASE WHEN memory_bytes > $4 THEN $4 ELSE memory_bytes END) <= $5 ORDER BY task_rank, enqueued_at, id LIMIT 1";

const FITTING_LOCKED: &str = "SELECT id FROM runs WHERE state = 'queued' AND owner_id = $1 AND \
    (CASE WHEN cpus > $2 THEN $2 ELSE cpus END) <= $3 AND \
    (CASE WHEN memory_bytes > $4 THEN $4 ELSE memory_bytes END) <= $5 ORDER BY task_rank, enqueued_at, id LIMIT 1 \
    FOR UPDATE SKIP LOCKED";

fn owner_of(log: LogOf) -> String {
    match log {
        LogOf::Run(id) => format!("run {id}"),
        LogOf::Build(id) => format!("build {id}"),
    }
}

impl SqlStore {
    async fn fitting(
        &self,
        owner: &str,
        room: Room,
        total: Room,
        on: &mut AnyConnection,
    ) -> StoreResult<Option<String>> {
        let text = if self.is_postgres() { FITTING_LOCKED } else { FITTING };
        let statement = sql!(
            self,
            text,
            owner.to_owned(),
            total.cpus,
            room.cpus,
            whole(total.memory_bytes),
            whole(room.memory_bytes)
        );
        optional(statement, on).await?.map(|row| row.text("id")).transpose()
    }
}

#[async_trait]
impl RunStore for SqlStore {
    async fn claim(&self, lease: Lease, room: Room, total: Room, now: Timestamp) -> StoreResult<Option<ClaimedRun>> {
        let mut reader = self.reader().await?;
        let any = optional(sql!(self, "SELECT 1 AS one FROM runs WHERE state = 'queued' LIMIT 1"), &mut reader).await?;
        drop(reader);
        if any.is_none() {
            return Ok(None);
        }
        let mut unit = self.begin().await?;
        let owners = all(sql!(self, WAITING_OWNERS, OWNERS), unit.on()).await?;
        for row in owners {
            let Some(id) = self.fitting(&row.text("owner_id")?, room, total, unit.on()).await? else { continue };
            let statement = sql!(
                self,
                "UPDATE runs SET state = 'running', lease = $1, started_at = $2, attempt = attempt + 1 \
                 WHERE id = $3 AND state = 'queued' RETURNING *",
                lease.to_string(),
                micros(now),
                id
            );
            if let Some(row) = optional(statement, unit.on()).await? {
                let run = rows::run(&row)?;
                unit.commit().await?;
                return Ok(Some(ClaimedRun { run, lease }));
            }
        }
        Ok(None)
    }

    async fn run(&self, id: RunId) -> StoreResult<Option<Run>> {
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, "SELECT * FROM runs WHERE id = $1", id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::run).transpose()
    }

    async fn running(&self) -> StoreResult<Vec<ClaimedRun>> {
        let mut reader = self.reader().await?;
        let rows = all(sql!(self, "SELECT * FROM runs WHERE state = 'running'"), &mut reader).await?;
        rows.iter().map(|row| Ok(ClaimedRun { run: rows::run(row)?, lease: row.id("lease")? })).collect()
    }

    async fn queue_position(&self, id: RunId) -> StoreResult<Option<(u64, u64)>> {
        let Some(queued) = RunStore::run(self, id).await?.filter(|run| run.state == csw_core::run::RunState::Queued)
        else {
            return Ok(None);
        };
        let mut reader = self.reader().await?;
        let total = number(sql!(self, "SELECT COUNT(*) FROM runs WHERE state = 'queued'"), &mut reader).await?;
        let statement = sql!(
            self,
            "SELECT COUNT(*) FROM runs WHERE state = 'queued' AND enqueued_at < $1",
            micros(queued.enqueued_at)
        );
        let ahead = number(statement, &mut reader).await?;
        Ok(Some((total.unsigned_abs(), ahead.unsigned_abs())))
    }

    async fn queue_lengths(&self) -> StoreResult<(u64, u64)> {
        let mut reader = self.reader().await?;
        let queued = number(sql!(self, "SELECT COUNT(*) FROM runs WHERE state = 'queued'"), &mut reader).await?;
        let running = number(sql!(self, "SELECT COUNT(*) FROM runs WHERE state = 'running'"), &mut reader).await?;
        Ok((queued.unsigned_abs(), running.unsigned_abs()))
    }

    async fn requeue(&self, id: RunId, lease: Lease, sentence: &str, handed_back: bool) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE runs SET state = 'queued', lease = NULL, started_at = NULL, message = $1, attempt = attempt - $2 \
             WHERE id = $3 AND lease = $4 AND state = 'running'",
            sentence.to_owned(),
            i64::from(handed_back),
            id.to_string(),
            lease.to_string()
        );
        let changed = run(statement, unit.on()).await? > 0;
        unit.tell(Change::Queue);
        unit.commit().await?;
        Ok(changed)
    }

    async fn finish_parse(&self, end: &ParseEnd) -> StoreResult<ParseApplied> {
        self.finish_parse_now(end).await
    }

    async fn finish_sim(&self, end: &SimEnd) -> StoreResult<Vec<Simulation>> {
        self.finish_sim_now(end).await
    }

    async fn cancel(&self, simulation: SimulationId, now: Timestamp) -> StoreResult<Cancelled> {
        self.cancel_now(simulation, now).await
    }

    async fn memo(&self, key: &MemoKey) -> StoreResult<Option<RunId>> {
        let mut reader = self.reader().await?;
        self.answer(key.as_str(), &mut reader).await?.map(|row| row.id("id")).transpose()
    }

    async fn append_log(&self, log: LogOf, offset: u64, text: Bytes, now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO logs (owner, start, body, at) VALUES ($1, $2, $3, $4) ON CONFLICT (owner, start) DO NOTHING",
            owner_of(log),
            whole(offset),
            text.to_vec(),
            micros(now)
        );
        run(statement, unit.on()).await?;
        unit.tell(Change::Log(log));
        unit.commit().await
    }

    async fn read_log(&self, log: LogOf, offset: u64, limit: u64) -> StoreResult<Bytes> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT start, body FROM logs WHERE owner = $1 AND start + LENGTH(body) > $2 AND start < $3 ORDER BY start",
            owner_of(log),
            whole(offset),
            whole(offset.saturating_add(limit))
        );
        let mut text = BytesMut::new();
        for row in all(statement, &mut reader).await? {
            let body = row.bytes("body")?;
            let skip = usize::try_from(offset.saturating_sub(row.unsigned("start")?)).unwrap_or(usize::MAX);
            text.extend_from_slice(body.get(skip..).unwrap_or_default());
        }
        text.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(text.freeze())
    }

    async fn log_length(&self, log: LogOf) -> StoreResult<u64> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT start, LENGTH(body) AS size FROM logs WHERE owner = $1 ORDER BY start DESC LIMIT 1",
            owner_of(log)
        );
        match optional(statement, &mut reader).await? {
            Some(row) => Ok(row.unsigned("start")? + u64::try_from(row.int("size")?).unwrap_or(0)),
            None => Ok(0),
        }
    }
}
