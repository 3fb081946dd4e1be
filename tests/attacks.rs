//! Attacks on the way between a doctor and her patients: a proxy between real
//! servers and real clients does to every kind of frame what somebody on the
//! network can do. After each attack nothing false was shown, nobody was let
//! in, both sides have said what happened, and the next session works.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]
#![expect(clippy::expect_used, reason = "a test ends with what it cannot do")]
#![expect(clippy::panic, reason = "a test ends with what it cannot do")]

mod support;

#[path = "attacks/case.rs"]
mod case;
#[path = "attacks/device.rs"]
mod device;
#[path = "attacks/proxy.rs"]
mod proxy;

#[allow(dead_code, reason = "the tests of the programs use the rest")]
#[path = "programs/clinic.rs"]
mod clinic;
#[allow(dead_code, reason = "the tests of the programs use the rest")]
#[path = "programs/process.rs"]
mod process;

#[path = "attacks/downgrades.rs"]
mod downgrades;
#[path = "attacks/enrolment.rs"]
mod enrolment;
#[path = "attacks/exchanges.rs"]
mod exchanges;
#[path = "attacks/handshakes.rs"]
mod handshakes;
#[path = "attacks/programs.rs"]
mod programs;
#[path = "attacks/recordings.rs"]
mod recordings;
#[path = "attacks/replays.rs"]
mod replays;
#[path = "attacks/roles.rs"]
mod roles;
#[path = "attacks/sessions.rs"]
mod sessions;
