//! Secret numbers of a fixed number of limbs.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::secret::SecretBytes;

/// A secret number. How many 64-bit limbs it has is public and never changes;
/// they lie on the heap and are wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretUint(Box<[u64]>);

impl SecretUint {
    /// Zero, in `limbs` limbs.
    #[must_use]
    pub fn zero(limbs: usize) -> Self {
        Self(vec![0; limbs].into_boxed_slice())
    }

    /// The number that `bytes` are in big-endian order, in as many limbs as
    /// they need; leading zero bytes count. Constant time in the bytes.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Self {
        let mut number = Self::zero(bytes.len().div_ceil(8));
        for (limb, chunk) in number.0.iter_mut().zip(bytes.rchunks(8)) {
            *limb = limb_of(chunk);
        }
        number
    }

    /// The lowest `len` bytes in big-endian order, with all leading zeros.
    /// Constant time in the value.
    #[must_use]
    pub fn to_be_bytes(&self, len: usize) -> SecretBytes {
        let mut bytes = SecretBytes::new(vec![0; len]);
        for (chunk, limb) in bytes.expose_mut().rchunks_mut(8).zip(&self.0) {
            let limb = limb.to_be_bytes();
            chunk.copy_from_slice(&limb[8 - chunk.len()..]);
        }
        bytes
    }

    /// Whether the number has at least `bits` bits. Constant time in the value.
    #[must_use]
    pub fn has_bits(&self, bits: usize) -> bool {
        let position = bits.saturating_sub(1);
        let above = self.0.iter().enumerate().fold(0, |above, (index, limb)| {
            let skipped = position.saturating_sub(64 * index);
            above
                | limb
                    .checked_shr(u32::try_from(skipped).unwrap_or(64))
                    .unwrap_or(0)
        });
        std::hint::black_box(above) != 0
    }

    /// The limbs, least significant first.
    pub(super) const fn limbs(&self) -> &[u64] {
        &self.0
    }

    /// The limbs, to be written to.
    pub(super) const fn limbs_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// At most eight big-endian bytes as one limb. Constant time in the bytes.
pub(super) fn limb_of(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |limb, &byte| limb << 8 | u64::from(byte))
}

impl fmt::Debug for SecretUint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUint({} limbs)", self.0.len())
    }
}
