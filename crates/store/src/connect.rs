//! Opening a database, and telling others what changed in it.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use csw_core::{
    build::StopReason,
    ids::{AccountId, BuildId, ModelId, RunId, SimulationId, VersionId},
    ports::{Change, Store, StoreError, StoreResult},
    run::LogOf,
};
use futures::{StreamExt, stream::BoxStream};
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Row, Transaction,
    any::{AnyPoolOptions, install_default_drivers},
    pool::PoolConnection,
    postgres::PgListener,
};
use tokio::{sync::broadcast, task::AbortHandle};

use crate::{
    migrate,
    peers::Peer,
    sql::{Columns, failed, sql},
};

/// The channel on which processes tell each other.
const CHANNEL: &str = "csw_changes";

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

pub(crate) struct Inner {
    pub(crate) kind: Kind,
    pub(crate) write: AnyPool,
    read: AnyPool,
    changes: broadcast::Sender<Change>,
    pub(crate) statements: AtomicU64,
    pub(crate) claiming: tokio::sync::Mutex<()>,
    pub(crate) peer: Arc<Peer>,
    listening: OnceLock<AbortHandle>,
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) inner: Arc<Inner>,
}

/// A transaction, and what to tell once it is committed.
pub(crate) struct Unit {
    pub(crate) tx: Transaction<'static, Any>,
    changes: Vec<Change>,
    store: SqlStore,
}

impl Unit {
    pub(crate) fn on(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }

    pub(crate) fn tell(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Holds others off a run until the end. Where one connection writes they are off anyway.
    pub(crate) async fn lock_run(&mut self, id: RunId) -> StoreResult<()> {
        if self.store.is_postgres() {
            let statement = sql!(self.store, "SELECT id FROM runs WHERE id = $1 FOR UPDATE", id.to_string());
            statement.execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Holds others off a simulation until the end. Runs are locked before simulations, so that nobody waits in a circle.
    pub(crate) async fn lock_simulation(&mut self, id: SimulationId) -> StoreResult<()> {
        if self.store.is_postgres() {
            let statement = sql!(self.store, "SELECT id FROM simulations WHERE id = $1 FOR UPDATE", id.to_string());
            statement.execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Holds others off a model until the end.
    pub(crate) async fn lock_model(&mut self, id: ModelId) -> StoreResult<()> {
        if self.store.is_postgres() {
            let statement = sql!(self.store, "SELECT id FROM models WHERE id = $1 FOR UPDATE", id.to_string());
            statement.execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Holds others off an account until the end.
    pub(crate) async fn lock_account(&mut self, id: AccountId) -> StoreResult<()> {
        if self.store.is_postgres() {
            let statement = sql!(self.store, "SELECT id FROM accounts WHERE id = $1 FOR UPDATE", id.to_string());
            statement.execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Holds others off a memo key until the end, whether or not a run has it. Taken before any run is locked.
    pub(crate) async fn lock_memo(&mut self, key: &str) -> StoreResult<()> {
        if self.store.is_postgres() {
            let text = "SELECT 1 AS one FROM (SELECT pg_advisory_xact_lock(hashtextextended($1, 0))) l";
            sql!(self.store, text, key.to_owned()).execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Like [`Unit::lock_memo`], for the key of a run, if it has one.
    pub(crate) async fn lock_memo_of(&mut self, run: RunId) -> StoreResult<()> {
        if self.store.is_postgres() {
            let text = "SELECT 1 AS one FROM (SELECT pg_advisory_xact_lock(hashtextextended(memo_key, 0)) FROM runs \
                        WHERE id = $1 AND memo_key IS NOT NULL) l";
            sql!(self.store, text, run.to_string()).execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Commits, then tells. Once begun this happens whether or not the caller still waits: a request that is dropped
    /// half-way must not leave work in the queue that nobody was told of.
    pub(crate) async fn commit(self) -> StoreResult<()> {
        let committed = tokio::spawn(self.commit_now()).await;
        committed.map_err(|cause| StoreError::Unavailable { cause: cause.to_string() })?
    }

    async fn commit_now(mut self) -> StoreResult<()> {
        if self.store.inner.kind == Kind::Postgres {
            for change in &self.changes {
                sql!(self.store, "SELECT pg_notify($1, $2)", CHANNEL, encode(*change))
                    .execute(&mut *self.tx)
                    .await
                    .map_err(failed)?;
            }
        }
        self.store.count();
        self.tx.commit().await.map_err(failed)?;
        if self.store.inner.kind == Kind::Sqlite {
            for change in self.changes {
                // Nobody may be listening.
                let _ = self.store.inner.changes.send(change);
            }
        }
        Ok(())
    }
}

impl SqlStore {
    /// Opens (or makes) a SQLite database: write-ahead log, every commit on disk.
    pub async fn open_sqlite(path: &Path) -> StoreResult<Self> {
        install_default_drivers();
        let name = path.display().to_string().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        let url = format!("sqlite://{name}?mode=rwc");
        let write = sqlite_pool(&url, 1).await?;
        let read = sqlite_pool(&url, 4).await?;
        let store = Self::new(Kind::Sqlite, write, read);
        migrate::run(&store).await?;
        Ok(store)
    }

    /// Opens a PostgreSQL database by its URL, with at most `max_connections` connections.
    pub async fn open_postgres(url: &str, max_connections: u32) -> StoreResult<Self> {
        install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .connect(url)
            .await
            .map_err(failed)?;
        let store = Self::new(Kind::Postgres, pool.clone(), pool);
        migrate::run(&store).await?;
        store.listen(url).await?;
        Ok(store)
    }

    fn new(kind: Kind, write: AnyPool, read: AnyPool) -> Self {
        let (changes, _) = broadcast::channel(4096);
        Self {
            inner: Arc::new(Inner {
                kind,
                write,
                read,
                changes,
                statements: AtomicU64::new(0),
                claiming: tokio::sync::Mutex::default(),
                peer: Arc::new(Peer::new()),
                listening: OnceLock::new(),
            }),
        }
    }

    /// Hears what this and other processes tell through PostgreSQL.
    async fn listen(&self, url: &str) -> StoreResult<()> {
        let (url, changes) = (url.to_owned(), self.inner.changes.clone());
        let mut listener = listener(&url, &self.inner.peer).await.map_err(failed)?;
        self.other_servers().await?;
        let peer = Arc::clone(&self.inner.peer);
        let listening = tokio::spawn(async move {
            loop {
                // An answer that is no note means that the connection was lost.
                while let Ok(Some(note)) = listener.try_recv().await {
                    if !peer.hears(note.payload())
                        && let Some(change) = decode(note.payload())
                    {
                        // Nobody may be listening.
                        let _ = changes.send(change);
                    }
                }
                tracing::warn!("notifications of the database are interrupted");
                listener = loop {
                    match self::listener(&url, &peer).await {
                        Ok(listener) => break listener,
                        Err(error) => tracing::warn!(%error, "notifications of the database are still interrupted"),
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                };
                let _ = changes.send(Change::Missed);
            }
        });
        // There is one.
        let _ = self.inner.listening.set(listening.abort_handle());
        Ok(())
    }

    /// A transaction that may write.
    pub(crate) async fn begin(&self) -> StoreResult<Unit> {
        self.count();
        let tx = match self.inner.kind {
            Kind::Sqlite => self.begin_immediately().await,
            Kind::Postgres => self.inner.write.begin().await,
        };
        Ok(Unit { tx: tx.map_err(failed)?, changes: Vec::new(), store: self.clone() })
    }

    /// SQLite ends a transaction by itself when the disk is full. Its connection still counts on that transaction, and
    /// would refuse every other one: it is replaced.
    async fn begin_immediately(&self) -> sqlx::Result<Transaction<'static, Any>> {
        loop {
            match self.inner.write.begin_with("BEGIN IMMEDIATE").await {
                Err(sqlx::Error::InvalidSavePointStatement) => self.inner.write.acquire().await?.close().await?,
                begun => return begun,
            }
        }
    }

    /// A connection that reads.
    pub(crate) async fn reader(&self) -> StoreResult<PoolConnection<Any>> {
        self.inner.read.acquire().await.map_err(failed)
    }

    /// Whether locks have to be asked for: ` FOR UPDATE` on PostgreSQL, nothing where one connection writes.
    pub(crate) fn is_postgres(&self) -> bool {
        self.inner.kind == Kind::Postgres
    }

    /// Copies a live SQLite database into a new file, consistently.
    pub async fn backup_to(&self, file: &Path) -> StoreResult<()> {
        if self.is_postgres() {
            return Err(StoreError::State {
                what: "a PostgreSQL database is backed up with its own tools: pg_dump".to_owned(),
            });
        }
        let quoted = file.display().to_string().replace('\'', "''");
        let mut reader = self.reader().await?;
        self.count();
        sqlx::query(AssertSqlSafe(format!("VACUUM INTO '{quoted}'"))).execute(&mut *reader).await.map_err(failed)?;
        Ok(())
    }

    /// What the database says of its own consistency; `ok` if all is well.
    pub async fn integrity(&self) -> StoreResult<String> {
        if self.is_postgres() {
            self.ping().await?;
            return Ok("ok".to_owned());
        }
        let mut reader = self.reader().await?;
        let row = sql!(self, "PRAGMA integrity_check").fetch_one(&mut *reader).await.map_err(failed)?;
        row.try_get(0).map_err(failed)
    }

    /// Every object that an output refers to, with its hash and size.
    pub async fn referenced_objects(&self) -> StoreResult<Vec<(String, String, u64)>> {
        let mut reader = self.reader().await?;
        let rows = sql!(self, "SELECT DISTINCT sha256, size FROM run_outputs")
            .fetch_all(&mut *reader)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let sha256 = row.text("sha256")?;
                Ok((csw_core::output::object_key(&sha256), sha256, row.unsigned("size")?))
            })
            .collect()
    }

    /// Closes all connections: what this server has is others' from now on.
    pub async fn close(&self) {
        if let Some(listening) = self.inner.listening.get() {
            listening.abort();
        }
        self.inner.write.close().await;
        self.inner.read.close().await;
    }
}

async fn listener(url: &str, peer: &Peer) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    peer.announce(CHANNEL, &mut listener).await?;
    Ok(listener)
}

async fn sqlite_pool(url: &str, connections: u32) -> StoreResult<AnyPool> {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        // A file does not hang up: no statement is spent on asking, and connections stay.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move {
                for pragma in [
                    "PRAGMA busy_timeout = 10000",
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    "PRAGMA foreign_keys = ON",
                ] {
                    sqlx::query(pragma).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect(url)
        .await
        .map_err(failed)
}

fn encode(change: Change) -> String {
    match change {
        Change::Queue => "queue".to_owned(),
        Change::Simulation(id) => format!("simulation {id}"),
        Change::Log(LogOf::Run(id)) => format!("run-log {id}"),
        Change::Log(LogOf::Build(id)) => format!("build-log {id}"),
        Change::Build(id) => format!("build {id}"),
        Change::Comparison(id) => format!("comparison {id}"),
        Change::Cancel(id) => format!("cancel {id}"),
        Change::StopBuild(id, why) => format!("stop-build {id} {}", why.as_str()),
        Change::Missed => "missed".to_owned(),
    }
}

fn decode(text: &str) -> Option<Change> {
    let (word, id) = text.split_once(' ').unwrap_or((text, ""));
    Some(match word {
        "queue" => Change::Queue,
        "simulation" => Change::Simulation(id.parse::<SimulationId>().ok()?),
        "run-log" => Change::Log(LogOf::Run(id.parse::<RunId>().ok()?)),
        "build-log" => Change::Log(LogOf::Build(id.parse::<BuildId>().ok()?)),
        "build" => Change::Build(id.parse::<BuildId>().ok()?),
        "comparison" => Change::Comparison(id.parse::<VersionId>().ok()?),
        "cancel" => Change::Cancel(id.parse::<RunId>().ok()?),
        "stop-build" => {
            let (id, why) = id.split_once(' ')?;
            Change::StopBuild(id.parse::<BuildId>().ok()?, StopReason::parse(why)?)
        }
        "missed" => Change::Missed,
        _ => return None,
    })
}

#[async_trait]
impl Store for SqlStore {
    fn changes(&self) -> BoxStream<'static, Change> {
        let stream = tokio_stream::wrappers::BroadcastStream::new(self.inner.changes.subscribe());
        // A listener that was too slow missed some.
        stream.map(|change| change.unwrap_or(Change::Missed)).boxed()
    }

    async fn ping(&self) -> StoreResult<()> {
        let mut reader = self.reader().await?;
        sql!(self, "SELECT 1").execute(&mut *reader).await.map_err(failed)?;
        Ok(())
    }

    fn has_peers(&self) -> bool {
        self.knows_others()
    }

    async fn look_for_peers(&self) -> StoreResult<u64> {
        self.other_servers().await
    }

    fn statements(&self) -> u64 {
        self.inner.statements.load(Ordering::Relaxed)
    }
}
