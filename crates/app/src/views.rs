//! How often simulations are looked at: each visitor counts once a day. Looks are counted in memory and stored now and then,
//! so that a look costs no write; of a visitor nothing is kept but a number that tells nobody who it was, until the day ends.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    net::IpAddr,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use csw_core::{access::Caller, ids::SimulationId, simulation::Simulation};
use tokio_util::sync::CancellationToken;

use crate::{App, error::AppResult};

/// How long counts wait for others before they are stored.
const TOGETHER: Duration = Duration::from_mins(1);

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Visitors a day that are told apart; further ones are not counted.
const VISITORS: usize = 1_000_000;

/// What was counted and not stored yet, and who was counted today.
#[derive(Default)]
pub(crate) struct Views {
    /// The present day, counted from 1970.
    day: i64,
    /// Another one every day, so that a number means nothing tomorrow.
    hasher: RandomState,
    visitors: HashSet<u64>,
    counts: HashMap<SimulationId, u64>,
}

impl Views {
    /// Counts a visitor of today; says whether it is the first count since the last were taken.
    fn count(&mut self, today: i64, simulation: SimulationId, who: &str) -> bool {
        if self.day != today {
            *self = Self { day: today, counts: std::mem::take(&mut self.counts), ..Self::default() };
        }
        let full = self.visitors.len() >= VISITORS;
        if full || !self.visitors.insert(self.hasher.hash_one((simulation, who))) {
            return false;
        }
        let first = self.counts.is_empty();
        *self.counts.entry(simulation).or_default() += 1;
        first
    }
}

impl App {
    fn looks(&self) -> MutexGuard<'_, Views> {
        self.inner.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a look at a simulation. `agent` is what the visitor's browser calls itself; programs that only collect
    /// pages do not count.
    pub fn count_view(&self, caller: &Caller, from: IpAddr, agent: &str, simulation: SimulationId) {
        let agent = agent.to_ascii_lowercase();
        if ["bot", "crawl", "spider", "slurp"].iter().any(|word| agent.contains(word)) {
            return;
        }
        let who = caller.account().map_or_else(|| format!("{from} {agent}"), |account| account.to_string());
        let today = self.now().as_second() / DAY;
        if self.looks().count(today, simulation, &who) {
            self.inner.viewed.notify_one();
        }
    }

    /// How often a simulation was looked at, those looks included that are not stored yet.
    pub fn views_of(&self, simulation: &Simulation) -> u64 {
        simulation.views + self.looks().counts.get(&simulation.id).copied().unwrap_or(0)
    }

    /// Stores what was counted.
    pub(crate) async fn flush_views(&self) -> AppResult<()> {
        let counts: Vec<_> = std::mem::take(&mut self.looks().counts).into_iter().collect();
        let stored = self.store().add_views(&counts).await;
        if stored.is_err() {
            let mut views = self.looks();
            for (simulation, count) in counts {
                *views.counts.entry(simulation).or_default() += count;
            }
        }
        Ok(stored?)
    }

    /// Stores counts now and then, as long as there are any, and the last ones at the end.
    pub(crate) async fn keep_views(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.inner.viewed.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(TOGETHER) => {}
            }
            if let Err(error) = self.flush_views().await {
                tracing::warn!(%error, "views wait to be stored");
                self.inner.viewed.notify_one();
            }
        }
        if let Err(error) = self.flush_views().await {
            tracing::warn!(%error, "the last views could not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_counts_once_a_day() {
        let id = SimulationId::new(jiff::Timestamp::UNIX_EPOCH, [1; 10]);
        let other = SimulationId::new(jiff::Timestamp::UNIX_EPOCH, [2; 10]);
        let (today, tomorrow) = (20_000, 20_001);
        let mut views = Views::default();
        assert!(views.count(today, id, "ann"), "the first wakes who stores them");
        for (day, simulation, who) in
            [(today, id, "ann"), (today, id, "bob"), (today, other, "ann"), (tomorrow, id, "ann")]
        {
            assert!(!views.count(day, simulation, who));
        }
        assert_eq!((views.counts[&id], views.counts[&other]), (3, 1));
    }
}
