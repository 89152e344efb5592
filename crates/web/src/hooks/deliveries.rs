//! Deliveries that were taken, so that none is taken twice.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

/// How long one is remembered. What is sent again later builds the same head once more, and does no harm.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// The most that are remembered; the oldest is forgotten first.
const MOST: usize = 20_000;

/// Keys of deliveries, in the order in which they came.
#[derive(Default)]
pub(crate) struct Deliveries(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    keys: HashSet<String>,
    order: VecDeque<(Timestamp, String)>,
}

impl Deliveries {
    /// Notes a delivery under its keys. False where one of them was noted within a day.
    pub(crate) fn take(&self, keys: &[String], now: Timestamp) -> bool {
        let mut seen = self.seen();
        while let Some((at, _)) = seen.order.front()
            && (now.duration_since(*at) > REMEMBERED || seen.order.len() + keys.len() > MOST)
            && let Some((_, old)) = seen.order.pop_front()
        {
            seen.keys.remove(&old);
        }
        if keys.iter().any(|key| seen.keys.contains(key)) {
            return false;
        }
        for key in keys {
            seen.keys.insert(key.clone());
            seen.order.push_back((now, key.clone()));
        }
        true
    }

    /// Forgets a delivery that could not be handled.
    pub(crate) fn give_back(&self, keys: &[String]) {
        let mut seen = self.seen();
        for key in keys {
            seen.keys.remove(key);
        }
        seen.order.retain(|(_, key)| !keys.contains(key));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_remembered_for_a_day_and_the_list_is_bounded() {
        let deliveries = Deliveries::default();
        let at = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let key = |n: usize| [n.to_string()];
        assert!(deliveries.take(&key(0), at(0)));
        assert!(!deliveries.take(&key(0), at(24)));
        assert!(deliveries.take(&key(0), at(25)));
        deliveries.give_back(&key(0));
        assert!(deliveries.take(&key(0), at(25)));
        for n in 1..=MOST {
            assert!(deliveries.take(&key(n), at(26)));
        }
        assert!(deliveries.take(&key(0), at(26)), "the oldest was forgotten");
        assert!(deliveries.seen().order.len() <= MOST && deliveries.seen().keys.len() <= MOST);
    }
}
