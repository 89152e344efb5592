//! The ports: what the use cases ask of the outside world. Each has an adapter embedded in one process, and one for a
//! cluster; `csw/src/wiring.rs` chooses.
//!
//! To add an adapter: implement the trait in a crate that depends on this one, run the contract suite of the port on
//! it, and add a variant to the wiring.

mod ambient;
mod charges;
mod checks;
mod executor;
mod forge_store;
mod holds;
mod illustrator;
mod mail;
mod objects;
mod publisher;
mod pull_requests;
mod pulls;
mod repositories;
mod secrets;
mod store;
mod thumbnails;
mod workflow_tokens;

pub use ambient::{Clock, Randomness};
pub use charges::ChargeStore;
pub use checks::Checks;
pub use executor::{Capacity, Executor, ExecutorError, ReportError, RunEvents, Zygotes};
pub use forge_store::{CheckStore, DeliveryStore, TrustStore};
pub use holds::{Hold, RunHolds};
pub use illustrator::{DrawError, Illustrator, Subject};
pub use mail::{Mail, MailError, Mailer};
pub use objects::{DownloadHeaders, ObjectError, ObjectStorage};
pub use publisher::{
    BuildError, BuildLog, BuildOptions, Built, Checkout, ELSEWHERE, LAYERS, OfBuild, Publisher, TestReport,
};
pub use pull_requests::{ForgeError, ForgeResult, NewPullRequest, PullRequest, PullRequests};
pub use pulls::PullStore;
pub use repositories::{
    ChangeKind, CommitLine, Comparison, FileChange, GitAnswer, GitRequest, GitService, MergeResult, MergeWish,
    RefChange, Repositories, RepositoryError,
};
pub use secrets::{Rotation, SealedSecret, SecretError, SecretResult, SecretRows, SecretStore, SecretTrail};
pub use store::*;
pub use thumbnails::{MAX_DRAWINGS, ThumbnailStore, WantedThumbnail};
pub use workflow_tokens::{WorkflowTokenError, WorkflowTokens};
