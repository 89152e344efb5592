//! The machine's clock and its source of randomness.

use csw_core::ports::{Clock, Randomness};
use jiff::Timestamp;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The kernel's random numbers.
pub(crate) struct SystemRandomness(&'static dyn rustls::crypto::SecureRandom);

impl SystemRandomness {
    pub(crate) fn new() -> Self {
        Self(rustls::crypto::ring::default_provider().secure_random)
    }
}

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        // The port can't fail, and going on with predictable tokens is no choice: try until the kernel gives some.
        while self.0.fill(bytes).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ() {
        let randomness = SystemRandomness::new();
        assert_ne!(randomness.ten(), randomness.ten());
    }
}
