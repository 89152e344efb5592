//! What stores are tested against: a real PostgreSQL, and a real S3 server that checks signatures.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod postgres;
mod s3;

pub use postgres::Postgres;
pub use s3::{BUCKET, S3, SECRET};
