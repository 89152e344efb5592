//! Runs of real processes in the sandbox.

mod basics;
mod contract;
mod ends;
mod isolation;
mod speed;
mod support;
