//! Montgomery arithmetic with the AVX-512 IFMA instructions of x86-64, which
//! multiply eight pairs of 52-bit digits at once and add the low or the high
//! half of each product to a lane.
//!
//! A number is V vectors of eight digits in radix 2^52, least significant
//! first, and below 2n; R is 2^(416 V), above 4n, so that no multiplication
//! ends with a subtraction (C. Walter, Montgomery exponentiation needs no final
//! subtractions, 1999).
//!
//! Constant time in all values: there is no branch, no index and no gather that
//! depends on a digit.

#![expect(
    unsafe_code,
    reason = "functions compiled for some processors only are called on them only"
)]

#[cfg(test)]
mod tests;
mod vectors;

use num_bigint::BigUint;
use num_traits::One;

/// Digits in a vector.
const LANES: usize = 8;

/// Bits in a digit.
const DIGIT_BITS: usize = 52;

/// The largest digit.
const MASK: u64 = (1 << DIGIT_BITS) - 1;

/// A vector's worth of digits.
type Digits = [u64; LANES];

/// Whether this processor can run what lies here.
pub fn is_here() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

/// What a modulus needs, as digits.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Constants<const V: usize> {
    n: [Digits; V],
    /// -1/n mod R
    negative_inverse: [Digits; V],
    /// R mod n: one, in Montgomery form.
    one: [Digits; V],
    /// R^2 mod n: a factor that carries into Montgomery form.
    r_squared: [Digits; V],
}

impl<const V: usize> Constants<V> {
    fn new(n: &BigUint) -> Box<Self> {
        let r_bits = DIGIT_BITS * LANES * V;
        let r = BigUint::one() << r_bits;
        let inverse = inverse_mod_power_of_two(n, r_bits);
        Box::new(Self {
            n: digits_of(n),
            negative_inverse: digits_of(&(&r - inverse)),
            one: digits_of(&(&r % n)),
            r_squared: digits_of(&(&r * &r % n)),
        })
    }
}

/// A modulus of a size that this kernel computes with. To have one means that
/// the processor has the instructions.
#[derive(Clone, Debug)]
pub struct Modulus(Size);

#[derive(Clone, Debug)]
enum Size {
    Digits40(Box<Constants<5>>),
    Digits64(Box<Constants<8>>),
    Digits80(Box<Constants<10>>),
}

/// `$body` with the constants of whichever size a modulus has; W is the number
/// of vectors in a product.
macro_rules! for_its_size {
    ($modulus:expr, $constants:ident, $body:expr) => {
        match &$modulus.0 {
            Size::Digits40($constants) => {
                #[allow(dead_code)]
                const W: usize = 10;
                $body
            }
            Size::Digits64($constants) => {
                #[allow(dead_code)]
                const W: usize = 16;
                $body
            }
            Size::Digits80($constants) => {
                #[allow(dead_code)]
                const W: usize = 20;
                $body
            }
        }
    };
}

impl Modulus {
    /// Prepares an odd modulus, or gives nothing if its size or the processor
    /// does not allow it. Variable time.
    pub fn new(n: &BigUint) -> Option<Self> {
        if !is_here() {
            return None;
        }
        match n.bits() {
            1025..=2048 => Some(Self(Size::Digits40(Constants::new(n)))),
            2049..=3072 => Some(Self(Size::Digits64(Constants::new(n)))),
            3073..=4096 => Some(Self(Size::Digits80(Constants::new(n)))),
            _ => None,
        }
    }

    /// How many words a number takes; each holds one digit.
    pub const fn words(&self) -> usize {
        match self.0 {
            Size::Digits40(_) => 40,
            Size::Digits64(_) => 64,
            Size::Digits80(_) => 80,
        }
    }

    /// One, in Montgomery form.
    pub fn one(&self) -> &[u64] {
        for_its_size!(self, constants, constants.one.as_flattened())
    }

    /// R^2 mod n.
    pub fn r_squared(&self) -> &[u64] {
        for_its_size!(self, constants, constants.r_squared.as_flattened())
    }

    /// `out = a * b / R mod n`, all below 2n.
    pub fn multiply(&self, out: &mut [u64], a: &[u64], b: &[u64]) {
        for_its_size!(self, constants, {
            // SAFETY: the processor has the instructions, or there would be no
            // such modulus.
            unsafe {
                vectors::multiply::<_, W>(number_mut(out), number(a), number(b), constants);
            }
        });
    }

    /// `value = value^2 / R mod n`, both below 2n; `scratch` has twice as many
    /// words.
    pub fn square(&self, value: &mut [u64], scratch: &mut [u64]) {
        let (twice, next) = scratch.split_at_mut(self.words());
        for_its_size!(self, constants, {
            // SAFETY: as in `multiply`.
            unsafe {
                vectors::square::<_, W>(
                    number_mut(value),
                    constants,
                    number_mut(twice),
                    number_mut(next),
                );
            }
        });
    }

    /// `out = table[index]`, for a table of numbers one after the other; reads
    /// them all.
    pub fn select(&self, out: &mut [u64], table: &[u64], index: u64) {
        for_its_size!(self, constants, {
            select(constants, out, table, index);
        });
    }
}

/// As [`Modulus::select`]; the constants tell the size.
fn select<const V: usize>(_: &Constants<V>, out: &mut [u64], table: &[u64], index: u64) {
    let table = table.as_chunks::<LANES>().0.as_chunks::<V>().0;
    // SAFETY: as in `multiply`.
    unsafe { vectors::select(number_mut(out), table, index) }
}

#[expect(
    clippy::expect_used,
    reason = "every number of a modulus has its length"
)]
fn number<const V: usize>(words: &[u64]) -> &[Digits; V] {
    let (vectors, _) = words.as_chunks();
    vectors.first_chunk().expect("a number of another modulus")
}

#[expect(
    clippy::expect_used,
    reason = "every number of a modulus has its length"
)]
fn number_mut<const V: usize>(words: &mut [u64]) -> &mut [Digits; V] {
    let (vectors, _) = words.as_chunks_mut();
    vectors
        .first_chunk_mut()
        .expect("a number of another modulus")
}

/// Digits from limbs of 64 bits, of a number that fits. Constant time in it.
pub fn digits_from_limbs(digits: &mut [u64], limbs: &[u64]) {
    let limb = |index: usize| limbs.get(index).copied().unwrap_or(0);
    for (position, digit) in (0..).step_by(DIGIT_BITS).zip(digits) {
        let (index, shift) = (position / 64, position % 64);
        let pair = u128::from(limb(index)) | u128::from(limb(index + 1)) << 64;
        *digit = (pair >> shift) as u64 & MASK;
    }
}

/// Limbs of 64 bits from digits, of a number that fits. Constant time in it.
pub fn limbs_from_digits(limbs: &mut [u64], digits: &[u64]) {
    limbs.fill(0);
    for (position, &digit) in (0..).step_by(DIGIT_BITS).zip(digits) {
        let (index, shift) = (position / 64, position % 64);
        let pair = u128::from(digit) << shift;
        for (limb, part) in limbs.iter_mut().skip(index).zip([pair, pair >> 64]) {
            *limb |= part as u64;
        }
    }
}

/// A public number that fits in V vectors.
fn digits_of<const V: usize>(number: &BigUint) -> [Digits; V] {
    let mut digits = [[0; LANES]; V];
    digits_from_limbs(digits.as_flattened_mut(), &number.to_u64_digits());
    digits
}

/// 1/n mod 2^bits for odd n. Newton's iteration doubles the correct bits, of
/// which n itself has three. Variable time.
fn inverse_mod_power_of_two(n: &BigUint, bits: usize) -> BigUint {
    let mut inverse = n % 8u32;
    let mut correct = 3;
    while correct < bits {
        correct = (2 * correct).min(bits);
        let modulus = BigUint::one() << correct;
        // x (2 - n x) = 2 x - n x^2, plus a multiple of the modulus above it.
        let lost = n % &modulus * &inverse % &modulus * &inverse % &modulus;
        inverse = ((inverse << 1) + &modulus - lost) % modulus;
    }
    inverse
}
