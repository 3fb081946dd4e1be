//! Both programs as real processes, as a doctor, a patient and a shell meet
//! them.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]
#![expect(clippy::expect_used, reason = "a test ends with what it cannot do")]
#![expect(clippy::panic, reason = "a test ends with what it cannot do")]

mod bad_input;
mod clinic;
mod process;

mod audit;
mod authority;
mod backup;
mod clock;
mod command_line;
mod cut_short;
mod damaged_files;
mod disk;
mod ends;
mod groups;
mod hung_up;
mod joining;
mod keeping;
mod keys;
mod messages;
mod output;
mod pipes;
#[cfg(feature = "postgres")]
mod postgres;
mod records;
#[cfg(feature = "postgres")]
mod revoke_doctor;
mod service;
#[path = "../support/skip.rs"]
mod skip;
mod standard_input;
mod story;
mod trust;
mod typed;
mod waiting;
