//! Lists whose conditions depend on what is asked: the text is put together from fixed parts, the values are bound.

use csw_core::{
    page::{Page, PageRequest},
    ports::StoreResult,
};
use sqlx::{AssertSqlSafe, any::AnyRow};

use crate::{
    SqlStore,
    sql::{Storable, all, number, pattern, whole},
};

/// Conditions of a list. Their values are texts.
#[derive(Default)]
pub(crate) struct Conditions {
    parts: Vec<String>,
    values: Vec<String>,
}

impl Conditions {
    /// Adds a condition in which each `?` stands for the next value.
    pub(crate) fn add(&mut self, condition: &str, values: impl IntoIterator<Item = String>) {
        let mut text = String::with_capacity(condition.len() + 8);
        let mut values = values.into_iter();
        for c in condition.chars() {
            if c == '?' {
                self.values.extend(values.next().map(Storable::storable));
                text.push('$');
                text.push_str(&self.values.len().to_string());
            } else {
                text.push(c);
            }
        }
        self.parts.push(text);
    }

    /// Every word has to be in one of the columns.
    pub(crate) fn search(&mut self, text: &str, columns: &[&str]) {
        for word in text.split_whitespace().take(8) {
            let any = columns.iter().map(|column| format!("{column} LIKE ? ESCAPE '!'")).collect::<Vec<_>>();
            let values = columns.iter().map(|_| pattern(word)).collect::<Vec<_>>();
            self.add(&format!("({})", any.join(" OR ")), values);
        }
    }

    pub(crate) fn text(&self) -> String {
        if self.parts.is_empty() { String::new() } else { format!("WHERE {}", self.parts.join(" AND ")) }
    }
}

impl SqlStore {
    /// A page of `SELECT columns {from} ORDER BY order`, and the length of the whole.
    pub(crate) async fn page<T>(
        &self,
        from: &str,
        columns: &str,
        order: &str,
        conditions: Conditions,
        page: PageRequest,
        read: impl Fn(&AnyRow) -> StoreResult<T>,
    ) -> StoreResult<Page<T>> {
        let mut reader = self.reader().await?;
        let values = conditions.values;
        self.count();
        let mut count = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) {from}")));
        for value in &values {
            count = count.bind(value.clone());
        }
        let total = number(count, &mut reader).await?.unsigned_abs();
        let (limit, offset) = (values.len() + 1, values.len() + 2);
        self.count();
        let text = format!("SELECT {columns} {from} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}");
        let mut list = sqlx::query(AssertSqlSafe(text));
        for value in &values {
            list = list.bind(value.clone());
        }
        let rows = all(list.bind(i64::from(page.size)).bind(whole(page.offset())), &mut reader).await?;
        Ok(Page { total, items: rows.iter().map(read).collect::<StoreResult<_>>()? })
    }
}
