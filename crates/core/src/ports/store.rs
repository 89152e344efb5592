//! The database. Each method is one transaction: it happens whole, durably, or not at all. Enqueueing a run is part of
//! the transaction that makes it due.
//!
//! Methods that take a [`Lease`] change nothing when the lease is no longer good, and say so.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

use crate::{
    access::Role,
    account::{Account, AccountPatch, Session, Token},
    build::{Build, StopReason},
    comparison::{Candidate, Compared, Comparison, ComparisonState, Verdict},
    ids::{AccountId, BuildId, InviteId, Lease, ModelId, OutputId, RunId, SimulationId, TokenId, VersionId},
    memo::MemoKey,
    model::{CachedSchema, Model, ModelSettings, ModelStatus, Promotion, Version},
    output::Output,
    page::{Page, PageRequest},
    ports::{ChargeStore, CheckStore, DeliveryStore, PullStore, RunHolds, SecretTrail, ThumbnailStore, TrustStore},
    run::{ClaimedRun, LogOf, NewRun, Phases, Reason, Run},
    simulation::{Collaborator, Inputs, InputsStatus, Invite, Simulation, SimulationPatch, SimulationStatus},
};

/// Why the database did not do as asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something with this name, address or key exists already.
    #[error("{what} exists already")]
    Conflict {
        /// `account name`, `account email`, `model`, ...
        what: &'static str,
    },
    /// It is not there.
    #[error("{what} does not exist")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// It is in a state that does not allow this.
    #[error("{what}")]
    State {
        /// A sentence for the user.
        what: String,
    },
    /// The database can't be used now; the same call may succeed later.
    #[error("the database is not available: {cause}")]
    Unavailable {
        /// What it said.
        cause: String,
    },
    /// A row that should not exist.
    #[error("the database holds an impossible {what}: {cause}")]
    Corrupt {
        /// Which table, column or row.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// Results of the store.
pub type StoreResult<T> = Result<T, StoreError>;

/// Something that others may be waiting for. Hints: a lost one must cost time only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// A run became due, or capacity was freed.
    Queue,
    /// A simulation or its inputs changed state.
    Simulation(SimulationId),
    /// A log grew.
    Log(LogOf),
    /// A build changed.
    Build(BuildId),
    /// The comparison of a version changed, or a run that it waits for ended.
    Comparison(VersionId),
    /// Somebody asked to stop a run.
    Cancel(RunId),
    /// Somebody asked to stop a build that is at work.
    StopBuild(BuildId, StopReason),
    /// Some changes were not told: anything may have happened.
    Missed,
}

/// A simulation to be made.
#[derive(Debug, Clone)]
pub struct NewSimulation {
    /// Its identifier.
    pub id: SimulationId,
    /// Of which model; the number comes from this model's counter.
    pub model: ModelId,
    /// Who makes it; becomes owner, author and admin of it.
    pub owner: AccountId,
    /// Its title.
    pub title: String,
    /// Its readme.
    pub readme: Value,
    /// Whether anybody may see it.
    pub is_public: bool,
    /// Mail at the end.
    pub notify_on_completion: bool,
    /// What it derives from.
    pub parent: Option<SimulationId>,
    /// Its inputs; `Pending` with a run, `Started` without.
    pub inputs: Inputs,
    /// The `parse` run, where inputs were submitted.
    pub parse: Option<NewRun>,
    /// When.
    pub now: Timestamp,
    /// Where the client gave an `Idempotency-Key`: the key and a digest of the request.
    pub idempotency: Option<(String, String)>,
}

/// What became of a [`NewSimulation`].
#[derive(Debug, Clone)]
pub enum Created {
    /// It was made.
    New(Simulation),
    /// The same request under the same idempotency key made this one before.
    Repeated(Simulation),
    /// The idempotency key was used for another request.
    KeyReused,
}

/// The result of a `parse` run, to be stored.
#[derive(Debug, Clone)]
pub struct ParseEnd {
    /// Which run.
    pub run: RunId,
    /// The right to end it.
    pub lease: Lease,
    /// What the inputs become: `Success`, `Invalid`, `Fail` or `WorkerFailure`.
    pub status: InputsStatus,
    /// How the run ended.
    pub reason: Reason,
    /// By section.
    pub errors_warnings: Option<Value>,
    /// For display.
    pub custom_adjustment: Option<Value>,
    /// Why it failed.
    pub traceback: Option<String>,
    /// The `sim` run that follows, where valid.
    pub sim: Option<NewRun>,
    /// Whether a memo may answer or a run in flight be shared instead of `sim`.
    pub share: bool,
    /// The simulation's expected end.
    pub expected_at: Option<Timestamp>,
    /// Times of the parse run.
    pub phases: Phases,
    /// When.
    pub now: Timestamp,
}

/// What became of a [`ParseEnd`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseApplied {
    /// Nothing: the run is over already, or another worker's.
    Stale,
    /// Stored; no `sim` run was wanted.
    Stored(SimulationId),
    /// Stored, and the `sim` run is in the queue.
    Enqueued(SimulationId),
    /// Stored, and the simulation follows a run in flight with the same key.
    Joined(SimulationId, RunId),
    /// Stored, and outputs of an earlier run with the same key answered at once.
    Answered(SimulationId, RunId),
}

/// The result of a `sim` run, to be stored for its simulation and every one that shares it.
#[derive(Debug, Clone)]
pub struct SimEnd {
    /// Which run.
    pub run: RunId,
    /// The right to end it.
    pub lease: Lease,
    /// How it ended.
    pub reason: Reason,
    /// Traceback or sentence, where not a success.
    pub traceback: Option<String>,
    /// All outputs, their bytes already stored.
    pub outputs: Vec<Output>,
    /// What `get_version` says.
    pub model_version: Option<String>,
    /// Dollars.
    pub cost: f64,
    /// Times.
    pub phases: Phases,
    /// When.
    pub now: Timestamp,
}

/// Which simulations are wanted.
#[derive(Debug, Clone, Default)]
pub struct SimulationFilter {
    /// Owned by this account, or with any role for it if `shared`.
    pub account: Option<AccountId>,
    /// Include those shared with the account.
    pub shared: bool,
    /// Public ones only.
    pub public_only: bool,
    /// Of this model.
    pub model: Option<ModelId>,
    /// In this state.
    pub status: Option<SimulationStatus>,
    /// Archived ones (`Some(true)`), others (`Some(false)`), or both.
    pub archived: Option<bool>,
    /// Words in title, model or owner.
    pub search: Option<String>,
    /// Keys to sort by, each with `true` for descending.
    pub order: Vec<(SimulationOrder, bool)>,
}

/// A key to sort simulations by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulationOrder {
    /// When it was made.
    CreatedAt,
    /// The model's title.
    ModelTitle,
    /// The model's owner.
    ModelOwner,
    /// Its own title.
    Title,
    /// Its state.
    Status,
}

/// Which models are wanted.
#[derive(Debug, Clone, Default)]
pub struct ModelFilter {
    /// Owned by this account.
    pub owner: Option<AccountId>,
    /// Visible to this account: public, owned, or with a role.
    pub visible_to: Option<AccountId>,
    /// Public ones only, where no account asks.
    pub public_only: bool,
    /// Listed ones only.
    pub listed_only: bool,
    /// Without those that never had a version, but for the account's that may see them anyway.
    pub published_only: bool,
    /// Words in title, one-liner or owner.
    pub search: Option<String>,
    /// Newest first instead of by owner and title.
    pub newest_first: bool,
}

/// What may be claimed now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// CPUs free.
    pub cpus: f64,
    /// Bytes of memory free.
    pub memory_bytes: u64,
}

/// Accounts.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Adds an account; `Conflict` names `account name` or `account email`.
    async fn insert_account(&self, account: &Account) -> StoreResult<()>;
    /// By identifier.
    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>>;
    /// By name, in any case.
    async fn account_by_name(&self, name: &str) -> StoreResult<Option<Account>>;
    /// By address, in any case.
    async fn account_by_email(&self, email: &str) -> StoreResult<Option<Account>>;
    /// All of them, by name.
    async fn accounts(&self, page: PageRequest) -> StoreResult<Page<Account>>;
    /// Changes an account.
    async fn update_account(&self, id: AccountId, patch: &AccountPatch) -> StoreResult<Account>;
    /// Removes an account with its tokens, sessions, roles, invites and private simulations. Its models and public
    /// simulations stay, under a name that tells nobody who it was.
    async fn delete_account(&self, id: AccountId) -> StoreResult<()>;
    /// Up to `limit` active accounts whose name contains `text`: the exact one first, then those that begin so.
    async fn search_accounts(&self, text: &str, limit: u32) -> StoreResult<Vec<Account>>;
    /// Adds a token.
    async fn insert_token(&self, token: &Token) -> StoreResult<()>;
    /// An account's tokens, newest first.
    async fn tokens(&self, account: AccountId) -> StoreResult<Vec<Token>>;
    /// Removes a token; says whether it was there.
    async fn delete_token(&self, account: AccountId, token: TokenId) -> StoreResult<bool>;
    /// Whose unexpired token this is the hash of.
    async fn account_by_token(&self, hash: &str, now: Timestamp) -> StoreResult<Option<(Account, Token)>>;
    /// Notes when a token was last used.
    async fn touch_token(&self, token: TokenId, now: Timestamp) -> StoreResult<()>;
    /// Opens a session.
    async fn insert_session(&self, session: &Session) -> StoreResult<()>;
    /// Whose unexpired session this is the hash of.
    async fn account_by_session(&self, hash: &str, now: Timestamp) -> StoreResult<Option<Account>>;
    /// Closes a session.
    async fn delete_session(&self, hash: &str) -> StoreResult<()>;
    /// Closes all sessions of an account, but for one.
    async fn delete_sessions(&self, account: AccountId, except: Option<&str>) -> StoreResult<()>;
    /// Stores the hash of a single-use link to set a new password.
    async fn insert_password_reset(&self, hash: &str, account: AccountId, expires_at: Timestamp) -> StoreResult<()>;
    /// Takes such a link: it works once, and not after its time.
    async fn take_password_reset(&self, hash: &str, now: Timestamp) -> StoreResult<Option<AccountId>>;
}

/// Models, versions and schemas.
#[async_trait]
pub trait ModelStore: Send + Sync {
    /// Adds a model; `Conflict` if the owner has one of this title.
    async fn insert_model(&self, model: &Model) -> StoreResult<()>;
    /// By identifier.
    async fn model(&self, id: ModelId) -> StoreResult<Option<Model>>;
    /// By owner and title, in any case.
    async fn model_by_name(&self, owner: &str, title: &str) -> StoreResult<Option<Model>>;
    /// A list of models.
    async fn models(&self, filter: &ModelFilter, page: PageRequest) -> StoreResult<Page<Model>>;
    /// The models an account last made simulations of, latest first.
    async fn recent_models(&self, account: AccountId, limit: u32) -> StoreResult<Vec<Model>>;
    /// Changes those of a model's settings that differ between `before`, which the caller saw, and `wanted`; others stay
    /// as somebody else may have set them meanwhile.
    async fn update_model(&self, id: ModelId, before: &ModelSettings, wanted: &ModelSettings) -> StoreResult<Model>;
    /// Changes a model's status.
    async fn set_model_status(&self, id: ModelId, status: ModelStatus) -> StoreResult<()>;
    /// Sets the tags that are given.
    async fn set_model_tags(
        &self,
        id: ModelId,
        latest: Option<Option<&str>>,
        staging: Option<Option<&str>>,
    ) -> StoreResult<Model>;
    /// An account's role on a model; owners have `Admin`.
    async fn model_role(&self, model: ModelId, account: AccountId) -> StoreResult<Option<Role>>;
    /// The models an account has a role on, but for its own.
    async fn model_roles(&self, account: AccountId) -> StoreResult<Vec<(ModelId, Role)>>;
    /// Everybody with a role on a model, but its owner.
    async fn model_members(&self, model: ModelId) -> StoreResult<Vec<Collaborator>>;
    /// Gives, changes or takes a role.
    async fn set_model_role(&self, model: ModelId, account: AccountId, role: Option<Role>) -> StoreResult<()>;
    /// Simulations of a model, and how many accounts made them.
    async fn model_counts(&self, model: ModelId) -> StoreResult<(u64, u64)>;
    /// Adds a version, or returns the one of this model with the same digest.
    async fn insert_version(&self, version: &Version) -> StoreResult<Version>;
    /// By identifier.
    async fn version(&self, id: VersionId) -> StoreResult<Option<Version>>;
    /// A model's versions, newest first.
    async fn versions(&self, model: ModelId) -> StoreResult<Vec<Version>>;
    /// Stores how a version's interpreters are made, what it reports, and the facts.
    async fn update_version(&self, version: &Version) -> StoreResult<()>;
    /// Makes a version live, retires the one before and the model is `live`. `State` if the version is failed.
    async fn promote(&self, model: ModelId, version: VersionId, by: AccountId, now: Timestamp) -> StoreResult<Model>;
    /// What was live when, newest first, at most `limit`.
    async fn promotions(&self, model: ModelId, limit: u32) -> StoreResult<Vec<Promotion>>;
    /// A cached input schema; `meta_key` is the canonical JSON of the values.
    async fn schema(&self, version: VersionId, meta_key: &str) -> StoreResult<Option<CachedSchema>>;
    /// Caches an input schema; one that is there already stays.
    async fn insert_schema(&self, meta_key: &str, schema: &CachedSchema) -> StoreResult<()>;
    /// How many schemas a version has in the cache.
    async fn schema_count(&self, version: VersionId) -> StoreResult<u64>;
}

/// Builds.
#[async_trait]
pub trait BuildStore: Send + Sync {
    /// Adds a build to the queue, and the check that it is to have on a forge. Others of its model and line that wait
    /// there are cancelled: the newest wins. Those are returned. `here`: no other server has what it is built from.
    async fn insert_build(&self, build: &Build, here: bool) -> StoreResult<Vec<Build>>;
    /// Asks whoever works at a build to stop it.
    async fn stop_build(&self, id: BuildId, why: StopReason) -> StoreResult<()>;
    /// Stores how a build stands. One that is over stays as it is: false.
    async fn update_build(&self, build: &Build) -> StoreResult<bool>;
    /// By identifier.
    async fn build(&self, id: BuildId) -> StoreResult<Option<Build>>;
    /// A model's builds, newest first.
    async fn builds(&self, model: ModelId, page: PageRequest) -> StoreResult<Page<Build>>;
    /// Stores that a build of the queue begins, at this server. False where it does not wait any more, or another of its
    /// model is at work.
    async fn begin_build(&self, build: &Build) -> StoreResult<bool>;
    /// Builds that wait or are at work, in the order in which they were asked for.
    async fn unfinished_builds(&self) -> StoreResult<Vec<Build>>;
    /// Those of them that this server may carry out: not what another one that is alive is at, or has the files of.
    async fn builds_in_hand(&self) -> StoreResult<Vec<Build>>;
}

/// Simulations and all that belongs to them.
#[async_trait]
pub trait SimulationStore: Send + Sync {
    /// Makes a simulation, with inputs and `parse` run.
    async fn create_simulation(&self, new: &NewSimulation) -> StoreResult<Created>;
    /// Replaces the inputs of a simulation that is `STARTED` and not being validated, and enqueues their `parse` run.
    /// `State` otherwise.
    async fn submit_inputs(
        &self,
        simulation: SimulationId,
        inputs: &Inputs,
        notify_on_completion: Option<bool>,
        parent: Option<SimulationId>,
        parse: &NewRun,
        now: Timestamp,
    ) -> StoreResult<Simulation>;
    /// By model and number, with its inputs as of the same moment.
    async fn simulation(&self, model: ModelId, number: u32) -> StoreResult<Option<(Simulation, Inputs)>>;
    /// By identifier.
    async fn simulation_by_id(&self, id: SimulationId) -> StoreResult<Option<Simulation>>;
    /// By identifier, with its inputs.
    async fn simulation_with_inputs(&self, id: SimulationId) -> StoreResult<Option<(Simulation, Inputs)>>;
    /// Its inputs.
    async fn inputs(&self, simulation: SimulationId) -> StoreResult<Inputs>;
    /// Its outputs, renderable ones first, each list in the model's order.
    async fn outputs(&self, simulation: SimulationId) -> StoreResult<Vec<Output>>;
    /// One of its outputs.
    async fn output(&self, simulation: SimulationId, output: OutputId) -> StoreResult<Option<Output>>;
    /// A list of simulations.
    async fn simulations(&self, filter: &SimulationFilter, page: PageRequest) -> StoreResult<Page<Simulation>>;
    /// Changes a simulation.
    async fn update_simulation(
        &self,
        id: SimulationId,
        patch: &SimulationPatch,
        now: Timestamp,
    ) -> StoreResult<Simulation>;
    /// Copies a finished or started simulation with its outputs (the same objects and ids); the copy is private, and
    /// `owner`'s. `State` if inputs or simulation are pending.
    async fn fork_simulation(
        &self,
        source: SimulationId,
        copy: SimulationId,
        owner: AccountId,
        now: Timestamp,
    ) -> StoreResult<Simulation>;
    /// Removes a simulation that is not pending; returns the keys of objects that nothing refers to any more.
    async fn delete_simulation(&self, id: SimulationId) -> StoreResult<Vec<String>>;
    /// The chain of parents, nearest first, at most 100.
    async fn parents(&self, id: SimulationId) -> StoreResult<Vec<Simulation>>;
    /// An account's role on a simulation.
    async fn simulation_role(&self, simulation: SimulationId, account: AccountId) -> StoreResult<Option<Role>>;
    /// The roles of an account on several simulations.
    async fn simulation_roles(
        &self,
        simulations: &[SimulationId],
        account: AccountId,
    ) -> StoreResult<Vec<(SimulationId, Role)>>;
    /// Everybody with a role, the owner first.
    async fn collaborators(&self, simulation: SimulationId) -> StoreResult<Vec<Collaborator>>;
    /// Gives, changes or takes roles, all or none. The owner keeps `Admin`: `State` otherwise.
    async fn set_simulation_roles(
        &self,
        simulation: SimulationId,
        roles: &[(AccountId, Option<Role>)],
    ) -> StoreResult<()>;
    /// The names of its authors, sorted.
    async fn authors(&self, simulation: SimulationId) -> StoreResult<Vec<String>>;
    /// The names of the authors of several, sorted.
    async fn authors_of(&self, simulations: &[SimulationId]) -> StoreResult<Vec<(SimulationId, String)>>;
    /// Invites coauthors (each at least a reader from now on) who are neither authors nor hold an unexpired invitation;
    /// returns all open invitations.
    async fn invite(&self, simulation: SimulationId, invites: &[Invite], now: Timestamp) -> StoreResult<Vec<Invite>>;
    /// Open and expired invitations of a simulation.
    async fn invites(&self, simulation: SimulationId) -> StoreResult<Vec<Invite>>;
    /// One invitation.
    async fn invite_by_id(&self, id: InviteId) -> StoreResult<Option<Invite>>;
    /// Makes the invited an author. `State` if expired.
    async fn accept_invite(&self, id: InviteId, now: Timestamp) -> StoreResult<()>;
    /// Takes an author or an open invitation away, and the read role that came with it; says whether there was one.
    async fn remove_author(&self, simulation: SimulationId, account: AccountId) -> StoreResult<bool>;
    /// Milliseconds the last successful `sim` runs of a version took, newest first.
    async fn recent_run_times(&self, version: VersionId, limit: u32) -> StoreResult<Vec<u64>>;
    /// Those of these hashes that no output has.
    async fn unnamed_objects(&self, hashes: &[String]) -> StoreResult<Vec<String>>;
    /// How many `sim` runs of an account are queued or running.
    async fn pending_runs(&self, account: AccountId) -> StoreResult<u64>;
}

/// The queue: the `runs` table.
#[async_trait]
pub trait RunStore: RunHolds {
    /// Claims the next queued run that fits `room`, fair among owners (fewest running first, then oldest; `parse` before
    /// `sim`), under a new lease. Runs that ask for more than `total` are offered as if they asked for `total`.
    async fn claim(&self, lease: Lease, room: Room, total: Room, now: Timestamp) -> StoreResult<Option<ClaimedRun>>;
    /// By identifier.
    async fn run(&self, id: RunId) -> StoreResult<Option<Run>>;
    /// Claims this run, if it waits, under a new lease; says whether it did.
    async fn claim_run(&self, id: RunId, lease: Lease, now: Timestamp) -> StoreResult<bool>;
    /// Runs in state `Running` that this server claimed, or one that is gone, with their leases.
    async fn running(&self) -> StoreResult<Vec<ClaimedRun>>;
    /// How many runs are queued, and how many of those are ahead of this one.
    async fn queue_position(&self, run: RunId) -> StoreResult<Option<(u64, u64)>>;
    /// Queued and running runs, for metrics.
    async fn queue_lengths(&self) -> StoreResult<(u64, u64)>;
    /// Gives a claimed run back to the queue with a sentence on why; counts as no attempt when `handed_back`.
    /// Returns false if the lease is stale.
    async fn requeue(&self, run: RunId, lease: Lease, sentence: &str, handed_back: bool) -> StoreResult<bool>;
    /// Stores the end of a `parse` run and what follows from it.
    async fn finish_parse(&self, end: &ParseEnd) -> StoreResult<ParseApplied>;
    /// Stores the end of a `sim` run; the simulations that got it. None did if it is stale, or only comparisons wait for it.
    async fn finish_sim(&self, end: &SimEnd) -> StoreResult<Vec<Simulation>>;
    /// Asks to stop the pending validation or run of a simulation. A queued run ends at once; a running one is marked, and
    /// returned so that the executor can be told; a run that others share only loses this simulation.
    async fn cancel(&self, simulation: SimulationId, now: Timestamp) -> StoreResult<Cancelled>;
    /// A finished `sim` run whose outputs answer this key, if any.
    async fn memo(&self, key: &MemoKey) -> StoreResult<Option<RunId>>;
    /// Appends to a log; `offset` is where the text begins, so that a repeat changes nothing.
    async fn append_log(&self, log: LogOf, offset: u64, text: Bytes, now: Timestamp) -> StoreResult<()>;
    /// Text of a log from `offset`, at most `limit` bytes.
    async fn read_log(&self, log: LogOf, offset: u64, limit: u64) -> StoreResult<Bytes>;
    /// Length of a log in bytes.
    async fn log_length(&self, log: LogOf) -> StoreResult<u64>;
}

/// How often simulations are looked at, and what a staged version makes of those that are looked at most.
///
/// The runs of a comparison belong to nobody: no account is charged, they are in no list, and everybody else's runs go
/// first. They are kept while the comparison, or a simulation that shares them, needs them.
#[async_trait]
pub trait ComparisonStore: Send + Sync {
    /// Adds to the counts of views; of a simulation that is gone nothing is counted.
    async fn add_views(&self, views: &[(SimulationId, u64)]) -> StoreResult<()>;
    /// The simulations of a model that are looked at most, at most `limit`: those that ran well on the `live` version, or
    /// did so in its comparison. Private ones only if `account` has a role on them, or `all` are wanted. Also how many
    /// were left out because of that.
    async fn candidates(
        &self,
        model: ModelId,
        live: VersionId,
        account: AccountId,
        all: bool,
        limit: u32,
    ) -> StoreResult<(Vec<Candidate>, u64)>;
    /// Begins a comparison in place of a former one of its version. Runs of comparisons of other versions that are not
    /// live are let go; returns the keys of objects that nothing refers to any more.
    async fn begin_comparison(&self, comparison: &Comparison, candidates: &[Candidate]) -> StoreResult<Vec<String>>;
    /// The comparison of a version.
    async fn comparison(&self, version: VersionId) -> StoreResult<Option<Comparison>>;
    /// Its simulations, those that are looked at most first.
    async fn compared(&self, version: VersionId) -> StoreResult<Vec<Compared>>;
    /// Comparisons that are at work, in the order in which they began.
    async fn running_comparisons(&self) -> StoreResult<Vec<Comparison>>;
    /// Gives a simulation of a comparison its run: an earlier one with the same key, one that is under way, or `run`, which
    /// is then put into the queue behind everybody else's.
    async fn run_compared(
        &self,
        version: VersionId,
        simulation: SimulationId,
        run: &NewRun,
        now: Timestamp,
    ) -> StoreResult<RunId>;
    /// Stores what came of a simulation.
    async fn judge(&self, version: VersionId, simulation: SimulationId, verdict: &Verdict) -> StoreResult<()>;
    /// Ends a comparison. Runs that only it waited for are stopped; of those that execute, [`Change::Cancel`] tells.
    async fn end_comparison(&self, version: VersionId, state: ComparisonState, now: Timestamp) -> StoreResult<()>;
    /// The outputs of a run, renderable ones first.
    async fn run_outputs(&self, run: RunId) -> StoreResult<Vec<Output>>;
}

/// What became of a wish to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It was not pending.
    NotPending,
    /// It is over now.
    Done,
    /// Its run executes; the executor has to stop it.
    Running(RunId),
}

/// The whole database.
#[async_trait]
pub trait Store:
    AccountStore
    + ModelStore
    + BuildStore
    + PullStore
    + SimulationStore
    + RunStore
    + ChargeStore
    + ComparisonStore
    + SecretTrail
    + CheckStore
    + DeliveryStore
    + TrustStore
    + ThumbnailStore
{
    /// Changes committed by any process, from now on.
    fn changes(&self) -> BoxStream<'static, Change>;
    /// Whether other servers were last known to use this database.
    fn has_peers(&self) -> bool;
    /// How many other servers use this database now.
    async fn look_for_peers(&self) -> StoreResult<u64>;
    /// Whether the database answers.
    async fn ping(&self) -> StoreResult<()>;
    /// Statements sent so far, so that a test can see an idle system send none.
    fn statements(&self) -> u64;
}
