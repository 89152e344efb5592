//! The queue: claiming, giving back, looking; and logs.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use csw_core::{
    ids::{Lease, RunId, SimulationId},
    memo::MemoKey,
    ports::{Cancelled, Change, Hold, ParseApplied, ParseEnd, Room, RunHolds, RunStore, SimEnd, StoreResult},
    run::{ClaimedRun, LogOf, Run, RunState},
    simulation::Simulation,
};
use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::{
    SqlStore,
    columns::{columns, select},
    peers::in_hand,
    rows,
    sql::{Columns, all, micros, number, optional, run, sql, whole},
};

/// Bytes of a row of a log, so that reading a little of a long one reads little.
const ROW: usize = 64 * 1024;

/// Owners that are asked for a run before the turns are looked up anew.
const OWNERS: i64 = 16;

/// How often the turns are looked up before the queue is left to the other claimers.
const ROUNDS: u32 = 8;

/// The first run of an owner that fits; `$1` to `$4` are CPUs and memory in all, then CPUs and memory free.
macro_rules! fitting {
    ($owner:literal) => {
        concat!(
            "SELECT q.id FROM runs q WHERE q.state = 'queued' AND q.owner_id = ",
            $owner,
            " AND (q.cpus <= $3 OR $1 <= $3) AND (q.memory_bytes <= $4 OR $2 <= $4) \
             ORDER BY q.task_rank, q.enqueued_at, q.id LIMIT 1"
        )
    };
}

/// Owners with a run that fits, by turn; what is nobody's comes last. They are found by jumping from owner to owner through the index, so that a long
/// queue of one costs the others nothing.
const TURNS: &str = concat!(
    "WITH RECURSIVE o (owner_id) AS (SELECT MIN(owner_id) FROM runs WHERE state = 'queued' UNION ALL \
     SELECT (SELECT MIN(r.owner_id) FROM runs r WHERE r.state = 'queued' AND r.owner_id > o.owner_id) FROM o \
     WHERE o.owner_id IS NOT NULL), \
     heads (owner_id, run_id, busy) AS (SELECT o.owner_id, (",
    fitting!("o.owner_id"),
    "), (SELECT COUNT(*) FROM runs b WHERE b.state = 'running' AND b.owner_id = o.owner_id) \
     FROM o WHERE o.owner_id IS NOT NULL) \
     SELECT heads.owner_id FROM heads JOIN runs h ON h.id = heads.run_id \
     ORDER BY CASE WHEN h.task_rank > 1 THEN 1 ELSE 0 END, heads.busy, h.task_rank, h.enqueued_at, h.id LIMIT $5"
);

macro_rules! take {
    ($lock:literal) => {
        concat!(
            "UPDATE runs SET state = 'running', lease = $6, started_at = $7, server = $8, attempt = attempt + 1 WHERE id = (",
            fitting!("$5"),
            $lock,
            ") AND state = 'queued' RETURNING ",
            columns!(runs)
        )
    };
}

const TAKE: &str = take!("");

/// What another process is claiming or cancelling is not waited for: the next one will do.
const TAKE_UNLOCKED: &str = take!(" FOR UPDATE SKIP LOCKED");

fn owner_of(log: LogOf) -> String {
    match log {
        LogOf::Run(id) => format!("run {id}"),
        LogOf::Build(id) => format!("build {id}"),
    }
}

/// Who has runs in the queue.
enum Waiting {
    Nobody,
    Only(String),
    Several,
}

impl SqlStore {
    /// Most of the time nobody waits, or one does: then there are no turns to be worked out.
    async fn waiting_owners(&self) -> StoreResult<Waiting> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT (SELECT MIN(owner_id) FROM runs WHERE state = 'queued') AS first_owner, \
             (SELECT MAX(owner_id) FROM runs WHERE state = 'queued') AS last_owner"
        );
        let row = optional(statement, &mut reader).await?;
        let owner = |column| row.as_ref().map_or(Ok(None), |row| row.maybe_text(column));
        Ok(match (owner("first_owner")?, owner("last_owner")?) {
            (Some(first), Some(last)) if first == last => Waiting::Only(first),
            (Some(_), _) => Waiting::Several,
            (None, _) => Waiting::Nobody,
        })
    }

    async fn turns(&self, room: Room, total: Room) -> StoreResult<Vec<String>> {
        let mut reader = self.reader().await?;
        let statement =
            sql!(self, TURNS, total.cpus, whole(total.memory_bytes), room.cpus, whole(room.memory_bytes), OWNERS);
        all(statement, &mut reader).await?.iter().map(|row| row.text("owner_id")).collect()
    }

    async fn take(
        &self,
        owner: String,
        lease: Lease,
        room: Room,
        total: Room,
        now: Timestamp,
    ) -> StoreResult<Option<ClaimedRun>> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            if self.is_postgres() { TAKE_UNLOCKED } else { TAKE },
            total.cpus,
            whole(total.memory_bytes),
            room.cpus,
            whole(room.memory_bytes),
            owner,
            lease.to_string(),
            micros(now),
            self.server()
        );
        let Some(row) = optional(statement, unit.on()).await? else { return Ok(None) };
        let run = rows::run(&row)?;
        unit.commit().await?;
        Ok(Some(ClaimedRun { run, lease }))
    }

    async fn append(&self, log: LogOf, offset: u64, text: &[u8], now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let owner = owner_of(log);
        let length = self.length(&owner, unit.on()).await?;
        let known = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let new = text.get(known..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        let mut start = offset.max(length.min(offset + text.len() as u64));
        for part in new.chunks(ROW) {
            let statement = sql!(
                self,
                "INSERT INTO logs (owner, start, body, at) VALUES ($1, $2, $3, $4)",
                owner.clone(),
                whole(start),
                part.to_vec(),
                micros(now)
            );
            run(statement, unit.on()).await?;
            start += part.len() as u64;
        }
        unit.tell(Change::Log(log));
        unit.commit().await
    }

    async fn length(&self, owner: &str, on: &mut AnyConnection) -> StoreResult<u64> {
        let statement = sql!(
            self,
            "SELECT start + LENGTH(body) AS size FROM logs WHERE owner = $1 ORDER BY start DESC LIMIT 1",
            owner.to_owned()
        );
        optional(statement, on).await?.map_or(Ok(0), |row| row.unsigned("size"))
    }
}

#[async_trait]
impl RunHolds for SqlStore {
    async fn hold(&self, id: RunId) -> StoreResult<Hold> {
        let mut reader = self.reader().await?;
        let text = "SELECT state, lease FROM runs WHERE id = $1";
        let Some(row) = optional(sql!(self, text, id.to_string()), &mut reader).await? else {
            return Ok(Hold::Unknown);
        };
        match row.word("state", RunState::parse)? {
            RunState::Running => row.id("lease").map(Hold::Lease),
            _ => Ok(Hold::Nobody),
        }
    }
}

#[async_trait]
impl RunStore for SqlStore {
    async fn claim(&self, lease: Lease, room: Room, total: Room, now: Timestamp) -> StoreResult<Option<ClaimedRun>> {
        // Claims of this process see each other's, so that the turns are right to the last run.
        let _alone = self.inner.claiming.lock().await;
        for _ in 0..ROUNDS {
            let owners = match self.waiting_owners().await? {
                Waiting::Nobody => return Ok(None),
                Waiting::Only(owner) => vec![owner],
                Waiting::Several => self.turns(room, total).await?,
            };
            if owners.is_empty() {
                return Ok(None);
            }
            for owner in owners {
                if let Some(claimed) = self.take(owner, lease, room, total, now).await? {
                    return Ok(Some(claimed));
                }
            }
        }
        Ok(None)
    }

    async fn run(&self, id: RunId) -> StoreResult<Option<Run>> {
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, select!(runs, "WHERE id = $1"), id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::run).transpose()
    }

    async fn claim_run(&self, id: RunId, lease: Lease, now: Timestamp) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "UPDATE runs SET state = 'running', lease = $1, attempt = attempt + 1, started_at = $2, server = $3 \
             WHERE id = $4 AND state = 'queued'",
            lease.to_string(),
            micros(now),
            self.server(),
            id.to_string()
        );
        let claimed = run(statement, unit.on()).await? > 0;
        unit.commit().await?;
        Ok(claimed)
    }

    async fn running(&self) -> StoreResult<Vec<ClaimedRun>> {
        let mut reader = self.reader().await?;
        let statement = if self.is_postgres() {
            sql!(self, in_hand!(select!(runs, "WHERE state = 'running'")), self.server())
        } else {
            sql!(self, select!(runs, "WHERE state = 'running'"))
        };
        let rows = all(statement, &mut reader).await?;
        rows.iter().map(|row| Ok(ClaimedRun { run: rows::run(row)?, lease: row.id("lease")? })).collect()
    }

    async fn queue_position(&self, id: RunId) -> StoreResult<Option<(u64, u64)>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT (SELECT COUNT(*) FROM runs q WHERE q.state = 'queued' AND q.task_rank < 2) AS waiting, \
             (SELECT COUNT(*) FROM runs q WHERE q.state = 'queued' AND q.task_rank < 2 AND q.enqueued_at < r.enqueued_at) \
             AS ahead \
             FROM runs r WHERE r.id = $1 AND r.state = 'queued'",
            id.to_string()
        );
        let row = optional(statement, &mut reader).await?;
        row.map(|row| Ok((row.unsigned("waiting")?, row.unsigned("ahead")?))).transpose()
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
            concat!(
                "UPDATE runs SET state = 'queued', lease = NULL, message = $1, attempt = attempt - $2 \
                 WHERE id = $3 AND lease = $4 AND state = 'running' RETURNING ",
                columns!(runs)
            ),
            sentence.to_owned(),
            i64::from(handed_back),
            id.to_string(),
            lease.to_string()
        );
        let Some(row) = optional(statement, unit.on()).await? else { return Ok(false) };
        let given = rows::run(&row)?;
        if given.cancel_requested {
            // Nobody wants another attempt. The latest time that this transaction knows is the attempt's beginning.
            let now = given.started_at.unwrap_or(given.enqueued_at);
            self.end_unclaimed(&mut unit, id, now).await?;
        } else {
            run(sql!(self, "UPDATE runs SET started_at = NULL WHERE id = $1", id.to_string()), unit.on()).await?;
        }
        unit.tell(Change::Queue);
        unit.commit().await?;
        Ok(true)
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
        self.append(log, offset, &text, now).await
    }

    async fn read_log(&self, log: LogOf, offset: u64, limit: u64) -> StoreResult<Bytes> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT start, body FROM logs WHERE owner = $1 AND start < $3 AND start >= COALESCE((SELECT MAX(l.start) \
             FROM logs l WHERE l.owner = $1 AND l.start <= $2), 0) ORDER BY start",
            owner_of(log),
            whole(offset),
            whole(offset.saturating_add(limit))
        );
        let mut text = BytesMut::new();
        for row in all(statement, &mut reader).await? {
            let body = row.bytes("body")?;
            let (start, at) = (row.unsigned("start")?, offset + text.len() as u64);
            // Bytes that never arrived read as spaces, so that all others keep their offsets.
            text.resize(text.len() + usize::try_from(start.saturating_sub(at)).unwrap_or(0), b' ');
            let skip = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
            text.extend_from_slice(body.get(skip..).unwrap_or_default());
        }
        text.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(text.freeze())
    }

    async fn log_length(&self, log: LogOf) -> StoreResult<u64> {
        let mut reader = self.reader().await?;
        self.length(&owner_of(log), &mut reader).await
    }
}
