//! Exponentiation with secret exponents.

use zeroize::Zeroizing;

use super::kernel::portable as kernel;
use super::montgomery::{Modulus, Residue};
use super::uint::SecretUint;

/// Bits of the exponent that one multiplication deals with.
const WINDOW: usize = 5;

impl Modulus {
    /// `base^exponent mod n`, from the lowest `exponent_bits` bits of the
    /// exponent; the bits above are ignored. Constant time in base and
    /// exponent: the duration depends on `exponent_bits` and the modulus only.
    ///
    /// Fixed windows (Handbook of Applied Cryptography, algorithm 14.82)
    /// whether a window is zero or not; every look-up reads the whole table.
    #[must_use]
    pub fn pow(&self, base: &Residue, exponent: &SecretUint, exponent_bits: usize) -> Residue {
        let (n, inverse) = (&self.limbs[..], self.negative_inverse);
        let mut wide = self.scratch();
        let table = self.powers(base, &mut wide);
        let mut power = self.zero();
        let mut factor = self.zero();
        let mut product = self.zero();
        let mut position = exponent_bits.next_multiple_of(WINDOW);
        power.limbs_mut().copy_from_slice(&self.one);
        while position > 0 {
            if position < exponent_bits {
                for _ in 0..WINDOW {
                    kernel::montgomery_square(power.limbs_mut(), n, inverse, &mut wide);
                }
            }
            position -= WINDOW;
            let width = WINDOW.min(exponent_bits - position);
            let window = bits_at(exponent.limbs(), position, width);
            kernel::select(factor.limbs_mut(), &table, window);
            let (power_limbs, factor_limbs) = (power.limbs(), factor.limbs());
            let out = product.limbs_mut();
            kernel::montgomery_mul(out, power_limbs, factor_limbs, n, inverse, &mut wide);
            std::mem::swap(&mut power, &mut product);
        }
        // Out of Montgomery form: times 1 / R.
        factor.limbs_mut().fill(0);
        factor.limbs_mut()[0] = 1;
        let out = product.limbs_mut();
        kernel::montgomery_mul(out, power.limbs(), factor.limbs(), n, inverse, &mut wide);
        Residue(product)
    }

    /// base^0 to base^31 in Montgomery form, one after the other.
    fn powers(&self, base: &Residue, wide: &mut [u64]) -> Zeroizing<Vec<u64>> {
        let (n, inverse, len) = (&self.limbs[..], self.negative_inverse, self.limbs.len());
        let mut table = Zeroizing::new(vec![0; len << WINDOW]);
        let (first, rest) = table.split_at_mut(2 * len);
        first[..len].copy_from_slice(&self.one);
        let base_out = &mut first[len..];
        kernel::montgomery_mul(base_out, base.0.limbs(), &self.r_squared, n, inverse, wide);
        let base_in = &first[len..];
        let mut previous = base_in;
        for next in rest.chunks_exact_mut(len) {
            kernel::montgomery_mul(next, previous, base_in, n, inverse, wide);
            previous = next;
        }
        table
    }
}

/// The `width` bits of `limbs` from bit `position` on; zeros above the top.
/// Constant time in the limbs.
fn bits_at(limbs: &[u64], position: usize, width: usize) -> u64 {
    let (index, shift) = (position / 64, position % 64);
    let limb = |index: usize| limbs.get(index).copied().unwrap_or(0);
    let mut bits = limb(index) >> shift;
    if shift + width > 64 {
        bits |= limb(index + 1) << (64 - shift);
    }
    bits & ((1 << width) - 1)
}
