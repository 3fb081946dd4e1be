//! What the protocol costs each side, in memory: full handshake, resumption,
//! enrolment; the group's new key for many members; a broadcast.
//!
//! `cargo bench --bench protocol`; `--quick` makes a few rounds only. No socket
//! and no disk takes part: `examples/load.rs` has those.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark ends with what it cannot do, and prints"
)]

#[path = "protocol/clinic.rs"]
mod clinic;
#[path = "protocol/group.rs"]
mod group;
#[path = "protocol/tables.rs"]
mod tables;
#[path = "common/timing.rs"]
mod timing;

use telemed::bigint::Kernel;
use telemed::elgamal::Group;

use clinic::Clinic;
use timing::{median, now};

/// The processor's time that each side spends, in seconds.
#[derive(Default)]
pub struct Cost {
    patient: f64,
    doctor: f64,
}

impl Cost {
    /// The patient's side does something.
    pub fn of_patient<T>(&mut self, work: impl FnOnce() -> T) -> T {
        timed(&mut self.patient, work)
    }

    /// The doctor's side does something.
    pub fn of_doctor<T>(&mut self, work: impl FnOnce() -> T) -> T {
        timed(&mut self.doctor, work)
    }
}

/// Adds to `total` how long this takes, in seconds.
fn timed<T>(total: &mut f64, work: impl FnOnce() -> T) -> T {
    let begun = now();
    let result = std::hint::black_box(work());
    *total += now() - begun;
    result
}

fn main() {
    // `cargo test --benches` only wants to see that it compiles.
    if !timing::has_argument("--bench") {
        return;
    }
    let rounds = if timing::has_argument("--quick") {
        5
    } else {
        31
    };
    handshakes(rounds);
    group::rekeys(rounds.min(7));
    group::broadcasts(rounds);
}

/// Who is measured doing what, and what it has cost, for each round.
type Measured = (String, &'static str, Vec<Cost>);

fn handshakes(rounds: usize) {
    let mut clinics = Vec::new();
    let mut measured: Vec<Measured> = Vec::new();
    for group in [Group::ffdhe2048(), Group::ffdhe3072(), Group::ffdhe4096()] {
        for kernel in [Kernel::Portable, Kernel::Adx, Kernel::Ifma] {
            let is_wanted = group.element_len() == 384 || kernel == Kernel::fastest();
            if kernel.is_here() && is_wanted {
                let name = format!("{}, {kernel:?}", group.name());
                for what in ["full handshake", "resumption", "enrolment"] {
                    measured.push((name.clone(), what, Vec::new()));
                }
                clinics.push(Clinic::new(&group.with_kernel(kernel)));
            }
        }
    }
    for _ in 0..rounds {
        for (clinic, rows) in clinics.iter_mut().zip(measured.chunks_mut(3)) {
            let (full, session) = clinic.full_handshake();
            rows[0].2.push(full);
            rows[1].2.push(clinic.resumption(session));
            rows[2].2.push(clinic.enrolment());
        }
    }
    println!("| group, kernel | what | patient, ms | doctor, ms |\n| --- | --- | ---: | ---: |");
    let fastest = format!("{:?}", Kernel::fastest());
    for (name, what, costs) in &measured {
        let side = |of: fn(&Cost) -> f64| 1e3 * median(costs.iter().map(of).collect());
        // What the patient knows of the doctor she reads from the doctor's
        // papers, and computes on it with the fastest kernel in any case.
        let patient = if name.ends_with(&fastest) {
            format!("{:.2}", side(|cost| cost.patient))
        } else {
            "-".to_owned()
        };
        println!(
            "| {name} | {what} | {patient} | {:.2} |",
            side(|cost| cost.doctor)
        );
    }
}
