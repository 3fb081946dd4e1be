//! The greatest common divisor, step by step.
//!
//! The binary algorithm in rounds of 62 halvings that look at the lowest and
//! the highest 64 bits only; each round's effect is a matrix which is then
//! applied to the whole numbers (T. Pornin, Optimized Binary GCD for Modular
//! Inversion, 2020). Comparing the highest bits alone may subtract the larger
//! number from the smaller: then one of the two (never both) turns negative
//! for the rest of the round. Variable time.

/// How many bits one round removes. The lowest 64 bits of a number decide
/// everything in a round but comparisons; three of them must still be exact at
/// its last halving, since the Jacobi symbol (2|b) depends on b mod 8.
const STEPS: u32 = 62;

/// What 62 halvings do: a becomes `(a * aa + b * ab) / 2^62`, b becomes
/// `(a * ba + b * bb) / 2^62`.
pub(super) struct Round {
    aa: i64,
    ab: i64,
    ba: i64,
    bb: i64,
    /// Whether the Jacobi symbol changed its sign.
    pub(super) negative: bool,
}

impl Round {
    /// Decides on a round for a and an odd b, as many limbs each.
    pub(super) fn run(a: &[u64], b: &[u64]) -> Self {
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

    /// Applies the round and makes both positive; says which were negative.
    pub(super) fn apply(&self, a: &mut [u64], b: &mut [u64]) -> (bool, bool) {
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
        (a_sum < 0, b_sum < 0)
    }

    /// Applies the round mod n to `u` and `v`, numbers in two's complement one
    /// limb longer than n, each between -k n and k n for a small k, which grows
    /// by one. `negative_inverse` is -1/n mod 2^64.
    pub(super) fn apply_mod(&self, u: &mut [u64], v: &mut [u64], n: &[u64], negative_inverse: u64) {
        let rows = [(self.aa, self.ab), (self.ba, self.bb)];
        // The multiples of n that clear the 62 lowest bits.
        let multiples = rows.map(|(for_u, for_v)| {
            let (for_u, for_v) = (for_u.cast_unsigned(), for_v.cast_unsigned());
            let lowest = for_u
                .wrapping_mul(u[0])
                .wrapping_add(for_v.wrapping_mul(v[0]));
            let multiple = lowest.wrapping_mul(negative_inverse) & ((1 << STEPS) - 1);
            i128::from(multiple)
        });
        let last = n.len();
        let (mut sums, mut before) = ([0i128; 2], [0u64; 2]);
        for index in 0..=last {
            let limb = |limbs: &[u64]| match limbs[index] {
                // The highest limb carries the sign.
                limb if index == last => i128::from(limb.cast_signed()),
                limb => i128::from(limb),
            };
            let (u_limb, v_limb) = (limb(u), limb(v));
            let n_limb = i128::from(n.get(index).copied().unwrap_or(0));
            for (row, out) in [&mut *u, &mut *v].into_iter().enumerate() {
                let (for_u, for_v) = rows[row];
                sums[row] += i128::from(for_u) * u_limb
                    + i128::from(for_v) * v_limb
                    + multiples[row] * n_limb;
                let limb = sums[row] as u64;
                if index > 0 {
                    out[index - 1] = before[row] >> STEPS | limb << (64 - STEPS);
                }
                before[row] = limb;
                sums[row] >>= 64;
            }
        }
        for (row, out) in [u, v].into_iter().enumerate() {
            out[last] = before[row] >> STEPS | (sums[row] as u64) << (64 - STEPS);
        }
    }
}

/// Drops the highest limbs that are zero in both; one stays.
pub(super) fn shorten(a: &mut Vec<u64>, b: &mut Vec<u64>) {
    while a.len() > 1 && a.last() == Some(&0) && b.last() == Some(&0) {
        a.pop();
        b.pop();
    }
}

/// Whether the number is 1.
pub(super) fn is_one(limbs: &[u64]) -> bool {
    limbs[0] == 1 && limbs[1..].iter().all(|&limb| limb == 0)
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
pub(super) fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
}
