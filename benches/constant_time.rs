//! Whether durations tell one secret from others: a statistical test.
//!
//! `cargo bench --bench constant_time`; with `-- --seconds 60` every operation is
//! measured that long instead of 20 seconds.
//!
//! Each operation is done with one secret, always the same (of almost nothing
//! but zeros, which careless arithmetic is fastest with), and with random ones,
//! whose turn it is being decided at random. Welch's t says how far the two
//! means are apart, in units of what chance does to their difference: above 4.5
//! chance would be it once in 150,000 times, so the durations differ (O.
//! Reparaz, J. Balasch and I. Verbauwhede, Dude, is my code constant time?,
//! 2017). Below, no difference was found that this many measurements can show;
//! the last column says how large it could be at most to stay unseen.
//!
//! What interrupts a computation makes it slower, never faster, and drowns small
//! differences. So t is given for all measurements and for the fastest 90 and 50
//! percent of both kinds together. The rows of `control` do what must not be
//! done: a test that does not find them finds nothing.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

use std::hint::black_box;

use num_bigint::BigUint;
use rustix::time::{ClockId, clock_gettime};
use telemed::aes::SealingKey;
use telemed::bigint::{FixedBase, Kernel, Modulus, SecretUint};
use telemed::elgamal::{Element, Group, KemSecret, SignSecret};
use telemed::kdf::label;
use telemed::random::{OsRandom, Random};
use telemed::secret::Secret;

/// Secrets of each kind, each in memory of its own: one that was always used
/// would be nearer to the processor than those that take turns.
const SECRETS: usize = 128;

/// Above this |t| two durations differ.
const THRESHOLD: f64 = 4.5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to see that it compiles.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let seconds = arguments.iter().position(|name| name == "--seconds");
    let seconds = seconds.map_or(20.0, |at| arguments[at + 1].parse().unwrap());
    println!("Welch's t; what is above {THRESHOLD} tells secrets apart\n");
    println!(
        "| who | what | measurements | median us | t, all | t, 90 % | t, 50 % | may differ by % |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let group = Group::ffdhe3072();
    for (who, kernel) in [
        ("portable", Kernel::Portable),
        ("adx", Kernel::Adx),
        ("ifma", Kernel::Ifma),
    ] {
        if kernel.is_here() {
            let bench = Bench { who, seconds };
            measure_powers(&bench, &group, kernel);
            measure_uses(&bench, &group.with_kernel(kernel));
        }
    }
    measure_tags(&Bench {
        who: "any",
        seconds,
    });
}

/// Whose duration is measured, and for how long.
struct Bench {
    who: &'static str,
    seconds: f64,
}

fn measure_powers(bench: &Bench, group: &Group, kernel: Kernel) {
    let p = BigUint::from_bytes_be(group.modulus_bytes());
    let modulus = Modulus::with_kernel(&p, kernel).unwrap();
    let (bits, len) = (modulus.bits(), group.element_len());
    let mut bytes = vec![0; len];
    OsRandom.fill(&mut bytes);
    let base = modulus.reduce_wide(&bytes);
    let secrets = both(len, SecretUint::from_be_bytes);
    bench.measure("secret exponent", &secrets, |exponent| {
        modulus.pow(&base, exponent, bits)
    });
    let bases = both(len, |bytes| modulus.reduce_wide(bytes));
    let exponent = SecretUint::from_be_bytes(&bytes);
    bench.measure("secret base", &bases, |base| {
        modulus.pow(base, &exponent, bits)
    });
    let generator = FixedBase::new(BigUint::from(2u32));
    // The second one makes the tables.
    for _ in 0..2 {
        let _ = modulus.pow_fixed(&generator, &secrets[0][0], bits);
    }
    bench.measure("fixed base", &secrets, |exponent| {
        modulus.pow_fixed(&generator, exponent, bits)
    });
    let public = BigUint::from_bytes_be(&bytes);
    let exponents = both(len, BigUint::from_bytes_be);
    bench.measure("public exponent (control)", &exponents, |exponent| {
        modulus.pow_vartime(&public, exponent)
    });
}

fn measure_uses(bench: &Bench, group: &Group) {
    let short = KemSecret::generate(group, &mut OsRandom).to_bytes();
    let secrets = both(short.expose().len(), |bytes| {
        KemSecret::from_bytes(group, bytes).unwrap()
    });
    let sent = KemSecret::generate(group, &mut OsRandom);
    let sent = Element::from_bytes(group, sent.public().as_bytes()).unwrap();
    bench.measure("decapsulate", &secrets, |secret| secret.agree(&sent));
    let keys = both(group.element_len(), |bytes| {
        // Below q whatever the rest is, and long enough to be a key.
        let mut bytes = bytes.to_vec();
        bytes[0] = bytes[0] & 0x1f | 0x20;
        SignSecret::from_bytes(group, &bytes).unwrap()
    });
    bench.measure("sign", &keys, |key| {
        key.sign(label::SIG_DIRECT, &[b"message"], &mut OsRandom)
    });
}

/// Tags that are right but for the last byte, and others.
fn measure_tags(bench: &Bench) {
    let key = SealingKey::new(Secret::zero());
    let sealed = key.seal(0, &[], b"message", &mut OsRandom);
    let start = sealed.len() - 32;
    let with_tag = |tag: &[u8]| {
        let mut wrong = sealed.clone();
        let zeros = tag[1..].iter().all(|&byte| byte == 0);
        if zeros {
            wrong[start + 31] ^= 1;
        } else {
            wrong[start..].copy_from_slice(tag);
        }
        wrong
    };
    let boxes = both(32, with_tag);
    bench.measure("tag of a sealed box", &boxes, |sealed| {
        key.open(&[], sealed).is_err()
    });
    let tags = boxes.map(|boxes| boxes.into_iter().map(|sealed| sealed[start..].to_vec()));
    let tags = tags.map(|tags| tags.map(|tag| tag.repeat(64)).collect::<Vec<_>>());
    let right = sealed[start..].repeat(64);
    bench.measure("tag byte by byte (control)", &tags, |tag| {
        tag.iter().zip(&right).all(|(a, b)| a == b)
    });
}

/// What is made of one number of `len` bytes, and of random ones; all have
/// their highest bit set. Made in turns, so that all lie about alike.
fn both<T>(len: usize, make: impl Fn(&[u8]) -> T) -> [Vec<T>; 2] {
    let mut secrets = [Vec::new(), Vec::new()];
    for _ in 0..SECRETS {
        let mut bytes = vec![0; len];
        bytes[0] = 0x80;
        secrets[0].push(make(&bytes));
        OsRandom.fill(&mut bytes);
        bytes[0] |= 0x80;
        secrets[1].push(make(&bytes));
    }
    secrets
}

impl Bench {
    /// Measures `run` with secrets of both kinds and prints a row.
    fn measure<T, R>(&self, what: &str, secrets: &[Vec<T>; 2], mut run: impl FnMut(&T) -> R) {
        let mut times = [Vec::new(), Vec::new()];
        let begun = now();
        let mut choice = [0; 2];
        for secret in secrets.iter().flatten().take(SECRETS / 8) {
            black_box(run(secret));
        }
        while now() - begun < self.seconds {
            OsRandom.fill(&mut choice);
            let kind = usize::from(choice[0] & 1);
            let secret = &secrets[kind][usize::from(choice[1]) % SECRETS];
            let start = now();
            black_box(run(black_box(secret)));
            times[kind].push(now() - start);
        }
        self.print(what, &times);
    }

    fn print(&self, what: &str, times: &[Vec<f64>; 2]) {
        let mut all = times.concat();
        all.sort_by(f64::total_cmp);
        let tests = [1.0, 0.9, 0.5].map(|share| {
            let limit = all[((all.len() - 1) as f64 * share) as usize];
            let [a, b] = [&times[0], &times[1]].map(|times| Sample::up_to(times, limit));
            a.compare(&b)
        });
        let median = all[all.len() / 2];
        let [all_of_them, most, half] = tests.each_ref().map(|test| test.t);
        // What lies this far out would have been seen in the best of the three.
        let unseen = tests.map(|test| test.difference.abs() + THRESHOLD * test.error);
        let unseen = unseen.into_iter().fold(f64::INFINITY, f64::min) / median;
        println!(
            "| {} | {what} | {} | {:.1} | {all_of_them:.1} | {most:.1} | {half:.1} | {:.3} |",
            self.who,
            times[0].len() + times[1].len(),
            1e6 * median,
            1e2 * unseen,
        );
    }
}

/// How many durations there are, their mean, and the variance of one.
struct Sample {
    count: f64,
    mean: f64,
    variance: f64,
}

/// How two means differ.
struct Comparison {
    difference: f64,
    /// The standard deviation of the difference.
    error: f64,
    /// Welch's t: how many of these the difference is, whichever is larger.
    t: f64,
}

impl Sample {
    fn up_to(times: &[f64], limit: f64) -> Self {
        let kept: Vec<f64> = times
            .iter()
            .copied()
            .filter(|&time| time <= limit)
            .collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let squares = kept.iter().map(|time| (time - mean).powi(2));
        let variance = squares.sum::<f64>() / (count - 1.0);
        Self {
            count,
            mean,
            variance,
        }
    }

    fn compare(&self, other: &Self) -> Comparison {
        if self.count.min(other.count) < 2.0 {
            // The fastest are all of one kind.
            return Comparison {
                difference: f64::INFINITY,
                error: 0.0,
                t: f64::INFINITY,
            };
        }
        let difference = self.mean - other.mean;
        let error = (self.variance / self.count + other.variance / other.count).sqrt();
        Comparison {
            difference,
            error,
            t: difference.abs() / error,
        }
    }
}

/// The processor's time that this thread has had, in seconds.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}
