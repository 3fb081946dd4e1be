//! Room for many numbers of one length.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroizing;

/// Words of a cache line, where every run of numbers starts: a vector that
/// crosses two lines is read twice as slowly.
const LINE: usize = 8;

/// Words on the heap, zero at first, wiped on drop.
#[derive(Clone)]
pub(super) struct Numbers {
    words: Zeroizing<Vec<u64>>,
    start: usize,
    len: usize,
}

impl Numbers {
    /// `len` zero words.
    pub(super) fn zero(len: usize) -> Self {
        let words = Zeroizing::new(vec![0; len + LINE - 1]);
        // A pointer for which no offset is known stays where it is.
        let start = words.as_ptr().align_offset(8 * LINE).min(LINE - 1);
        Self { words, start, len }
    }
}

impl Deref for Numbers {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.words[self.start..][..self.len]
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.words[self.start..][..self.len]
    }
}
