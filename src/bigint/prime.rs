//! Is it a prime?

use num_bigint::BigUint;
use num_traits::{One, ToPrimitive, Zero};

use super::MAX_BITS;
use super::montgomery::Modulus;
use crate::random::Random;

/// Divisors tried before any exponentiation.
const SMALL_PRIMES: [u32; 54] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193,
    197, 199, 211, 223, 227, 229, 233, 239, 241, 251,
];

/// Whether `n` passes `rounds` rounds of the Miller-Rabin test (Handbook of
/// Applied Cryptography, algorithm 4.24) with random bases: a composite passes
/// with probability at most 4^-rounds, however it was chosen. Nothing wider
/// than [`MAX_BITS`] passes. Variable time: `n` must be public.
pub fn is_probable_prime_vartime(n: &BigUint, rounds: u32, random: &mut dyn Random) -> bool {
    for prime in SMALL_PRIMES {
        if (n % prime).is_zero() {
            return n.to_u32() == Some(prime);
        }
    }
    // Even numbers are gone; what remains to be refused is 1 and the too wide.
    let Some(modulus) = Modulus::new(n) else {
        return false;
    };
    let n_minus_one = n - 1u32;
    let twos = n_minus_one.trailing_zeros().unwrap_or(0);
    let odd = &n_minus_one >> twos;
    (0..rounds).all(|_| {
        let base = random_base(n, random);
        passes(&modulus, &base, &odd, twos, &n_minus_one)
    })
}

/// One round: base^odd is 1, or one of its first `twos` squares is -1.
fn passes(
    modulus: &Modulus,
    base: &BigUint,
    odd: &BigUint,
    twos: u64,
    minus_one: &BigUint,
) -> bool {
    let mut power = modulus.pow_vartime(base, odd);
    if power.is_one() {
        return true;
    }
    for _ in 0..twos {
        if power == *minus_one {
            return true;
        }
        power = &power * &power % modulus.value();
    }
    false
}

/// A number from 2 to n - 2, drawn from 64 bits more than n has, so that what
/// the reduction favours cannot be noticed.
fn random_base(n: &BigUint, random: &mut dyn Random) -> BigUint {
    let mut bytes = [0; MAX_BITS / 8 + 8];
    let len = usize::try_from(n.bits().div_ceil(8)).map_or(bytes.len(), |len| len + 8);
    let len = len.min(bytes.len());
    random.fill(&mut bytes[..len]);
    BigUint::from_bytes_be(&bytes[..len]) % (n - 3u32) + 2u32
}
