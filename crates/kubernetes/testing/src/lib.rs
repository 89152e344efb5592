//! An API server of Kubernetes for tests, with just enough of a cluster behind it.
//!
//! [`Cluster`] keeps Jobs, pods, Leases, Deployments and events, and serves what clients of them use: list, get, create
//! (409 for what exists), replace and merge-patch under `resourceVersion`, delete with propagation, and watch with
//! bookmarks and 410 for what it has forgotten. Bodies are decoded strictly where the client asks for that. Behind the
//! server a Job controller sets conditions in pairs, a Deployment controller keeps pods, and a node starts a Job's command as a process of this machine,
//! in its image where it pulls that ([`NodeConfig`]), or lets it suffer a [`Fate`]. [`Fault`]s spoil requests: refusals, lost answers, cut connections.
//!
//! What a real server does and this one does not: authorisation beyond one token, admission, defaults, cluster-wide
//! lists, and users of containers. It must never do what a real one does not: whoever relies on it would fail there.
//!
//! [`Redis`] is a real one, for what Jobs find there.
//!
//! Start reading at [`api`] (requests), then `objects` (what is kept), `jobs` (the controller) and `node`.

pub mod api;
mod deployments;
mod fate;
mod fault;
mod jobs;
mod ledger;
mod node;
mod objects;
mod pull;
mod redis;
mod selector;
pub mod strict;

pub use api::Cluster;
pub use fate::Fate;
pub use fault::{Fault, Verb};
pub use ledger::Times;
pub use node::NodeConfig;
pub use pull::Pulls;
pub use redis::Redis;
