//! What belongs to a database rather than to a port: its tables, copies, several processes, and rest.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use csw_core::{
    access::AccountRole,
    account::Account,
    ids::{AccountId, Lease, RunId},
    ports::{AccountStore, Change, Room, RunStore, Store, StoreError},
    run::LogOf,
};
use csw_store::SqlStore;
use futures::StreamExt;
use jiff::Timestamp;
use sqlx::Row;

mod support;

fn account(name: &str) -> Account {
    Account {
        id: AccountId::from_uuid(uuid::Uuid::now_v7()),
        name: name.parse().unwrap(),
        email: String::new(),
        first_name: String::new(),
        last_name: String::new(),
        password_hash: None,
        role: AccountRole::Member,
        is_active: true,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

async fn columns(url: &str, sql: &'static str) -> Vec<(String, String)> {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.sqlite");
    SqlStore::open_sqlite(&file).await.unwrap().close().await;
    let url = support::Postgres::shared().fresh_url("tables");
    SqlStore::open_postgres(&url, 2).await.unwrap().close().await;
    let sqlite = columns(
        &format!("sqlite://{}", file.display()),
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.name",
    )
    .await;
    let postgres = columns(
        &url,
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns \
         WHERE table_schema = 'public' ORDER BY table_name COLLATE \"C\", column_name COLLATE \"C\"",
    )
    .await;
    assert!(sqlite.len() > 100);
    assert_eq!(sqlite, postgres);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_open_a_new_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("with % and ? and #.sqlite");
    let url = support::Postgres::shared().fresh_url("several");
    for store in futures::future::join_all((0..4).map(|_| SqlStore::open_sqlite(&file))).await {
        store.unwrap().ping().await.unwrap();
    }
    for store in futures::future::join_all((0..4).map(|_| SqlStore::open_postgres(&url, 1))).await {
        store.unwrap().ping().await.unwrap();
    }
    assert!(file.exists());
}

#[tokio::test]
async fn a_copy_is_taken_of_a_live_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open_sqlite(&folder.path().join("live.sqlite")).await.unwrap();
    store.insert_account(&account("before")).await.unwrap();
    let copy = folder.path().join("copy's.sqlite");
    store.backup_to(&copy).await.unwrap();
    store.insert_account(&account("after")).await.unwrap();
    assert!(store.backup_to(&copy).await.is_err(), "an older copy is not overwritten");
    let copy = SqlStore::open_sqlite(&copy).await.unwrap();
    assert!(copy.account_by_name("before").await.unwrap().is_some());
    assert!(copy.account_by_name("after").await.unwrap().is_none());
    assert_eq!(copy.integrity().await.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_hear_of_changes() {
    let postgres = support::Postgres::shared();
    let url = postgres.fresh_url("changes");
    let (here, there) =
        (SqlStore::open_postgres(&url, 2).await.unwrap(), SqlStore::open_postgres(&url, 2).await.unwrap());
    let (mut own, mut other) = (here.changes(), there.changes());
    let log = LogOf::Run(RunId::from_uuid(uuid::Uuid::now_v7()));
    here.append_log(log, 0, "text".into(), Timestamp::UNIX_EPOCH).await.unwrap();
    let patience = Duration::from_secs(20);
    assert_eq!(tokio::time::timeout(patience, own.next()).await.unwrap(), Some(Change::Log(log)));
    assert_eq!(tokio::time::timeout(patience, other.next()).await.unwrap(), Some(Change::Log(log)));
    // Nobody knows what was told while the connection was lost.
    postgres.hang_up(&url);
    for changes in [&mut own, &mut other] {
        assert_eq!(tokio::time::timeout(patience, changes.next()).await.unwrap(), Some(Change::Missed));
    }
    here.append_log(log, 4, "more".into(), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(tokio::time::timeout(patience, other.next()).await.unwrap(), Some(Change::Log(log)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_is_others_only_once_it_is_gone() {
    let url = support::Postgres::shared().fresh_url("servers");
    let here = SqlStore::open_postgres(&url, 2).await.unwrap();
    assert!(!here.has_peers() && here.other_servers().await.unwrap() == 0);
    let there = SqlStore::open_postgres(&url, 2).await.unwrap();
    assert!(there.has_peers() && there.other_servers().await.unwrap() == 1);
    let mut waited = 0;
    while !here.has_peers() {
        waited += 1;
        assert!(waited < 1_000, "the first never hears of the second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    queued_run(&url).await;
    let (room, now) = (Room { cpus: 8.0, memory_bytes: 1 << 40 }, Timestamp::UNIX_EPOCH);
    let lease = Lease::from_uuid(uuid::Uuid::now_v7());
    let claimed = here.claim(lease, room, room, now).await.unwrap().unwrap();
    assert_eq!(here.running().await.unwrap(), std::slice::from_ref(&claimed));
    assert!(there.running().await.unwrap().is_empty(), "its server is alive");
    assert_eq!(there.queue_lengths().await.unwrap(), (0, 1));
    here.close().await;
    let mut waited = 0;
    while there.running().await.unwrap().is_empty() {
        waited += 1;
        assert!(waited < 1_000, "its server is gone");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(there.requeue(claimed.run.id, lease, "its server is gone", true).await.unwrap());
    assert_eq!(there.look_for_peers().await.unwrap(), 0);
    assert!(!there.has_peers());
}

/// A row that is all a claim looks at.
async fn queued_run(url: &str) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    let id = || uuid::Uuid::now_v7().to_string();
    sqlx::query(
        "INSERT INTO runs (id, task, model_id, version_id, simulation_id, owner_id, arguments, cpus, memory_bytes, \
         deadline_seconds, state, attempt, task_rank, enqueued_at, phases, cancel_requested) VALUES ($1, 'sim', $2, $3, $4, \
         $5, '{}', 1.0, 1000, 60, 'queued', 0, 1, 0, '{\"queue\":0,\"start\":0,\"import\":0,\"run\":0,\"store\":0}', 0)",
    )
    .bind(id())
    .bind(id())
    .bind(id())
    .bind(id())
    .bind(id())
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
}

#[tokio::test]
async fn rows_move_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let from = SqlStore::open_sqlite(&folder.path().join("from.sqlite")).await.unwrap();
    for at in 0..2_000 {
        from.insert_account(&account(&format!("somebody-{at}"))).await.unwrap();
    }
    let log = LogOf::Run(RunId::from_uuid(uuid::Uuid::now_v7()));
    from.append_log(log, 0, vec![0, 159, 146, 150, 10].into(), Timestamp::UNIX_EPOCH).await.unwrap();
    let url = support::Postgres::shared().fresh_url("transfer");
    let to = SqlStore::open_postgres(&url, 2).await.unwrap();
    let copies = csw_store::transfer(&from, &to).await.unwrap();
    let rows = |name: &str| copies.iter().find(|copy| copy.table == name).unwrap().rows;
    assert_eq!((rows("accounts"), rows("logs"), rows("models")), (2_000, 1, 0));
    assert!(to.account_by_name("SOMEBODY-1999").await.unwrap().is_some());
    assert_eq!(to.read_log(log, 0, 10).await.unwrap().as_ref(), [0, 159, 146, 150, 10]);
    let again = csw_store::transfer(&from, &to).await.unwrap_err().to_string();
    assert!(again.contains("not empty") && again.contains("accounts"), "{again}");
    let back = SqlStore::open_sqlite(&folder.path().join("back.sqlite")).await.unwrap();
    assert_eq!(csw_store::transfer(&to, &back).await.unwrap(), copies, "the same tables, rows and checksums");
}

#[tokio::test]
async fn every_statement_is_counted_and_rest_sends_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open_sqlite(&folder.path().join("a.sqlite")).await.unwrap();
    let before = store.statements();
    store.ping().await.unwrap();
    let after = store.statements();
    assert!(after > before);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(store.statements(), after);
}

#[tokio::test]
async fn a_database_out_of_reach_is_unavailable() {
    let closed = SqlStore::open_postgres("postgres://csw:x@127.0.0.1:1/none", 1).await;
    assert!(matches!(closed, Err(StoreError::Unavailable { .. })));
    let folder = tempfile::tempdir().unwrap();
    let missing = SqlStore::open_sqlite(&folder.path().join("no/such/folder.sqlite")).await;
    assert!(matches!(missing, Err(StoreError::Unavailable { .. })));
}
