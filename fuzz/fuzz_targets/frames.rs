//! Frames, sealed bytes and fields from a stranger: `cargo +nightly fuzz run frames`.

#![no_main]

#[path = "../../tests/corpus/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
