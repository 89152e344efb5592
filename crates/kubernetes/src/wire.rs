//! What travels between a Job's process and the server that made the Job.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /run/order` | an [`Order`], `?without=arguments` without those; the process that asks is from now on the one that is heard |
//! | `POST /run/log?offset=N`, bytes | [`Received`]: how much of this process's log is here |
//! | `PUT /run/output`, bytes, its description in [`OUTPUT`] | 204 once they are stored |
//! | `POST /run/end`, an [`End`] | 204 once it counts; 409 with [`Missing`] where something has to be sent again |
//! | `GET /run/next`, with the token that the Job was made with | [`Next`]: another run that is wanted of it; 202: ask again; 204: none |
//!
//! Where there is an outputs processor, outputs and end go there:
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /write/`, its description in [`OUTPUT`] | [`Received`]: how much of it is there |
//! | `PUT /write/?offset=N`, the rest of its bytes, and the same | [`Receipt`] once they are stored; 404: only the server knows this run |
//! | `POST /push/`, an [`End`] | what the server answers |
//!
//! Every request has the run's token as bearer, and the process's own identifier in [`PROCESS`]. 410: the run is
//! somebody else's now, or over; 503 and anything else: keep what you have and ask again.

use std::collections::BTreeMap;

use csw_core::{
    ids::{Lease, OutputId, RunId, VersionId},
    model::{Artifact, Strategy},
    names::ModelName,
    output::{MediaType, OutputKind},
    run::{Limits, Outcome, OutputBody, OutputDraft, Phases, RunEnd, RunOrder, Sharing, Task, TaskResult, Usage},
    secret::SecretValue,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The header that tells the processes of one run apart: the cluster may have replaced a pod.
pub(crate) const PROCESS: &str = "csw-process";

/// The header that says where the log of this process begins in that of the run.
pub(crate) const LOG_BASE: &str = "csw-log-base";

/// The header with an output's [`Head`], as JSON in hexadecimal digits.
pub(crate) const OUTPUT: &str = "csw-output";

/// A piece of a log is not longer.
pub(crate) const LOG_PIECE: usize = 1 << 20;

/// Larger outputs go through a file on their way, and are asked for before they are sent.
pub(crate) const IN_MEMORY: u64 = 256 * 1024;

/// An end is not longer: it may have a whole input schema in it.
pub(crate) const END: usize = 80 << 20;

/// What a run is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    run: RunId,
    lease: Lease,
    task: Task,
    model: ModelName,
    version: VersionId,
    artifact: Artifact,
    strategy: Strategy,
    /// Null where they are elsewhere.
    arguments: Value,
    limits: Limits,
    network: bool,
    secrets: BTreeMap<String, String>,
    /// Where the log of the process that asked begins in that of the run.
    pub(crate) log_base: u64,
}

impl Order {
    pub(crate) fn new(order: &RunOrder, log_base: u64, with_arguments: bool) -> Self {
        let secrets = order.secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        Self {
            run: order.run,
            lease: order.lease,
            task: order.task,
            model: order.model.clone(),
            version: order.version,
            artifact: order.artifact.clone(),
            strategy: order.strategy,
            arguments: if with_arguments { order.arguments.clone() } else { Value::Null },
            limits: order.limits,
            network: order.network,
            secrets,
            log_base,
        }
    }
}

impl From<Order> for RunOrder {
    fn from(order: Order) -> Self {
        Self {
            run: order.run,
            lease: order.lease,
            task: order.task,
            model: order.model,
            version: order.version,
            artifact: order.artifact,
            strategy: order.strategy,
            // A pod is shared with nobody.
            sharing: Sharing::Public,
            arguments: order.arguments,
            limits: order.limits,
            network: order.network,
            secrets: order.secrets.into_iter().map(|(name, value)| (name, SecretValue::from(value))).collect(),
        }
    }
}

/// How much of a log, or of an output, has arrived.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) received: u64,
}

/// An output without its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) id: OutputId,
    pub(crate) kind: OutputKind,
    pub(crate) position: u32,
    pub(crate) title: String,
    pub(crate) media_type: MediaType,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Head {
    /// As the value of a header.
    pub(crate) fn encode(&self) -> String {
        hex::encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(text).ok()?).ok()
    }

    pub(crate) fn of(draft: &OutputDraft) -> Self {
        Self {
            id: draft.id,
            kind: draft.kind,
            position: draft.position,
            title: draft.title.clone(),
            media_type: draft.media_type,
            size: draft.size,
            sha256: draft.sha256.clone(),
        }
    }

    /// The output, with its bytes.
    pub(crate) fn draft(&self, body: OutputBody) -> OutputDraft {
        OutputDraft {
            id: self.id,
            kind: self.kind,
            position: self.position,
            title: self.title.clone(),
            media_type: self.media_type,
            body,
            size: self.size,
            sha256: self.sha256.clone(),
        }
    }

    pub(crate) fn place(&self) -> OutputPlace {
        OutputPlace { kind: self.kind, position: self.position, sha256: self.sha256.clone() }
    }
}

/// An output as an end names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct OutputPlace {
    pub(crate) kind: OutputKind,
    pub(crate) position: u32,
    pub(crate) sha256: String,
}

/// What an end names and is not here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// Outputs.
    pub(crate) missing: Vec<OutputPlace>,
    /// How much of the log is here.
    pub(crate) received: u64,
}

/// The end of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct End {
    outcome: WireOutcome,
    model_version: Option<String>,
    phases: Phases,
    usage: Usage,
    /// All that were sent.
    pub(crate) outputs: Vec<OutputPlace>,
    /// Those that an outputs processor has stored.
    #[serde(default)]
    pub(crate) stored: Vec<Stored>,
    /// Bytes of the log.
    pub(crate) log: u64,
    /// The process would take another run.
    #[serde(default)]
    pub(crate) lingers: bool,
}

/// Another run for a Job whose own is over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Next {
    pub(crate) run: RunId,
    pub(crate) task: Task,
    pub(crate) token: String,
}

/// The word of an outputs processor: it has stored an output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) receipt: String,
}

/// An output that is in object storage, and the word of whoever put it there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) head: Head,
    pub(crate) receipt: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireOutcome {
    Version(String),
    Defaults { meta_parameters: Value, model_parameters: Value },
    Parse { errors_warnings: Value, custom_adjustment: Option<Value> },
    Sim { outputs: u32 },
    Failed { traceback: String },
    Cancelled,
    TimedOut { seconds: u32 },
    OutOfMemory { limit_bytes: u64 },
    Lost { sentence: String },
}

impl End {
    pub(crate) fn new(end: RunEnd, outputs: Vec<OutputPlace>, log: u64) -> Self {
        let RunEnd { outcome, model_version, phases, usage } = end;
        Self { outcome: outcome.into(), model_version, phases, usage, outputs, stored: Vec::new(), log, lingers: false }
    }
}

impl From<End> for RunEnd {
    fn from(end: End) -> Self {
        Self { outcome: end.outcome.into(), model_version: end.model_version, phases: end.phases, usage: end.usage }
    }
}

impl From<Outcome> for WireOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Returned(TaskResult::Version(text)) => Self::Version(text),
            Outcome::Returned(TaskResult::Defaults { meta_parameters, model_parameters }) => {
                Self::Defaults { meta_parameters, model_parameters }
            }
            Outcome::Returned(TaskResult::Parse { errors_warnings, custom_adjustment }) => {
                Self::Parse { errors_warnings, custom_adjustment }
            }
            Outcome::Returned(TaskResult::Sim { outputs }) => Self::Sim { outputs },
            Outcome::Failed { traceback } => Self::Failed { traceback },
            Outcome::Cancelled => Self::Cancelled,
            Outcome::TimedOut { seconds } => Self::TimedOut { seconds },
            Outcome::OutOfMemory { limit_bytes } => Self::OutOfMemory { limit_bytes },
            Outcome::Lost { sentence } => Self::Lost { sentence },
        }
    }
}

impl From<WireOutcome> for Outcome {
    fn from(outcome: WireOutcome) -> Self {
        match outcome {
            WireOutcome::Version(text) => Self::Returned(TaskResult::Version(text)),
            WireOutcome::Defaults { meta_parameters, model_parameters } => {
                Self::Returned(TaskResult::Defaults { meta_parameters, model_parameters })
            }
            WireOutcome::Parse { errors_warnings, custom_adjustment } => {
                Self::Returned(TaskResult::Parse { errors_warnings, custom_adjustment })
            }
            WireOutcome::Sim { outputs } => Self::Returned(TaskResult::Sim { outputs }),
            WireOutcome::Failed { traceback } => Self::Failed { traceback },
            WireOutcome::Cancelled => Self::Cancelled,
            WireOutcome::TimedOut { seconds } => Self::TimedOut { seconds },
            WireOutcome::OutOfMemory { limit_bytes } => Self::OutOfMemory { limit_bytes },
            WireOutcome::Lost { sentence } => Self::Lost { sentence },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outputs_description_fits_a_header_whatever_its_title() {
        let head = Head {
            id: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
            kind: OutputKind::Downloadable,
            position: 3,
            title: "Été\n\u{0}".to_owned(),
            media_type: MediaType::Csv,
            size: 7,
            sha256: "00".to_owned(),
        };
        let text = head.encode();
        assert!(text.is_ascii() && !text.contains(['\n', '\0']));
        assert_eq!(Head::decode(&text), Some(head));
        assert_eq!(Head::decode("zz"), None);
    }

    #[test]
    fn every_outcome_survives_the_way() {
        let parse = TaskResult::Parse { errors_warnings: serde_json::json!({ "a": {} }), custom_adjustment: None };
        let outcomes = [
            Outcome::Returned(TaskResult::Version("1".to_owned())),
            Outcome::Returned(TaskResult::Sim { outputs: 2 }),
            Outcome::Returned(parse),
            Outcome::Failed { traceback: "t".to_owned() },
            Outcome::Cancelled,
            Outcome::TimedOut { seconds: 1 },
            Outcome::OutOfMemory { limit_bytes: 2 },
            Outcome::Lost { sentence: "s".to_owned() },
        ];
        for outcome in outcomes {
            let end = RunEnd {
                outcome: outcome.clone(),
                model_version: None,
                phases: Phases::default(),
                usage: Usage::default(),
            };
            let text = serde_json::to_string(&End::new(end, Vec::new(), 0)).unwrap();
            let back: End = serde_json::from_str(&text).unwrap();
            assert_eq!(RunEnd::from(back).outcome, outcome);
        }
    }
}
