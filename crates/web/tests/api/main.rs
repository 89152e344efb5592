//! The REST API on the real router, use cases and database; the model behind it is a few lines of Rust.

mod document;
mod executor;
mod facts;
mod files;
mod people;
mod rig;
mod table;
