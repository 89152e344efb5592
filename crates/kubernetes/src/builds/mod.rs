//! Builds as Jobs: the stages that need tools are carried out in a pod, with the CPUs and the memory of the model's builds.
//!
//! [`JobPublisher`] is the publisher of the server. It makes a Job when a build fetches its source, and asks the process in
//! there for one stage after the other ([`wire`]): what has to be decided between them is decided here. [`pod`] is the
//! other side, which carries the stages out by a publisher of its own.
//!
//! The name of a Job follows from its build, and what is asked of it says itself who it is: a server that was restarted
//! begins the build again, finds the Job by the watch, asks the same, and has the answers that were given meanwhile. A
//! process that replaces another is asked everything once more.
//!
//! Start reading at `session` (what is known of a build), then `follow` (its Job), `callbacks` and `pod`.

mod callbacks;
mod follow;
mod line;
mod manifest;
mod memory;
pub mod pod;
mod publisher;
mod session;
mod sessions;
mod wire;

use std::path::PathBuf;

use serde_json::Value;

pub use publisher::JobPublisher;

use crate::config::KubernetesConfig;

/// The variable with the token of the build.
pub const BUILD_TOKEN: &str = "CSW_BUILD_TOKEN";

/// The variable with the folder that a build works in.
pub const BUILD_FOLDER: &str = "CSW_BUILD_FOLDER";

/// How builds become Jobs.
#[derive(Clone)]
pub struct BuildsConfig {
    /// Where Jobs are made, and how they are waited for, as with runs.
    pub jobs: KubernetesConfig,
    /// Image that brings `csw`, and what it calls for builds.
    pub image: String,
    /// Bytes that a build may have on disk.
    pub scratch_bytes: u64,
    /// Where source waits that only this server has.
    pub folder: PathBuf,
    /// What remembers which layers were sent where.
    pub memory: PathBuf,
    /// What the process in a Job is told of the site. It is told nobody else: there may be credentials in it.
    pub site: Value,
}
