//! The example's random bytes: reproducible, and known to whoever writes the
//! example down.

use std::collections::VecDeque;

use telemed::kdf;
use telemed::random::Random;

/// SHA-512 in counter mode over a seed.
pub const SEED: &[u8] = b"telemed worked example 1";

/// The stream, with a list of what was drawn from it since the last look.
#[derive(Default)]
pub struct Stream {
    block: u64,
    ready: VecDeque<u8>,
    drawn: Vec<Vec<u8>>,
}

impl Stream {
    /// What was drawn since this was last called, one entry a draw.
    pub fn take_drawn(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.drawn)
    }
}

impl Random for Stream {
    fn fill(&mut self, bytes: &mut [u8]) {
        while self.ready.len() < bytes.len() {
            let block = kdf::hash(&[SEED, &self.block.to_be_bytes()]);
            self.ready.extend(block);
            self.block += 1;
        }
        bytes.fill_with(|| self.ready.pop_front().unwrap());
        self.drawn.push(bytes.to_vec());
    }
}
