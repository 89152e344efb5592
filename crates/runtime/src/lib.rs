//! What runs beside a model: the Python harness, the pool of zygotes, and the executor of this machine.
//!
//! [`LocalExecutor`] takes orders and sees each to its end: it starts a process in the sandbox, forked from a parked
//! interpreter or new, hands it its arguments, passes on its log and its outputs as they come, and reports how it
//! ended. It never decides who may run what, never touches a database, and holds no credential: all it knows of a run
//! is its order, and all it tells goes through [`csw_core::ports::RunEvents`].
//!
//! Start reading at [`local`] (a run from its order to its acknowledged end), then `supervise` (what is done while a
//! process lives), `pool` and `zygote` (where forked processes come from), `fresh` (where the others do), and
//! `python/harness.py` (the other side of the socket). [`direct`] is a run whose sandbox is its container.

mod config;
pub mod direct;
mod fork;
mod frame;
mod fresh;
mod group;
mod harness;
mod layout;
pub mod local;
mod machine;
mod outgoing;
mod pool;
mod process;
mod report;
mod scratch;
mod slots;
mod space;
mod spares;
mod stops;
mod supervise;
mod verdict;
mod zygote;

pub use config::LocalConfig;
pub use local::LocalExecutor;
