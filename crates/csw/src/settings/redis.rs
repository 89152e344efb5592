//! `[redis]`

use std::path::PathBuf;

use serde::Deserialize;

/// Where Jobs find their arguments, and who writes them there.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisSettings {
    /// `redis://HOST:PORT`, or `rediss://` for TLS; without one, Jobs ask the server.
    pub(crate) url: Option<String>,
    /// Certificates of the authorities of its own.
    pub(crate) ca_file: Option<PathBuf>,
    admin_password: Option<String>,
    scheduler_password: Option<String>,
    executor_password: Option<String>,
}

impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hidden = |password: &Option<String>| password.as_ref().map(|_| "hidden");
        f.debug_struct("RedisSettings")
            .field("url", &self.url)
            .field("ca_file", &self.ca_file)
            .field("admin_password", &hidden(&self.admin_password))
            .field("scheduler_password", &hidden(&self.scheduler_password))
            .field("executor_password", &hidden(&self.executor_password))
            .finish()
    }
}

impl RedisSettings {
    /// Password of the user `admin`.
    pub(crate) fn admin_password(&self) -> Option<String> {
        given("CSW_REDIS_ADMIN_PASSWORD", self.admin_password.as_ref())
    }

    /// Password of the user `scheduler`.
    pub(crate) fn scheduler_password(&self) -> Option<String> {
        given("CSW_REDIS_SCHEDULER_PASSWORD", self.scheduler_password.as_ref())
    }

    /// Password of the user `executor`, if there is to be one.
    pub(crate) fn executor_password(&self) -> Option<String> {
        given("CSW_REDIS_EXECUTOR_PASSWORD", self.executor_password.as_ref())
    }
}

/// A variable wins over the file.
fn given(variable: &str, file: Option<&String>) -> Option<String> {
    super::variable(variable).or_else(|| file.cloned())
}
