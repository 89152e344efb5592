//! Which store of secrets a site has.

use std::{path::Path, sync::Arc, time::Duration};

use csw_core::ports::{SecretError, SecretStore};
use csw_secrets::{
    DocumentStore, Embedded, Google, GoogleConfig, Kubernetes, KubernetesConfig, TokenSource, Vault, VaultAuth,
    VaultConfig,
};
use csw_store::SqlStore;

use crate::{
    ambient::SystemRandomness,
    failure::{Failure, Outcome},
    settings::{GoogleSettings, KubernetesSettings, SecretBackend, Settings, VaultSettings},
};

/// The master keys, in the data folder.
pub(crate) const KEYS: &str = "secrets.key";

/// What runs are given may be so old.
const FRESH: Duration = Duration::from_secs(15);

/// Where Google's machines ask for tokens.
const METADATA: &str = "http://metadata.google.internal";

/// The store that the settings name, over the site's data folder and database.
pub(super) fn store(settings: &Settings, data: &Path, rows: &Arc<SqlStore>) -> Outcome<Arc<dyn SecretStore>> {
    let secrets = &settings.secrets;
    let fresh = secrets.fresh_seconds.map_or(FRESH, Duration::from_secs);
    Ok(match secrets.store {
        SecretBackend::Embedded => {
            Arc::new(Embedded::new(Arc::<SqlStore>::clone(rows), data.join(KEYS), Arc::new(SystemRandomness::new())))
        }
        SecretBackend::Google => {
            Arc::new(DocumentStore::new(Google::new(google(&secrets.google)?).map_err(wrong)?, fresh))
        }
        SecretBackend::Vault => Arc::new(DocumentStore::new(Vault::new(vault(&secrets.vault)?).map_err(wrong)?, fresh)),
        SecretBackend::Kubernetes => {
            let config = kubernetes(&secrets.kubernetes)?;
            Arc::new(DocumentStore::new(Kubernetes::new(config).map_err(wrong)?, fresh))
        }
    })
}

#[allow(clippy::needless_pass_by_value, reason = "an error on its way out")]
fn wrong(error: SecretError) -> Failure {
    Failure::usage(error.to_string(), "docs/operators.md lists every key of [secrets]")
}

fn missing(key: &str) -> Failure {
    Failure::usage(format!("the store of secrets needs `{key}`"), "docs/operators.md lists every key of [secrets]")
}

/// A way to a token, where one is named.
fn token(file: Option<&Path>, variable: Option<&String>) -> Option<TokenSource> {
    let file = file.map(|path| TokenSource::File(path.to_owned()));
    file.or_else(|| variable.map(|name| TokenSource::Environment(name.clone())))
}

fn google(settings: &GoogleSettings) -> Outcome<GoogleConfig> {
    let command = settings.token_command.clone().map(TokenSource::Command);
    let named = command.or_else(|| token(settings.token_file.as_deref(), settings.token_env.as_ref()));
    Ok(GoogleConfig {
        url: settings.url.clone().unwrap_or_else(|| "https://secretmanager.googleapis.com".to_owned()),
        project: settings.project.clone().ok_or_else(|| missing("secrets.google.project"))?,
        prefix: settings.prefix.clone().unwrap_or_else(|| "csw-".to_owned()),
        token: named.unwrap_or_else(|| TokenSource::Metadata(METADATA.to_owned())),
    })
}

fn vault(settings: &VaultSettings) -> Outcome<VaultConfig> {
    let auth = if let Some(role) = &settings.kubernetes_role {
        let account = || Path::new(KubernetesConfig::ACCOUNT).join("token");
        VaultAuth::Kubernetes {
            mount: settings.kubernetes_mount.clone().unwrap_or_else(|| "kubernetes".to_owned()),
            role: role.clone(),
            jwt: settings.kubernetes_token_file.clone().unwrap_or_else(account),
        }
    } else {
        let named = token(settings.token_file.as_deref(), settings.token_env.as_ref());
        VaultAuth::Token(named.unwrap_or_else(|| TokenSource::Environment("VAULT_TOKEN".to_owned())))
    };
    Ok(VaultConfig {
        url: settings.url.clone().ok_or_else(|| missing("secrets.vault.url"))?,
        mount: settings.mount.clone().unwrap_or_else(|| "secret".to_owned()),
        prefix: settings.prefix.clone().unwrap_or_else(|| "compute-studio/".to_owned()),
        namespace: settings.namespace.clone(),
        ca_file: settings.ca_file.clone(),
        auth,
    })
}

fn kubernetes(settings: &KubernetesSettings) -> Outcome<KubernetesConfig> {
    let named = token(settings.token_file.as_deref(), settings.token_env.as_ref());
    let mut config = match &settings.url {
        Some(url) => KubernetesConfig {
            url: url.clone(),
            namespace: settings.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            prefix: "csw-secrets-".to_owned(),
            ca_file: None,
            token: named.clone().ok_or_else(|| missing("secrets.kubernetes.token_file"))?,
        },
        None => KubernetesConfig::in_cluster().ok_or_else(|| missing("secrets.kubernetes.url"))?,
    };
    if let Some(namespace) = &settings.namespace {
        config.namespace.clone_from(namespace);
    }
    if let Some(prefix) = &settings.prefix {
        config.prefix.clone_from(prefix);
    }
    if settings.ca_file.is_some() {
        config.ca_file.clone_from(&settings.ca_file);
    }
    if let Some(token) = named {
        config.token = token;
    }
    Ok(config)
}
