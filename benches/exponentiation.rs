//! How fast the arithmetic is, beside the best there is on the same numbers.
//!
//! `cargo bench --bench exponentiation`; with `--features gmp` GMP takes part.
//! How fast a computer is moves by half with its other work. So the processor's
//! time is measured, not the clock's; every round measures everything once, and
//! a ratio is the median of the ratios in each round. `--quick` makes a few
//! rounds only.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

use std::hint::black_box;

use num_bigint::BigUint;
use rustix::time::{ClockId, clock_gettime};
use telemed::bigint::{Kernel, Modulus, SecretUint, jacobi_vartime};
use telemed::elgamal::{Element, Group, KemSecret, SignSecret, VerifyingKey};
use telemed::kdf::label;
use telemed::random::{OsRandom, Random};

/// How long one sample takes at least, in seconds.
const SAMPLE: f64 = 0.003;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    // `cargo test --benches` only wants to see that it compiles.
    if !has("--bench") {
        return;
    }
    let rounds = if has("--quick") { 5 } else { 31 };
    for group in [Group::ffdhe2048(), Group::ffdhe3072(), Group::ffdhe4096()] {
        let mut table = Table::default();
        let numbers = Numbers::random(&group);
        for kernel in [Kernel::Portable, Kernel::Adx, Kernel::Ifma] {
            if kernel.is_here() {
                table.add_ours(kernel, &group, &numbers);
            }
        }
        table.add_peers(&numbers);
        table.measure(rounds);
        table.print(&group.name());
    }
}

/// What everybody computes on.
struct Numbers {
    p: BigUint,
    bases: [BigUint; 2],
    /// As long as p.
    exponents: [BigUint; 2],
    /// As long as an encapsulation's.
    short: BigUint,
}

impl Numbers {
    fn random(group: &Group) -> Self {
        let len = group.element_len();
        let short = [32, 40, 48][len / 128 - 2];
        let mut bytes = vec![0; len];
        let mut number = |len: usize, top: u8| {
            OsRandom.fill(&mut bytes[..len]);
            bytes[0] = bytes[0] & 0x7f | top;
            BigUint::from_bytes_be(&bytes[..len])
        };
        Self {
            p: BigUint::from_bytes_be(group.modulus_bytes()),
            bases: [number(len, 0), number(len, 0)],
            exponents: [number(len, 0x80), number(len, 0x80)],
            short: number(short, 0x80),
        }
    }
}

/// Who computes.
type Who = &'static str;

struct Row {
    who: Who,
    what: &'static str,
    run: Box<dyn FnMut()>,
    /// Seconds for one run, for each round.
    times: Vec<f64>,
}

#[derive(Default)]
struct Table(Vec<Row>);

const fn name_of(kernel: Kernel) -> Who {
    match kernel {
        Kernel::Portable => "portable",
        Kernel::Adx => "adx",
        Kernel::Ifma => "ifma",
    }
}

impl Table {
    fn add<T>(&mut self, who: Who, what: &'static str, mut run: impl FnMut() -> T + 'static) {
        self.0.push(Row {
            who,
            what,
            run: Box::new(move || {
                black_box(run());
            }),
            times: Vec::new(),
        });
    }

    fn add_ours(&mut self, kernel: Kernel, group: &Group, numbers: &Numbers) {
        let who = name_of(kernel);
        self.add_powers(who, kernel, numbers);
        let group = group.with_kernel(kernel);
        let secret = SignSecret::generate(&group, &mut OsRandom);
        let bytes = secret.to_bytes();
        let of_group = group.clone();
        // Loading a key computes g^x and next to nothing else.
        self.add(who, "g^x, full size", move || {
            SignSecret::from_bytes(&of_group, bytes.expose()).unwrap()
        });
        let message = b"a message of no length worth mentioning";
        let sign = |secret: &SignSecret| secret.sign(label::SIG_DIRECT, &[message], &mut OsRandom);
        let key = VerifyingKey::from_bytes(&group, secret.verifying_key().as_bytes()).unwrap();
        let signature = sign(&secret);
        self.add(who, "sign", move || sign(&secret));
        self.add(who, "verify", move || {
            key.verify(label::SIG_DIRECT, &[message], &signature)
                .unwrap();
        });
        let theirs = KemSecret::generate(&group, &mut OsRandom);
        let public = Element::from_bytes(&group, theirs.public().as_bytes()).unwrap();
        let sent = KemSecret::generate(&group, &mut OsRandom);
        let sent = Element::from_bytes(&group, sent.public().as_bytes()).unwrap();
        self.add(who, "KEM key generation", {
            let group = group.clone();
            move || KemSecret::generate(&group, &mut OsRandom)
        });
        self.add(who, "encapsulate", move || {
            KemSecret::generate(&group, &mut OsRandom).agree(&public)
        });
        self.add(who, "decapsulate", move || theirs.agree(&sent));
    }

    fn add_powers(&mut self, who: Who, kernel: Kernel, numbers: &Numbers) {
        let modulus = Modulus::with_kernel(&numbers.p, kernel).unwrap();
        let base = modulus.residue_vartime(&numbers.bases[0]);
        for (what, exponent) in [
            ("secret exponent", &numbers.exponents[0]),
            ("secret short exponent", &numbers.short),
        ] {
            let bits = usize::try_from(exponent.bits()).unwrap();
            let exponent = SecretUint::from_be_bytes(&exponent.to_bytes_be());
            let (modulus, base) = (
                modulus.clone(),
                modulus.mul(&base, &modulus.reduce_wide(&[1])),
            );
            self.add(who, what, move || modulus.pow(&base, &exponent, bits));
        }
        let ([base1, base2], [exponent1, exponent2]) =
            (numbers.bases.clone(), numbers.exponents.clone());
        let (of_one, base, exponent) = (modulus.clone(), base1.clone(), exponent1.clone());
        self.add(who, "public exponent", move || {
            of_one.pow_vartime(&base, &exponent)
        });
        self.add(who, "double exponentiation", move || {
            modulus.double_pow_vartime(&base1, &exponent1, &base2, &exponent2)
        });
    }

    fn add_peers(&mut self, numbers: &Numbers) {
        let (p, base) = (numbers.p.clone(), numbers.bases[0].clone());
        self.add("any", "Jacobi symbol", move || jacobi_vartime(&base, &p));
        let (p, base) = (numbers.p.clone(), numbers.bases[0].clone());
        let exponent = numbers.exponents[0].clone();
        self.add("num-bigint", "modpow", move || base.modpow(&exponent, &p));
        #[cfg(feature = "gmp")]
        self.add_gmp(numbers);
    }

    #[cfg(feature = "gmp")]
    fn add_gmp(&mut self, numbers: &Numbers) {
        use rug::Integer;
        use rug::integer::Order;

        let of = |number: &BigUint| Integer::from_digits(&number.to_bytes_be(), Order::Msf);
        let (p, base) = (of(&numbers.p), of(&numbers.bases[0]));
        for (what, exponent) in [
            ("mpz_powm_sec", &numbers.exponents[0]),
            ("mpz_powm_sec, short", &numbers.short),
        ] {
            let (p, base, exponent) = (p.clone(), base.clone(), of(exponent));
            self.add("GMP", what, move || {
                Integer::from(base.secure_pow_mod_ref(&exponent, &p))
            });
        }
        for (what, base) in [
            ("mpz_powm", base.clone()),
            ("mpz_powm, base 2", Integer::from(2)),
        ] {
            let (p, exponent) = (p.clone(), of(&numbers.exponents[0]));
            self.add("GMP", what, move || {
                Integer::from(base.pow_mod_ref(&exponent, &p).unwrap())
            });
        }
        self.add("GMP", "mpz_jacobi", move || base.jacobi(&p));
    }

    /// All of it once a round, so that each has its share of bad moments.
    fn measure(&mut self, rounds: usize) {
        let counts: Vec<u32> = self.0.iter_mut().map(runs_in_a_sample).collect();
        for _ in 0..rounds {
            for (row, &count) in self.0.iter_mut().zip(&counts) {
                let begun = now();
                for _ in 0..count {
                    (row.run)();
                }
                let time = (now() - begun) / f64::from(count);
                row.times.push(time);
            }
        }
    }

    fn print(&self, group: &str) {
        println!("\n{group}\n\n| who | what | ms |\n| --- | --- | ---: |");
        for row in &self.0 {
            let (who, what) = (row.who, row.what);
            println!(
                "| {who} | {what} | {:.3} |",
                1e3 * median(row.times.clone())
            );
        }
        println!("\n| who | ratio | measured | at most |\n| --- | --- | ---: | ---: |");
        for who in ["portable", "adx", "ifma"] {
            let fast = who == "ifma";
            let powm_sec_target = match who {
                "portable" => f64::NAN,
                "adx" => 1.1,
                _ => 0.25,
            };
            let gmp_target = |target| if fast { target } else { f64::NAN };
            for (ours, theirs, count, target) in [
                ("secret exponent", ("num-bigint", "modpow"), 1, 1.0),
                (
                    "secret exponent",
                    ("GMP", "mpz_powm_sec"),
                    1,
                    powm_sec_target,
                ),
                (
                    "secret short exponent",
                    ("GMP", "mpz_powm_sec, short"),
                    1,
                    gmp_target(0.25),
                ),
                ("g^x, full size", (who, "secret exponent"), 1, 0.25),
                (
                    "g^x, full size",
                    ("GMP", "mpz_powm, base 2"),
                    1,
                    gmp_target(1.0 / 12.0),
                ),
                ("verify", (who, "public exponent"), 2, 0.65),
                ("verify", ("GMP", "mpz_powm"), 2, gmp_target(0.2)),
            ] {
                let both = (self.times(who, ours), self.times(theirs.0, theirs.1));
                if let (Some(a), Some(b)) = both {
                    let ratios = a.iter().zip(b).map(|(a, b)| a / b / f64::from(count));
                    let (peer, what) = theirs;
                    let times = if count == 1 { "" } else { "2 " };
                    println!(
                        "| {who} | {ours} / {times}{what} ({peer}) | {:.3} | {} |",
                        median(ratios.collect()),
                        if target.is_nan() {
                            "-".to_owned()
                        } else {
                            format!("{target:.3}")
                        },
                    );
                }
            }
        }
        if let Some(times) = self.times("any", "Jacobi symbol") {
            let ms = 1e3 * median(times.to_vec());
            println!("| any | Jacobi symbol, ms | {ms:.3} | 0.100 |");
        }
    }

    fn times(&self, who: &str, what: &str) -> Option<&[f64]> {
        let mut rows = self.0.iter();
        let row = rows.find(|row| row.who == who && row.what == what)?;
        Some(&row.times)
    }
}

/// How many runs take as long as a sample should; warms up on the way.
fn runs_in_a_sample(row: &mut Row) -> u32 {
    let begun = now();
    let mut runs = 0;
    while now() - begun < 3.0 * SAMPLE {
        (row.run)();
        runs += 1;
    }
    (runs / 3).max(1)
}

/// The processor's time that this thread has had, in seconds.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
