//! Looks for branches and indices that depend on secrets: `make
//! check-constant-time`.
//!
//! Valgrind's memcheck follows every bit that was marked as undefined through
//! all computation and reports each branch and each address that depends on
//! one. So secrets are marked, and what is claimed to take the same time
//! whatever they are must cause no report (A. Langley, ctgrind, 2010). What
//! turns public on purpose is unmarked where the library says `declassify`.
//!
//! Faults put in on purpose come first: a check that does not report those has
//! checked nothing. And what is computed must still be marked in the end.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a check ends with what it cannot do, and prints"
)]

#[path = "constant_time/numbers.rs"]
mod numbers;
#[path = "constant_time/secrets.rs"]
mod secrets;
#[path = "constant_time/symmetric.rs"]
mod symmetric;

use std::hint::black_box;
use std::process::ExitCode;

use num_bigint::BigUint;
use telemed::bigint::{Kernel, Modulus};
use telemed::elgamal::Group;
use telemed::memcheck;

use secrets::hidden;

fn main() -> ExitCode {
    if !memcheck::is_running() {
        eprintln!("constant_time: this checks nothing by itself; run `make check-constant-time`");
        return ExitCode::FAILURE;
    }
    let mut checks = Checks::default();
    put_in_faults(&mut checks);
    symmetric::check(&mut checks);
    numbers::check_kernels(&mut checks);
    for group in [Group::ffdhe2048(), Group::ffdhe3072()] {
        numbers::check(&mut checks, &group.with_kernel(Kernel::Portable));
    }
    checks.end()
}

/// What was checked, and whether all of it is as it should be.
#[derive(Default)]
struct Checks {
    done: u32,
    wrong: u32,
}

impl Checks {
    /// Runs what must not depend on secrets.
    fn clean<T>(&mut self, what: &str, run: impl FnOnce() -> T) -> T {
        let (result, reports) = counted(run);
        self.tell(what, reports, reports == 0, "");
        result
    }

    /// As [`clean`](Self::clean) for what ends in secret bytes, which must bear
    /// the mark in every one.
    fn clean_secret(&mut self, what: &str, run: impl FnOnce() -> Vec<u8>) {
        let result = self.clean(what, run);
        let marked = memcheck::is_secret(&result);
        self.require(marked, &format!("{what}: the result bears no mark"));
    }

    /// Runs a fault, which must be found.
    fn caught<T>(&mut self, what: &str, run: impl FnOnce() -> T) {
        let ((), reports) = counted(|| {
            black_box(run());
        });
        self.tell(what, reports, reports > 0, " (put in on purpose)");
    }

    fn require(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.wrong += 1;
            println!("{otherwise}  <-- WRONG");
        }
    }

    fn tell(&mut self, what: &str, reports: usize, right: bool, note: &str) {
        self.done += 1;
        self.wrong += u32::from(!right);
        let verdict = if right { "" } else { "  <-- WRONG" };
        println!("{reports:>8} reports  {what}{note}{verdict}");
    }

    fn end(self) -> ExitCode {
        let Self { done, wrong } = self;
        if wrong > 0 {
            println!("{wrong} of {done} checks failed");
            return ExitCode::FAILURE;
        }
        println!("{done} checks: faults are found, and the library has none of them");
        ExitCode::SUCCESS
    }
}

/// What `run` gives, and how many errors were reported meanwhile.
fn counted<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = memcheck::reports();
    let result = run();
    (result, memcheck::reports() - before)
}

/// Each kind of fault that must be reported.
fn put_in_faults(checks: &mut Checks) {
    let secret = hidden(256);
    checks.caught("branch on a secret bit", || {
        // Two calls that cannot be turned into arithmetic.
        if secret[0] & 1 == 1 {
            black_box(&secret);
        } else {
            black_box(secret.len());
        }
    });
    let table = black_box([7u8; 256]);
    checks.caught("index that is secret", || table[usize::from(secret[1])]);
    checks.caught("comparison that ends at the first difference", || {
        let (a, b) = secret.split_at(128);
        a.iter().zip(b).position(|(a, b)| a != b)
    });
    let p = BigUint::from_bytes_be(Group::ffdhe2048().modulus_bytes());
    let modulus = Modulus::with_kernel(&p, Kernel::Portable).unwrap();
    let exponent = BigUint::from_bytes_be(&secret[..4]);
    checks.caught("secret exponent where a public one belongs", || {
        modulus.pow_vartime(&BigUint::from(2u32), &exponent)
    });
}
