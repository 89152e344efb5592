//! What the tests of the store share.

use csw_store::SqlStore;

pub use csw_store_testing::Postgres;

/// A store on a database of its own.
#[allow(dead_code, reason = "each test binary uses what it needs")]
pub async fn fresh(name: &str) -> SqlStore {
    SqlStore::open_postgres(&Postgres::shared().fresh_url(name), 8).await.unwrap()
}
