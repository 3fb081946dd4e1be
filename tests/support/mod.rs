//! What the tests of the doctor's server share: a [`Practice`], which is a
//! running server with everything around it, and [`Person`]s, who speak the
//! protocol over a socket frame by frame and can break it at every step.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends with what it cannot do"
)]

#[cfg(feature = "postgres")]
pub mod forged;
mod group_keys;
mod person;
#[cfg(feature = "postgres")]
pub mod postgres;
mod practice;
mod session;
#[cfg(feature = "postgres")]
mod skip;
mod wire;

use std::thread;
use std::time::{Duration, Instant};

pub use group_keys::GroupKeys;
pub use person::Person;
pub use practice::Practice;
pub use session::{Arrived, Got, Session, holds};
pub use wire::Wire;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `holds`, or ends the test.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "still not: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
