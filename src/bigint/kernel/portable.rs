//! Montgomery arithmetic in safe, portable Rust on 64-bit limbs.
//!
//! Products are formed whole and then reduced, so that a square costs three
//! quarters of a product. Both loops add two rows at a time, which halves the
//! loads and stores of the running sum: every number here has an even number
//! of limbs. Who adds them is a parameter: a processor may know better.
//!
//! Constant time in all values: no branch and no index depends on a limb.

use std::hint::black_box;

/// `value + a * b + carry`; the low limb is returned, the high one is the new
/// carry. The largest inputs give just 2^128 - 1.
#[inline(always)]
pub const fn multiply_add(value: u64, a: u64, b: u64, carry: &mut u64) -> u64 {
    let sum = value as u128 + a as u128 * b as u128 + *carry as u128;
    *carry = (sum >> 64) as u64;
    sum as u64
}

/// Adds rows of a product: nearly all the work there is.
pub trait Rows {
    /// Adds `a * (b0 + b1 * 2^64) + carry` to `sum`, which is as long as `a`;
    /// returns the two limbs that lie above it. Constant time in all values.
    fn add_two(sum: &mut [u64], a: &[u64], b0: u64, b1: u64, carry: u64) -> (u64, u64);
}

/// The rows of this kernel.
pub struct Portable;

impl Rows for Portable {
    #[inline(always)]
    fn add_two(sum: &mut [u64], a: &[u64], b0: u64, b1: u64, carry: u64) -> (u64, u64) {
        let (mut carry0, mut carry1, mut previous) = (carry, 0, 0);
        for (sum, &a) in sum.iter_mut().zip(a) {
            let first = multiply_add(*sum, a, b0, &mut carry0);
            *sum = multiply_add(first, previous, b1, &mut carry1);
            previous = a;
        }
        let low = multiply_add(carry0, previous, b1, &mut carry1);
        (low, carry1)
    }
}

/// `a + b + carry` for a carry of 0 or 1; the carry is updated.
#[inline(always)]
const fn add_carry(a: u64, b: u64, carry: &mut u64) -> u64 {
    let sum = a as u128 + b as u128 + *carry as u128;
    *carry = (sum >> 64) as u64;
    sum as u64
}

/// `a - b - borrow` for a borrow of 0 or 1; the borrow is updated.
#[inline(always)]
const fn sub_borrow(a: u64, b: u64, borrow: &mut u64) -> u64 {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(*borrow);
    *borrow = first as u64 | second as u64;
    difference
}

/// All ones if `bit` is 1, zero if it is 0, in a way the compiler cannot see
/// through and turn into a branch.
#[inline(always)]
fn mask(bit: u64) -> u64 {
    black_box(bit).wrapping_neg()
}

/// All ones if `a` and `b` are equal, else zero.
#[inline(always)]
fn mask_if_equal(a: u64, b: u64) -> u64 {
    let different = a ^ b;
    mask(1 ^ (different | different.wrapping_neg()) >> 63)
}

/// `wide = a * b`; `wide` has the limbs of both.
fn multiply<R: Rows>(wide: &mut [u64], a: &[u64], b: &[u64]) {
    let len = a.len();
    wide[..len].fill(0);
    for (row, pair) in b.chunks_exact(2).enumerate() {
        let window = &mut wide[2 * row..2 * row + len + 2];
        let (sum, above) = window.split_at_mut(len);
        let (low, high) = R::add_two(sum, a, pair[0], pair[1], 0);
        above[0] = low;
        above[1] = high;
    }
}

/// `wide = a * a`: the products of different limbs once, doubled, and the
/// squares of the limbs added.
fn square<R: Rows>(wide: &mut [u64], a: &[u64]) {
    let len = a.len();
    wide.fill(0);
    for row in (0..len).step_by(2) {
        // a0 * a1, then both times all later limbs.
        let (a0, a1, later) = (a[row], a[row + 1], &a[row + 2..]);
        let mut carry = 0;
        wide[2 * row + 1] = multiply_add(wide[2 * row + 1], a0, a1, &mut carry);
        let (sum, above) = wide[2 * row + 2..].split_at_mut(later.len());
        let (low, high) = R::add_two(sum, later, a0, a1, carry);
        above[0] = low;
        above[1] = high;
    }
    let (mut shifted_out, mut carry) = (0, 0);
    for (pair, &a) in wide.chunks_exact_mut(2).zip(a) {
        let square = u128::from(a) * u128::from(a);
        let low = pair[0] << 1 | shifted_out;
        let high = pair[1] << 1 | pair[0] >> 63;
        shifted_out = pair[1] >> 63;
        pair[0] = add_carry(low, square as u64, &mut carry);
        pair[1] = add_carry(high, (square >> 64) as u64, &mut carry);
    }
}

/// `out = wide / 2^(64 limbs) mod n`, for `wide` below `n * 2^(64 limbs)`.
fn reduce<R: Rows>(out: &mut [u64], wide: &mut [u64], n: &[u64], negative_inverse: u64) {
    let len = n.len();
    let mut carry = 0;
    for row in (0..len).step_by(2) {
        // The two multiples of n that clear the two lowest limbs left.
        let mut rising = 0;
        let q0 = wide[row].wrapping_mul(negative_inverse);
        multiply_add(wide[row], n[0], q0, &mut rising);
        let second = multiply_add(wide[row + 1], n[1], q0, &mut rising);
        let q1 = second.wrapping_mul(negative_inverse);
        let (sum, above) = wide[row..].split_at_mut(len);
        let (low, high) = R::add_two(sum, n, q0, q1, 0);
        above[0] = add_carry(above[0], low, &mut carry);
        above[1] = add_carry(above[1], high, &mut carry);
    }
    out.copy_from_slice(&wide[len..]);
    subtract_once(out, carry, n);
}

/// Subtracts `n` from `value + carry * 2^(64 limbs)` if that is not below it.
pub fn subtract_once(value: &mut [u64], carry: u64, n: &[u64]) {
    let mut borrow = 0;
    for (&limb, &n) in value.iter().zip(n) {
        sub_borrow(limb, n, &mut borrow);
    }
    let keep = mask(borrow & (carry ^ 1));
    let mut borrow = 0;
    for (limb, &n) in value.iter_mut().zip(n) {
        *limb = sub_borrow(*limb, n & !keep, &mut borrow);
    }
}

/// `out = a * b / 2^(64 limbs) mod n`. All have as many limbs, `wide` twice as
/// many; one factor is below n, the other may be anything that fits.
pub fn montgomery_mul<R: Rows>(
    out: &mut [u64],
    a: &[u64],
    b: &[u64],
    n: &[u64],
    negative_inverse: u64,
    wide: &mut [u64],
) {
    multiply::<R>(wide, a, b);
    reduce::<R>(out, wide, n, negative_inverse);
}

/// `value = value^2 / 2^(64 limbs) mod n`, for `value` below n.
pub fn montgomery_square<R: Rows>(
    value: &mut [u64],
    n: &[u64],
    negative_inverse: u64,
    wide: &mut [u64],
) {
    square::<R>(wide, value);
    reduce::<R>(value, wide, n, negative_inverse);
}

/// `a = a + b mod n`, both below n.
pub fn add_mod(a: &mut [u64], b: &[u64], n: &[u64]) {
    let carry = add(a, b);
    subtract_once(a, carry, n);
}

/// `a = a - b mod n`, both below n.
pub fn sub_mod(a: &mut [u64], b: &[u64], n: &[u64]) {
    let mut borrow = 0;
    for (a, &b) in a.iter_mut().zip(b) {
        *a = sub_borrow(*a, b, &mut borrow);
    }
    let add_back = mask(borrow);
    let mut carry = 0;
    for (a, &n) in a.iter_mut().zip(n) {
        *a = add_carry(*a, n & add_back, &mut carry);
    }
}

/// `a = a + b`; returns the carry, 0 or 1.
pub fn add(a: &mut [u64], b: &[u64]) -> u64 {
    let mut carry = 0;
    for (a, &b) in a.iter_mut().zip(b) {
        *a = add_carry(*a, b, &mut carry);
    }
    carry
}

/// `out = table[index]`, for a table of entries as long as `out`; reads them
/// all, so that the cache learns nothing of `index`.
pub fn select(out: &mut [u64], table: &[u64], index: u64) {
    out.fill(0);
    for (position, entry) in (0..).zip(table.chunks_exact(out.len())) {
        let mask = mask_if_equal(position, index);
        for (out, &limb) in out.iter_mut().zip(entry) {
            *out |= limb & mask;
        }
    }
}

/// `a = b` if `bit` is 1; unchanged if it is 0.
pub fn assign_if(bit: u64, a: &mut [u64], b: &[u64]) {
    let mask = mask(bit);
    for (a, &b) in a.iter_mut().zip(b) {
        *a = *a & !mask | b & mask;
    }
}
