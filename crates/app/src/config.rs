//! What an operator decides about the use cases.

use csw_core::cost::Prices;

/// What one of the processes of a site does besides answering.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duties {
    /// All there is to do.
    #[default]
    Everything,
    /// Nothing that another process does for the site: it serves pages.
    Pages,
    /// All there is to do, also what processes begin that serve pages alone.
    Work,
    /// Thumbnails, and nothing else.
    Thumbnails,
}

/// Limits, prices and switches. The defaults suit a small public site.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this process does.
    pub duties: Duties,
    /// Where browsers find the site, without a slash at its end; goes into mail.
    pub public_url: String,
    /// What compute costs.
    pub prices: Prices,
    /// Dollars an account may spend in a month unless its own budget says otherwise; `None` is no limit.
    pub monthly_budget: Option<f64>,
    /// Whether strangers may sign up.
    pub open_registration: bool,
    /// Whether an owner may promote a first version without a maintainer.
    pub approval_required: bool,
    /// Requests of an address a minute that may make a model compute a schema (cached ones are free).
    pub schema_computations_per_minute: u32,
    /// Submissions of an account a minute; new models and builds count as well.
    pub submissions_per_minute: u32,
    /// Queued and running runs of an account at once.
    pub pending_runs_per_account: u64,
    /// Builds of an account that wait or are at work at once.
    pub builds_per_account: usize,
    /// Builds at work at once; the others wait.
    pub builds_at_once: usize,
    /// Simulations that run again on a staged version before it becomes live; 0 compares nothing.
    pub compared_simulations: u32,
    /// Minutes that such a comparison may take.
    pub comparison_minutes: u32,
    /// Looks of an account at repositories a minute.
    pub looks_per_minute: u32,
    /// Log-ins, sign-ups and password resets of an address a minute.
    pub logins_per_minute: u32,
    /// Schemas a version may have in the cache; further ones are computed and not kept.
    pub schemas_per_version: u64,
    /// Seconds `get_inputs` and `get_version` may take.
    pub schema_deadline_seconds: u32,
    /// Seconds a validation may take.
    pub parse_deadline_seconds: u32,
    /// Days a browser's session lasts.
    pub session_days: i64,
    /// Characters of a readme, as JSON.
    pub readme_limit: usize,
    /// Bytes of meta parameters and adjustment together.
    pub inputs_limit: usize,
    /// Thumbnails that are drawn at once.
    pub thumbnails_at_once: u32,
    /// Whether another process of the site draws them.
    pub thumbnails_elsewhere: bool,
    /// Whether pull requests from forks are built without anybody's word: code of strangers, on this machine.
    pub build_forks: bool,
    /// Whether admins of a model may read the values of its secrets, instead of setting new ones only.
    pub readable_secrets: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            duties: Duties::default(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            prices: Prices::default(),
            monthly_budget: None,
            open_registration: true,
            approval_required: false,
            schema_computations_per_minute: 60,
            submissions_per_minute: 600,
            pending_runs_per_account: 2_000,
            builds_per_account: 10,
            builds_at_once: 2,
            compared_simulations: 5,
            comparison_minutes: 30,
            looks_per_minute: 10,
            logins_per_minute: 30,
            schemas_per_version: 1_000,
            schema_deadline_seconds: 60,
            parse_deadline_seconds: 120,
            session_days: 30,
            readme_limit: 200_000,
            inputs_limit: 2_000_000,
            thumbnails_at_once: 1,
            thumbnails_elsewhere: false,
            build_forks: false,
            readable_secrets: true,
        }
    }
}
