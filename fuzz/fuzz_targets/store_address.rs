//! Addresses of a clinic's database: `cargo +nightly fuzz run store_address`.

#![no_main]

#[path = "../../tests/corpus/clinic.rs"]
#[expect(dead_code, reason = "each target uses a part of it")]
mod clinic;

libfuzzer_sys::fuzz_target!(|input: &[u8]| clinic::store_address(input));
