//! How long the search for a safe prime takes: what one candidate costs, times
//! how many are tested on average. A search itself takes as long as luck will
//! have it, and its time says little.
//!
//! `cargo bench --bench safe_primes`; `--seconds 60` searches so long for each
//! size, `--bits 2048` takes one size only, `--json` prints one object a line.
//! `benches/openssl.py primes` times OpenSSL beside it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

#[path = "common/timing.rs"]
mod timing;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use telemed::elgamal::Group;
use telemed::elgamal::generate::expected_candidates;
use telemed::random::{OsRandom, Random};

fn main() {
    // `cargo test --benches` only wants to see that it compiles.
    if !timing::has_argument("--bench") {
        return;
    }
    let quick = timing::has_argument("--quick");
    let seconds = timing::number_after("--seconds").unwrap_or(if quick { 3.0 } else { 20.0 });
    let in_json = timing::has_argument("--json");
    if !in_json {
        println!("| bits | threads | candidates | ms each | expected, s | candidates a second |");
        println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    }
    let bits: Vec<usize> = match timing::number_after("--bits") {
        Some(bits) => vec![bits as usize],
        None => vec![2048, 3072, 4096],
    };
    for bits in bits {
        let threads = if in_json { 1 } else { processors() };
        for threads in 1..=threads {
            search(bits, threads, Duration::from_secs_f64(seconds)).print(in_json);
        }
    }
}

fn processors() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(8)
}

struct Found {
    bits: usize,
    threads: usize,
    candidates: u64,
    /// Seconds of all processors.
    processor: f64,
    /// Seconds on the clock.
    clock: f64,
}

impl Found {
    fn print(&self, in_json: bool) {
        let Self { bits, threads, .. } = self;
        let candidates = self.candidates;
        let each = self.processor / candidates as f64;
        let rate = candidates as f64 / self.clock;
        let expected = each * expected_candidates(*bits);
        if in_json {
            println!(
                "{{\"bits\": {bits}, \"candidates\": {candidates}, \
                 \"expected_seconds\": {expected:.3}}}"
            );
        } else {
            println!(
                "| {bits} | {threads} | {candidates} | {:.3} | {expected:.1} | {rate:.0} |",
                1e3 * each
            );
        }
    }
}

/// Random numbers until the time is up; then the start of the next window is a
/// known safe prime, which ends the search.
#[derive(Clone)]
struct Until {
    time_is_up: Instant,
    known: Vec<u8>,
}

impl Random for Until {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() == self.known.len() && Instant::now() >= self.time_is_up {
            bytes.copy_from_slice(&self.known);
        } else {
            OsRandom.fill(bytes);
        }
    }
}

/// Searches for so long, for one prime after the other.
fn search(bits: usize, threads: usize, time: Duration) -> Found {
    let candidates = AtomicU64::new(0);
    let threads = NonZeroUsize::new(threads).unwrap();
    let known = match bits {
        2048 => Group::ffdhe2048(),
        3072 => Group::ffdhe3072(),
        _ => Group::ffdhe4096(),
    };
    let (processor, begun) = (timing::now_of_all(), Instant::now());
    let random = Until {
        time_is_up: begun + time,
        known: known.modulus_bytes().to_vec(),
    };
    while begun.elapsed() < time {
        let count = |_| {
            candidates.fetch_add(1, Ordering::Relaxed);
        };
        Group::generate(bits, threads, &random, &count).unwrap();
    }
    Found {
        bits,
        threads: threads.get(),
        candidates: candidates.into_inner(),
        processor: timing::now_of_all() - processor,
        clock: begun.elapsed().as_secs_f64(),
    }
}
