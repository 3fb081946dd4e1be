//! Secret bytes: wiped on drop, compared in constant time, never printed.

use std::fmt;
use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::memcheck::declassify;

/// `N` secret bytes. They live on the heap, so that moving the value leaves no
/// copy behind, and are wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// `N` zero bytes, to be filled in place.
    #[must_use]
    pub fn zero() -> Self {
        Self(Box::new([0; N]))
    }

    /// A copy of `bytes`, or nothing if there are not exactly `N` of them.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::zero();
        (bytes.len() == N).then(|| {
            secret.0.copy_from_slice(bytes);
            secret
        })
    }

    /// The bytes themselves.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes themselves, to be written to.
    pub const fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// Whether both hold the same bytes, in time that tells nothing of them.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        ct_eq(self.expose(), other.expose())
    }

    /// A second copy. Named, so that copies of secrets can be searched for.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut copy = Self::zero();
        copy.0.copy_from_slice(self.expose());
        copy
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(..)")
    }
}

/// Secret bytes of a length known only at run time; wiped on drop. The length
/// itself is not secret.
#[derive(Default)]
pub struct SecretBytes(Vec<u8>);

impl Zeroize for SecretBytes {
    fn zeroize(&mut self) {
        // Emptied first, all of it is spare, and wiped in one go: a vector's
        // own wiping goes byte by byte.
        self.0.clear();
        self.0.spare_capacity_mut().zeroize();
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SecretBytes {}

impl SecretBytes {
    /// Takes `bytes` over. A vector that has grown may have left copies where
    /// it lay before: reserve the whole length first.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// A copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes themselves, to be written to.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Forgets all bytes from `len` on, wiping them.
    pub fn truncate(&mut self, len: usize) {
        if let Some(tail) = self.0.get_mut(len..) {
            tail.zeroize();
            self.0.truncate(len);
        }
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

/// Whether two byte strings are the same, in time that depends on their
/// lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    let mut equal = [a.ct_eq(b).unwrap_u8()];
    // What comes of a comparison is acted upon, and shows.
    declassify(&mut equal);
    equal[0] == 1
}

/// Keeps this program's memory out of core dumps, for as long as it runs. Call
/// it before the first secret is read.
///
/// # Errors
/// If the operating system refuses.
pub fn disable_core_dumps() -> io::Result<()> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, nothing)?;
    // The limit does not bind a system that pipes its dumps to a program.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        let secret = Secret::<4>::from_slice(&[171; 4]).unwrap();
        let bytes = SecretBytes::copy_of(&[171; 4]);
        assert!(!format!("{secret:?} {bytes:?}").contains("171"));
    }

    #[test]
    fn a_slice_of_another_length_is_no_secret() {
        assert!(Secret::<4>::from_slice(&[0; 3]).is_none());
        assert!(Secret::<4>::from_slice(&[0; 5]).is_none());
    }

    #[test]
    fn comparison_sees_every_byte() {
        let secret = Secret::<4>::from_slice(&[1, 2, 3, 4]).unwrap();
        assert!(secret.ct_eq(&secret.duplicate()));
        for position in 0..4 {
            let mut other = secret.duplicate();
            other.expose_mut()[position] ^= 1;
            assert!(!secret.ct_eq(&other));
        }
        assert!(!ct_eq(&[1], &[1, 1]));
    }

    #[test]
    fn truncating_keeps_the_front() {
        let mut bytes = SecretBytes::copy_of(&[1, 2, 3]);
        bytes.truncate(2);
        assert_eq!(bytes.expose(), [1, 2]);
        bytes.truncate(9);
        assert_eq!(bytes.expose(), [1, 2]);
    }

    #[test]
    fn no_core_is_dumped() {
        disable_core_dumps().unwrap();
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        let behavior = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(behavior, DumpableBehavior::NotDumpable);
    }
}
