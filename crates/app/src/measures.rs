//! What operators watch: measurements, by the names that `docs/operators.md` and the files in `deploy/` know.

use std::time::Duration;

use csw_core::{
    build::Build,
    ports::{DrawError, Zygotes},
    run::{Phases, Reason, Task},
};
use metrics::{counter, gauge, histogram};

use crate::App;

/// Longest wait for the database: whoever watches must learn that it does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts a run that has ended, and how long each of its phases took.
pub(crate) fn run_ended(task: Task, reason: Reason, phases: Phases) {
    let task = task.as_str();
    counter!("csw_runs_total", "task" => task, "reason" => reason.as_str()).increment(1);
    let Phases { queue, start, import, run, store } = phases;
    for (phase, milliseconds) in
        [("queue", queue), ("start", start), ("import", import), ("run", run), ("store", store)]
    {
        let seconds = Duration::from_millis(milliseconds).as_secs_f64();
        histogram!("csw_run_phase_seconds", "task" => task, "phase" => phase).record(seconds);
    }
}

/// Counts a thumbnail that was begun, and how long it took.
pub(crate) fn thumbnail_ended(error: Option<&DrawError>, took: Duration) {
    let outcome = match error {
        None => "made",
        Some(DrawError::Nothing { .. }) => "nothing",
        Some(DrawError::GivenUp { .. }) => "given_up",
        Some(DrawError::Unavailable { .. }) => "unavailable",
    };
    counter!("csw_thumbnails_total", "outcome" => outcome).increment(1);
    histogram!("csw_thumbnail_seconds").record(took.as_secs_f64());
}

/// Counts a build that has ended.
pub(crate) fn build_ended(build: &Build) {
    counter!("csw_builds_total", "state" => build.state.as_str()).increment(1);
}

impl App {
    /// Brings up to date what is not counted as it happens: the queue, parked interpreters, and whether the database
    /// answers.
    pub async fn measure(&self) {
        let Zygotes { parked, memory_bytes } = self.inner.ports.executor.zygotes();
        gauge!("csw_zygotes").set(f64::from(parked));
        gauge!("csw_zygote_memory_bytes").set(rounded(memory_bytes));
        let lengths = tokio::time::timeout(PATIENCE, self.store().queue_lengths()).await;
        let lengths = lengths.ok().and_then(Result::ok);
        gauge!("csw_database_up").set(f64::from(u8::from(lengths.is_some())));
        if let Some((queued, running)) = lengths {
            gauge!("csw_runs", "state" => "queued").set(rounded(queued));
            gauge!("csw_runs", "state" => "running").set(rounded(running));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn rounded(number: u64) -> f64 {
    number as f64
}
