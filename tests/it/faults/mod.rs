//! What a power failure, a killed process, a full disk and a database that refuses writes may cost: time, and nothing
//! else. No simulation is lost, none ends twice, none is stuck.
//!
//! `CSW_TEST_KILLS` says how often the server is killed, `CSW_TEST_SEED` repeats the moments and requests of an earlier
//! run, `CSW_TEST_OUTAGE` how many seconds a database refuses writes.

mod database;
mod dice;
mod disk;
mod kills;
mod load;
mod processes;
mod wishes;

/// A number from the environment, or this one.
fn knob(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
