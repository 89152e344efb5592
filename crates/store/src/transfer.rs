//! Moving all rows from one database to another, and the proof that none is missing or changed.
//!
//! Everything is one transaction of the target: it gets all rows, or stays empty.

use csw_core::ports::{StoreError, StoreResult};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use crate::{
    SqlStore,
    sql::{Columns, Storable, all, corrupt, failed, number, run},
};

/// Values in one statement; PostgreSQL takes 65,535.
const VALUES: usize = 30_000;

/// Bytes of rows that are gathered for one statement.
const BYTES: usize = 4 << 20;

/// A table that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCopy {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// A checksum over all of them, equal in both databases.
    pub checksum: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Float,
    Bytes,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Kind,
}

enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Float(Option<f64>),
    Bytes(Option<Vec<u8>>),
}

/// The sum of the hashes of rows: rows come in any order.
#[derive(Default, PartialEq, Eq)]
struct Checksum {
    rows: u64,
    sum: [u128; 2],
}

impl Checksum {
    fn add(&mut self, row: &[Value]) {
        let mut hasher = Sha256::new();
        for value in row {
            let bytes = match value {
                Value::Text(text) => text.as_ref().map(|text| text.clone().into_bytes()),
                Value::Integer(integer) => integer.map(|integer| integer.to_be_bytes().to_vec()),
                Value::Float(float) => float.map(|float| float.to_bits().to_be_bytes().to_vec()),
                Value::Bytes(bytes) => bytes.clone(),
            };
            // Lengths keep the ends of values apart; nothing is no empty value.
            hasher.update(bytes.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
            hasher.update(bytes.unwrap_or_default());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        for (sum, half) in self.sum.iter_mut().zip(digest.chunks_exact(16)) {
            *sum = sum.wrapping_add(u128::from_be_bytes(half.try_into().unwrap_or_default()));
        }
        self.rows += 1;
    }

    fn text(&self) -> String {
        format!("{:032x}{:032x}", self.sum[0], self.sum[1])
    }
}

/// A table, as SQLite tells of it.
struct Table {
    name: String,
    columns: Vec<Column>,
    /// The column that refers to a row of the same table, which may come later.
    own: Option<usize>,
    /// Tables that its rows refer to.
    needs: Vec<String>,
}

/// Moves every row of `from` into `to`, which has to be empty. One of them is of SQLite, the other of PostgreSQL. Nothing
/// may be written to `from` meanwhile.
pub async fn transfer(from: &SqlStore, to: &SqlStore) -> StoreResult<Vec<TableCopy>> {
    let tables = in_order(tables(if from.is_postgres() { to } else { from }).await?);
    let mut unit = to.begin().await?;
    for table in &tables {
        let text = format!("SELECT COUNT(*) FROM {}", table.name);
        if number(sqlx::query(AssertSqlSafe(text)), unit.on()).await? > 0 {
            let what = format!("the target is not empty: its table `{}` has rows", table.name);
            return Err(StoreError::State { what });
        }
    }
    let mut copies = Vec::new();
    for table in &tables {
        let sent = copy(from, table, unit.on()).await?;
        let mut arrived = Checksum::default();
        let mut rows = sqlx::query(AssertSqlSafe(select(table))).fetch(unit.on());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            arrived.add(&values(&row, &table.columns)?);
        }
        drop(rows);
        if sent != arrived {
            let what = format!(
                "table `{}` did not arrive as it was sent: {} rows of {}; nothing was moved",
                table.name, arrived.rows, sent.rows
            );
            return Err(StoreError::State { what });
        }
        copies.push(TableCopy { table: table.name.clone(), rows: sent.rows, checksum: sent.text() });
    }
    unit.commit().await?;
    Ok(copies)
}

async fn tables(sqlite: &SqlStore) -> StoreResult<Vec<Table>> {
    let mut reader = sqlite.reader().await?;
    let text = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'migrations' \
                ORDER BY name";
    let mut tables = Vec::new();
    for row in all(sqlx::query(text), &mut reader).await? {
        let name = row.text("name")?;
        let text = "SELECT name, type AS kind FROM pragma_table_info($1) ORDER BY name";
        let rows = all(sqlx::query(text).bind(name.clone()), &mut reader).await?;
        let columns: Vec<Column> = rows.iter().map(|row| column(&name, row)).collect::<StoreResult<_>>()?;
        let text = "SELECT \"table\" AS target, \"from\" AS source FROM pragma_foreign_key_list($1)";
        let (mut own, mut needs) = (None, Vec::new());
        for row in all(sqlx::query(text).bind(name.clone()), &mut reader).await? {
            let (target, source) = (row.text("target")?, row.text("source")?);
            if target == name {
                own = columns.iter().position(|column| column.name == source);
            } else {
                needs.push(target);
            }
        }
        tables.push(Table { name, columns, own, needs });
    }
    Ok(tables)
}

fn column(table: &str, row: &AnyRow) -> StoreResult<Column> {
    let kind = match row.text("kind")?.as_str() {
        "TEXT" => Kind::Text,
        "INTEGER" => Kind::Integer,
        "REAL" => Kind::Float,
        "BLOB" => Kind::Bytes,
        other => return Err(corrupt(table, format!("a column of type {other}"))),
    };
    Ok(Column { name: row.text("name")?, kind })
}

/// Each table behind those that it refers to.
fn in_order(mut rest: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    while !rest.is_empty() {
        let ready = |table: &Table| table.needs.iter().all(|need| ordered.iter().any(|done| done.name == *need));
        // References in a circle are none of ours; the database would refuse the rows.
        let next = rest.iter().position(ready).unwrap_or(0);
        let table = rest.remove(next);
        ordered.push(table);
    }
    ordered
}

fn select(table: &Table) -> String {
    format!("SELECT {} FROM {}", names(&table.columns), table.name)
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn values(row: &AnyRow, columns: &[Column]) -> StoreResult<Vec<Value>> {
    let value = |(at, column): (usize, &Column)| {
        Ok(match column.kind {
            // As they are stored, so that both sides have the same.
            Kind::Text => Value::Text(row.try_get::<Option<String>, _>(at).map_err(failed)?.storable()),
            Kind::Integer => Value::Integer(row.try_get(at).map_err(failed)?),
            Kind::Float => Value::Float(row.try_get(at).map_err(failed)?),
            Kind::Bytes => Value::Bytes(row.try_get(at).map_err(failed)?),
        })
    };
    columns.iter().enumerate().map(value).collect()
}

async fn copy(from: &SqlStore, table: &Table, on: &mut AnyConnection) -> StoreResult<Checksum> {
    let mut reader = from.reader().await?;
    let columns = &table.columns;
    let mut rows = sqlx::query(AssertSqlSafe(select(table))).fetch(&mut *reader);
    let (mut sent, mut batch, mut parents) = (Checksum::default(), Vec::new(), Vec::new());
    let mut bytes = 0;
    let id = columns.iter().position(|column| column.name == "id");
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let mut row = values(&row, columns)?;
        sent.add(&row);
        if let (Some(own), Some(id)) = (table.own, id)
            && let Some(Value::Text(Some(id))) = row.get(id)
        {
            let id = id.clone();
            if let Some(Value::Text(parent)) = row.get_mut(own) {
                parents.extend(parent.take().map(|parent| (id, parent)));
            }
        }
        bytes += row.iter().map(size).sum::<usize>();
        batch.push(row);
        if bytes > BYTES || (batch.len() + 1) * columns.len() > VALUES {
            insert(table, std::mem::take(&mut batch), on).await?;
            bytes = 0;
        }
    }
    insert(table, batch, on).await?;
    if let Some(own) = table.own.and_then(|own| columns.get(own)) {
        let text = format!("UPDATE {} SET {} = $1 WHERE id = $2", table.name, own.name);
        for (id, parent) in parents {
            run(sqlx::query(AssertSqlSafe(text.clone())).bind(parent).bind(id), on).await?;
        }
    }
    Ok(sent)
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(Some(text)) => text.len(),
        Value::Bytes(Some(bytes)) => bytes.len(),
        _ => 8,
    }
}

async fn insert(table: &Table, rows: Vec<Vec<Value>>, on: &mut AnyConnection) -> StoreResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let width = table.columns.len();
    let places = |row: usize| {
        let numbers: Vec<String> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", numbers.join(", "))
    };
    let places: Vec<String> = (0..rows.len()).map(places).collect();
    let text = format!("INSERT INTO {} ({}) VALUES {}", table.name, names(&table.columns), places.join(", "));
    let mut statement = sqlx::query(AssertSqlSafe(text));
    for value in rows.into_iter().flatten() {
        statement = match value {
            Value::Text(text) => statement.bind(text),
            Value::Integer(integer) => statement.bind(integer),
            Value::Float(float) => statement.bind(float),
            Value::Bytes(bytes) => statement.bind(bytes),
        };
    }
    run(statement, on).await.map(|_| ())
}
