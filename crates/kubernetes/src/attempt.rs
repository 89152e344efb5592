//! One attempt at a run: what is known of it, and the turn of telling its end.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError, atomic::AtomicBool},
};

use csw_core::{
    ports::{ReportError, RunEvents},
    run::{Outcome, Phases, RunEnd, RunOrder, Usage},
};
use k8s_openapi::api::core::v1::Pod;
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::{lingering::Offer, names::job_name, seen::SeenJob, standing::Waiting, wire::OutputPlace};

/// An attempt that this process looks after.
pub(crate) struct Attempt {
    pub(crate) order: RunOrder,
    pub(crate) events: Arc<dyn RunEvents>,
    /// The name of its Job.
    pub(crate) name: String,
    pub(crate) begun: Instant,
    /// Whoever reports holds it: reports come one by one.
    pub(crate) told: Mutex<Told>,
    /// What is seen of it in the cluster, and wished.
    pub(crate) seen: watch::Sender<Seen>,
    /// Where its Job waits for another run, between two questions.
    offer: std::sync::Mutex<Option<Offer>>,
    /// The attempt whose Job has taken this one.
    carrier: std::sync::Mutex<Option<Arc<Attempt>>>,
    /// Its Job was made by this process.
    pub(crate) made: AtomicBool,
}

/// What its process has told.
#[derive(Default)]
pub(crate) struct Told {
    /// The process that is heard.
    pub(crate) process: Option<Uuid>,
    /// Bytes of its log.
    pub(crate) received: u64,
    /// Outputs that are stored.
    pub(crate) outputs: HashSet<OutputPlace>,
    /// When it asked for its order.
    pub(crate) fetched: Option<Instant>,
    /// Nothing counts any more.
    pub(crate) over: bool,
}

/// What is known without asking it.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) job: Option<Arc<SeenJob>>,
    /// It was there and is not any more.
    pub(crate) gone: bool,
    pub(crate) pods: BTreeMap<String, Pod>,
    /// What an event says.
    pub(crate) event: Option<Waiting>,
    /// Its process has its order.
    pub(crate) fetched: bool,
    /// Its end is told.
    pub(crate) over: bool,
    /// Nobody wants to hear of it any more.
    pub(crate) unwanted: bool,
    /// Somebody wants it stopped.
    pub(crate) cancelled: bool,
    /// Its Job does not finish with its run.
    pub(crate) lingers: bool,
}

impl Seen {
    /// Nothing more is to be done for its sake.
    pub(crate) const fn is_settled(&self) -> bool {
        self.over || self.unwanted || self.cancelled
    }

    /// Its own process has told its end, and that counts.
    pub(crate) const fn is_told(&self) -> bool {
        self.over && self.fetched && !self.unwanted && !self.cancelled
    }

    /// What has to be told of an attempt that is settled: that it was cancelled, where nobody has told another end.
    pub(crate) fn untold(&self) -> Option<Outcome> {
        (self.cancelled && !self.over && !self.unwanted).then_some(Outcome::Cancelled)
    }
}

impl Attempt {
    pub(crate) fn new(order: RunOrder, events: Arc<dyn RunEvents>) -> Self {
        Self {
            name: job_name(order.run, order.lease),
            order,
            events,
            begun: Instant::now(),
            told: Mutex::default(),
            seen: watch::Sender::new(Seen::default()),
            offer: std::sync::Mutex::default(),
            carrier: std::sync::Mutex::default(),
            made: AtomicBool::new(false),
        }
    }

    /// Leaves an offer for its Job, or takes it.
    pub(crate) fn swap_offer(&self, offer: Option<Offer>) -> Option<Offer> {
        std::mem::replace(&mut self.offer.lock().unwrap_or_else(PoisonError::into_inner), offer)
    }

    /// Has the Job of another attempt take this one, or nobody's.
    pub(crate) fn carry(&self, job: Option<Arc<Self>>) {
        *self.carrier.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    /// The attempt whose Job has taken this one, if it has none of its own.
    pub(crate) fn carrier(&self) -> Option<Arc<Self>> {
        self.carrier.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn see(&self, change: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(change);
    }

    pub(crate) fn cancel(&self) {
        self.see(|seen| seen.cancelled = true);
    }

    /// Tells an end that its process did not tell, unless it has by now. The error is for another time.
    pub(crate) async fn end(&self, outcome: Outcome) -> Result<(), ReportError> {
        let mut told = self.told.lock().await;
        if told.over {
            return Ok(());
        }
        let end = RunEnd { outcome, model_version: None, phases: self.phases(told.fetched), usage: Usage::default() };
        self.settle(&mut told, end).await
    }

    /// The same for whoever holds the turn. That nobody wants to hear it is an error, and no reason to tell it again.
    pub(crate) async fn settle(&self, told: &mut Told, end: RunEnd) -> Result<(), ReportError> {
        let stored = self.events.ended(&self.order, end).await;
        if !matches!(stored, Err(ReportError::Unavailable { .. })) {
            told.over = true;
            self.see(|seen| (seen.over, seen.unwanted) = (true, stored.is_err()));
        }
        stored
    }

    /// Milliseconds before its process had its order, and since.
    fn phases(&self, fetched: Option<Instant>) -> Phases {
        let until = fetched.unwrap_or_else(Instant::now);
        let run = fetched.map_or(0, |at| milliseconds(at.elapsed()));
        Phases { start: milliseconds(until.duration_since(self.begun)), run, ..Phases::default() }
    }
}

pub(crate) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
