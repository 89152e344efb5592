//! Small helpers around statements: values both databases know, and errors in the words of the port.

use std::sync::atomic::Ordering;

use csw_core::ports::{StoreError, StoreResult};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::{Any, AnyConnection, Row, any::AnyRow, query::Query};

use crate::SqlStore;

/// A statement of this store. Every one is counted, so that a test can see an idle system send none.
macro_rules! sql {
    ($store:expr, $text:expr $(, $value:expr)* $(,)?) => {{
        $store.count();
        sqlx::query($text)$(.bind($crate::sql::Storable::storable($value)))*
    }};
}
pub(crate) use sql;

/// A value on its way into a statement.
pub(crate) trait Storable {
    /// As both databases take it.
    fn storable(self) -> Self;
}

/// PostgreSQL takes no NUL in texts; a model's title or traceback may have one, and must not block its result.
impl Storable for String {
    fn storable(self) -> Self {
        if self.contains('\0') { self.replace('\0', "\u{fffd}") } else { self }
    }
}

impl Storable for Option<String> {
    fn storable(self) -> Self {
        self.map(Storable::storable)
    }
}

macro_rules! storable_as_they_are {
    ($($type:ty),*) => {$(
        impl Storable for $type {
            fn storable(self) -> Self {
                self
            }
        }
    )*};
}

// Literals and words of our own have no NUL.
storable_as_they_are!(&'static str, i64, Option<i64>, f64, Vec<u8>);

pub(crate) type Statement<'q> = Query<'q, Any, sqlx::any::AnyArguments>;

impl SqlStore {
    pub(crate) fn count(&self) {
        self.inner.statements.fetch_add(1, Ordering::Relaxed);
    }
}

/// One row or none.
pub(crate) async fn optional(statement: Statement<'_>, on: &mut AnyConnection) -> StoreResult<Option<AnyRow>> {
    statement.fetch_optional(on).await.map_err(failed)
}

/// All rows.
pub(crate) async fn all(statement: Statement<'_>, on: &mut AnyConnection) -> StoreResult<Vec<AnyRow>> {
    statement.fetch_all(on).await.map_err(failed)
}

/// Rows that a statement changed.
pub(crate) async fn run(statement: Statement<'_>, on: &mut AnyConnection) -> StoreResult<u64> {
    statement.execute(on).await.map(|done| done.rows_affected()).map_err(failed)
}

/// A single number.
pub(crate) async fn number(statement: Statement<'_>, on: &mut AnyConnection) -> StoreResult<i64> {
    let row = statement.fetch_one(on).await.map_err(failed)?;
    row.try_get::<i64, _>(0).map_err(failed)
}

pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(database) = &error
        && database.is_unique_violation()
    {
        let text = database.message();
        let what = if text.contains("email") {
            "account email"
        } else if text.contains("name_key") || text.contains("accounts") {
            "account name"
        } else if text.contains("title_key") || text.contains("models") {
            "model"
        } else {
            "row"
        };
        return StoreError::Conflict { what };
    }
    if let sqlx::Error::Database(database) = &error
        && database.is_foreign_key_violation()
    {
        return StoreError::NotFound { what: "something that this refers to".to_owned() };
    }
    match error {
        sqlx::Error::RowNotFound => StoreError::NotFound { what: "the row".to_owned() },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            StoreError::Corrupt { what: "row".to_owned(), cause: error.to_string() }
        }
        other => StoreError::Unavailable { cause: other.to_string() },
    }
}

pub(crate) fn corrupt(what: &str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), cause: cause.to_string() }
}

pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(crate) fn optional_micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(micros)
}

pub(crate) fn flag(value: bool) -> i64 {
    i64::from(value)
}

pub(crate) fn text_of(value: Option<&Value>) -> Option<String> {
    value.map(Value::to_string)
}

/// Numbers that only grow from zero.
pub(crate) fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What stands between `%` and `%` in a `LIKE`, escaped with `!`.
pub(crate) fn pattern(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('%');
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(c);
    }
    escaped.push('%');
    escaped
}

/// Values of a row, by column.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> StoreResult<String>;
    fn maybe_text(&self, column: &str) -> StoreResult<Option<String>>;
    fn int(&self, column: &str) -> StoreResult<i64>;
    fn maybe_int(&self, column: &str) -> StoreResult<Option<i64>>;
    fn float(&self, column: &str) -> StoreResult<f64>;
    fn bytes(&self, column: &str) -> StoreResult<Vec<u8>>;

    fn truth(&self, column: &str) -> StoreResult<bool> {
        Ok(self.int(column)? != 0)
    }

    fn time(&self, column: &str) -> StoreResult<Timestamp> {
        Timestamp::from_microsecond(self.int(column)?).map_err(|error| corrupt(column, error))
    }

    fn maybe_time(&self, column: &str) -> StoreResult<Option<Timestamp>> {
        self.maybe_int(column)?
            .map(|at| Timestamp::from_microsecond(at).map_err(|error| corrupt(column, error)))
            .transpose()
    }

    fn unsigned(&self, column: &str) -> StoreResult<u64> {
        u64::try_from(self.int(column)?).map_err(|error| corrupt(column, error))
    }

    fn small(&self, column: &str) -> StoreResult<u32> {
        u32::try_from(self.int(column)?).map_err(|error| corrupt(column, error))
    }

    fn id<T: std::str::FromStr<Err = uuid::Error>>(&self, column: &str) -> StoreResult<T> {
        self.text(column)?.parse().map_err(|error| corrupt(column, error))
    }

    fn maybe_id<T: std::str::FromStr<Err = uuid::Error>>(&self, column: &str) -> StoreResult<Option<T>> {
        self.maybe_text(column)?.map(|text| text.parse().map_err(|error| corrupt(column, error))).transpose()
    }

    fn word<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> StoreResult<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| corrupt(column, format!("unknown word `{text}`")))
    }

    fn maybe_word<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> StoreResult<Option<T>> {
        match self.maybe_text(column)? {
            Some(text) => parse(&text).map(Some).ok_or_else(|| corrupt(column, format!("unknown word `{text}`"))),
            None => Ok(None),
        }
    }

    fn json(&self, column: &str) -> StoreResult<Value> {
        serde_json::from_str(&self.text(column)?).map_err(|error| corrupt(column, error))
    }

    fn maybe_json(&self, column: &str) -> StoreResult<Option<Value>> {
        self.maybe_text(column)?
            .map(|text| serde_json::from_str(&text).map_err(|error| corrupt(column, error)))
            .transpose()
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> StoreResult<String> {
        self.try_get(column).map_err(failed)
    }

    fn maybe_text(&self, column: &str) -> StoreResult<Option<String>> {
        self.try_get(column).map_err(failed)
    }

    fn int(&self, column: &str) -> StoreResult<i64> {
        self.try_get(column).map_err(failed)
    }

    fn maybe_int(&self, column: &str) -> StoreResult<Option<i64>> {
        self.try_get(column).map_err(failed)
    }

    fn float(&self, column: &str) -> StoreResult<f64> {
        self.try_get(column).map_err(failed)
    }

    fn bytes(&self, column: &str) -> StoreResult<Vec<u8>> {
        self.try_get(column).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_user_are_plain_characters() {
        assert_eq!(pattern("50%_A!"), "%50!%!_a!!%");
    }

    #[test]
    fn no_text_carries_a_nul() {
        assert_eq!("a\0b".to_owned().storable(), "a\u{fffd}b");
        assert_eq!(Some("\0".to_owned()).storable().as_deref(), Some("\u{fffd}"));
    }
}
