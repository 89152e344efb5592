//! The REST API on the real router, use cases and database; the model behind it is a few lines of Rust.

#![allow(clippy::unwrap_used, reason = "what a test stands on may fail it anywhere, helpers included")]

mod collaboration;
mod costs;
mod document;
mod executor;
mod facts;
mod files;
mod git;
mod hooks;
mod models;
mod odd;
mod pages;
mod people;
mod proxy;
mod pull_requests;
mod pulls;
mod repositories;
mod rig;
mod secrets;
mod shape;
mod table;
mod thumbnails;
mod workflows;
