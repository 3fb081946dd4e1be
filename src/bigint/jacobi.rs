//! The Jacobi symbol.

use num_bigint::BigUint;

/// How many bits one round removes. The lowest 64 bits of a number decide
/// everything in a round but comparisons; three of them must still be exact at
/// its last halving, since (2|b) depends on b mod 8.
const STEPS: u32 = 62;

/// The Jacobi symbol (a|n): 1, -1, or 0 where a and n have a common factor or
/// n is even (the symbol does not exist then). Variable time: both must be
/// public.
///
/// The binary algorithm in rounds of 62 halvings that look at the lowest and
/// the highest 64 bits only; each round's effect is a matrix which is then
/// applied to the whole numbers (T. Pornin, Optimized Binary GCD for Modular
/// Inversion, 2020). Comparing the highest bits alone may subtract the larger
/// number from the smaller: then one of the two (never both) turns negative
/// for the rest of the round. The law of reciprocity holds for such a pair
/// too, with (a|b) read as (a||b|).
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
        let a_was_negative = round.apply(&mut a, &mut b);
        // (-a|b) = (-1|b) (a|b)
        negative ^= a_was_negative && b[0] & 2 != 0;
        while a.len() > 1 && a.last() == Some(&0) && b.last() == Some(&0) {
            a.pop();
            b.pop();
        }
    }
    let coprime = b[0] == 1 && b[1..].iter().all(|&limb| limb == 0);
    match (coprime, negative) {
        (false, _) => 0,
        (true, true) => -1,
        (true, false) => 1,
    }
}

/// What 62 halvings do: a becomes `(a * aa + b * ab) / 2^62`, b becomes
/// `(a * ba + b * bb) / 2^62`.
struct Round {
    aa: i64,
    ab: i64,
    ba: i64,
    bb: i64,
    /// Whether the symbol changed its sign.
    negative: bool,
}

impl Round {
    fn run(a: &[u64], b: &[u64]) -> Self {
        let (mut a_low, mut b_low) = (a[0], b[0]);
        let (mut a_high, mut b_high) = highest_bits(a, b);
        let (mut aa, mut ab, mut ba, mut bb) = (1i64, 0i64, 0i64, 1i64);
        let mut flips = 0;
        let mut left = STEPS;
        while left > 0 {
            if a_low & 1 == 1 {
                if a_high < b_high {
                    // (a|b) = -(b|a) if both are 3 mod 4
                    flips ^= a_low & b_low;
                    std::mem::swap(&mut a_low, &mut b_low);
                    std::mem::swap(&mut a_high, &mut b_high);
                    std::mem::swap(&mut aa, &mut ba);
                    std::mem::swap(&mut ab, &mut bb);
                }
                a_low = a_low.wrapping_sub(b_low);
                a_high -= b_high;
                aa -= ba;
                ab -= bb;
            }
            let zeros = a_low.trailing_zeros().min(left);
            // (2|b) = -1 if b is 3 or 5 mod 8
            if zeros & 1 == 1 {
                flips ^= b_low ^ b_low >> 1;
            }
            a_low >>= zeros;
            a_high >>= zeros;
            ba <<= zeros;
            bb <<= zeros;
            left -= zeros;
        }
        let negative = flips & 2 != 0;
        Self {
            aa,
            ab,
            ba,
            bb,
            negative,
        }
    }

    /// Applies the round and makes both positive; says whether a was negative.
    fn apply(&self, a: &mut [u64], b: &mut [u64]) -> bool {
        let (mut a_sum, mut b_sum) = (0i128, 0i128);
        let (mut a_before, mut b_before) = (0u64, 0u64);
        for index in 0..a.len() {
            let (a_limb, b_limb) = (i128::from(a[index]), i128::from(b[index]));
            a_sum += i128::from(self.aa) * a_limb + i128::from(self.ab) * b_limb;
            b_sum += i128::from(self.ba) * a_limb + i128::from(self.bb) * b_limb;
            if index > 0 {
                a[index - 1] = a_before >> STEPS | (a_sum as u64) << (64 - STEPS);
                b[index - 1] = b_before >> STEPS | (b_sum as u64) << (64 - STEPS);
            }
            (a_before, b_before) = (a_sum as u64, b_sum as u64);
            (a_sum, b_sum) = (a_sum >> 64, b_sum >> 64);
        }
        let last = a.len() - 1;
        a[last] = a_before >> STEPS | (a_sum as u64) << (64 - STEPS);
        b[last] = b_before >> STEPS | (b_sum as u64) << (64 - STEPS);
        if a_sum < 0 {
            negate(a);
        }
        if b_sum < 0 {
            negate(b);
        }
        a_sum < 0
    }
}

/// The 64 bits of both from the highest bit down that either has.
fn highest_bits(a: &[u64], b: &[u64]) -> (u64, u64) {
    let top = (0..a.len()).rev().find(|&index| a[index] | b[index] != 0);
    let top = top.unwrap_or(0);
    let shift = (a[top] | b[top]).leading_zeros();
    let bits = |limbs: &[u64]| match (top, shift) {
        (0, _) => limbs[0],
        (_, 0) => limbs[top],
        _ => limbs[top] << shift | limbs[top - 1] >> (64 - shift),
    };
    (bits(a), bits(b))
}

/// Two's complement.
fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
}
