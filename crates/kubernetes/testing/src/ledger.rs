//! What was done with Jobs, and when.

use std::{
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use serde::Serialize;
use serde_json::Value;

use crate::objects::Key;

/// When a Job was made and its process begun, in seconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct Times {
    /// Its labels say whose it is.
    pub labels: Value,
    /// When it was created, or admitted.
    pub created: f64,
    /// When its process was begun.
    pub started: Option<f64>,
}

/// Live Jobs, and the times of all.
#[derive(Default)]
pub(crate) struct Ledger {
    live: HashSet<Key>,
    /// The most that were live at once.
    pub(crate) peak: usize,
    pub(crate) times: BTreeMap<String, Times>,
}

impl Ledger {
    pub(crate) fn began(&mut self, key: &Key, job: &Value) {
        self.live.insert(key.clone());
        self.peak = self.peak.max(self.live.len());
        let times = Times { labels: job["metadata"]["labels"].clone(), created: now(), started: None };
        self.times.insert(key.2.clone(), times);
    }

    pub(crate) fn started(&mut self, key: &Key) {
        if let Some(times) = self.times.get_mut(&key.2) {
            times.started = Some(now());
        }
    }

    pub(crate) fn ended(&mut self, key: &Key) {
        self.live.remove(key);
    }
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
