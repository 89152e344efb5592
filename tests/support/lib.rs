//! Support for the whole-server tests: a real `csw up` on a free port with a folder of its own, and the command line.
//!
//! Tests own their server, so they may stop or kill it. Building environments takes long, so one folder with published
//! models is made once and copied: see [`Server::with_models`].

mod command;
mod disk;
mod draft;
mod git;
mod mail;
#[path = "../../crates/store/tests/support/postgres.rs"]
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]
mod postgres;
mod processes;
#[path = "../../crates/store/tests/support/s3.rs"]
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]
mod s3;
mod server;
mod template;

pub use crate::{
    command::{Done, csw, csw_in, example, program},
    disk::SmallDisk,
    draft::Draft,
    git::WorkingCopy,
    mail::MailServer,
    postgres::Postgres,
    processes::Processes,
    s3::S3,
    server::{Account, Ground, Server},
};

/// The error of a test: whatever went wrong.
pub type Result<T = ()> = anyhow::Result<T>;
