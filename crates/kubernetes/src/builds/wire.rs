//! What travels between the process of a build and the server that made its Job.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /build/order` | an [`Order`]; the process that asks is from now on the one that is heard |
//! | `POST /build/next`, [`Progress`] | [`Next`], after a while also where there is nothing new |
//! | `GET /build/source` | the tar of the source that only the server has |
//! | `POST /build/log?offset=N`, bytes | [`Received`](crate::wire::Received): how much of this process's log is here |
//! | `POST /build/answer`, an [`Answered`] | 204 once it counts; 409 with `Received` where the log before it is missing |
//!
//! Every request has the build's token as bearer, and the process's own identifier in a header, as with runs. 410: the
//! build is somebody else's now, or over; 503 and anything else: keep what you have and ask again.

use std::collections::BTreeMap;

use csw_core::{
    build::{Source, Stage},
    model::{Artifact, BuildLimits, Described},
    names::ModelName,
    ports::TestReport,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a process is told first. There may be credentials in it: it is never shown.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// What it builds with.
    pub(crate) site: Value,
}

/// A stage that is to be carried out, or a part of one. There may be secrets in it: it is never shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Get the source; where `archive` says so, from the server.
    Fetch { source: Source, archive: bool },
    /// Build what was fetched.
    Build { model: ModelName, as_of: Option<Timestamp>, limits: BuildLimits },
    /// Run the own tests of what was built with this digest.
    Test { model: ModelName, built: String, limits: BuildLimits, secrets: BTreeMap<String, String> },
    /// Bring it to where executors find it; some of it may be known to be elsewhere there.
    Deliver { model: ModelName, built: String, elsewhere: BTreeMap<String, Vec<String>> },
    /// Name it.
    Keep { model: ModelName, built: String },
    /// Give the scripts that pages need.
    Assets { built: String },
    /// Remove the source; nothing more is asked.
    Discard,
}

impl Command {
    /// What tells it from others: what is asked twice is carried out once.
    pub(crate) fn key(&self) -> String {
        // What is elsewhere may have changed since it was asked first.
        if let Self::Deliver { model, built, elsewhere } = self
            && !elsewhere.is_empty()
        {
            let (model, built) = (model.clone(), built.clone());
            return Self::Deliver { model, built, elsewhere: BTreeMap::new() }.key();
        }
        hex::encode(Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// What came of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Fetched {
        commit: String,
        committed_at: Option<Timestamp>,
        url: Option<String>,
        described: Described,
    },
    Built {
        artifact: Artifact,
        digest: String,
        facts: Value,
    },
    Tested(TestReport),
    /// Keys of objects, and their bytes in hexadecimal digits.
    Assets(Vec<(String, String)>),
    Done,
    Failed {
        stage: Stage,
        sentence: String,
    },
}

/// What a process knows already.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Keys of commands that it was given.
    pub(crate) known: Vec<String>,
    /// Those of which it has an answer.
    pub(crate) answered: Vec<String>,
}

/// What is wanted of a process.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Next {
    /// Commands that are new to it, in the order in which they were given.
    pub(crate) commands: Vec<Command>,
    /// Keys of answers that it has and that are not here.
    pub(crate) untold: Vec<String>,
}

/// An answer on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// To which command.
    pub(crate) key: String,
    pub(crate) answer: Answer,
    /// Bytes of the log until then.
    pub(crate) log: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_again_is_the_same_command() {
        let fetch = |reference: &str| Command::Fetch {
            source: Source::Git { url: "https://example.org/m".to_owned(), reference: reference.to_owned() },
            archive: false,
        };
        assert_eq!(fetch("main").key(), fetch("main").key());
        assert_ne!(fetch("main").key(), fetch("dev").key());
        let text = serde_json::to_string(&fetch("main")).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&text).unwrap().key(), fetch("main").key());
    }
}
