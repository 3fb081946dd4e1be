//! The carries, which random numbers hardly ever provoke.

#![expect(unsafe_code, reason = "the kernel is called without its modulus")]

use num_bigint::BigUint;
use num_traits::{One, Zero};

use super::vectors;
use super::{Constants, DIGIT_BITS, Digits, LANES, MASK, digits_of, is_here};
use crate::random::{OsRandom, Random};

/// The number that digits stand for, whatever their lengths.
fn value_of(digits: &[Digits]) -> BigUint {
    let digits = digits.as_flattened().iter().rev();
    digits.fold(BigUint::zero(), |sum, &digit| (sum << DIGIT_BITS) + digit)
}

fn random_digit() -> u64 {
    let mut bytes = [0; 8];
    OsRandom.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Digits too long for their place, runs of full ones among them.
fn overflowing<const V: usize>() -> [Digits; V] {
    let mut digits = [[0; LANES]; V];
    let choices = [0, MASK, MASK, MASK, MASK - 1, MASK + 1, 1 << 62];
    for digit in digits.as_flattened_mut() {
        *digit = choices[random_digit() as usize % choices.len()];
    }
    digits
}

fn check_carries<const V: usize>() {
    let r = BigUint::one() << (DIGIT_BITS * LANES * V);
    for _ in 0..2_000 {
        let (digits, below) = (overflowing::<V>(), overflowing::<1>());
        // SAFETY: the processor has the instructions.
        let carried = unsafe { vectors::carried_digits(&digits, &below[0]) };
        assert!(carried.as_flattened().iter().all(|&digit| digit <= MASK));
        let expected = (value_of(&digits) + (below[0][LANES - 1] >> DIGIT_BITS)) % &r;
        assert_eq!(value_of(&carried), expected);
    }
}

/// Numbers below 2n: the ends, around n, and what has full or empty digits.
fn edges(n: &BigUint) -> Vec<BigUint> {
    let full = |bits: u64| (BigUint::one() << bits) - 1u32;
    vec![
        BigUint::zero(),
        BigUint::one(),
        n - 1u32,
        n.clone(),
        n + 1u32,
        n * 2u32 - 1u32,
        full(n.bits() - 1),
        full(n.bits() - 1) - full(DIGIT_BITS as u64 * 10),
        BigUint::one() << (n.bits() - 1),
        BigUint::one() << (DIGIT_BITS * LANES),
        full(DIGIT_BITS as u64 * 8) << DIGIT_BITS,
    ]
}

fn check_products<const V: usize, const W: usize>(bits: usize) {
    let r = BigUint::one() << (DIGIT_BITS * LANES * V);
    let full = (BigUint::one() << bits) - 1u32;
    let smallest = (BigUint::one() << (bits - 1)) + 1u32;
    let mut bytes = vec![0; bits / 8];
    OsRandom.fill(&mut bytes);
    let random = (BigUint::from_bytes_le(&bytes) >> 1 << 1) | &smallest;
    for n in [full, smallest, random] {
        let constants = Constants::<V>::new(&n);
        let inverse = r.modinv(&n).unwrap();
        for a in edges(&n) {
            for b in edges(&n) {
                let mut out = [[0; LANES]; V];
                // SAFETY: the processor has the instructions.
                unsafe {
                    let (a, b) = (&digits_of(&a), &digits_of(&b));
                    vectors::multiply::<V, W>(&mut out, a, b, &constants);
                }
                assert!(value_of(&out) < &n * 2u32);
                assert_eq!(value_of(&out) % &n, &a * &b * &inverse % &n);
            }
            let (mut square, mut twice, mut next) = (digits_of(&a), [[0; 8]; V], [[0; 8]; V]);
            // SAFETY: the processor has the instructions.
            unsafe { vectors::square::<V, W>(&mut square, &constants, &mut twice, &mut next) }
            assert!(value_of(&square) < &n * 2u32);
            assert_eq!(value_of(&square) % &n, &a * &a * &inverse % &n);
        }
    }
}

#[test]
fn a_carry_runs_through_full_digits() {
    if is_here() {
        check_carries::<5>();
        check_carries::<8>();
        check_carries::<10>();
    }
}

#[test]
fn products_at_the_edges_are_exact_and_below_twice_the_modulus() {
    if is_here() {
        check_products::<5, 10>(1032);
        check_products::<5, 10>(2048);
        check_products::<8, 16>(2056);
        check_products::<8, 16>(3072);
        check_products::<10, 20>(3080);
        check_products::<10, 20>(4096);
    }
}
