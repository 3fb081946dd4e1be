//! Exponentiation with public bases and exponents.

use num_bigint::BigUint;
use num_traits::One;

use super::kernel::portable as kernel;
use super::montgomery::{Modulus, limbs_of};

impl Modulus {
    /// `base^exponent mod n`. Variable time: both must be public.
    #[must_use]
    pub fn pow_vartime(&self, base: &BigUint, exponent: &BigUint) -> BigUint {
        self.product_of_powers_vartime(&[Term::new(self, base, exponent)])
    }

    /// `base1^exponent1 * base2^exponent2 mod n` with one sequence of squarings
    /// for both (interleaving: B. Möller, Algorithms for multi-exponentiation,
    /// 2001). Variable time: all four must be public.
    #[must_use]
    pub fn double_pow_vartime(
        &self,
        base1: &BigUint,
        exponent1: &BigUint,
        base2: &BigUint,
        exponent2: &BigUint,
    ) -> BigUint {
        self.product_of_powers_vartime(&[
            Term::new(self, base1, exponent1),
            Term::new(self, base2, exponent2),
        ])
    }

    fn product_of_powers_vartime(&self, terms: &[Term]) -> BigUint {
        let (n, inverse, len) = (&self.limbs[..], self.negative_inverse, self.limbs.len());
        let mut wide = vec![0; 2 * len];
        let mut product = vec![0; len];
        let mut power = self.one.to_vec();
        let top = terms.iter().map(|term| term.digits.len()).max();
        for position in (0..top.unwrap_or(0)).rev() {
            kernel::montgomery_square(&mut power, n, inverse, &mut wide);
            for term in terms {
                let digit = usize::from(term.digits.get(position).copied().unwrap_or(0));
                if digit != 0 {
                    let factor = &term.odd_powers[digit / 2 * len..][..len];
                    kernel::montgomery_mul(&mut product, &power, factor, n, inverse, &mut wide);
                    std::mem::swap(&mut power, &mut product);
                }
            }
        }
        let one = limbs_of(&BigUint::one(), len);
        kernel::montgomery_mul(&mut product, &power, &one, n, inverse, &mut wide);
        from_limbs(&product)
    }
}

/// One power of a product, prepared.
struct Term {
    /// For each bit position an odd digit below 2^window, or zero; the exponent
    /// is the sum of all `digit * 2^position`.
    digits: Vec<u8>,
    /// base^1, base^3, base^5 and so on, in Montgomery form.
    odd_powers: Vec<u64>,
}

impl Term {
    fn new(modulus: &Modulus, base: &BigUint, exponent: &BigUint) -> Self {
        let window = match exponent.bits() {
            0..=24 => 2,
            25..=80 => 3,
            81..=240 => 4,
            241..=672 => 5,
            673..=1792 => 6,
            _ => 7,
        };
        Self {
            digits: sliding_digits(exponent, window),
            odd_powers: odd_powers(modulus, base, 1 << (window - 1)),
        }
    }
}

/// Splits an exponent into odd digits below `2^window` with zeros between.
fn sliding_digits(exponent: &BigUint, window: u64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut position = 0;
    while position < exponent.bits() {
        if !exponent.bit(position) {
            digits.push(0);
            position += 1;
            continue;
        }
        let digit = (0..window).fold(0, |digit, bit| {
            digit | u8::from(exponent.bit(position + bit)) << bit
        });
        digits.push(digit);
        digits.extend((1..window).map(|_| 0));
        position += window;
    }
    digits
}

/// The first `count` odd powers of `base`, in Montgomery form.
fn odd_powers(modulus: &Modulus, base: &BigUint, count: usize) -> Vec<u64> {
    let (n, inverse) = (&modulus.limbs[..], modulus.negative_inverse);
    let len = n.len();
    let mut wide = vec![0; 2 * len];
    let mut first = vec![0; len];
    let plain = limbs_of(&(base % modulus.value()), len);
    kernel::montgomery_mul(
        &mut first,
        &plain,
        &modulus.r_squared,
        n,
        inverse,
        &mut wide,
    );
    let mut squared = first.clone();
    kernel::montgomery_square(&mut squared, n, inverse, &mut wide);
    let mut powers = first.clone();
    let mut previous = first;
    let mut next = vec![0; len];
    for _ in 1..count {
        kernel::montgomery_mul(&mut next, &previous, &squared, n, inverse, &mut wide);
        powers.extend_from_slice(&next);
        std::mem::swap(&mut previous, &mut next);
    }
    powers
}

fn from_limbs(limbs: &[u64]) -> BigUint {
    let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigUint::from_bytes_le(&bytes)
}
