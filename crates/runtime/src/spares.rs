//! Children that a zygote forks ahead of their runs: forking and confining a process is most of what starting a run
//! costs, and it can be done while the run before is at work.
//!
//! A spare has seen nothing of any run. It is given up when nobody came for it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use csw_sandbox::cgroup;
use tokio::{sync::oneshot, time::Instant};

use crate::process::Process;

/// A spare waits so long for a run.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

struct Spare {
    limits: cgroup::Limits,
    process: Process,
    since: Instant,
}

/// The spares of one zygote. Dropping one closes its socket, upon which it ends.
#[derive(Default)]
pub(crate) struct Spares(Mutex<Vec<Spare>>);

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A spare in a group of these limits that is still alive.
    pub(crate) fn take(&self, limits: cgroup::Limits) -> Option<Process> {
        let mut spares = self.lock();
        while let Some(at) = spares.iter().position(|spare| spare.limits == limits) {
            let mut process = spares.remove(at).process;
            if matches!(process.exit.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return Some(process);
            }
        }
        None
    }

    /// Whether another one with these limits would be of use, where so many may wait.
    pub(crate) fn wants(&self, limits: cgroup::Limits, most: usize) -> bool {
        let spares = self.lock();
        spares.len() < most || (most > 0 && !spares.iter().any(|spare| spare.limits == limits))
    }

    /// Keeps a spare; the oldest goes where there are too many.
    pub(crate) fn keep(&self, limits: cgroup::Limits, process: Process, most: usize) {
        let mut spares = self.lock();
        if spares.len() >= most {
            drop(spares.remove(0));
        }
        spares.push(Spare { limits, process, since: Instant::now() });
    }

    /// Gives up those that have waited for too long.
    pub(crate) fn give_up(&self) {
        self.lock().retain(|spare| spare.since.elapsed() < PATIENCE);
    }
}
