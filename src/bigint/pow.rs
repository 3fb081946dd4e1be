//! Exponentiation with secret exponents.

use super::engine::Engine;
use super::montgomery::{Modulus, Residue};
use super::numbers::Numbers;
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
        let mut engine = Engine::new(self);
        let table = powers(&mut engine, base);
        let mut power = engine.numbers(1);
        let mut factor = engine.numbers(1);
        let mut product = engine.numbers(1);
        let mut position = exponent_bits.next_multiple_of(WINDOW);
        power.copy_from_slice(engine.one());
        while position > 0 {
            if position < exponent_bits {
                for _ in 0..WINDOW {
                    engine.square(&mut power);
                }
            }
            position -= WINDOW;
            let width = WINDOW.min(exponent_bits - position);
            let window = bits_at(exponent.limbs(), position, width);
            engine.select(&mut factor, &table, window);
            engine.multiply(&mut product, &power, &factor);
            std::mem::swap(&mut power, &mut product);
        }
        Residue(engine.leave(&power))
    }
}

/// base^0 to base^31 in Montgomery form, one after the other.
fn powers(engine: &mut Engine, base: &Residue) -> Numbers {
    let len = engine.words();
    let mut table = engine.numbers(1 << WINDOW);
    let (first, rest) = table.split_at_mut(2 * len);
    first[..len].copy_from_slice(engine.one());
    engine.enter(&mut first[len..], base.0.limbs());
    let base = &first[len..];
    let mut previous = base;
    for next in rest.chunks_exact_mut(len) {
        engine.multiply(next, previous, base);
        previous = next;
    }
    table
}

/// The `width` bits of `limbs` from bit `position` on; zeros above the top.
/// Constant time in the limbs.
pub(super) fn bits_at(limbs: &[u64], position: usize, width: usize) -> u64 {
    let (index, shift) = (position / 64, position % 64);
    let limb = |index: usize| limbs.get(index).copied().unwrap_or(0);
    let mut bits = limb(index) >> shift;
    if shift + width > 64 {
        bits |= limb(index + 1) << (64 - shift);
    }
    bits & ((1 << width) - 1)
}
