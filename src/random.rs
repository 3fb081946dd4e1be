//! Where random bytes come from.

use crate::secret::Secret;

/// A source of cryptographically secure random bytes. Passed in, so that the
/// worked example of the specification can be reproduced byte for byte.
pub trait Random {
    /// Fills `bytes` with fresh random bytes.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    /// # Panics
    /// If the operating system cannot give random bytes. Nothing a peer sends
    /// leads there, and no program should go on without them.
    #[expect(clippy::panic, reason = "no safe way to go on without random bytes")]
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system gives no random bytes: {error}");
        }
    }
}

/// `N` fresh random bytes that are not secret: nonces, identifiers, serials.
pub fn array<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// `N` fresh random bytes that are secret.
pub fn secret<const N: usize>(random: &mut dyn Random) -> Secret<N> {
    let mut bytes = Secret::zero();
    random.fill(bytes.expose_mut());
    bytes
}
