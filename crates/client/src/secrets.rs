//! Secrets of a model.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    client::Client,
    error::ClientResult,
    types::{Page, Secret, SecretEvent},
};

impl Client {
    /// Names of a model's secrets, who set them and when.
    pub async fn secrets(&self, name: &str) -> ClientResult<Vec<Secret>> {
        self.get(&format!("/publish/api/{name}/secrets/")).await
    }

    /// Sets a secret: a new one, or a new version of it.
    pub async fn set_secret(&self, name: &str, secret: &str, value: &str) -> ClientResult<Secret> {
        self.put(&format!("/publish/api/{name}/secrets/{}/", part(secret)), &json!({ "value": value })).await
    }

    /// The value of a secret, by its name.
    pub async fn secret(&self, name: &str, secret: &str) -> ClientResult<BTreeMap<String, String>> {
        self.get(&format!("/publish/api/{name}/secrets/{}/value/", part(secret))).await
    }

    /// All values by name.
    pub async fn secret_values(&self, name: &str) -> ClientResult<BTreeMap<String, String>> {
        self.get(&format!("/publish/api/{name}/secrets/values/")).await
    }

    /// Deletes a secret with all its versions.
    pub async fn delete_secret(&self, name: &str, secret: &str) -> ClientResult<()> {
        self.delete(&format!("/publish/api/{name}/secrets/{}/", part(secret))).await
    }

    /// Who did what with a model's secrets, newest first.
    pub async fn secret_events(&self, name: &str) -> ClientResult<Page<SecretEvent>> {
        self.get(&format!("/publish/api/{name}/secrets/audit/")).await
    }
}

/// A name as one part of a path, whatever somebody wrote.
fn part(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'_' | b'-' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_part() {
        assert_eq!(part("API_KEY"), "API_KEY");
        assert_eq!(part("../a b"), "%2E%2E%2Fa%20b");
    }
}
