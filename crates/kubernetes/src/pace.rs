//! Pace: how fast the cluster is written to, and when what failed is tried again.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

/// Lets so many through in a second, and as many at once after a pause of a second.
pub(crate) struct Bucket {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self) {
        let turn = self.reserve(Instant::now());
        tokio::time::sleep_until(turn).await;
    }

    fn reserve(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let full = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        *next = (*next).max(full) + self.interval;
        *next
    }
}

/// Pauses that grow, each of a random length so that those who failed together do not come back together.
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(100);

    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { next: Self::FIRST, longest }
    }

    /// The next one; not shorter than what the other side asked for.
    pub(crate) async fn pause(&mut self, asked: Option<Duration>) {
        let random = u32::from(Uuid::new_v4().as_bytes()[0]);
        let half = self.next / 2;
        let pause = half + half * random / 255;
        self.next = (self.next * 2).min(self.longest);
        tokio::time::sleep(pause.max(asked.unwrap_or_default())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_turns_and_a_pause_saves_no_more_than_a_second() {
        let start = Instant::now();
        let bucket = Bucket::new(10);
        let later = start + Duration::from_mins(1);
        let turns: Vec<_> = (0..15).map(|_| bucket.reserve(later)).collect();
        assert_eq!(turns.iter().filter(|turn| **turn <= later).count(), 10, "those of the second before");
        assert_eq!(turns[14] - later, Duration::from_millis(500));
    }
}
