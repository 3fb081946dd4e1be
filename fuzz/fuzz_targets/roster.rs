//! Where a clinic's doctors are reached: `cargo +nightly fuzz run roster`.

#![no_main]

#[path = "../../tests/corpus/clinic.rs"]
#[expect(dead_code, reason = "each target uses a part of it")]
mod clinic;

libfuzzer_sys::fuzz_target!(|input: &[u8]| clinic::roster(input));
