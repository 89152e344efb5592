//! API tokens.

use serde::{Deserialize, Serialize};

/// A token, as lists show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// Its identifier.
    pub id: String,
    /// What its owner called it.
    pub name: String,
    /// Its first characters.
    #[serde(default)]
    pub prefix: String,
    /// When it stops working.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// A token that was just made; its text is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewToken {
    /// Its identifier.
    pub id: String,
    /// What its owner called it.
    pub name: String,
    /// The token itself.
    pub token: String,
}
