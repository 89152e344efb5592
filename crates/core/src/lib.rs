//! The domain of Compute Studio: types, states, rules and the ports through which the outside world is reached.
//!
//! This crate is pure. It never touches a clock, a random source, a socket, a file or a database: time and randomness
//! are parameters, and everything else is a trait in [`ports`] that an adapter implements.
//!
//! Start reading at [`simulation`] (what a user makes), then [`run`] (how it is executed), then [`ports`].

pub mod access;
pub mod account;
pub mod build;
pub mod causes;
pub mod check;
pub mod comparison;
pub mod cost;
pub mod ids;
pub mod look;
pub mod masking;
pub mod memo;
pub mod model;
pub mod names;
pub mod output;
pub mod page;
pub mod ports;
pub mod pull;
pub mod repository;
pub mod run;
pub mod sbom;
pub mod secret;
pub mod simulation;
pub mod tables;
pub mod trust;
