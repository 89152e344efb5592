//! Simulations: numbered pages of a model. Inputs are validated, then run; a finished one is immutable but for its
//! title, readme and visibility.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    access::Role,
    ids::{AccountId, InviteId, ModelId, RunId, SimulationId, VersionId},
    run::{Phases, Reason},
};

/// The title of a simulation that nobody named.
pub const UNTITLED: &str = "Untitled Simulation";

/// Characters of a traceback that the REST API shows.
pub const TRACEBACK_LIMIT: usize = 8000;

/// Days an invitation to coauthor stays open.
pub const INVITE_DAYS: i64 = 2;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The stored word, which the REST API shows too.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The state with this word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where the inputs of a simulation stand.
    InputsStatus {
        /// Not submitted yet.
        Started = "STARTED",
        /// Being validated.
        Pending = "PENDING",
        /// Valid.
        Success = "SUCCESS",
        /// The model's validator found errors.
        Invalid = "INVALID",
        /// The model's validator raised.
        Fail = "FAIL",
        /// The platform could not validate them.
        WorkerFailure = "WORKER_FAILURE",
    }
}

words! {
    /// Where a simulation stands.
    SimulationStatus {
        /// No valid inputs yet.
        Started = "STARTED",
        /// Queued or running.
        Pending = "PENDING",
        /// It has outputs.
        Success = "SUCCESS",
        /// The model raised.
        Fail = "FAIL",
        /// Cancelled, timed out, out of memory or lost; [`Reason`] says which.
        WorkerFailure = "WORKER_FAILURE",
    }
}

impl InputsStatus {
    /// Whether inputs in this state may be submitted (again), while their simulation is `STARTED`.
    #[must_use]
    pub const fn accepts_submission(self) -> bool {
        !matches!(self, Self::Pending)
    }
}

impl SimulationStatus {
    /// The state that tells an old client of this end.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Success => Self::Success,
            Reason::Fail => Self::Fail,
            Reason::Cancelled | Reason::TimedOut | Reason::OutOfMemory | Reason::WorkerFailure => Self::WorkerFailure,
        }
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::WorkerFailure)
    }
}

/// What the user submitted, and what the model's validator said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// Where they stand.
    pub status: InputsStatus,
    /// `{name: [VO]}` after validation.
    pub meta_parameters: Value,
    /// Per section, as the user sent it.
    pub adjustment: Value,
    /// Per section, `{"errors": ..., "warnings": ...}`.
    pub errors_warnings: Value,
    /// What the model's validator returned for display.
    pub custom_adjustment: Option<Value>,
    /// Why validation failed.
    pub traceback: Option<String>,
    /// Who submitted: `web-alpha`, `web-beta`, `rest-api`, or empty.
    pub client: String,
    /// The `parse` run.
    pub run: Option<RunId>,
    /// The version whose schema they were made for.
    pub version: Option<VersionId>,
}

impl Inputs {
    /// Those of a blank simulation.
    #[must_use]
    pub fn blank() -> Self {
        let empty = || Value::Object(serde_json::Map::new());
        Self {
            status: InputsStatus::Started,
            meta_parameters: empty(),
            adjustment: empty(),
            errors_warnings: empty(),
            custom_adjustment: None,
            traceback: None,
            client: String::new(),
            run: None,
            version: None,
        }
    }
}

/// A simulation without its inputs and outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// Its identifier.
    pub id: SimulationId,
    /// Of which model.
    pub model: ModelId,
    /// The model's owner and title, as in URLs.
    pub model_owner: String,
    /// The model's title.
    pub model_title: String,
    /// Number within the model, from 1.
    pub number: u32,
    /// Who made it.
    pub owner: AccountId,
    /// The owner's name.
    pub owner_name: String,
    /// At most 500 characters.
    pub title: String,
    /// A list of rich-text nodes, or null.
    pub readme: Value,
    /// Whether anybody may see it.
    pub is_public: bool,
    /// Whether the owner wants mail at its end.
    pub notify_on_completion: bool,
    /// Where it stands.
    pub status: SimulationStatus,
    /// How it ended.
    pub reason: Option<Reason>,
    /// The model's traceback, or the sentence of an end that was not the model's.
    pub traceback: Option<String>,
    /// The text of `get_version`.
    pub model_version: Option<String>,
    /// The version it ran on.
    pub version: Option<VersionId>,
    /// Milliseconds of the model's function.
    pub run_milliseconds: u64,
    /// Dollars.
    pub cost: f64,
    /// Times of the phases of its `sim` run.
    pub phases: Phases,
    /// When it was made, or submitted.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// When the end is expected.
    pub expected_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The simulation it derives from.
    pub parent: Option<SimulationId>,
    /// The `sim` run, its own or one it shares.
    pub run: Option<RunId>,
    /// The run whose outputs answered it at once, if none was made for it.
    pub answered_by: Option<RunId>,
    /// Hidden from lists by its owner.
    pub archived: bool,
    /// How many visitors looked at it, each once a day.
    pub views: u64,
}

/// Changes to a simulation; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SimulationPatch {
    /// New title.
    pub title: Option<String>,
    /// New readme.
    pub readme: Option<Value>,
    /// Publish or hide.
    pub is_public: Option<bool>,
    /// Mail at the end.
    pub notify_on_completion: Option<bool>,
    /// Hide from lists, or show again.
    pub archived: Option<bool>,
}

/// Somebody with a role on a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collaborator {
    /// Who.
    pub account: AccountId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they own it.
    pub is_owner: bool,
}

/// An open invitation to coauthor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its identifier, the token in its link.
    pub id: InviteId,
    /// To which simulation.
    pub simulation: SimulationId,
    /// Who is invited.
    pub account: AccountId,
    /// Their name.
    pub name: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Whether every section of a validation is without errors. Anything that is not an empty object, list, string, null
/// or `false` under `errors` counts as an error: models return more shapes than the contract names.
#[must_use]
pub fn is_valid(errors_warnings: &Value) -> bool {
    fn empty(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(false) => true,
            Value::Object(map) => map.values().all(empty),
            Value::Array(items) => items.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        }
    }
    match errors_warnings {
        Value::Object(sections) => sections.values().all(|section| section.get("errors").is_none_or(empty)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn odd_shapes_of_errors_count() {
        assert!(is_valid(&json!({"a": {"errors": {}, "warnings": {"x": ["w"]}}})));
        assert!(is_valid(&json!({"a": {"errors": {"x": []}}})));
        assert!(!is_valid(&json!({"a": {"errors": {"Tests": [0, 1]}}})));
        assert!(!is_valid(&json!({"a": {"errors": {"schema": ["Unknown field: Days"]}}})));
        assert!(!is_valid(&json!({"a": {"errors": {}}, "b": {"errors": {"y": {"k": "bad"}}}})));
    }
}
