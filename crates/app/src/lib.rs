//! The use cases of Compute Studio, over the ports of [`csw_core`]: accounts, publishing, input schemas, simulations,
//! and the background work that carries runs from the queue to their end.
//!
//! Every decision on who may do what is taken here, with the functions of [`csw_core::access`]; faces (REST, pages,
//! command line) only pass on who asks. This crate knows no SQL, no HTTP and no process.
//!
//! Start reading at [`App`], then `simulations` (what a user does), `dispatch` (what happens to a run) and `report`
//! (how its end is stored).

mod access_rules;
mod accounts;
mod asking;
mod checks;
mod collaboration;
mod comparison;
mod config;
mod conformance;
mod costs;
mod credentials;
mod dispatch;
mod error;
mod estimate;
mod examples;
mod following;
mod forge;
mod limits;
mod look;
mod manifests;
mod measures;
mod models;
mod passwords;
mod patience;
pub mod publish_repository;
mod publishing;
mod pull_requests;
mod reconcile;
mod report;
mod schema_changes;
mod schemas;
mod secrets;
mod simulations;
mod submission;
mod sweep;
mod thumbnails;
mod told;
mod trust;
mod views;
mod webhooks;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use csw_core::{
    ids::{AccountId, BuildId, ModelId, RunId, VersionId},
    ports::{
        Checks, Clock, Executor, Illustrator, Mail, Mailer, ObjectStorage, Publisher, Randomness, Repositories,
        SecretStore, Store, WorkflowTokens,
    },
};
use tokio::sync::{Mutex, Notify, OnceCell, RwLock};

pub use crate::{
    comparison::ComparisonView,
    config::{Config, Duties},
    conformance::{CheckConditions, CheckReport, Conformance},
    costs::{Budget, Costs, CostsOf},
    error::{AppError, AppResult},
    estimate::{Estimate, Eta},
    following::Progress,
    forge::{CheckView, MergeChoices, NewPull, PullChanges, PullView, RepositoryView, published_branch},
    models::ModelView,
    pull_requests::{Asked, PullRequestNews, Wish},
    reconcile::Background,
    schema_changes::SchemaChanges,
    schemas::SchemaView,
    secrets::{OperatorSecrets, SecretsOf},
    simulations::SimulationView,
    submission::Submission,
    thumbnails::is_awaited,
    told::{SERVICE_ACCOUNT, TaskEnd, TaskWord},
    trust::{NewTrust, names_in},
    webhooks::{ElsewhereRepository, PushElsewhere, Told},
};

/// The outside world.
pub struct Ports {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Where output bytes live.
    pub objects: Arc<dyn ObjectStorage>,
    /// Where runs execute.
    pub executor: Arc<dyn Executor>,
    /// What builds versions.
    pub publisher: Arc<dyn Publisher>,
    /// The site's own git repositories.
    pub repositories: Arc<dyn Repositories>,
    /// Where secrets are kept.
    pub secrets: Arc<dyn SecretStore>,
    /// What shows checks of builds on the forge that asked for them; nothing where the site knows none.
    pub checks: Option<Arc<dyn Checks>>,
    /// What checks the tokens of workflows; nothing where none are taken.
    pub workflow_tokens: Option<Arc<dyn WorkflowTokens>>,
    /// What draws outputs; nothing where there is no browser.
    pub illustrator: Option<Arc<dyn Illustrator>>,
    /// What sends mail.
    pub mailer: Arc<dyn Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes.
    pub randomness: Arc<dyn Randomness>,
}

type SharedSchema = Arc<OnceCell<Arc<SchemaView>>>;

pub(crate) struct Inner {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    /// Wakes the dispatcher: a run is due, or room was made.
    pub(crate) wake: Notify,
    /// What the live runs told that is not stored yet.
    pub(crate) reports: Mutex<HashMap<RunId, report::Pending>>,
    pub(crate) admitted: std::sync::Mutex<dispatch::Admitted>,
    pub(crate) schemas: RwLock<HashMap<(VersionId, String), SharedSchema>>,
    pub(crate) counts: std::sync::Mutex<HashMap<ModelId, models::Counted>>,
    pub(crate) builds: std::sync::Mutex<HashMap<BuildId, publishing::AtWork>>,
    /// Wakes who begins builds: one waits, or one is over.
    pub(crate) builds_wake: Notify,
    /// The turn of merging a pull request.
    pub(crate) merging: Mutex<()>,
    /// The turn of who is admitted on a budget.
    pub(crate) admitting: Mutex<()>,
    /// Counts the tasks that are at builds.
    pub(crate) build_tasks: tokio_util::task::TaskTracker,
    pub(crate) views: std::sync::Mutex<views::Views>,
    /// Wakes who stores views: there are some.
    pub(crate) viewed: Notify,
    /// Wakes who draws: a thumbnail is wanted again.
    pub(crate) thumbnails_wake: Notify,
    /// Versions whose comparison is at work here.
    pub(crate) comparisons: std::sync::Mutex<HashSet<VersionId>>,
    /// The turn of validating inputs for a comparison.
    pub(crate) comparing: Mutex<()>,
    /// The server is about to end.
    pub(crate) ending: tokio_util::sync::CancellationToken,
    pub(crate) login_limit: limits::PerMinute<IpAddr>,
    pub(crate) schema_limit: limits::PerMinute<IpAddr>,
    pub(crate) submission_limit: limits::PerMinute<AccountId>,
    pub(crate) look_limit: limits::PerMinute<AccountId>,
    pub(crate) look_slots: tokio::sync::Semaphore,
    pub(crate) password_slots: tokio::sync::Semaphore,
    /// The turn of noting a token's use.
    pub(crate) noting: Arc<tokio::sync::Semaphore>,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) inner: Arc<Inner>,
}

impl App {
    /// The use cases over these ports. Nothing happens in the background before [`App::start`].
    pub fn new(ports: Ports, config: Config) -> Self {
        Self {
            inner: Arc::new(Inner {
                login_limit: limits::PerMinute::new(config.logins_per_minute, "log-ins"),
                schema_limit: limits::PerMinute::new(config.schema_computations_per_minute, "new input schemas"),
                submission_limit: limits::PerMinute::new(config.submissions_per_minute, "submissions"),
                look_limit: limits::PerMinute::new(config.looks_per_minute, "looks at repositories"),
                look_slots: tokio::sync::Semaphore::new(look::AT_ONCE),
                ports,
                config,
                wake: Notify::new(),
                reports: Mutex::default(),
                admitted: std::sync::Mutex::default(),
                schemas: RwLock::default(),
                counts: std::sync::Mutex::default(),
                builds: std::sync::Mutex::default(),
                builds_wake: Notify::new(),
                merging: Mutex::default(),
                admitting: Mutex::default(),
                build_tasks: tokio_util::task::TaskTracker::new(),
                views: std::sync::Mutex::default(),
                viewed: Notify::new(),
                thumbnails_wake: Notify::new(),
                comparisons: std::sync::Mutex::default(),
                comparing: Mutex::default(),
                ending: tokio_util::sync::CancellationToken::new(),
                password_slots: tokio::sync::Semaphore::new(2),
                noting: Arc::new(tokio::sync::Semaphore::new(1)),
            }),
        }
    }

    /// The ports it stands on.
    pub fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    /// What the operator decided.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.ports.store
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.inner.ports.clock.now()
    }

    pub(crate) fn ten(&self) -> [u8; 10] {
        self.inner.ports.randomness.ten()
    }

    /// Sends mail without making anybody wait; a failure is logged.
    pub(crate) fn mail(&self, mail: Mail) {
        if mail.to.is_empty() {
            return;
        }
        let mailer = Arc::clone(&self.inner.ports.mailer);
        tokio::spawn(async move {
            if let Err(error) = mailer.send(&mail).await {
                tracing::warn!(%error, "mail failed");
            }
        });
    }
}

/// A new identifier of any kind, from the app's clock and randomness.
macro_rules! new_id {
    ($app:expr, $type:ty) => {
        <$type>::new($app.now(), $app.ten())
    };
}
pub(crate) use new_id;
