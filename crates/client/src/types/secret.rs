//! Secrets.

use serde::{Deserialize, Serialize};

/// A secret without its value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// How often it was set.
    pub version: u32,
    /// Who set it last, where that is known.
    #[serde(default)]
    pub set_by: Option<String>,
    /// When.
    #[serde(default)]
    pub set_at: Option<String>,
}

/// Something that was done with a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretEvent {
    /// When.
    pub at: String,
    /// Who.
    pub who: String,
    /// `set`, `read`, `delete` or `rotate`.
    pub action: String,
    /// Which secret.
    pub secret: String,
    /// Which version of it, where that is known.
    #[serde(default)]
    pub version: Option<u32>,
}
