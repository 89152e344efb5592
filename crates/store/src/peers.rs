//! Several servers on one PostgreSQL: which of them are alive, and who has what.
//!
//! Each holds an advisory lock on the connection on which it hears of changes, for as long as it lives: a database knows
//! at once who hangs up, and nobody has to write that they are still there. On SQLite there is one server.

use std::sync::atomic::{AtomicBool, Ordering};

use csw_core::ports::StoreResult;
use sqlx::postgres::PgListener;

use crate::{
    SqlStore,
    sql::{number, sql},
};

/// The class of the locks; any number, the same for all.
const CLASS: i32 = 7_120_302;

/// The servers that hold theirs. `objid` is unsigned, `objsubid` 2 is a lock of two numbers.
macro_rules! alive {
    () => {
        "SELECT CAST(l.objid AS BIGINT) AS server FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 7120302 AND \
         l.objsubid = 2 AND l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = \
         current_database())"
    };
}

/// Rows of servers that are gone, or of this one, which is `$1`.
macro_rules! in_hand {
    ($($rest:tt)*) => {
        concat!($($rest)*, " AND (server IS NULL OR server = $1 OR server NOT IN (", $crate::peers::alive!(), "))")
    };
}
pub(crate) use {alive, in_hand};

/// This server among others.
pub(crate) struct Peer {
    /// Its number.
    pub(crate) own: i32,
    /// Whether it has heard of others.
    others: AtomicBool,
}

impl Peer {
    pub(crate) fn new() -> Self {
        // Positive, and another one for each process.
        let random = uuid::Uuid::new_v4().as_u128() & 0x7fff_ffff;
        Self { own: i32::try_from(random).unwrap_or(i32::MAX).max(1), others: AtomicBool::new(false) }
    }

    /// Lets the others know, for as long as this connection lasts, and tells them.
    pub(crate) async fn announce(&self, channel: &str, on: &mut PgListener) -> sqlx::Result<()> {
        sqlx::query("SELECT pg_advisory_lock_shared($1, $2)").bind(CLASS).bind(self.own).execute(&mut *on).await?;
        let word = format!("server {}", self.own);
        sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(word).execute(&mut *on).await?;
        Ok(())
    }

    /// Hears of a server; whether what was heard is of that kind.
    pub(crate) fn hears(&self, text: &str) -> bool {
        let Some(number) = text.strip_prefix("server ") else { return false };
        if number.parse() != Ok(self.own) {
            self.others.store(true, Ordering::Relaxed);
        }
        true
    }
}

impl SqlStore {
    /// The number by which rows name this server.
    pub(crate) fn server(&self) -> i64 {
        i64::from(self.inner.peer.own)
    }

    /// Whether other servers have this database open. A database that can't be asked has those that were known.
    pub async fn other_servers(&self) -> StoreResult<u64> {
        if !self.is_postgres() {
            return Ok(0);
        }
        let mut reader = self.reader().await?;
        let text = concat!("SELECT COUNT(DISTINCT a.server) FROM (", alive!(), ") a WHERE a.server <> $1");
        let others = number(sql!(self, text, self.server()), &mut reader).await?.unsigned_abs();
        self.inner.peer.others.store(others > 0, Ordering::Relaxed);
        Ok(others)
    }

    /// Whether others were heard of.
    pub(crate) fn knows_others(&self) -> bool {
        self.inner.peer.others.load(Ordering::Relaxed)
    }
}
