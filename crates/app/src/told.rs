//! What workers tell that are none of ours: the callbacks of section 1.3 of the 1.6 behaviour. They speak for the account
//! [`SERVICE_ACCOUNT`], whose token only an operator can make.

use csw_core::{
    account::Account,
    ids::{Lease, RunId},
    ports::{Hold, ReportError, RunEvents},
    run::{ClaimedRun, Outcome, OutputDraft, Phases, Run, RunEnd, RunOrder, RunState, Task, TaskResult, Usage},
};
use serde_json::Value;

use crate::{
    App,
    error::{AppError, AppResult},
    new_id,
    report::Reporter,
};

/// Who may tell how runs ended.
pub const SERVICE_ACCOUNT: &str = "comp-api-user";

/// How a run ended, as a worker tells it.
pub enum TaskWord {
    /// The inputs were looked at.
    Inputs {
        /// What is wrong with them, by section.
        errors_warnings: Value,
        /// What the model makes of them.
        custom_adjustment: Option<Value>,
    },
    /// The model has run.
    Outputs(Vec<OutputDraft>),
    /// It broke.
    Failed {
        /// What it said.
        traceback: String,
    },
}

/// An end, as a worker tells it.
pub struct TaskEnd {
    /// Which run.
    pub job: RunId,
    /// What was asked.
    pub task: Task,
    /// How it ended.
    pub told: TaskWord,
    /// The model's own version.
    pub model_version: Option<String>,
    /// How long it took.
    pub milliseconds: u64,
}

impl App {
    /// Whether an account may tell how runs ended.
    pub fn is_service(&self, account: Option<&Account>) -> bool {
        account.is_some_and(|account| account.is_active && account.name.as_str() == SERVICE_ACCOUNT)
    }

    /// Ends a run that is not over, and nothing else: a second word changes nothing. Who asks was checked at the door.
    pub async fn end_told(&self, end: TaskEnd) -> AppResult<()> {
        let missing = || AppError::missing("the run");
        let run = self.store().run(end.job).await?.filter(|run| run.task == end.task).ok_or_else(missing)?;
        let Some(lease) = self.hold_of(&run).await? else { return Ok(()) };
        let order = self.order_without_secrets(&ClaimedRun { run: run.clone(), lease }).await?;
        let reporter = Reporter::new(self.clone(), &run);
        match self.tell(&reporter, &order, end).await {
            Ok(()) => {
                // Whoever else works at it does so for nothing.
                self.stop_run(run.id).await;
                Ok(())
            }
            Err(ReportError::Stale { .. }) => Ok(()),
            Err(error) => Err(AppError::Unavailable { sentence: error.to_string() }),
        }
    }

    /// Whether a run is not over, so that its end counts.
    pub async fn is_awaited(&self, run: RunId, task: Task) -> AppResult<bool> {
        let found = self.store().run(run).await?.filter(|run| run.task == task);
        Ok(found.ok_or_else(|| AppError::missing("the run"))?.state != RunState::Finished)
    }

    /// The lease of a run that is not over: that of whoever works at it, or one of our own.
    async fn hold_of(&self, run: &Run) -> AppResult<Option<Lease>> {
        if run.state == RunState::Queued {
            let lease = new_id!(self, Lease);
            if self.store().claim_run(run.id, lease, self.now()).await? {
                return Ok(Some(lease));
            }
        }
        match self.store().hold(run.id).await? {
            Hold::Lease(lease) => Ok(Some(lease)),
            Hold::Nobody | Hold::Unknown => Ok(None),
        }
    }

    async fn tell(&self, reporter: &Reporter, order: &RunOrder, end: TaskEnd) -> Result<(), ReportError> {
        let outcome = match end.told {
            TaskWord::Failed { traceback } => Outcome::Failed { traceback },
            TaskWord::Inputs { errors_warnings, custom_adjustment } => {
                Outcome::Returned(TaskResult::Parse { errors_warnings, custom_adjustment })
            }
            TaskWord::Outputs(drafts) => {
                reporter.begins(order).await?;
                let outputs = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
                for draft in drafts {
                    reporter.output(order, draft).await?;
                }
                Outcome::Returned(TaskResult::Sim { outputs })
            }
        };
        let phases = Phases { run: end.milliseconds, ..Phases::default() };
        let end = RunEnd { outcome, model_version: end.model_version, phases, usage: Usage::default() };
        reporter.ended(order, end).await
    }
}
