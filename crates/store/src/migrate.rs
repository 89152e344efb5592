//! Migrations: numbered files, embedded, applied in order, each once, whole or not at all. Several processes may start at
//! once: one of them migrates, the others wait.

use csw_core::ports::StoreResult;
use sqlx::AssertSqlSafe;

use crate::{
    SqlStore,
    sql::{corrupt, failed, number, sql},
};

struct Migration {
    number: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: [Migration; 9] = [
    migration!(1, "0001_initial"),
    migration!(2, "0002_counts"),
    migration!(3, "0003_secrets"),
    migration!(4, "0004_builds"),
    migration!(5, "0005_pulls"),
    migration!(6, "0006_forges"),
    migration!(7, "0007_comparisons"),
    migration!(8, "0008_servers_and_costs"),
    migration!(9, "0009_thumbnails"),
];

/// Any number, the same for every process that migrates.
const LOCK: i64 = 7_120_301;

pub(crate) async fn run(store: &SqlStore) -> StoreResult<()> {
    let mut unit = store.begin().await?;
    if store.is_postgres() {
        sql!(store, "SELECT pg_advisory_xact_lock($1)", LOCK).execute(unit.on()).await.map_err(failed)?;
    }
    let kind = if store.is_postgres() { "BIGINT" } else { "INTEGER" };
    let table = format!("CREATE TABLE IF NOT EXISTS migrations (number {kind} NOT NULL PRIMARY KEY)");
    sqlx::query(AssertSqlSafe(table)).execute(unit.on()).await.map_err(failed)?;
    let done = number(sql!(store, "SELECT COALESCE(MAX(number), 0) FROM migrations"), unit.on()).await?;
    let newest = MIGRATIONS.last().map_or(0, |last| last.number);
    if done > newest {
        return Err(corrupt(
            "schema",
            format!("it is at {done}, newer than this program's {newest}; use the newer program"),
        ));
    }
    for migration in &MIGRATIONS {
        // One of a lower number may come from a branch that was merged later.
        let known = sql!(store, "SELECT COUNT(*) FROM migrations WHERE number = $1", migration.number);
        if number(known, unit.on()).await? > 0 {
            continue;
        }
        let text = if store.is_postgres() { migration.postgres } else { migration.sqlite };
        for statement in text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            sqlx::query(statement).execute(unit.on()).await.map_err(failed)?;
        }
        sql!(store, "INSERT INTO migrations (number) VALUES ($1)", migration.number)
            .execute(unit.on())
            .await
            .map_err(failed)?;
    }
    unit.commit().await
}
