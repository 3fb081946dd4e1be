//! New groups: the search for a safe prime.
//!
//! Candidates are p = 23 mod 24: 7 mod 8, so that 2 generates the squares, and
//! 2 mod 3, since 3 would divide (p - 1)/2 or p otherwise. From a random start
//! on, a sieve crosses out the candidates p of a window where a small prime
//! divides p or q = (p - 1)/2; one exponentiation refuses nearly all of the
//! rest. What remains passes the full check of [`Group::import`]. All of it is
//! public, so nothing here takes constant time.

use std::f64::consts::LN_2;
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use num_bigint::BigUint;
use num_traits::{One, ToPrimitive};

use super::group::{Group, GroupError, padded};
use crate::random::Random;

/// From one candidate to the next.
const STEP: u32 = 24;

/// How many candidates the sieve deals with at once. One in 250 000 is a safe
/// prime at 2048 bits, one in a million at 4096.
const WINDOW: usize = 1 << 18;

/// Where the sieve's primes end. It leaves one candidate in 80.
const SIEVE_LIMIT: usize = 1 << 20;

impl Group {
    /// A new group with a random prime of `bits` bits: 2048, 3072 or 4096.
    /// Each of the `threads` has a copy of `random`. Takes about half a minute
    /// of one processor at 2048 bits and many minutes at 4096, or a multiple as
    /// luck will have it: see [`expected_candidates`]. `progress` is told after
    /// each candidate how many have been tested. Variable time: a group is
    /// public.
    ///
    /// # Errors
    /// [`GroupError::Size`] if `bits` is anything else.
    pub fn generate<R: Random + Clone + Sync>(
        bits: usize,
        threads: NonZeroUsize,
        random: &R,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, GroupError> {
        let bytes = bits.div_ceil(8);
        if !matches!(bits, 2048 | 3072 | 4096) {
            return Err(GroupError::Size { bytes });
        }
        let tested = AtomicU64::new(0);
        let count = || progress(tested.fetch_add(1, Ordering::Relaxed) + 1);
        loop {
            let Some(p) = search_in_parallel(bits, threads, random, &count) else {
                continue;
            };
            match Self::import(&padded(&p, bytes), &mut random.clone()) {
                // Only base 2 took it for a safe prime.
                Err(GroupError::NotSafePrime) => {}
                checked => return checked,
            }
        }
    }
}

/// How many candidates [`Group::generate`] tests on average, for a prime of
/// `bits` bits. Each is as likely as the one before to be the last: how many
/// were tested in vain says nothing of how many are still to come.
#[must_use]
pub fn expected_candidates(bits: usize) -> f64 {
    // As many numbers around p and q have no factor below the sieve's limit as
    // Mertens' third theorem says, e^-gamma / ln(limit); of those, primes are
    // one in ln p times that.
    const E_TO_GAMMA: f64 = 1.781_072_417_990_198;
    let chance = |bits: f64| E_TO_GAMMA * (SIEVE_LIMIT as f64).ln() / (bits * LN_2);
    let bits = bits as f64;
    1.0 / (chance(bits) * chance(bits - 1.0))
}

/// What the first of the threads finds.
fn search_in_parallel<R: Random + Clone + Sync>(
    bits: usize,
    threads: NonZeroUsize,
    random: &R,
    tested: &(dyn Fn() + Sync),
) -> Option<BigUint> {
    let primes = sieve_primes(bits);
    let found = OnceLock::new();
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                let p = search(bits, &primes, &mut random.clone(), &mut || {
                    tested();
                    found.get().is_none()
                });
                // Two at once: the first is as good as the second.
                let _ = p.map(|p| found.set(p));
            });
        }
    });
    found.into_inner()
}

/// A number of exactly `bits` bits that is 23 mod 24 and, as far as base 2 can
/// tell, a safe prime. Every window begins at a random number of its own. None
/// if `go_on`, which is asked after each candidate, says no.
fn search(
    bits: usize,
    primes: &[u32],
    random: &mut dyn Random,
    go_on: &mut dyn FnMut() -> bool,
) -> Option<BigUint> {
    loop {
        let start = random_start(bits, random);
        for p in survivors(&start, bits, WINDOW, primes) {
            let is_safe = seems_safe(&p);
            let go_on = go_on();
            if is_safe {
                return Some(p);
            }
            if !go_on {
                return None;
            }
        }
    }
}

/// A random number of `bits` bits, the highest set, rounded up to 23 mod 24.
fn random_start(bits: usize, random: &mut dyn Random) -> BigUint {
    let mut bytes = vec![0; bits.div_ceil(8)];
    random.fill(&mut bytes);
    let mut start = BigUint::from_bytes_be(&bytes) >> (8 * bytes.len() - bits);
    start.set_bit(bits as u64 - 1, true);
    let remainder = &start % STEP;
    start + (STEP - 1) - remainder
}

/// Of the `count` candidates from `start` on those that have no more than
/// `bits` bits and, like half of them, none of `primes` as a factor.
fn survivors(
    start: &BigUint,
    bits: usize,
    count: usize,
    primes: &[u32],
) -> impl Iterator<Item = BigUint> {
    let mut crossed_out = vec![false; count];
    for &prime in primes {
        // A prime above 3 squared is 1 mod 24, so this division is exact.
        let (prime, step) = (u64::from(prime), u64::from(STEP));
        let inverse_of_step = ((step - prime % step) * prime + 1) / step;
        let start = (start % prime).to_u64().unwrap_or(0);
        // It divides p where p is 0, and (p - 1)/2 where p is 1.
        for p in [0, 1] {
            let first = (prime + p - start) % prime * inverse_of_step % prime;
            for index in (first as usize..count).step_by(prime as usize) {
                crossed_out[index] = true;
            }
        }
    }
    (0..count)
        .filter(move |&index| !crossed_out[index])
        .map(move |index| start + u64::from(STEP) * index as u64)
        .take_while(move |p| p.bits() <= bits as u64)
}

/// The primes from 5 to [`SIEVE_LIMIT`], but none that could be a prime of
/// `bits` bits itself, or half of it.
fn sieve_primes(bits: usize) -> Vec<u32> {
    let limit = 1usize.checked_shl(bits as u32 / 2).unwrap_or(SIEVE_LIMIT);
    let mut composite = vec![false; limit.min(SIEVE_LIMIT)];
    let mut primes = Vec::new();
    for n in 2..composite.len() {
        if !composite[n] {
            primes.push(n as u32);
            for multiple in (2 * n..composite.len()).step_by(n) {
                composite[multiple] = true;
            }
        }
    }
    primes.retain(|&prime| prime > 3);
    primes
}

/// Whether base 2 takes p and q = (p - 1)/2 for primes. With q, which most
/// candidates fail at, by one Miller-Rabin round: q - 1 is twice an odd number.
/// 2 is a square modulo a prime p that is 7 mod 8, so 2^q is 1 then; if q is a
/// prime, this also proves that p is one (Pocklington's criterion).
fn seems_safe(p: &BigUint) -> bool {
    let q = p >> 1;
    let root = power_of_two(&(&q >> 1), &q);
    (root.is_one() || root + 1u32 == q) && power_of_two(&q, p).is_one()
}

/// 2^exponent mod n for an odd n of at most 4096 bits, or 0 for another.
#[cfg(not(feature = "gmp"))]
fn power_of_two(exponent: &BigUint, n: &BigUint) -> BigUint {
    crate::bigint::Modulus::new(n).map_or_else(BigUint::default, |modulus| {
        modulus.pow_vartime(&BigUint::from(2u32), exponent)
    })
}

/// 2^exponent mod n for an odd n, or 0 for none.
#[cfg(feature = "gmp")]
fn power_of_two(exponent: &BigUint, n: &BigUint) -> BigUint {
    use rug::{Integer, integer::Order};
    let theirs = |value: &BigUint| Integer::from_digits(&value.to_u64_digits(), Order::Lsf);
    let power = Integer::from(2).pow_mod(&theirs(exponent), &theirs(n));
    power.map_or_else(
        |_| BigUint::default(),
        |power| BigUint::from_bytes_be(&power.to_digits(Order::Msf)),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::super::attacks::{SEVEN_MOD_EIGHT, number};
    use super::*;
    use crate::bigint::is_probable_prime_vartime;
    use crate::random::OsRandom;

    fn is_prime(n: &BigUint) -> bool {
        #[cfg(feature = "gmp")]
        {
            use rug::{Integer, integer::IsPrime};
            let theirs: Integer = n.to_string().parse().unwrap();
            let prime = theirs.is_probably_prime(30) != IsPrime::No;
            assert_eq!(prime, is_probable_prime_vartime(n, 30, &mut OsRandom));
        }
        is_probable_prime_vartime(n, 30, &mut OsRandom)
    }

    /// Gives these bytes first, then random ones.
    #[derive(Clone)]
    struct Starting(Option<Vec<u8>>);

    impl Random for Starting {
        fn fill(&mut self, bytes: &mut [u8]) {
            match self.0.take() {
                Some(start) if start.len() == bytes.len() => bytes.copy_from_slice(&start),
                _ => OsRandom.fill(bytes),
            }
        }
    }

    #[test]
    fn the_search_finds_another_safe_prime_of_the_size_each_time() {
        for bits in [64, 65, 100, 128, 256] {
            let found = [(); 3]
                .map(|()| search(bits, &sieve_primes(bits), &mut OsRandom, &mut || true).unwrap());
            for p in &found {
                assert_eq!(p.bits(), bits as u64);
                assert_eq!(p % STEP, BigUint::from(23u32));
                assert!(is_prime(p) && is_prime(&(p >> 1)), "{p}");
            }
            assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2]);
        }
    }

    #[test]
    fn the_sieve_drops_no_safe_prime() {
        // Of 20 bits a number without factors below 2^10 is a prime: what the
        // sieve leaves are the safe primes, and nothing else.
        let start = (1u32 << 19..).find(|p| p % STEP == 23).unwrap();
        let is_prime = |n: u32| {
            (2..)
                .take_while(|d| d * d <= n)
                .all(|d| !n.is_multiple_of(d))
        };
        let safe: Vec<u32> = (start..1 << 20)
            .step_by(STEP as usize)
            .filter(|&p| is_prime(p) && is_prime(p / 2))
            .collect();
        let left: Vec<u32> = survivors(&start.into(), 20, WINDOW, &sieve_primes(20))
            .map(|p| p.to_u32().unwrap())
            .collect();
        assert!(left.len() > 300, "{}", left.len());
        assert_eq!(left, safe);
        for p in safe {
            assert!(seems_safe(&p.into()), "{p}");
        }
    }

    #[test]
    fn generates_a_group_that_import_accepts() {
        let known = number(SEVEN_MOD_EIGHT);
        let start = padded(&(&known - 24_000u32), 256);
        let tested = Mutex::new(Vec::new());
        let count = |count| tested.lock().unwrap().push(count);
        let random = Starting(Some(start));
        let group = Group::generate(2048, NonZeroUsize::MIN, &random, &count).unwrap();
        assert_eq!(group.modulus_bytes(), padded(&known, 256));
        let tested = tested.into_inner().unwrap();
        assert!(tested.len() < 100 && tested.iter().copied().eq(1..=tested.len() as u64));
    }

    #[test]
    fn threads_search_together_and_stop_when_one_has_found() {
        let threads = NonZeroUsize::new(3).unwrap();
        let tested = AtomicU64::new(0);
        let count = || {
            tested.fetch_add(1, Ordering::Relaxed);
        };
        let found = search_in_parallel(256, threads, &OsRandom, &count).unwrap();
        assert!(is_prime(&found) && is_prime(&(&found >> 1)));
        assert!(tested.into_inner() > 0);
        // With one that need not search at all, the others stop at once.
        let known = number(SEVEN_MOD_EIGHT);
        let random = Starting(Some(padded(&(&known - 24_000u32), 256)));
        let found = search_in_parallel(2048, threads, &random, &|| {}).unwrap();
        assert_eq!(found, known);
    }

    #[test]
    fn the_expected_number_of_candidates_is_what_is_found() {
        let bits = 192;
        let tests = Cell::new(0u32);
        let primes = sieve_primes(bits);
        const SEARCHES: u32 = 60;
        for _ in 0..SEARCHES {
            let count = &mut || {
                tests.set(tests.get() + 1);
                true
            };
            search(bits, &primes, &mut OsRandom, count).unwrap();
        }
        let mean = f64::from(tests.get()) / f64::from(SEARCHES);
        // The mean of so many strays by an eighth.
        let ratio = mean / expected_candidates(bits);
        assert!((0.25..1.8).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_group_of_another_size_is_not_generated() {
        for bits in [0, 1, 1024, 2047, 2049, 8192] {
            let found = Group::generate(bits, NonZeroUsize::MIN, &OsRandom, &|_| {}).unwrap_err();
            let bytes = bits.div_ceil(8);
            assert_eq!(found, GroupError::Size { bytes });
        }
    }
}
