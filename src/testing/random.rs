//! Random bytes that are not.

use crate::random::{OsRandom, Random};

/// Draws the same bytes again and again: a machine restored from a snapshot.
pub(crate) struct Repeating(pub u8);

impl Random for Repeating {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// Keeps everything that was drawn: for an attacker who knows it.
#[derive(Default)]
pub(crate) struct Recorded(pub Vec<Vec<u8>>);

impl Random for Recorded {
    fn fill(&mut self, bytes: &mut [u8]) {
        OsRandom.fill(bytes);
        self.0.push(bytes.to_vec());
    }
}
