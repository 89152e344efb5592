//! The database and object storage of Compute Studio: the [`csw_core::ports::Store`] on SQLite and PostgreSQL, and
//! [`csw_core::ports::ObjectStorage`] in a folder or in a bucket. Of secrets it has sealed rows ([`csw_core::ports::SecretRows`]) and the
//! trail of who did what with them.
//!
//! One text of SQL serves both databases, for both know `$1`, `RETURNING` and `ON CONFLICT`; columns are texts, integers
//! and floats only: identifiers are UUIDs as text, times are microseconds since 1970, JSON is text, flags are 0 or 1.
//! On SQLite one connection writes and several read; on PostgreSQL a pool does both, and `NOTIFY` tells other processes.
//!
//! This crate decides nothing on who may do what. Start reading at [`SqlStore`], then `finishing` (how runs end).

mod accounts;
mod builds;
mod charges;
mod columns;
mod comparisons;
mod connect;
mod finishing;
mod forges;
mod listing;
mod memo;
mod migrate;
mod models;
mod objects;
mod peers;
mod pulls;
mod queue;
mod rows;
mod secrets;
mod sharing;
mod simulations;
mod sql;
mod thumbnails;
mod transfer;

pub use connect::SqlStore;
pub use objects::{BucketConfig, BucketCredentials, BucketObjects, FolderObjects, Provider};
pub use transfer::{TableCopy, transfer};
