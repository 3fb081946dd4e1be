//! Exponentiation with public bases and exponents.

use num_bigint::BigUint;

use super::engine::Engine;
use super::montgomery::{Modulus, Residue};
use super::numbers::Numbers;

impl Modulus {
    /// `base^exponent mod n`. Variable time: both must be public.
    #[must_use]
    pub fn pow_vartime(&self, base: &BigUint, exponent: &BigUint) -> BigUint {
        self.product_of_powers_vartime(&[(base, exponent)])
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
        self.product_of_powers_vartime(&[(base1, exponent1), (base2, exponent2)])
    }

    fn product_of_powers_vartime(&self, bases: &[(&BigUint, &BigUint)]) -> BigUint {
        let mut engine = Engine::new(self);
        let terms: Vec<Term> = bases
            .iter()
            .map(|(base, exponent)| Term::new(&mut engine, base, exponent))
            .collect();
        let mut product = engine.numbers(1);
        let mut power = engine.numbers(1);
        power.copy_from_slice(engine.one());
        let top = terms.iter().map(|term| term.digits.len()).max();
        for position in (0..top.unwrap_or(0)).rev() {
            engine.square(&mut power);
            for term in &terms {
                let digit = usize::from(term.digits.get(position).copied().unwrap_or(0));
                if digit != 0 {
                    let factor = &term.odd_powers[digit / 2 * engine.words()..][..engine.words()];
                    engine.multiply(&mut product, &power, factor);
                    std::mem::swap(&mut power, &mut product);
                }
            }
        }
        Residue(engine.leave(&power)).reveal_vartime()
    }
}

/// One power of a product, prepared.
struct Term {
    /// For each bit position an odd digit below 2^window, or zero; the exponent
    /// is the sum of all `digit * 2^position`.
    digits: Vec<u8>,
    /// base^1, base^3, base^5 and so on, in Montgomery form.
    odd_powers: Numbers,
}

impl Term {
    fn new(engine: &mut Engine, base: &BigUint, exponent: &BigUint) -> Self {
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
            odd_powers: odd_powers(engine, base, 1 << (window - 1)),
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
fn odd_powers(engine: &mut Engine, base: &BigUint, count: usize) -> Numbers {
    let len = engine.words();
    let mut powers = engine.numbers(count);
    let (first, rest) = powers.split_at_mut(len);
    engine.enter(first, engine.modulus().residue_vartime(base).0.limbs());
    let mut squared = engine.numbers(1);
    squared.copy_from_slice(first);
    engine.square(&mut squared);
    let mut previous = &*first;
    for next in rest.chunks_exact_mut(len) {
        engine.multiply(next, previous, &squared);
        previous = next;
    }
    powers
}
