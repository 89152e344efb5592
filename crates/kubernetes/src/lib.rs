//! Runs as Jobs of Kubernetes.
//!
//! [`KubernetesExecutor`] makes a `batch/v1` Job of each order and watches what becomes of it; it never polls, and keeps
//! nothing that a restart would lose: names, labels and tokens of Jobs follow from the order. [`job`] is the other side,
//! what runs inside the Job: it fetches its order, and tells log, outputs and end by HTTP with a token that is good for
//! this attempt alone. [`builds`] does the same for builds, stage by stage. [`inputs`] are servers that answer what is asked
//! before a run, without a Job for each question. [`redis`] carries arguments of runs, [`outputs`] is between Jobs and object
//! storage.
//! [`leader`] decides which of several replicas looks after the Jobs.
//!
//! It decides nothing about who may run what, knows no database, and starts no process.
//!
//! Start reading at `follow` (an attempt from its turn to the last trace of its Job), then `standing` (what Kubernetes says,
//! in sentences), `manifest` (the Job), `callbacks` and `wire` (what Jobs call), and `job`.

mod attempt;
mod attempts;
pub mod builds;
mod callbacks;
mod cluster;
mod config;
mod connect;
mod executor;
mod finished;
mod follow;
pub mod inputs;
pub mod job;
pub mod leader;
mod lingering;
mod manifest;
pub mod manifests;
mod names;
pub mod outputs;
mod pace;
pub mod redis;
mod refusal;
mod scheduler;
mod seen;
mod standing;
mod token;
mod watching;
mod wire;

pub use config::{KubernetesConfig, SharedFolders};
pub use connect::{NoCluster, connect};
pub use executor::KubernetesExecutor;
pub use finished::remove_finished;
pub use kube::Client;
pub use scheduler::Scheduler;
pub use token::RunKey;
