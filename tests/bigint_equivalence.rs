//! Every operation of `bigint`, with every kernel that the processor has, gives
//! what num-bigint gives and, with the feature `gmp`, what GMP gives: on random
//! numbers and on the edges.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use num_bigint::BigUint;
use num_traits::{One, Zero};
use proptest::prelude::*;
use telemed::bigint::{
    FixedBase, Kernel, MAX_BITS, Modulus, Residue, SecretUint, inverse_vartime, jacobi_vartime,
};

/// Another implementation, which ours must equal.
struct Engine {
    mul: fn(&BigUint, &BigUint, &BigUint) -> BigUint,
    pow: fn(&BigUint, &BigUint, &BigUint) -> BigUint,
    jacobi: fn(&BigUint, &BigUint) -> i8,
}

const ENGINES: &[Engine] = &[
    Engine {
        mul: |a, b, n| a * b % n,
        pow: |base, exponent, n| base.modpow(exponent, n),
        jacobi: textbook_jacobi,
    },
    #[cfg(feature = "gmp")]
    gmp::ENGINE,
];

/// A division at every step.
fn textbook_jacobi(a: &BigUint, n: &BigUint) -> i8 {
    let low = |number: &BigUint| number.iter_u64_digits().next().unwrap_or(0);
    let (mut a, mut n, mut sign) = (a % n, n.clone(), 1);
    while !a.is_zero() {
        let twos = a.trailing_zeros().unwrap();
        a >>= twos;
        if twos % 2 == 1 && matches!(low(&n) % 8, 3 | 5) {
            sign = -sign;
        }
        if low(&a) % 4 == 3 && low(&n) % 4 == 3 {
            sign = -sign;
        }
        (a, n) = (&n % &a, a);
    }
    if n.is_one() { sign } else { 0 }
}

#[cfg(feature = "gmp")]
mod gmp {
    use super::{BigUint, Engine};
    use rug::Integer;
    use rug::integer::Order;

    pub const ENGINE: Engine = Engine {
        mul: |a, b, n| ours(&(theirs(a) * theirs(b) % theirs(n))),
        pow: |base, exponent, n| {
            ours(&theirs(base).pow_mod(&theirs(exponent), &theirs(n)).unwrap())
        },
        jacobi: |a, n| i8::try_from(theirs(a).jacobi(&theirs(n))).unwrap(),
    };

    fn theirs(value: &BigUint) -> Integer {
        Integer::from_digits(&value.to_bytes_be(), Order::Msf)
    }

    fn ours(value: &Integer) -> BigUint {
        BigUint::from_bytes_be(&value.to_digits(Order::Msf))
    }
}

/// Numbers of at most `bits` bits: random ones, 0, 1, all ones, single bits.
fn number(bits: usize) -> impl Strategy<Value = BigUint> {
    let random = prop::collection::vec(any::<u8>(), bits.div_ceil(8))
        .prop_map(move |bytes| BigUint::from_bytes_be(&bytes) & ones(bits));
    prop_oneof![
        6 => random,
        1 => Just(BigUint::zero()),
        1 => Just(BigUint::one()),
        1 => Just(ones(bits)),
        1 => (0..bits).prop_map(|bit| BigUint::one() << bit),
        1 => (0..bits).prop_map(ones),
    ]
}

fn ones(bits: usize) -> BigUint {
    (BigUint::one() << bits) - 1u32
}

/// Odd moduli above 2 of exactly `bits` bits.
fn modulus_of(bits: usize) -> impl Strategy<Value = BigUint> {
    number(bits).prop_map(move |mut n| {
        n.set_bit(0, true);
        n.set_bit(bits as u64 - 1, true);
        n
    })
}

fn big() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![2048, 3072, 4096])
}

fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 2usize..=200, 1 => 201usize..=2047, 2 => big()]
}

/// A modulus n and `count` numbers below it, n - 1 often among them.
fn case(
    bits: impl Strategy<Value = usize>,
    count: usize,
) -> impl Strategy<Value = (BigUint, Vec<BigUint>)> {
    bits.prop_flat_map(modulus_of).prop_flat_map(move |n| {
        let below = {
            let n = n.clone();
            let last = &n - 1u32;
            prop_oneof![
                7 => number(usize::try_from(n.bits()).unwrap()).prop_map(move |value| value % &n),
                1 => Just(last),
            ]
        };
        (Just(n), prop::collection::vec(below, count))
    })
}

fn secret(value: &BigUint) -> SecretUint {
    SecretUint::from_be_bytes(&value.to_bytes_be())
}

fn bits(value: &BigUint) -> usize {
    usize::try_from(value.bits()).unwrap()
}

fn revealed(residue: &Residue, modulus: &Modulus) -> BigUint {
    let bytes = residue.to_be_bytes(modulus.byte_len());
    let value = BigUint::from_bytes_be(bytes.expose());
    assert_eq!(value, residue.reveal_vartime());
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn sums_differences_and_products((n, v) in case(any_size(), 2)) {
        let modulus = Modulus::new(&n).unwrap();
        let (a, b) = (modulus.residue_vartime(&v[0]), modulus.residue_vartime(&v[1]));
        prop_assert_eq!(revealed(&modulus.add(&a, &b), &modulus), (&v[0] + &v[1]) % &n);
        prop_assert_eq!(revealed(&modulus.sub(&a, &b), &modulus), (&v[0] + &n - &v[1]) % &n);
        let product = revealed(&modulus.mul(&a, &b), &modulus);
        for engine in ENGINES {
            prop_assert_eq!(&product, &(engine.mul)(&v[0], &v[1], &n));
        }
    }

    #[test]
    fn reductions_of_every_width(n in any_size().prop_flat_map(modulus_of), wide in number(2 * MAX_BITS + 64), len in 0usize..=2 * MAX_BITS / 8 + 8) {
        let modulus = Modulus::new(&n).unwrap();
        let bytes = secret(&wide).to_be_bytes(len);
        let value = BigUint::from_bytes_be(bytes.expose());
        prop_assert_eq!(revealed(&modulus.reduce_wide(bytes.expose()), &modulus), &value % &n);
        prop_assert_eq!(revealed(&modulus.residue_vartime(&value), &modulus), value % &n);
    }

    #[test]
    fn bytes_and_back(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let value = SecretUint::from_be_bytes(&bytes);
        prop_assert!(value.to_be_bytes(bytes.len()).expose() == bytes);
        let mut longer = vec![0; 9];
        longer.extend_from_slice(&bytes);
        prop_assert!(value.to_be_bytes(longer.len()).expose() == longer);
        let count = bits(&BigUint::from_bytes_be(&bytes));
        prop_assert!(count == 0 || value.has_bits(count));
        prop_assert!(!value.has_bits(count + 1));
    }

    #[test]
    fn a_lengthened_exponent_has_one_bit_more_than_the_modulus((n, v) in case(any_size(), 1)) {
        let modulus = Modulus::new(&n).unwrap();
        let long = modulus.lengthen(&modulus.residue_vartime(&v[0]));
        let long = BigUint::from_bytes_be(long.to_be_bytes(MAX_BITS / 8 + 8).expose());
        prop_assert_eq!(long.bits(), n.bits() + 1);
        prop_assert_eq!(long % n, v[0].clone());
    }

    #[test]
    fn jacobi_symbols((n, v) in case(any_size(), 1), common in number(40)) {
        for (a, n) in [(v[0].clone(), n.clone()), (&v[0] + &n, n.clone()), (&v[0] * &common, n * (common | BigUint::one()))] {
            let symbol = jacobi_vartime(&a, &n);
            for engine in ENGINES {
                prop_assert_eq!(symbol, (engine.jacobi)(&a, &n), "a = {}, n = {}", a, n);
            }
        }
    }

    #[test]
    fn inverses((n, v) in case(any_size(), 1), common in number(40)) {
        prop_assert_eq!(inverse_vartime(&v[0], &n), v[0].modinv(&n));
        prop_assert_eq!(inverse_vartime(&(&v[0] + &n), &n), v[0].modinv(&n));
        let common = common | BigUint::one();
        let (a, n) = (&v[0] * &common, n * common);
        prop_assert_eq!(inverse_vartime(&a, &n), a.modinv(&n));
    }

    #[test]
    fn powers_of_small_moduli((n, v) in case(2usize..=600, 2), exponents in (number(700), number(90))) {
        powers(&n, &v[0], &exponents.0);
        double_powers(&n, &v, &exponents.0, &exponents.1);
    }

    #[test]
    fn powers_of_a_fixed_base_of_small_moduli((n, v) in case(2usize..=600, 1), exponents in prop::collection::vec(number(700), 3)) {
        fixed_powers(&n, &v[0], &exponents);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn powers_of_a_fixed_base_of_large_moduli((n, v) in case(big(), 1), exponents in prop::collection::vec(number(MAX_BITS), 3)) {
        fixed_powers(&n, &v[0], &exponents);
    }

    #[test]
    fn powers_of_large_moduli((n, v) in case(big(), 2), exponents in (number(MAX_BITS), number(3072))) {
        powers(&n, &v[0], &exponents.0);
        double_powers(&n, &v, &exponents.0, &exponents.1);
    }
}

/// The modulus once for each kernel that the processor has.
fn moduli(n: &BigUint) -> impl Iterator<Item = Modulus> {
    [Kernel::Portable, Kernel::Adx, Kernel::Ifma]
        .into_iter()
        .filter(|kernel| kernel.is_here())
        .map(|kernel| Modulus::with_kernel(n, kernel).unwrap())
}

fn powers(n: &BigUint, base: &BigUint, exponent: &BigUint) {
    let exponent_bits = bits(exponent);
    // More bits than there are add zeros; fewer cut the exponent.
    for bits in [
        exponent_bits,
        exponent_bits + 1,
        exponent_bits + 70,
        exponent_bits / 2,
    ] {
        let cut = exponent & ones(bits);
        let expected = (ENGINES[0].pow)(base, &cut, n);
        for engine in &ENGINES[1..] {
            assert_eq!(expected, (engine.pow)(base, &cut, n));
        }
        for modulus in moduli(n) {
            let residue = modulus.residue_vartime(base);
            let power = modulus.pow(&residue, &secret(exponent), bits);
            assert_eq!(
                revealed(&power, &modulus),
                expected,
                "{base}^{cut} mod {n}, {modulus:?}"
            );
            assert_eq!(
                modulus.pow_vartime(base, &cut),
                expected,
                "{base}^{cut} mod {n}, {modulus:?}"
            );
        }
    }
}

fn double_powers(n: &BigUint, bases: &[BigUint], exponent1: &BigUint, exponent2: &BigUint) {
    let first = (ENGINES[0].pow)(&bases[0], exponent1, n);
    let second = (ENGINES[0].pow)(&bases[1], exponent2, n);
    let expected = first * second % n;
    for modulus in moduli(n) {
        let both = modulus.double_pow_vartime(&bases[0], exponent1, &bases[1], exponent2);
        assert_eq!(both, expected, "{modulus:?}");
    }
}

/// Before there are tables and with them.
fn fixed_powers(n: &BigUint, base: &BigUint, exponents: &[BigUint]) {
    for modulus in moduli(n) {
        let fixed = FixedBase::new(base.clone());
        assert!(format!("{fixed:?}").contains("without tables"));
        let full = ones(bits(n));
        let mut exponents = exponents.to_vec();
        exponents.extend([full.clone(), full, ones(200), ones(5) << 187, ones(0)]);
        for exponent in &exponents {
            let expected = (ENGINES[0].pow)(base, exponent, n);
            let exponent_bits = bits(exponent);
            for bits in [exponent_bits, exponent_bits + 33] {
                let power = modulus.pow_fixed(&fixed, &secret(exponent), bits);
                assert_eq!(
                    revealed(&power, &modulus),
                    expected,
                    "{base}^{exponent} mod {n}, {modulus:?}"
                );
            }
            let power = modulus.pow_fixed_vartime(&fixed, exponent);
            assert_eq!(power, expected, "{base}^{exponent} mod {n}, {modulus:?}");
        }
        assert!(format!("{fixed:?}").contains("with tables"));
        // Fewer bits cut the exponent.
        let cut = modulus.pow_fixed(&fixed, &secret(&ones(300)), 7);
        assert_eq!(cut.reveal_vartime(), modulus.pow_vartime(base, &ones(7)));
    }
}

/// Moduli, bases and exponents at the edges of what the kernels do: where every
/// limb, digit or window is full or empty, where the smallest and the largest
/// modulus of a size lie, where a power is 0, 1 or -1.
#[test]
fn powers_at_the_edges() {
    for size in [1025, 2048, 2049, 3072, 3073, 4096] {
        let smallest = (BigUint::one() << (size - 1)) + 1u32;
        let holes = ones(size) - (ones(52 * 7) << (52 * 3)) - (ones(64) << (size / 2));
        for n in [smallest, ones(size), holes] {
            for base in [
                BigUint::zero(),
                BigUint::one(),
                &n - 1u32,
                &n - 2u32,
                ones(size - 1),
            ] {
                for exponent in [
                    ones(0),
                    ones(1),
                    ones(5),
                    ones(60),
                    ones(7) << 64,
                    ones(260),
                ] {
                    powers(&n, &base, &exponent);
                }
                double_powers(
                    &n,
                    &[base.clone(), &n - &base],
                    &ones(200),
                    &(ones(70) << 100),
                );
            }
        }
        let n = ones(size) - 2u32;
        powers(&n, &(&n - 1u32), &ones(size));
        fixed_powers(&n, &(&n - 1u32), &[]);
        fixed_powers(&n, &BigUint::zero(), &[]);
    }
}

#[test]
fn a_multiple_of_the_modulus_has_the_power_zero() {
    // 3 divides each of them, and the product of both factors is n.
    for size in [2048, 3072, 4096] {
        let n = ones(size);
        let factor = &n / 3u32;
        double_powers(
            &n,
            &[factor.clone(), BigUint::from(3u32)],
            &BigUint::one(),
            &BigUint::one(),
        );
        powers(&n, &factor, &BigUint::from(2u32));
    }
}

#[test]
fn every_small_jacobi_symbol() {
    for n in (1u32..200).step_by(2) {
        for a in 0u32..400 {
            let (a, n) = (BigUint::from(a), BigUint::from(n));
            assert_eq!(jacobi_vartime(&a, &n), textbook_jacobi(&a, &n), "({a}|{n})");
        }
    }
}

#[test]
fn every_small_inverse() {
    for n in (3u32..200).step_by(2) {
        for a in 0u32..400 {
            let (a, n) = (BigUint::from(a), BigUint::from(n));
            assert_eq!(inverse_vartime(&a, &n), a.modinv(&n), "1/{a} mod {n}");
        }
    }
    for n in [0u32, 1, 2, 10] {
        assert_eq!(
            inverse_vartime(&BigUint::from(3u32), &BigUint::from(n)),
            None
        );
    }
}

#[test]
fn an_even_number_has_no_jacobi_symbol() {
    for n in [0u32, 2, 10] {
        assert_eq!(jacobi_vartime(&BigUint::from(3u32), &BigUint::from(n)), 0);
    }
}

#[test]
fn close_numbers_have_the_right_jacobi_symbol() {
    // Where comparing the highest bits alone goes wrong.
    for bits in [64usize, 65, 66, 127, 128, 129, 192, 2048] {
        for offset in (1u32..60).step_by(2) {
            let n = (BigUint::one() << bits) + offset;
            for difference in 1u32..40 {
                let a = &n - difference;
                assert_eq!(jacobi_vartime(&a, &n), textbook_jacobi(&a, &n), "({a}|{n})");
            }
        }
    }
}

#[test]
fn even_tiny_and_wide_moduli_are_refused() {
    for n in [0u32, 1, 2, 4, 100] {
        assert!(Modulus::new(&BigUint::from(n)).is_none(), "{n}");
    }
    assert!(Modulus::new(&BigUint::from(3u32)).is_some());
    assert!(Modulus::new(&ones(MAX_BITS)).is_some());
    assert!(Modulus::new(&((BigUint::one() << MAX_BITS) + 1u32)).is_none());
}

#[test]
fn debug_shows_no_limb() {
    let text = format!("{:?}", SecretUint::from_be_bytes(&[171; 16]));
    assert!(
        !text.contains("abab") && !text.contains("12370169555311111083"),
        "{text}"
    );
}
