//! Who we are to a registry: what the operator says, or what `docker login` and `podman login` left on this machine.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::failure::ImageError;

/// A user of a registry. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password, or a token in its place.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LoginFile {
    auths: BTreeMap<String, Login>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Login {
    auth: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// Files that log-ins are kept in, in the order of podman: its own, then docker's.
fn files() -> Vec<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = given("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let containers = given("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let docker = given("DOCKER_CONFIG").or_else(|| given("HOME").map(|home| home.join(".docker")));
    containers.into_iter().chain(docker.map(|folder| folder.join("config.json"))).collect()
}

/// The log-in for a host that this machine knows, if there is one.
pub(crate) fn stored(host: &str) -> Result<Option<Credentials>, ImageError> {
    for file in files() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let logins: LoginFile = serde_json::from_str(&text).map_err(|error| ImageError::Damaged {
            path: file.display().to_string(),
            why: format!("it is no file of log-ins: {error}"),
        })?;
        if let Some(found) = of_file(&logins, host)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Docker keeps the log-in of its hub under the address that the hub had once.
fn keys(host: &str) -> Vec<String> {
    let mut keys = vec![host.to_owned(), format!("https://{host}"), format!("http://{host}")];
    if host == "docker.io" {
        keys.push("https://index.docker.io/v1/".to_owned());
    }
    keys
}

fn of_file(logins: &LoginFile, host: &str) -> Result<Option<Credentials>, ImageError> {
    let keys = keys(host);
    if let Some(helper) = keys.iter().find_map(|key| logins.cred_helpers.get(key)) {
        return ask(helper, host);
    }
    let login = keys.iter().find_map(|key| logins.auths.get(key).or_else(|| logins.auths.get(&format!("{key}/"))));
    if let Some(found) = login.and_then(|login| login.auth.as_deref()).and_then(decode) {
        return Ok(Some(found));
    }
    match &logins.creds_store {
        Some(store) => ask(store, if host == "docker.io" { "https://index.docker.io/v1/" } else { host }),
        None => Ok(None),
    }
}

fn decode(auth: &str) -> Option<Credentials> {
    let text = String::from_utf8(BASE64_STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (!user.is_empty()).then(|| Credentials { user: user.to_owned(), password: password.to_owned() })
}

/// Asks a credential helper; one that knows nothing of the host is no failure.
fn ask(helper: &str, host: &str) -> Result<Option<Credentials>, ImageError> {
    let program = format!("docker-credential-{helper}");
    let failed = |error: std::io::Error| {
        ImageError::Build(format!(
            "The log-in for {host} is kept by `{program}`, which could not be started: {error}. Install it, or set CSW_REGISTRY_USER and CSW_REGISTRY_PASSWORD"
        ))
    };
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(host.as_bytes()).map_err(failed)?;
    }
    let ended = child.wait_with_output().map_err(failed)?;
    let helped: Option<Helped> = ended.status.success().then(|| serde_json::from_slice(&ended.stdout).ok()).flatten();
    Ok(helped.map(|helped| Credentials { user: helped.username, password: helped.secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_ins_are_found_by_host() {
        let text = r#"{"auths": {"ghcr.io": {"auth": "bWU6c2VjOnJldA=="}, "https://index.docker.io/v1/": {"auth": "aHViOng="},
            "empty.io": {}, "bad.io": {"auth": "%%"}}, "credHelpers": {"helped.io": "no-such-helper"}}"#;
        let logins: LoginFile = serde_json::from_str(text).unwrap();
        let found = of_file(&logins, "ghcr.io").unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("me", "sec:ret"));
        assert!(!format!("{found:?}").contains("sec:ret"));
        assert_eq!(of_file(&logins, "docker.io").unwrap().unwrap().user, "hub");
        for none in ["other.io", "empty.io", "bad.io"] {
            assert_eq!(of_file(&logins, none).unwrap(), None);
        }
        let error = of_file(&logins, "helped.io").unwrap_err().to_string();
        assert!(error.contains("docker-credential-no-such-helper"), "{error}");
    }
}
