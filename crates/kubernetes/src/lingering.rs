//! Jobs whose run is over and which wait for another one of the same version, so that it needs no new pod.
//!
//! A Job is offered when the end of its run counts, before its process has asked for more: whoever comes next may come
//! in between. It keeps its place among the live Jobs meanwhile, and leaves as soon as somebody else needs that.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use csw_core::run::RunOrder;
use tokio::{sync::oneshot, time::Instant};

use crate::attempt::Attempt;

/// A Job that may wait for other runs has so much more time than its own one needs.
pub(crate) const LIFETIME: Duration = Duration::from_hours(1);

/// What a Job that waits is told.
pub(crate) enum Word {
    /// There is another run.
    Run(Arc<Attempt>),
    /// Its place is needed.
    Leave,
}

/// The Job's side of an offer.
pub(crate) struct Offer {
    pub(crate) word: oneshot::Receiver<Word>,
    /// Nobody has taken it until then.
    pub(crate) until: Instant,
}

struct Waiting {
    /// The attempt that the Job was made for.
    job: Arc<Attempt>,
    word: oneshot::Sender<Word>,
}

/// The Jobs that wait, the longest first.
#[derive(Default)]
pub(crate) struct Lingering(Mutex<Vec<Waiting>>);

impl Lingering {
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A Job would take another run.
    pub(crate) fn offer(&self, job: &Arc<Attempt>, patience: Duration) -> Offer {
        let (word, told) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.retain(|waiting| !waiting.word.is_closed());
        waiting.push(Waiting { job: Arc::clone(job), word });
        Offer { word: told, until: Instant::now() + patience }
    }

    /// Gives a run to a Job that was made for one like it; answers with the attempt that Job was made for. The one that
    /// waits for the shortest time is taken, so that others are left to leave.
    pub(crate) fn give(&self, attempt: &Arc<Attempt>) -> Option<Arc<Attempt>> {
        let mut waiting = self.lock();
        while let Some(place) = waiting.iter().rposition(|waiting| fits(&waiting.job, &attempt.order)) {
            let Waiting { job, word } = waiting.remove(place);
            // Whoever reports for it may come before this returns.
            attempt.carry(Some(Arc::clone(&job)));
            // It may have left.
            if word.send(Word::Run(Arc::clone(attempt))).is_ok() {
                return Some(job);
            }
            attempt.carry(None);
        }
        None
    }

    /// Has one leave that waits, if there is any.
    pub(crate) fn dismiss(&self) {
        let mut waiting = self.lock();
        while !waiting.is_empty() {
            if waiting.remove(0).word.send(Word::Leave).is_ok() {
                return;
            }
        }
    }
}

/// Whether a Job can take a run as the one that it was made for, and is there for as long as that may take.
fn fits(job: &Attempt, order: &RunOrder) -> bool {
    let seconds = |order: &RunOrder| Duration::from_secs(order.limits.deadline_seconds.into());
    let same = |a: &RunOrder, b: &RunOrder| {
        (a.version, a.network, a.limits.memory_bytes) == (b.version, b.network, b.limits.memory_bytes)
            && a.artifact == b.artifact
            && a.limits.cpus.total_cmp(&b.limits.cpus).is_eq()
    };
    job.begun.elapsed() + seconds(order) <= LIFETIME + seconds(&job.order) && same(&job.order, order)
}
