//! Builds versions from source. Untrusted repositories are handled in the sandbox, without our rights.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{
    build::{Source, Stage},
    ids::BuildId,
    look::Found,
    model::{Artifact, BuildLimits, Described},
    names::ModelName,
    secret::Secrets,
};

/// Source on this machine, pinned.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Where.
    pub folder: PathBuf,
    /// Commit, or digest of the files.
    pub commit: String,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
    /// The URL it came from, so that a `git+` reference to itself means this folder.
    pub url: Option<String>,
    /// What it says of its model.
    pub described: Described,
    /// The build it was fetched for, as [`BuildOptions::build`] said.
    pub build: Option<BuildId>,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Resolve packages as they were at this time.
    pub as_of: Option<Timestamp>,
    /// What its steps may use.
    pub limits: BuildLimits,
    /// A version of the same model that people trust: what is as in it need not be made again.
    pub former: Option<Artifact>,
    /// The build that asks; nothing where a person does, at a machine of their own.
    pub build: Option<OfBuild>,
}

/// Which build something is done for.
#[derive(Debug, Clone)]
pub struct OfBuild {
    /// The build.
    pub id: BuildId,
    /// What it is of.
    pub model: ModelName,
}

/// The fact of an image that names its layers, by digests.
pub const LAYERS: &str = "layers";

/// The fact of what is to be delivered that says where its layers are known to be already: `HOST/REPOSITORY` by digests.
pub const ELSEWHERE: &str = "elsewhere";

/// A version's artifact.
#[derive(Debug, Clone)]
pub struct Built {
    /// Where code and packages are.
    pub artifact: Artifact,
    /// SHA-256 over commit, code and environment.
    pub digest: String,
    /// Facts for the model's page: `python`, `packages` (the lock), `as_of`, `environment_bytes`, `warnings`, ...
    pub facts: Value,
}

/// What the model's own tests said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestReport {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that were skipped.
    pub skipped: u32,
    /// A sentence.
    pub summary: String,
    /// How long the command took that ran them.
    #[serde(default)]
    pub milliseconds: u64,
}

/// Why a stage failed.
#[derive(Debug, Error)]
#[error("{sentence}")]
pub struct BuildError {
    /// Where.
    pub stage: Stage,
    /// What failed and what to do about it.
    pub sentence: String,
}

/// Takes the log of a stage, text as it comes.
pub trait BuildLog: Send + Sync {
    /// Appends.
    fn write(&self, text: &str);
}

/// The stages of the pipeline that need tools.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Gets the source and pins it.
    async fn fetch(&self, source: &Source, options: &BuildOptions, log: &dyn BuildLog) -> Result<Checkout, BuildError>;
    /// Gets the source as [`Publisher::fetch`] does, says what it is, and forgets it. Nothing of it is run.
    async fn look(&self, source: &Source, log: &dyn BuildLog) -> Result<Found, BuildError>;
    /// Makes environment and code, or finds those of an equal lock.
    async fn build(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        options: &BuildOptions,
        log: &dyn BuildLog,
    ) -> Result<Built, BuildError>;
    /// Runs the model's own cs-kit tests in the sandbox, time-limited, with the model's secrets in their environment.
    async fn test(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        options: &BuildOptions,
        secrets: &Secrets,
        log: &dyn BuildLog,
    ) -> Result<TestReport, BuildError>;
    /// Brings what was built to where executors find it, without a name of its own: where it becomes no version, nothing
    /// of it is kept for long. Asked again, it brings what is missing. Folders of this machine are there already.
    async fn deliver(
        &self,
        _model: &ModelName,
        _checkout: &Checkout,
        _built: &Built,
        _log: &dyn BuildLog,
    ) -> Result<(), BuildError> {
        Ok(())
    }
    /// What was delivered becomes a version: gives it a name, so that it is kept.
    async fn keep(
        &self,
        _model: &ModelName,
        _checkout: &Checkout,
        _built: &Built,
        _log: &dyn BuildLog,
    ) -> Result<(), BuildError> {
        Ok(())
    }
    /// Scripts that pages need to draw the version's outputs (BokehJS, in the version's own release), as object keys
    /// and bytes.
    async fn assets(&self, checkout: &Checkout, built: &Built) -> Result<Vec<(String, Bytes)>, BuildError>;
    /// Removes the checkout.
    async fn discard(&self, checkout: Checkout);
    /// A build is over, whatever came of it, and will not go on: nothing is kept or done for it any more.
    async fn release(&self, _build: BuildId) {}
}
