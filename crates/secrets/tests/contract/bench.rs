//! A store, and the server behind it where there is one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use csw_core::{
    ids::ModelId,
    ports::{Randomness, SecretStore},
    secret::{SecretName, SecretScope},
};
use csw_secrets::{
    DocumentStore, Embedded, Google, GoogleConfig, Kubernetes, KubernetesConfig, TokenSource, Vault, VaultAuth,
    VaultConfig,
};
use csw_store::SqlStore;

use crate::{google, kubernetes, server::Server, vault};

pub struct RealRandomness;

impl Randomness for RealRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(16) {
            let random = uuid::Uuid::new_v4();
            part.copy_from_slice(&random.as_bytes()[..part.len()]);
        }
    }
}

pub struct Bench {
    pub store: Arc<dyn SecretStore>,
    pub server: Option<Server>,
    pub folder: tempfile::TempDir,
}

impl Bench {
    /// Whether former versions can be read.
    pub fn keeps_versions(&self) -> bool {
        self.server.is_none()
    }
}

pub fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

pub fn model(number: u128) -> SecretScope {
    let id = ModelId::from_uuid(uuid::Uuid::from_u128(number));
    SecretScope::Model { id, name: "PSLmodels/Tax-Cruncher".parse().unwrap() }
}

fn provider() {
    // Another test may have installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
}

pub async fn embedded() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let rows = Arc::new(SqlStore::open_sqlite(&folder.path().join("csw.db")).await.unwrap());
    let store = Embedded::new(rows, folder.path().join("secrets.key"), Arc::new(RealRandomness));
    Bench { store: Arc::new(store), server: None, folder }
}

/// A file with the token that servers take at first.
fn token_file(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("token");
    std::fs::write(&path, "token-1\n").unwrap();
    path
}

pub fn google_config(server: &Server) -> GoogleConfig {
    GoogleConfig {
        url: server.url.clone(),
        project: "studio".to_owned(),
        prefix: "csw-".to_owned(),
        token: TokenSource::Metadata(server.url.clone()),
    }
}

pub async fn google() -> Bench {
    provider();
    let server = google::serve().await;
    let store = DocumentStore::new(Google::new(google_config(&server)).unwrap(), Duration::ZERO);
    Bench { store: Arc::new(store), server: Some(server), folder: tempfile::tempdir().unwrap() }
}

pub fn vault_config(server: &Server, auth: VaultAuth) -> VaultConfig {
    VaultConfig {
        url: server.url.clone(),
        mount: "kv".to_owned(),
        prefix: "compute-studio/".to_owned(),
        namespace: Some("team".to_owned()),
        ca_file: None,
        auth,
    }
}

pub async fn vault() -> Bench {
    provider();
    let folder = tempfile::tempdir().unwrap();
    let server = vault::serve().await;
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, vault::JWT).unwrap();
    let auth = VaultAuth::Kubernetes { mount: "kubernetes".to_owned(), role: "studio".to_owned(), jwt };
    let store = DocumentStore::new(Vault::new(vault_config(&server, auth)).unwrap(), Duration::ZERO);
    Bench { store: Arc::new(store), server: Some(server), folder }
}

pub async fn kubernetes() -> Bench {
    provider();
    let folder = tempfile::tempdir().unwrap();
    let server = kubernetes::serve().await;
    let config = KubernetesConfig {
        url: server.url.clone(),
        namespace: "studio".to_owned(),
        prefix: "csw-secrets-".to_owned(),
        ca_file: None,
        token: TokenSource::File(token_file(&folder)),
    };
    let store = DocumentStore::new(Kubernetes::new(config).unwrap(), Duration::ZERO);
    Bench { store: Arc::new(store), server: Some(server), folder }
}
