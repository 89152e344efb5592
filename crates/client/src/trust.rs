//! Workflows that an account trusts to publish in its name.

use serde::{Deserialize, Serialize};

use crate::{client::Client, error::ClientResult};

/// Workflows that are trusted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trust {
    /// Its identifier.
    pub id: String,
    /// `OWNER/NAME` of the repository on GitHub.
    pub repository: String,
    /// The branch, in full; `*` at its end stands for anything.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The environment that a job must have been admitted to; empty where any will do.
    #[serde(default)]
    pub environment: String,
    /// The models that they may publish; none means all that the account may.
    #[serde(default)]
    pub models: Vec<String>,
    /// Whether they may make versions live, or only stage them.
    pub promote: bool,
    /// When one was last let in by it.
    #[serde(default)]
    pub last_used_at: Option<String>,
}

/// Workflows to be trusted.
#[derive(Debug, Clone, Serialize)]
pub struct NewTrust {
    /// `OWNER/NAME` of the repository on GitHub.
    pub repository: String,
    /// The branch; `*` at its end stands for anything.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The environment that a job must have been admitted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The models that they may publish; none means all that the account may.
    pub models: Vec<String>,
    /// Whether they may make versions live, or only stage them.
    pub promote: bool,
    /// Another account, where an admin asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

#[derive(Serialize)]
struct Whose<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
}

impl Client {
    /// The workflows that the caller, or the account that an admin names, trusts.
    pub async fn trusts(&self, username: Option<&str>) -> ClientResult<Vec<Trust>> {
        self.find("/api/v1/trust/", &Whose { username }).await
    }

    /// Trusts workflows.
    pub async fn add_trust(&self, new: &NewTrust) -> ClientResult<Trust> {
        self.post("/api/v1/trust/", new).await
    }

    /// Trusts them no more.
    pub async fn remove_trust(&self, id: &str, username: Option<&str>) -> ClientResult<()> {
        let request = self.request(reqwest::Method::DELETE, &format!("/api/v1/trust/{id}/"));
        self.send(request.query(&Whose { username })).await.map(drop)
    }
}
