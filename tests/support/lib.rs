//! Support for the whole-server tests: a real `csw up` on a free port with a folder of its own, and the command line.
//!
//! Tests own their server, so they may stop or kill it. Building environments takes long, so one folder with published
//! models is made once and copied: see [`Server::with_models`].

mod command;
mod disk;
mod draft;
mod git;
mod mail;
mod processes;
mod registry;
mod server;
mod service;
mod template;

pub use csw_store_testing::{Postgres, S3};

pub use crate::{
    command::{Done, csw, csw_in, example, program, this_release},
    disk::SmallDisk,
    draft::Draft,
    git::WorkingCopy,
    mail::MailServer,
    processes::Processes,
    registry::{Registry, are_there},
    server::{Account, Ground, Server},
    service::Service,
    template::{newest_model, once},
};

/// The error of a test: whatever went wrong.
pub type Result<T = ()> = anyhow::Result<T>;
