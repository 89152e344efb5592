//! Stores of secrets: the [`csw_core::ports::SecretStore`] on rows that are sealed here ([`Embedded`]), and on Google
//! Secret Manager, Vault or OpenBao, and Kubernetes ([`DocumentStore`] over one of the [`remote`] back ends).
//!
//! This crate decides nothing on who may read what, writes no audit trail, and knows no database: rows are a port. No
//! value is ever in a log, an error or a `Debug` form of anything here.
//!
//! Start reading at [`Embedded`], then `documents` (what the remote stores share).

pub mod documents;
mod embedded;
mod http;
mod keys;
pub mod remote;
mod seal;
mod token;

pub use crate::{
    documents::DocumentStore,
    embedded::Embedded,
    remote::{Google, GoogleConfig, Kubernetes, KubernetesConfig, Vault, VaultAuth, VaultConfig},
    token::TokenSource,
};
