//! The executor on a cluster of the tests, with Jobs that are processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod inputs;
mod leading;
mod lingering;
mod load;
mod outputs;
mod redis;
mod restarts;
mod rig;
mod runs;
mod trouble;
