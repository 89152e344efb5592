//! Runs of real processes in the sandbox.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "nobody reads the documentation of a test")]
#![allow(clippy::print_stdout, reason = "times are printed, never asserted")]

mod basics;
mod contract;
mod direct;
mod ends;
mod isolation;
mod libraries;
mod real;
mod space;
mod speed;
mod support;
