//! Runs: attempts to execute a task of a version, and how they end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::{AccountId, BuildId, Lease, ModelId, OutputId, RunId, SimulationId, VersionId},
    memo::MemoKey,
    model::{Artifact, Strategy},
    names::ModelName,
    output::{MediaType, OutputKind},
    secret::Secrets,
};

/// What a model can be asked: its four functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// `get_version()`.
    Version,
    /// `get_inputs(meta_param_dict)`.
    Defaults,
    /// `validate_inputs(meta_param_dict, adjustment, errors_warnings)`.
    Parse,
    /// `run_model(meta_param_dict, adjustment)`.
    Sim,
}

impl Task {
    /// The word of the task protocol (section 5.3 of the 1.6 behaviour).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Defaults => "defaults",
            Self::Parse => "parse",
            Self::Sim => "sim",
        }
    }

    /// The task with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Version, Self::Defaults, Self::Parse, Self::Sim].into_iter().find(|task| task.as_str() == word)
    }
}

/// Where a run stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Waits for a worker.
    Queued,
    /// Claimed by a worker, under a lease.
    Running,
    /// Over; why is in [`Reason`].
    Finished,
}

impl RunState {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Finished].into_iter().find(|state| state.as_str() == word)
    }
}

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The model returned a result.
    Success,
    /// The model raised, exited, crashed or broke its contract.
    Fail,
    /// Somebody with the right to asked for it.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// The memory limit was hit.
    OutOfMemory,
    /// The platform lost the run, and no attempt is left.
    WorkerFailure,
}

impl Reason {
    const ALL: [Self; 6] =
        [Self::Success, Self::Fail, Self::Cancelled, Self::TimedOut, Self::OutOfMemory, Self::WorkerFailure];

    /// The word in the REST field `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::WorkerFailure => "WORKER_FAILURE",
        }
    }

    /// The reason with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// What a run may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs, may be a fraction.
    pub cpus: f64,
    /// Bytes.
    pub memory_bytes: u64,
    /// Seconds from its start.
    pub deadline_seconds: u32,
}

/// Milliseconds a run spent in each of its phases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Waiting for a worker.
    pub queue: u64,
    /// From claim to a process with the sandbox around it.
    pub start: u64,
    /// Importing the model's code; 0 where a zygote had it.
    pub import: u64,
    /// The model's function.
    pub run: u64,
    /// Storing outputs and finishing.
    pub store: u64,
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU milliseconds.
    pub cpu_milliseconds: u64,
    /// Peak of resident memory in bytes.
    pub peak_memory_bytes: u64,
}

/// A row of the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its identifier.
    pub id: RunId,
    /// What is asked of the model.
    pub task: Task,
    /// Of which model.
    pub model: ModelId,
    /// Of which version.
    pub version: VersionId,
    /// For which simulation.
    pub simulation: SimulationId,
    /// Whose turn it takes in the fair queue.
    pub owner: AccountId,
    /// Keyword arguments of the function.
    pub arguments: Value,
    /// The memo key of a `sim` run, where the version is deterministic.
    pub memo_key: Option<MemoKey>,
    /// What it may use.
    pub limits: Limits,
    /// Where it stands.
    pub state: RunState,
    /// How it ended, once finished.
    pub reason: Option<Reason>,
    /// A sentence about the end or the last lost attempt.
    pub message: Option<String>,
    /// Attempts begun.
    pub attempt: u32,
    /// When it was put in the queue.
    pub enqueued_at: Timestamp,
    /// When the current attempt was claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Times of its phases, once finished.
    pub phases: Phases,
    /// Whether somebody asked to stop it.
    pub cancel_requested: bool,
}

/// Attempts a run gets when the platform, not the model, loses it.
pub const MAX_ATTEMPTS: u32 = 3;

/// Whose turn a run takes that belongs to nobody: everybody else's come first.
pub const NOBODY: AccountId = AccountId::from_uuid(uuid::Uuid::nil());

/// A run that was just claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedRun {
    /// The run.
    pub run: Run,
    /// The right to act on it.
    pub lease: Lease,
}

/// A run to be enqueued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its identifier.
    pub id: RunId,
    /// What is asked.
    pub task: Task,
    /// Of which model.
    pub model: ModelId,
    /// Of which version.
    pub version: VersionId,
    /// Whose turn it takes.
    pub owner: AccountId,
    /// Keyword arguments.
    pub arguments: Value,
    /// Memo key, where the result may answer identical inputs.
    pub memo_key: Option<MemoKey>,
    /// What it may use.
    pub limits: Limits,
}

/// With whom a zygote may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Anybody's runs of a public model.
    Public,
    /// Runs of this private model alone.
    PrivateTo(ModelId),
}

/// Everything an executor needs for one run. It holds no credential of ours; the lease is good for this run alone.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// Which run. For work outside the queue (defaults, conformance) a fresh identifier.
    pub run: RunId,
    /// The right to report about it.
    pub lease: Lease,
    /// What is asked.
    pub task: Task,
    /// Of which model; goes into the environment as `OWNER` and `TITLE`.
    pub model: ModelName,
    /// Of which version.
    pub version: VersionId,
    /// Where that version's code and packages are.
    pub artifact: Artifact,
    /// How its interpreters are made.
    pub strategy: Strategy,
    /// Who may share its zygote.
    pub sharing: Sharing,
    /// Keyword arguments of the function.
    pub arguments: Value,
    /// What it may use.
    pub limits: Limits,
    /// Whether it may reach the network.
    pub network: bool,
    /// Environment variables that enter after the fork. Never logged.
    pub secrets: Secrets,
}

/// What a task returned.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskResult {
    /// The text of `get_version`, trimmed.
    Version(String),
    /// The two parts of `get_inputs`, as the model gave them.
    Defaults {
        /// A dump of meta parameters.
        meta_parameters: Value,
        /// Dumps by section.
        model_parameters: Value,
    },
    /// What `validate_inputs` found.
    Parse {
        /// By section; values may be of any JSON type (some models return indices).
        errors_warnings: Value,
        /// What the model wants shown in place of the adjustment.
        custom_adjustment: Option<Value>,
    },
    /// `run_model` returned; its outputs were delivered one by one before.
    Sim {
        /// How many outputs were delivered.
        outputs: u32,
    },
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function returned, and its result keeps the contract.
    Returned(TaskResult),
    /// The model failed: `traceback` is for its author and user, at most 64 kB.
    Failed {
        /// Python's traceback, or a sentence where there is none (exit, crash, broken contract).
        traceback: String,
    },
    /// Stopped on request.
    Cancelled,
    /// Stopped at its deadline.
    TimedOut {
        /// The deadline.
        seconds: u32,
    },
    /// Stopped at its memory limit.
    OutOfMemory {
        /// The limit.
        limit_bytes: u64,
    },
    /// Not the model's fault; may be tried again.
    Lost {
        /// What happened.
        sentence: String,
    },
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// How.
    pub outcome: Outcome,
    /// What `get_version` says, asked after the task.
    pub model_version: Option<String>,
    /// `start`, `import` and `run` as the executor measured them.
    pub phases: Phases,
    /// What it used.
    pub usage: Usage,
}

/// The bytes of an output on their way to object storage.
#[derive(Debug, Clone)]
pub enum OutputBody {
    /// In memory, for small ones.
    Bytes(bytes::Bytes),
    /// In a file that the receiver may move away.
    File(std::path::PathBuf),
    /// In object storage already, under the key of their hash.
    Stored,
}

/// An output as it comes from the model, bytes included.
#[derive(Debug, Clone)]
pub struct OutputDraft {
    /// The model's own id, or a fresh one.
    pub id: OutputId,
    /// Which list.
    pub kind: OutputKind,
    /// Place in that list.
    pub position: u32,
    /// Free text.
    pub title: String,
    /// What it is.
    pub media_type: MediaType,
    /// The bytes, decoded: binary types are raw, bokeh is JSON text, all others UTF-8.
    pub body: OutputBody,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
}

/// Whose log a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogOf {
    /// A run.
    Run(RunId),
    /// A build.
    Build(BuildId),
}
