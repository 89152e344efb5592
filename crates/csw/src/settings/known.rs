//! Every setting there is: its key in the file, its flag, its variable, and what it is if nobody says so.

use std::path::Path;

use toml::{Table, Value};

use csw_core::names::near;

/// A setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Key in the file, with its section: `site.session_days`. Empty where the file does not have it.
    pub(crate) key: &'static str,
    /// The flag, as clap knows it, with its two dashes.
    pub(crate) flag: &'static str,
    /// The variable.
    pub(crate) variable: &'static str,
    /// In words where it depends on other things.
    pub(crate) default: &'static str,
    /// How much of its value is shown.
    pub(crate) secrecy: Secrecy,
}

/// How much of a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// All of it.
    Open,
    /// All but the password that a URL may have.
    Url,
    /// Nothing.
    Secret,
}

impl Known {
    /// What it is called: by its key, or by its variable where it has none.
    pub(crate) const fn name(&self) -> &'static str {
        if self.key.is_empty() { self.variable } else { self.key }
    }
}

const fn file(key: &'static str, default: &'static str) -> Known {
    known(key, "", "", default)
}

const fn known(key: &'static str, flag: &'static str, variable: &'static str, default: &'static str) -> Known {
    Known { key, flag, variable, default, secrecy: Secrecy::Open }
}

const fn secret(key: &'static str, flag: &'static str, variable: &'static str, default: &'static str) -> Known {
    Known { key, flag, variable, default, secrecy: Secrecy::Secret }
}

const fn url(key: &'static str, flag: &'static str, variable: &'static str, default: &'static str) -> Known {
    Known { key, flag, variable, default, secrecy: Secrecy::Url }
}

/// All of them, in the order of docs/operators.md.
pub(crate) const ALL: &[Known] = &[
    known("data", "--data", "CSW_DATA", "data"),
    url("database", "--database", "CSW_DATABASE", "csw.db in the data folder"),
    known("listen", "--listen", "CSW_LISTEN", super::LISTEN),
    known("public_url", "--public-url", "CSW_PUBLIC_URL", "where it listens"),
    file("trust_forwarded", "false"),
    known("cache", "--cache", "CSW_CACHE", "cache/uv in the data folder"),
    known("executor", "--executor", "CSW_EXECUTOR", "local"),
    known("url", "--url", "CS_URL", "http://127.0.0.1:8080"),
    secret("token", "--token", "CS_API_TOKEN", "what ~/.cs-api-token has"),
    file("mail.from", "Compute Studio <no-reply@localhost>"),
    url("mail.smtp", "", "", "none: mail goes into files in the data folder"),
    file("site.open_registration", "true"),
    file("site.approval_required", "false"),
    file("site.schema_computations_per_minute", "60"),
    file("site.submissions_per_minute", "600"),
    file("site.pending_runs_per_account", "2000"),
    file("site.builds_per_account", "10"),
    file("site.builds_at_once", "2"),
    file("site.compared_simulations", "5"),
    file("site.comparison_minutes", "30"),
    file("site.looks_per_minute", "10"),
    file("site.logins_per_minute", "30"),
    file("site.session_days", "30"),
    file("site.cpu_hour_dollars", "0.021811"),
    file("site.gigabyte_hour_dollars", "0.002923"),
    file("site.monthly_budget_dollars", "none: no limit"),
    file("machine.cpus", "all"),
    file("machine.memory_gigabytes", "all"),
    file("machine.runs", "64"),
    file("machine.zygote_gigabytes", "a quarter of the memory"),
    file("machine.forked_ahead", "2"),
    file("kubernetes.namespace", "that of the kubeconfig, or the own one"),
    file("kubernetes.site", "default"),
    file("kubernetes.callback_listen", "127.0.0.1:8090"),
    file("kubernetes.callback_url", "where it listens for its Jobs"),
    file("kubernetes.scheduler_listen", "127.0.0.1:8091"),
    file("kubernetes.scheduler_url", "none"),
    file("kubernetes.outputs_listen", "127.0.0.1:8092"),
    file("kubernetes.outputs_url", "none: outputs go to the server"),
    file("kubernetes.jobs", "100"),
    file("kubernetes.cpus", "1000"),
    file("kubernetes.memory_gigabytes", "4000"),
    file("kubernetes.image", "none: versions are images"),
    file("kubernetes.volume_claim", "none: versions are images"),
    file("kubernetes.volume_path", "data"),
    file("kubernetes.node_selector", "none"),
    file("kubernetes.pull_secrets", "none"),
    file("kubernetes.queue", "none"),
    file("kubernetes.keep_seconds", "600"),
    file("kubernetes.linger_seconds", "0"),
    file("kubernetes.start_seconds", "900"),
    file("kubernetes.image_seconds", "60"),
    file("kubernetes.scratch_gigabytes", "20"),
    file("kubernetes.writes_per_second", "20"),
    file("kubernetes.inputs_url", "http://{name}.{namespace}:8888"),
    file("kubernetes.inputs_quiet_seconds", "600"),
    file("kubernetes.inputs_at_once", "4"),
    file("kubernetes.inputs_pods", "4"),
    file("kubernetes.inputs_start_seconds", "120"),
    file("kubernetes.builds", "false"),
    file("kubernetes.token_key_file", "run-tokens.key in the data folder"),
    known("", "", "KUBECONFIG", "the user's own, or the cluster that this process runs in"),
    url("redis.url", "", "", "none: Jobs ask the server for their arguments"),
    file("redis.ca_file", "public authorities"),
    secret("redis.admin_password", "", "CSW_REDIS_ADMIN_PASSWORD", "none"),
    secret("redis.scheduler_password", "", "CSW_REDIS_SCHEDULER_PASSWORD", "none"),
    secret("redis.executor_password", "", "CSW_REDIS_EXECUTOR_PASSWORD", "none: there is no such user"),
    file("build.python", "3.11"),
    known("build.allow_local_repositories", "--allow-local-repositories", "CSW_ALLOW_LOCAL_REPOSITORIES", "false"),
    file("build.disk_gigabytes", "32"),
    file("build.install_network", "false"),
    file("build.test_network", "false"),
    known("thumbnails.enabled", "", "CSW_THUMBNAILS", "true, where there is a Chromium"),
    file("thumbnails.chromium", "the first Chromium or Chrome in PATH"),
    file("thumbnails.parallel", "1"),
    file("secrets.store", "embedded"),
    file("secrets.readable", "true"),
    file("secrets.fresh_seconds", "15"),
    file("secrets.google.project", "none"),
    file("secrets.google.prefix", "csw-"),
    file("secrets.google.url", "the public one"),
    file("secrets.google.token_command", "none"),
    file("secrets.google.token_file", "none"),
    file("secrets.google.token_env", "none: the metadata server gives one"),
    file("secrets.vault.url", "none"),
    file("secrets.vault.mount", "secret"),
    file("secrets.vault.prefix", "compute-studio/"),
    file("secrets.vault.namespace", "none"),
    file("secrets.vault.ca_file", "public authorities"),
    file("secrets.vault.token_file", "none"),
    file("secrets.vault.token_env", "VAULT_TOKEN"),
    file("secrets.vault.kubernetes_role", "none"),
    file("secrets.vault.kubernetes_mount", "kubernetes"),
    file("secrets.vault.kubernetes_token_file", "that of the service account"),
    file("secrets.kubernetes.url", "the own cluster's"),
    file("secrets.kubernetes.namespace", "the own one"),
    file("secrets.kubernetes.prefix", "csw-secrets-"),
    file("secrets.kubernetes.ca_file", "the own cluster's"),
    file("secrets.kubernetes.token_file", "that of the service account"),
    file("secrets.kubernetes.token_env", "none"),
    known("objects.store", "", "CSW_OBJECTS", "folder"),
    known("objects.bucket", "", "CSW_OBJECTS_BUCKET", "none"),
    known("objects.prefix", "", "CSW_OBJECTS_PREFIX", "none"),
    known("objects.endpoint", "", "CSW_OBJECTS_ENDPOINT", "the provider's own"),
    known("objects.region", "", "CSW_OBJECTS_REGION", "AWS_REGION, or us-east-1"),
    file("objects.account", "AZURE_STORAGE_ACCOUNT_NAME"),
    file("objects.virtual_host", "false"),
    file("objects.conditional_puts", "true"),
    file("objects.credentials_file", "none: the provider's variables, or the machine's identity"),
    file("objects.credentials_secret", "none"),
    file("objects.credentials_profile", "default"),
    file("objects.signed_downloads", "false"),
    file("objects.signed_above_bytes", "1000000"),
    file("objects.signed_seconds", "300"),
    secret("github.webhook_secret", "", "CSW_GITHUB_WEBHOOK_SECRET", "none: webhooks are not taken"),
    secret("github.token", "", "GITHUB_TOKEN", "none"),
    known("github.api_url", "", "GITHUB_API_URL", "https://api.github.com"),
    known("github.app_id", "", "CSW_GITHUB_APP_ID", "none: a token is used"),
    known("github.app_key_file", "", "CSW_GITHUB_APP_KEY_FILE", "none"),
    file("github.app_key_secret", "none"),
    file("github.build_forks", "false"),
    file("github.oidc_issuer", "https://token.actions.githubusercontent.com"),
    known("images.registry", "", "CSW_REGISTRY", "gcr.io/$PROJECT, where PROJECT is set"),
    known("images.user", "", "CSW_REGISTRY_USER", "as `docker login` or `podman login` left it"),
    secret("images.password", "", "CSW_REGISTRY_PASSWORD", "as `docker login` or `podman login` left it"),
    known("images.base", "", "CSW_IMAGE_BASE", "none: images bring all they need"),
    file("images.insecure", "false"),
    file("images.attempts", "8"),
    known("images.folder", "", "CSW_IMAGES", "csw-images/layout in the user's cache folder"),
    known("images.cache", "", "CSW_IMAGE_CACHE", "csw-images/data in the user's cache folder"),
    known("images.builder", "", "CSW_BUILDER", "the first of buildah, podman and docker that works"),
    known("images.builder_flags", "", "CSW_BUILDER_FLAGS", "none"),
    known("", "", "TAG", "the first digits of the commit"),
    known("", "", "PROJECT", "none"),
    known("", "", "CSW_CHECK_CACHE", "csw-check in the user's cache folder"),
    known("", "", "CSW_LOG", "info"),
    known("", "--config", "CSW_CONFIG", "csw/config.toml in the user's configuration folder"),
];

/// Refuses a key that is none, and says which was meant.
pub(crate) fn check(table: &Table) -> Result<(), String> {
    for key in keys(table) {
        let is_known = ALL.iter().any(|known| known.key == key);
        // Flags of a builder are a list, which is a value.
        if is_known {
            continue;
        }
        let section = key.split_once('.').map(|(section, _)| section);
        let sections = ALL.iter().filter_map(|known| known.key.split_once('.')).map(|(section, _)| section);
        let meant = near(&key, ALL.iter().map(|known| known.key).chain(sections));
        // The right word in the wrong section is a frequent mistake.
        let elsewhere = ALL.iter().map(|known| known.key).find(|known| {
            let word = key.rsplit('.').next().unwrap_or(&key);
            known.rsplit('.').next() == Some(word)
        });
        let hint = match (elsewhere.or(meant), section) {
            (Some(meant), _) => format!("; did you mean `{meant}`?"),
            (None, Some(section)) if !ALL.iter().any(|known| known.key.starts_with(&format!("{section}."))) => {
                format!("; there is no section [{section}]")
            }
            (None, _) => String::new(),
        };
        return Err(format!("unknown field `{key}`{hint}"));
    }
    Ok(())
}

/// All keys with a value, with their sections.
fn keys(table: &Table) -> Vec<String> {
    let below = |(name, value): (&String, &Value)| match value {
        Value::Table(section) => keys(section).into_iter().map(|key| format!("{name}.{key}")).collect(),
        _ => vec![name.clone()],
    };
    table.iter().flat_map(below).collect()
}

/// The value of a key in a file, as text.
pub(crate) fn in_file(table: &Table, key: &str) -> Option<String> {
    let mut names = key.split('.');
    let first = table.get(names.next()?)?;
    let value = names.try_fold(first, |section, name| section.get(name))?;
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap_or_default()).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    })
}

/// A file with nothing but settings that are known.
pub(crate) fn read(path: &Path) -> Option<Table> {
    std::fs::read_to_string(path).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_mistyped_key_is_told_with_the_one_that_was_meant() {
        let said = |text: &str| check(&text.parse().unwrap()).unwrap_err();
        assert!(said("lisen = 'x'").contains("`lisen`; did you mean `listen`?"));
        assert!(said("[site]\nsession_day = 1").contains("did you mean `site.session_days`?"));
        assert!(said("session_days = 1").contains("did you mean `site.session_days`?"));
        assert!(said("[plants]\ntree = 1").contains("there is no section [plants]"));
        assert!(check(&"data = 'x'\n[images]\nbuilder_flags = ['a']".parse().unwrap()).is_ok());
    }

    /// What one list knows, the other must know.
    #[test]
    fn the_list_is_that_of_the_file() {
        for known in ALL.iter().filter(|known| !known.key.is_empty()) {
            let (section, key) = known.key.rsplit_once('.').unwrap_or(("", known.key));
            let section = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let read = ["'x'", "true", "1", "['x']", "'vault'", "'s3'", "'local'"]
                .iter()
                .any(|value| toml::from_str::<Settings>(&format!("{section}{key} = {value}\n")).is_ok());
            assert!(read, "{} is no key of the file", known.key);
        }
        let all = format!("{:?}", Settings::default());
        let sections = [
            "mail",
            "site",
            "machine",
            "cluster",
            "build",
            "images",
            "thumbnails",
            "github",
            "secrets",
            "google",
            "vault",
            "kubernetes",
            "objects",
            "redis",
        ];
        let fields = all.matches(": ").count() - sections.len();
        assert_eq!(fields, ALL.iter().filter(|known| !known.key.is_empty()).count(), "{all}");
    }
}
