//! Secrets: the same ones in every run, so that every run does the same.

use telemed::kdf;
use telemed::memcheck;
use telemed::random::Random;

/// `len` secret bytes.
pub fn hidden(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Source::hidden().fill(&mut bytes);
    bytes
}

/// Bytes without any pattern, marked as secret or not.
pub struct Source {
    counter: u64,
    secret: bool,
}

impl Source {
    /// One whose bytes are secret.
    pub const fn hidden() -> Self {
        Self {
            counter: 0,
            secret: true,
        }
    }

    /// One whose bytes are not marked.
    pub const fn open() -> Self {
        Self {
            counter: 1 << 32,
            secret: false,
        }
    }
}

impl Random for Source {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(64) {
            self.counter += 1;
            let block = kdf::hash(&[&self.counter.to_be_bytes()]);
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        if self.secret {
            memcheck::make_secret(bytes);
        }
    }
}
