//! Entries of the audit log that could not be written while the store was away:
//! who came and went meanwhile. They are in memory, until it is back.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::audit::Entry;

/// The most that are kept: those that come later are counted.
const MOST: usize = 10_000;

/// What is to be logged later, the oldest first.
#[derive(Default)]
pub(super) struct Kept {
    entries: Vec<Entry>,
    /// Those for which there was no room.
    lost: u64,
}

impl Kept {
    pub(super) fn keep(&mut self, entry: Entry) {
        match self.entries.len() < MOST {
            true => self.entries.push(entry),
            false => self.lost += 1,
        }
    }

    /// All that is kept, and how many could not be.
    pub(super) fn take(&mut self) -> (Vec<Entry>, u64) {
        (mem::take(&mut self.entries), mem::take(&mut self.lost))
    }
}

/// Each change is complete in itself: a panic elsewhere leaves it usable.
pub(super) fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Action;
    use crate::clock::Timestamp;

    #[test]
    fn the_oldest_are_kept_and_the_others_counted() {
        let mut kept = Kept::default();
        for number in 0..MOST as u64 + 3 {
            let at = Timestamp::from_millis(number);
            kept.keep(Entry::new(at, "P1", Action::Joined, "P1", "again"));
        }
        let (entries, lost) = kept.take();
        assert_eq!((entries.len(), lost), (MOST, 3));
        assert_eq!(entries[0].at, Timestamp::from_millis(0));
        assert_eq!(kept.take(), (Vec::new(), 0));
    }
}
