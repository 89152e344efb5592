//! What belongs to a database rather than to a port: its tables, copies, several processes, and rest.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use csw_core::{
    access::AccountRole,
    account::Account,
    ids::{AccountId, RunId},
    ports::{AccountStore, Change, RunStore, Store, StoreError},
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
