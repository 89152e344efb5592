//! Settings: a flag wins over its environment variable, which wins over the configuration file, which wins over the
//! default. Clap reads the first two; this module reads the file.

mod cluster;
pub(crate) mod known;
mod objects;
mod redis;

use std::path::{Path, PathBuf};

use csw_app::Config;
use serde::Deserialize;

pub(crate) use self::{
    cluster::ClusterSettings,
    objects::{ObjectBackend, ObjectSettings},
    redis::RedisSettings,
};
use crate::{
    cli::{Place, Server},
    failure::{Failure, Outcome},
};

/// Where the server listens unless told otherwise.
pub(crate) const LISTEN: &str = "127.0.0.1:8080";

/// What the configuration file may say. A key it does not know is an error, so that a typing mistake is noticed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Server that clients ask.
    pub(crate) url: Option<String>,
    /// Token that clients ask with.
    pub(crate) token: Option<String>,
    /// Data folder of `csw up`.
    pub(crate) data: Option<PathBuf>,
    /// Database: a path, or a `postgres://` URL.
    pub(crate) database: Option<String>,
    /// `ADDRESS:PORT` of `csw up`.
    pub(crate) listen: Option<String>,
    /// Where browsers find the site.
    pub(crate) public_url: Option<String>,
    /// Whether a proxy that is trusted sets `X-Forwarded-For`.
    pub(crate) trust_forwarded: bool,
    /// Cache of downloaded packages.
    pub(crate) cache: Option<PathBuf>,
    /// Where runs execute.
    pub(crate) executor: Option<ExecutorWord>,
    /// Mail.
    pub(crate) mail: MailSettings,
    /// Who may do what, how often.
    pub(crate) site: SiteSettings,
    /// What models may use of this machine.
    pub(crate) machine: MachineSettings,
    /// The cluster that runs go to.
    #[serde(rename = "kubernetes")]
    pub(crate) cluster: ClusterSettings,
    /// Where Jobs find their arguments.
    pub(crate) redis: RedisSettings,
    /// How versions are built.
    pub(crate) build: BuildSettings,
    /// How images are made, and where they go.
    pub(crate) images: ImageSettings,
    /// Pictures of outputs.
    pub(crate) thumbnails: ThumbnailSettings,
    /// Where secrets are kept.
    pub(crate) secrets: SecretSettings,
    /// Where outputs are kept.
    pub(crate) objects: ObjectSettings,
    /// What connects the site, and publish repositories, with GitHub.
    pub(crate) github: GitHubSettings,
}

/// `[mail]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MailSettings {
    /// Sender.
    pub(crate) from: Option<String>,
    /// URL of a mail server; without one, mail goes into files.
    pub(crate) smtp: Option<String>,
}

/// `[site]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SiteSettings {
    open_registration: Option<bool>,
    approval_required: Option<bool>,
    schema_computations_per_minute: Option<u32>,
    submissions_per_minute: Option<u32>,
    pending_runs_per_account: Option<u64>,
    builds_per_account: Option<usize>,
    builds_at_once: Option<usize>,
    compared_simulations: Option<u32>,
    comparison_minutes: Option<u32>,
    looks_per_minute: Option<u32>,
    logins_per_minute: Option<u32>,
    session_days: Option<i64>,
    cpu_hour_dollars: Option<f64>,
    gigabyte_hour_dollars: Option<f64>,
    monthly_budget_dollars: Option<f64>,
}

/// `[machine]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MachineSettings {
    /// CPUs that runs share; all of them by default.
    pub(crate) cpus: Option<f64>,
    /// Gigabytes that runs share; all of them by default.
    pub(crate) memory_gigabytes: Option<f64>,
    /// Runs at once.
    pub(crate) runs: Option<u32>,
    /// Gigabytes that parked interpreters may hold; a quarter of that by default.
    pub(crate) zygote_gigabytes: Option<f64>,
    /// Processes that each model in use forks ahead of its runs; two by default.
    pub(crate) forked_ahead: Option<usize>,
}

/// Where runs execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExecutorWord {
    /// On this machine
    Local,
    /// As Jobs of a Kubernetes cluster
    Kubernetes,
}

/// `[build]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuildSettings {
    /// Python that models get unless they ask for another.
    pub(crate) python: Option<String>,
    /// Whether `file://` URLs and paths may be published from.
    pub(crate) allow_local_repositories: bool,
    /// Gigabytes that a build may have on disk while it is at work; 32 by default.
    pub(crate) disk_gigabytes: Option<f64>,
    /// Whether `install.sh` reaches the network by itself.
    pub(crate) install_network: bool,
    /// Whether models' own tests reach the network.
    pub(crate) test_network: bool,
}

/// `[thumbnails]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ThumbnailSettings {
    /// Whether they are made; where there is a browser by default.
    pub(crate) enabled: Option<bool>,
    /// The browser; the first in `PATH` by default.
    pub(crate) chromium: Option<PathBuf>,
    /// How many are made at once.
    pub(crate) parallel: Option<u32>,
}

/// `[images]`
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImageSettings {
    /// Registry and path: `HOST/PREFIX`.
    pub(crate) registry: Option<String>,
    /// User of the registry.
    pub(crate) user: Option<String>,
    /// Its password, or a token.
    pub(crate) password: Option<String>,
    /// Image that versions stand on.
    pub(crate) base: Option<String>,
    /// Whether registries are spoken to without encryption.
    pub(crate) insecure: bool,
    /// How often a site asks a registry that is away.
    pub(crate) attempts: Option<u32>,
    /// Folder of images.
    pub(crate) folder: Option<PathBuf>,
    /// Where environments of images are kept.
    pub(crate) cache: Option<PathBuf>,
    /// Tool for builds that need a container.
    pub(crate) builder: Option<String>,
    /// Further arguments of its `build`.
    pub(crate) builder_flags: Vec<String>,
}

impl std::fmt::Debug for ImageSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageSettings")
            .field("registry", &self.registry)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("base", &self.base)
            .field("insecure", &self.insecure)
            .field("attempts", &self.attempts)
            .field("folder", &self.folder)
            .field("cache", &self.cache)
            .field("builder", &self.builder)
            .field("builder_flags", &self.builder_flags)
            .finish()
    }
}

impl ImageSettings {
    /// The registry: a variable, or the file.
    pub(crate) fn registry(&self) -> Option<String> {
        variable("CSW_REGISTRY").or_else(|| self.registry.clone()).filter(|text| !text.is_empty())
    }

    /// Who we are there: a variable, or the file.
    pub(crate) fn user(&self) -> Option<String> {
        variable("CSW_REGISTRY_USER").or_else(|| self.user.clone()).filter(|text| !text.is_empty())
    }

    /// The password: a variable, for a flag would show it to everybody on the machine, or the file.
    pub(crate) fn password(&self) -> Option<String> {
        variable("CSW_REGISTRY_PASSWORD").or_else(|| self.password.clone()).filter(|text| !text.is_empty())
    }

    /// What images stand on: a variable, or the file.
    pub(crate) fn base(&self) -> Option<String> {
        variable("CSW_IMAGE_BASE").or_else(|| self.base.clone()).filter(|text| !text.is_empty())
    }
}

/// `[github]`
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GitHubSettings {
    /// Secret of the webhooks that the server takes; without one it takes none.
    pub(crate) webhook_secret: Option<String>,
    /// Token that pull requests are opened with.
    pub(crate) token: Option<String>,
    /// Address of its API, where it is not the public one.
    pub(crate) api_url: Option<String>,
    /// The number of a GitHub App, or its client id.
    #[serde(default, deserialize_with = "text_or_number")]
    pub(crate) app_id: Option<String>,
    /// The file with its private key.
    pub(crate) app_key_file: Option<PathBuf>,
    /// Or the name of a secret of the site that holds it.
    pub(crate) app_key_secret: Option<String>,
    /// Whether pull requests from forks are built without anybody's word.
    pub(crate) build_forks: bool,
    /// Who signs the tokens of workflows; the public GitHub by default, and nobody where it is empty.
    pub(crate) oidc_issuer: Option<String>,
}

/// What people write as a number, and what is none in new Apps.
fn text_or_number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    Ok(Some(match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    }))
}

impl std::fmt::Debug for GitHubSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHubSettings")
            .field("webhook_secret", &self.webhook_secret.as_ref().map(|_| "***"))
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("api_url", &self.api_url)
            .field("app_id", &self.app_id)
            .field("app_key_file", &self.app_key_file)
            .field("app_key_secret", &self.app_key_secret)
            .field("build_forks", &self.build_forks)
            .field("oidc_issuer", &self.oidc_issuer)
            .finish()
    }
}

impl GitHubSettings {
    /// The secret of webhooks: a variable, or the file.
    pub(crate) fn webhook_secret(&self) -> Option<String> {
        variable("CSW_GITHUB_WEBHOOK_SECRET").or_else(|| self.webhook_secret.clone()).filter(|text| !text.is_empty())
    }

    /// The token: a variable, or the file.
    pub(crate) fn token(&self) -> Option<String> {
        variable("GITHUB_TOKEN").or_else(|| self.token.clone()).filter(|text| !text.is_empty())
    }

    /// The number of the App: a variable, or the file.
    pub(crate) fn app_id(&self) -> Option<String> {
        variable("CSW_GITHUB_APP_ID").or_else(|| self.app_id.clone()).filter(|text| !text.is_empty())
    }

    /// Where its private key is: a variable, or the file.
    pub(crate) fn app_key_file(&self) -> Option<PathBuf> {
        variable("CSW_GITHUB_APP_KEY_FILE").map(PathBuf::from).or_else(|| self.app_key_file.clone())
    }

    /// The address of the API: a variable, which Actions set, or the file, or the public one.
    pub(crate) fn api_url(&self) -> String {
        variable("GITHUB_API_URL")
            .or_else(|| self.api_url.clone())
            .unwrap_or_else(|| csw_publish::github::PUBLIC_API.to_owned())
    }
}

pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl ThumbnailSettings {
    /// Whether they are made: a variable, or the file.
    pub(crate) fn are_wanted(&self) -> Outcome<bool> {
        let Some(word) = variable("CSW_THUMBNAILS") else { return Ok(self.enabled.unwrap_or(true)) };
        word.parse().map_err(|_| Failure::usage(format!("CSW_THUMBNAILS is `{word}`"), "say true or false"))
    }

    /// Whether somebody says that they are made, whatever this machine has.
    pub(crate) fn are_said(&self) -> Outcome<bool> {
        let is_said = self.enabled.is_some() || variable("CSW_THUMBNAILS").is_some();
        Ok(is_said && self.are_wanted()?)
    }
}

/// `[secrets]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretSettings {
    /// Which store.
    pub(crate) store: SecretBackend,
    /// Whether admins of a model may read the values of its secrets; yes by default.
    pub(crate) readable: Option<bool>,
    /// Seconds that runs may be given what a remote store said before; 15 by default.
    pub(crate) fresh_seconds: Option<u64>,
    /// Google Secret Manager.
    pub(crate) google: GoogleSettings,
    /// Vault or OpenBao.
    pub(crate) vault: VaultSettings,
    /// Kubernetes.
    pub(crate) kubernetes: KubernetesSettings,
}

/// The stores of secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretBackend {
    /// Sealed rows in the database, with master keys in the data folder.
    #[default]
    Embedded,
    /// Google Secret Manager.
    Google,
    /// Vault or OpenBao, KV version 2.
    Vault,
    /// Secrets of a cluster.
    Kubernetes,
}

/// `[secrets.google]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GoogleSettings {
    /// The project.
    pub(crate) project: Option<String>,
    /// What names begin with; `csw-` by default.
    pub(crate) prefix: Option<String>,
    /// Address of the API, where it is not the public one.
    pub(crate) url: Option<String>,
    /// A command that prints a token.
    pub(crate) token_command: Option<Vec<String>>,
    /// A file that holds a token.
    pub(crate) token_file: Option<PathBuf>,
    /// A variable that holds a token.
    pub(crate) token_env: Option<String>,
}

/// `[secrets.vault]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VaultSettings {
    /// Address of the server.
    pub(crate) url: Option<String>,
    /// Path of the KV engine; `secret` by default.
    pub(crate) mount: Option<String>,
    /// What paths begin with; `compute-studio/` by default.
    pub(crate) prefix: Option<String>,
    /// Namespace.
    pub(crate) namespace: Option<String>,
    /// Its certificate authority.
    pub(crate) ca_file: Option<PathBuf>,
    /// A file that holds a token.
    pub(crate) token_file: Option<PathBuf>,
    /// A variable that holds a token; `VAULT_TOKEN` by default.
    pub(crate) token_env: Option<String>,
    /// Role of the Kubernetes auth method, to log in with the token of the service account instead.
    pub(crate) kubernetes_role: Option<String>,
    /// Path of that method; `kubernetes` by default.
    pub(crate) kubernetes_mount: Option<String>,
    /// Where the token of the service account is.
    pub(crate) kubernetes_token_file: Option<PathBuf>,
}

/// `[secrets.kubernetes]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KubernetesSettings {
    /// Address of the API server; the own cluster's by default.
    pub(crate) url: Option<String>,
    /// Namespace; the own one by default.
    pub(crate) namespace: Option<String>,
    /// What names begin with; `csw-secrets-` by default.
    pub(crate) prefix: Option<String>,
    /// Certificate authority of the API server.
    pub(crate) ca_file: Option<PathBuf>,
    /// A file that holds a token.
    pub(crate) token_file: Option<PathBuf>,
    /// A variable that holds a token.
    pub(crate) token_env: Option<String>,
}

impl Settings {
    /// Reads the file at `given`, or the one in the user's configuration folder if there is one.
    pub(crate) fn read(given: Option<&Path>) -> Outcome<Self> {
        let Some(path) = file(given) else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
        Self::parse(&text).map_err(|sentence| {
            Failure::usage(format!("{}: {sentence}", path.display()), "docs/operators.md lists every key")
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let said = |error: toml::de::Error| error.to_string().trim_end().to_owned();
        known::check(&text.parse().map_err(said)?)?;
        toml::from_str(text).map_err(said)
    }

    /// The data folder.
    pub(crate) fn data(&self, place: &Place) -> PathBuf {
        place.data.clone().or_else(|| self.data.clone()).unwrap_or_else(|| PathBuf::from("data"))
    }

    /// The database of a data folder.
    pub(crate) fn database(&self, place: &Place) -> Option<String> {
        place.database.clone().or_else(|| self.database.clone())
    }

    /// A client of the server that was named.
    pub(crate) fn client(&self, server: &Server) -> Outcome<csw_client::Client> {
        let url = server.url.clone().or_else(|| self.url.clone()).unwrap_or_else(|| format!("http://{LISTEN}"));
        // A secret that a workflow does not have is an empty variable.
        let given = server.token.clone().filter(|token| !token.is_empty());
        let token = given.or_else(|| self.token.clone()).or_else(token_file);
        let client = csw_client::Client::new(&url, token.as_deref())?;
        Ok(match workflow() {
            Some(workflow) if token.is_none() => client.for_workflow(workflow),
            _ => client,
        })
    }

    /// What the use cases are told.
    pub(crate) fn site(&self, public_url: String) -> Config {
        let mut config = Config { public_url, ..Config::default() };
        let site = &self.site;
        set(&mut config.open_registration, site.open_registration);
        set(&mut config.approval_required, site.approval_required);
        set(&mut config.schema_computations_per_minute, site.schema_computations_per_minute);
        set(&mut config.submissions_per_minute, site.submissions_per_minute);
        set(&mut config.pending_runs_per_account, site.pending_runs_per_account);
        set(&mut config.builds_per_account, site.builds_per_account);
        set(&mut config.builds_at_once, site.builds_at_once);
        set(&mut config.compared_simulations, site.compared_simulations);
        set(&mut config.comparison_minutes, site.comparison_minutes);
        set(&mut config.looks_per_minute, site.looks_per_minute);
        set(&mut config.logins_per_minute, site.logins_per_minute);
        set(&mut config.session_days, site.session_days);
        set(&mut config.prices.cpu_hour, site.cpu_hour_dollars);
        set(&mut config.prices.gigabyte_hour, site.gigabyte_hour_dollars);
        config.monthly_budget = site.monthly_budget_dollars;
        set(&mut config.readable_secrets, self.secrets.readable);
        config.build_forks = self.github.build_forks;
        set(&mut config.thumbnails_at_once, self.thumbnails.parallel);
        config
    }
}

/// The file that is read: the one that is named, or the user's own if there is one.
pub(crate) fn file(given: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| home_file().filter(|path| path.exists()))
}

fn set<T: Copy>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// Where a job of GitHub Actions gets a token that says who it is, where its workflow has `id-token: write`.
fn workflow() -> Option<csw_client::Workflow> {
    let (url, secret) = (variable("ACTIONS_ID_TOKEN_REQUEST_URL")?, variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?);
    Some(csw_client::Workflow::new(&url, &secret))
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn home_file() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| home().map(|home| home.join(".config")))?;
    Some(folder.join("csw").join("config.toml"))
}

/// The file in which Compute Studio's Python client keeps its token.
fn token_file() -> Option<String> {
    let text = std::fs::read_to_string(home()?.join(".cs-api-token")).ok()?;
    let token = text.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_noticed() {
        assert!(Settings::parse("lisen = '127.0.0.1:1'").unwrap_err().contains("lisen"));
        assert!(Settings::parse("[site]\nopen = true").is_err());
    }

    #[test]
    fn a_store_of_secrets_is_chosen_by_name() {
        assert_eq!(Settings::default().secrets.store, SecretBackend::Embedded);
        let text = "[secrets]\nstore = 'vault'\nreadable = false\n[secrets.vault]\nurl = 'http://v'\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.secrets.store, SecretBackend::Vault);
        assert!(!settings.site(String::new()).readable_secrets);
        assert!(Settings::parse("[secrets]\nstore = 'paper'").unwrap_err().contains("paper"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let settings = Settings::parse("data = '/a'\ndatabase = 'x.db'\n[site]\nopen_registration = false").unwrap();
        let place = Place { data: Some(PathBuf::from("/b")), database: None };
        assert_eq!(settings.data(&place), Path::new("/b"));
        assert_eq!(settings.database(&place).as_deref(), Some("x.db"));
        let config = settings.site("http://h".to_owned());
        assert!(!config.open_registration);
        assert_eq!(config.logins_per_minute, Config::default().logins_per_minute);
    }
}
