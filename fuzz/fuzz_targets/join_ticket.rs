//! Tickets for joining a clinic: `cargo +nightly fuzz run join_ticket`.

#![no_main]

#[path = "../../tests/corpus/clinic.rs"]
#[expect(dead_code, reason = "each target uses a part of it")]
mod clinic;

libfuzzer_sys::fuzz_target!(|input: &[u8]| clinic::join_ticket(input));
