//! The Jacobi symbol.

use num_bigint::BigUint;

use super::gcd::{Round, is_one, shorten};

/// The Jacobi symbol (a|n): 1, -1, or 0 where a and n have a common factor or
/// n is even (the symbol does not exist then). Variable time: both must be
/// public.
///
/// By rounds of the binary algorithm for the greatest common divisor. In a round
/// one of the two numbers (never both) may turn negative; the law of reciprocity
/// holds for such a pair too, with (a|b) read as (a||b|).
#[must_use]
pub fn jacobi_vartime(a: &BigUint, n: &BigUint) -> i8 {
    if !n.bit(0) {
        return 0;
    }
    let mut b = n.to_u64_digits();
    let mut a = (a % n).to_u64_digits();
    a.resize(b.len(), 0);
    let mut negative = false;
    while a.iter().any(|&limb| limb != 0) {
        let round = Round::run(&a, &b);
        negative ^= round.negative;
        let (a_was_negative, _) = round.apply(&mut a, &mut b);
        // (-a|b) = (-1|b) (a|b)
        negative ^= a_was_negative && b[0] & 2 != 0;
        shorten(&mut a, &mut b);
    }
    match (is_one(&b), negative) {
        (false, _) => 0,
        (true, true) => -1,
        (true, false) => 1,
    }
}
