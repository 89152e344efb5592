//! One contract of object storage on all adapters: a folder, S3 (a real server that checks signatures), and Google Cloud
//! Storage and Azure Blob Storage (local servers that check tokens and signatures as the real ones do).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod azure;
mod folder;
mod gcs;
mod s3;
mod server;
mod suite;
