//! Rate limits, in memory: a restart forgives.

use std::{fmt::Debug, hash::Hash, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};

use crate::error::{AppError, AppResult};

/// So many a minute for each key, with a burst of the same size.
pub(crate) struct PerMinute<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    limit: u32,
    what: &'static str,
}

impl<K: Hash + Eq + Clone + Debug> PerMinute<K> {
    pub(crate) fn new(limit: u32, what: &'static str) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN));
        Self { limiter: RateLimiter::keyed(quota), limit, what }
    }

    /// Counts one, or says when to come back.
    pub(crate) fn check(&self, key: &K) -> AppResult<()> {
        self.limiter.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(governor::clock::DefaultClock::default().now());
            let seconds = u32::try_from(wait.max(Duration::from_secs(1)).as_secs()).unwrap_or(60).saturating_add(1);
            AppError::TooMany {
                sentence: format!("{} are limited to {} a minute; try again in {seconds} s.", self.what, self.limit),
                retry_after_seconds: seconds,
            }
        })
    }

    /// Forgets keys that have been quiet.
    pub(crate) fn tidy(&self) {
        self.limiter.retain_recent();
    }
}
