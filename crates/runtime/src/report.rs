//! Telling the receiver, until it has heard.

use std::time::{Duration, Instant};

use csw_core::{
    ids::RunId,
    ports::{ReportError, RunEvents},
    run::{OutputDraft, RunEnd, RunOrder},
};
use uuid::Uuid;

use crate::stops::{Stop, Stops};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why an output was not delivered.
pub(crate) enum Undelivered {
    /// The run is no longer ours.
    Stale,
    /// The run must stop.
    Stopped(Stop),
}

/// Delivers an output; gives up only when the run must stop.
pub(crate) async fn output(
    events: &dyn RunEvents,
    order: &RunOrder,
    draft: OutputDraft,
    stops: &Stops,
) -> Result<(), Undelivered> {
    let (mut wait, asked) = (FIRST_WAIT, Instant::now());
    loop {
        let delivered = tokio::select! {
            delivered = events.output(order, draft.clone()) => delivered,
            stop = stops.by_somebody() => return Err(Undelivered::Stopped(stop)),
        };
        match delivered {
            Ok(()) => {
                stops.give_back(asked.elapsed());
                return Ok(());
            }
            Err(ReportError::Stale { .. }) => return Err(Undelivered::Stale),
            Err(ReportError::Unavailable { cause, .. }) => retry("output", order.run, &cause, &mut wait).await,
        }
    }
}

/// Delivers the end, however long it takes.
pub(crate) async fn end(events: &dyn RunEvents, order: &RunOrder, end: RunEnd) {
    let mut wait = FIRST_WAIT;
    loop {
        match events.ended(order, end.clone()).await {
            Ok(()) => return,
            Err(ReportError::Stale { run }) => {
                tracing::info!(%run, "the end of a run that is no longer ours is dropped");
                return;
            }
            Err(ReportError::Unavailable { cause, .. }) => retry("end", order.run, &cause, &mut wait).await,
        }
    }
}

async fn retry(what: &str, run: RunId, cause: &str, wait: &mut Duration) {
    tracing::warn!(%run, what, cause, "a report waits to be stored");
    // Between half and the whole: workers that failed together do not come back together.
    let random = u32::from(Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(*wait / 2 + *wait / 2 * random / 255).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}
