//! The remote stores: each reads and writes one document a scope, over the store's public REST API.

mod google;
mod kubernetes;
mod vault;

use csw_core::{ports::SecretError, secret::SecretScope};
use reqwest::StatusCode;

pub use self::{
    google::{Google, GoogleConfig},
    kubernetes::{Kubernetes, KubernetesConfig},
    vault::{Vault, VaultAuth, VaultConfig},
};

/// The object of a scope. Models go by their identifiers: a name may come to be another's.
fn object(prefix: &str, scope: &SecretScope) -> String {
    match scope {
        SecretScope::Site => format!("{prefix}site"),
        SecretScope::Model { id, .. } => format!("{prefix}model-{id}"),
    }
}

/// An answer that asking again does not change.
fn refused(what: &str, status: StatusCode, said: &str, way_out: &str) -> SecretError {
    let said = said.trim();
    let cause = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
    SecretError::Refused { what: what.to_owned(), cause, way_out: way_out.to_owned() }
}
