//! Secrets without their values, and the trail of what was done with them.

use csw_core::secret::{SecretEvent, SecretInfo};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A secret; its value is never in here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretBody {
    /// Its name, which is the name of an environment variable.
    name: String,
    /// How often it was set.
    version: u32,
    /// Who set it last, where that is known.
    set_by: Option<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    set_at: Option<Timestamp>,
}

impl From<SecretInfo> for SecretBody {
    fn from(info: SecretInfo) -> Self {
        Self { name: info.name.to_string(), version: info.version, set_by: info.set_by, set_at: info.set_at }
    }
}

/// Something that was done with a secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretEventBody {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    who: String,
    /// `set`, `read`, `delete` or `rotate`.
    action: &'static str,
    /// Which secret; empty where all were meant.
    secret: String,
    /// Which version of it, where that is known.
    version: Option<u32>,
}

impl From<SecretEvent> for SecretEventBody {
    fn from(event: SecretEvent) -> Self {
        Self {
            at: event.at,
            who: event.who,
            action: event.action.as_str(),
            secret: event.secret,
            version: event.version,
        }
    }
}
