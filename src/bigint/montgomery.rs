//! Odd moduli and the arithmetic below them.

use num_bigint::BigUint;
use num_traits::One;
use zeroize::Zeroizing;

use super::MAX_BITS;
use super::kernel::{Kernel, Prepared, portable as kernel};
use super::uint::{SecretUint, limb_of};
use crate::memcheck::declassify;
use crate::secret::SecretBytes;

/// A secret number below a modulus. Made and consumed by that [`Modulus`].
#[derive(Debug)]
pub struct Residue(pub(super) SecretUint);

impl Residue {
    /// The number as `len` big-endian bytes, with all leading zeros; `len` is
    /// the modulus's [`Modulus::byte_len`]. Constant time in the value.
    #[must_use]
    pub fn to_be_bytes(&self, len: usize) -> SecretBytes {
        self.0.to_be_bytes(len)
    }

    /// The number as an exponent. Constant time.
    #[must_use]
    pub const fn as_uint(&self) -> &SecretUint {
        &self.0
    }

    /// The number as a public one. Named, so that what leaves the secret
    /// arithmetic can be searched for. Not constant time, nor wiped.
    #[must_use]
    pub fn reveal_vartime(&self) -> BigUint {
        let bytes = self.0.limbs().iter().rev();
        let bytes = bytes.flat_map(|limb| limb.to_be_bytes());
        let mut bytes = Zeroizing::new(bytes.collect::<Vec<u8>>());
        declassify(&mut bytes);
        BigUint::from_bytes_be(&bytes)
    }
}

/// An odd public modulus n above 2, of at most [`MAX_BITS`] bits, with what
/// Montgomery multiplication needs. R is 2^64 to the number of limbs.
#[derive(Clone, Debug)]
pub struct Modulus {
    value: BigUint,
    bits: usize,
    /// Even in number: the kernel works on two rows at a time.
    pub(super) limbs: Box<[u64]>,
    /// -1/n mod 2^64
    pub(super) negative_inverse: u64,
    /// R mod n: one, in Montgomery form.
    pub(super) one: Box<[u64]>,
    /// R^2 mod n: a factor that carries into Montgomery form.
    pub(super) r_squared: Box<[u64]>,
    /// What computes powers. All else is done by the portable kernel, since it
    /// takes no time to speak of.
    pub(super) kernel: Prepared,
}

impl Modulus {
    /// Prepares a modulus, or gives nothing if it is even, below 3, or wider
    /// than [`MAX_BITS`]. Variable time; a modulus is public.
    #[must_use]
    pub fn new(value: &BigUint) -> Option<Self> {
        Self::with_kernel(value, Kernel::fastest())
    }

    /// As [`new`](Self::new), to compute powers with the kernel named if it can
    /// (its size, this processor), else with the portable one. Tests compare
    /// the kernels with it; it changes no result.
    #[must_use]
    pub fn with_kernel(value: &BigUint, kernel: Kernel) -> Option<Self> {
        let bits = usize::try_from(value.bits()).ok()?;
        if !value.bit(0) || value.is_one() || bits > MAX_BITS {
            return None;
        }
        let count = bits.div_ceil(64).next_multiple_of(2);
        let limbs = limbs_of(value, count);
        let r = BigUint::one() << (64 * count);
        Some(Self {
            bits,
            negative_inverse: inverse_mod_limb(limbs[0]).wrapping_neg(),
            one: limbs_of(&(&r % value), count),
            r_squared: limbs_of(&(&r * &r % value), count),
            limbs,
            kernel: Prepared::new(kernel, value),
            value: value.clone(),
        })
    }

    /// The modulus itself.
    #[must_use]
    pub const fn value(&self) -> &BigUint {
        &self.value
    }

    /// How many bits the modulus has.
    #[must_use]
    pub const fn bits(&self) -> usize {
        self.bits
    }

    /// How many bytes a residue takes.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        self.bits.div_ceil(8)
    }

    /// A public number mod n. Variable time.
    #[must_use]
    pub fn residue_vartime(&self, value: &BigUint) -> Residue {
        let mut residue = self.zero();
        let limbs = limbs_of(&(value % &self.value), self.limbs.len());
        residue.limbs_mut().copy_from_slice(&limbs);
        Residue(residue)
    }

    /// The number that `bytes` are in big-endian order, mod n. Any length;
    /// constant time in the bytes.
    #[must_use]
    pub fn reduce_wide(&self, bytes: &[u8]) -> Residue {
        let mut scratch = self.scratch();
        let mut sum = self.zero();
        let mut digit = self.zero();
        let mut product = self.zero();
        let width = 8 * self.limbs.len();
        // Horner's rule in digits below R, the first of them the short one.
        let (first, rest) = bytes.split_at(bytes.len() % width);
        for chunk in std::iter::once(first).chain(rest.chunks_exact(width)) {
            // sum = sum * R
            self.multiply(&mut product, sum.limbs(), &self.r_squared, &mut scratch);
            // digit * 1: below n afterwards
            digit.limbs_mut().fill(0);
            for (limb, bytes) in digit.limbs_mut().iter_mut().zip(chunk.rchunks(8)) {
                *limb = limb_of(bytes);
            }
            self.multiply(&mut sum, digit.limbs(), &self.one, &mut scratch);
            kernel::add_mod(sum.limbs_mut(), product.limbs(), &self.limbs);
        }
        Residue(sum)
    }

    /// a + b mod n. Constant time in both.
    #[must_use]
    pub fn add(&self, a: &Residue, b: &Residue) -> Residue {
        let mut sum = self.copy(a);
        kernel::add_mod(sum.limbs_mut(), b.0.limbs(), &self.limbs);
        Residue(sum)
    }

    /// a - b mod n. Constant time in both.
    #[must_use]
    pub fn sub(&self, a: &Residue, b: &Residue) -> Residue {
        let mut difference = self.copy(a);
        kernel::sub_mod(difference.limbs_mut(), b.0.limbs(), &self.limbs);
        Residue(difference)
    }

    /// a b mod n. Constant time in both.
    #[must_use]
    pub fn mul(&self, a: &Residue, b: &Residue) -> Residue {
        let mut scratch = self.scratch();
        let mut lifted = self.zero();
        let mut product = self.zero();
        self.multiply(&mut lifted, a.0.limbs(), &self.r_squared, &mut scratch);
        self.multiply(&mut product, lifted.limbs(), b.0.limbs(), &mut scratch);
        Residue(product)
    }

    /// a + n, or a + 2n where a + n has no more bits than n: the same exponent
    /// for every base of order n, always exactly one bit longer than n, so
    /// that no duration can tell how long a is. Constant time in a.
    #[must_use]
    pub fn lengthen(&self, a: &Residue) -> SecretUint {
        let count = (self.bits + 1).div_ceil(64).max(self.limbs.len());
        let mut once = SecretUint::zero(count);
        let mut n = SecretUint::zero(count);
        once.limbs_mut()[..self.limbs.len()].copy_from_slice(a.0.limbs());
        n.limbs_mut()[..self.limbs.len()].copy_from_slice(&self.limbs);
        kernel::add(once.limbs_mut(), n.limbs());
        let mut twice = SecretUint::zero(count);
        twice.limbs_mut().copy_from_slice(once.limbs());
        kernel::add(twice.limbs_mut(), n.limbs());
        let long_enough = once.limbs()[self.bits / 64] >> (self.bits % 64) & 1;
        kernel::assign_if(long_enough, twice.limbs_mut(), once.limbs());
        twice
    }

    /// `out = a * b / R mod n`.
    fn multiply(&self, out: &mut SecretUint, a: &[u64], b: &[u64], wide: &mut [u64]) {
        let (n, inverse) = (&self.limbs, self.negative_inverse);
        kernel::montgomery_mul::<kernel::Portable>(out.limbs_mut(), a, b, n, inverse, wide);
    }

    pub(super) fn zero(&self) -> SecretUint {
        SecretUint::zero(self.limbs.len())
    }

    /// Room for a product before its reduction.
    pub(super) fn scratch(&self) -> Zeroizing<Vec<u64>> {
        Zeroizing::new(vec![0; 2 * self.limbs.len()])
    }

    fn copy(&self, residue: &Residue) -> SecretUint {
        let mut copy = self.zero();
        copy.limbs_mut().copy_from_slice(residue.0.limbs());
        copy
    }
}

/// A public number in `count` limbs, which it must fit.
pub(super) fn limbs_of(value: &BigUint, count: usize) -> Box<[u64]> {
    let mut limbs = value.to_u64_digits();
    debug_assert!(limbs.len() <= count, "a number wider than its modulus");
    limbs.resize(count, 0);
    limbs.into_boxed_slice()
}

/// 1/n mod 2^64 for odd n: Newton's iteration doubles the correct bits, of
/// which n itself has three.
pub(super) const fn inverse_mod_limb(n: u64) -> u64 {
    let mut inverse = n;
    let mut correct = 3;
    while correct < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)));
        correct *= 2;
    }
    inverse
}
