//! Entries of the audit log that could not be written, because the store was away,
//! busy, full or not to be written: who came and went meanwhile. They are in memory,
//! until it can be.

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
    /// Keeps entries. They may be older than others that are kept.
    pub(super) fn put_back(&mut self, entries: Vec<Entry>) {
        self.entries.extend(entries);
        // The sort keeps those in their order that are of the same time.
        self.entries.sort_by_key(|entry| entry.at);
        let too_many = self.entries.len().saturating_sub(MOST);
        self.entries.truncate(MOST);
        self.lost += too_many as u64;
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
            kept.put_back(vec![Entry::new(at, "P1", Action::Joined, "P1", "again")]);
        }
        let (entries, lost) = kept.take();
        assert_eq!((entries.len(), lost), (MOST, 3));
        assert_eq!(entries[0].at, Timestamp::from_millis(0));
        assert_eq!(kept.take(), (Vec::new(), 0));
        // What has come meanwhile stays behind what is older.
        let late = entries[7].clone();
        kept.put_back(vec![late.clone()]);
        kept.put_back(entries[..2].to_vec());
        assert_eq!(kept.take().0, [&entries[..2], &[late]].concat());
    }
}
