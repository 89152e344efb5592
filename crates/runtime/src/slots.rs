//! Numbers for sandboxes that are alive, each with a folder and a range of users of its own.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use csw_sandbox::UserRange;

/// Users of one sandbox. A zygote gives each run the next and no run one that was used before, so that nothing a run
/// leaves in a shared `/tmp` belongs to a later one; after so many runs it is replaced.
const USERS: u32 = 4096;

#[derive(Debug)]
struct Taken {
    first_user: u32,
    numbers: Mutex<BTreeSet<u32>>,
}

/// Hands out numbers.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Taken>);

/// A number that nobody else has until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    taken: Arc<Taken>,
    number: u32,
}

impl Slots {
    pub(crate) fn new(first_user: u32) -> Self {
        Self(Arc::new(Taken { first_user, numbers: Mutex::default() }))
    }

    /// The smallest free number.
    pub(crate) fn take(&self) -> Slot {
        let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).zip(numbers.iter()).find(|(free, taken)| free != *taken).map(|(free, _)| free);
        let number = number.unwrap_or_else(|| u32::try_from(numbers.len()).unwrap_or(u32::MAX));
        numbers.insert(number);
        Slot { taken: Arc::clone(&self.0), number }
    }
}

impl Slot {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn users(&self) -> UserRange {
        UserRange::slot(self.taken.first_user, USERS, self.number)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.numbers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_number_is_taken() {
        let slots = Slots::new(1000);
        let (a, b, c) = (slots.take(), slots.take(), slots.take());
        assert_eq!([a.number(), b.number(), c.number()], [0, 1, 2]);
        drop(b);
        let again = slots.take();
        assert_eq!(again.number(), 1);
        assert_eq!(again.users().first, 1000 + USERS);
        assert_eq!(slots.take().number(), 3);
    }
}
