//! What the tests of the store share.

mod postgres;

use csw_store::SqlStore;

pub use postgres::Postgres;

impl Postgres {
    /// A store on a database of its own.
    #[allow(dead_code, reason = "each test binary uses what it needs")]
    pub async fn fresh(&self, name: &str) -> SqlStore {
        SqlStore::open_postgres(&self.fresh_url(name), 8).await.unwrap()
    }
}
