//! Runs of real processes in the sandbox.

mod basics;
mod support;
