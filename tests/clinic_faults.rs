//! What a clinic goes through: nodes, PostgreSQL and the lines between them fail,
//! with the real programs, and each test has a PostgreSQL server of its own.
//! Every message that a program has accepted arrives, and is shown once.

#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends with what it cannot do"
)]
#![allow(dead_code, reason = "other tests use the rest of the support")]

#[path = "programs/clinic.rs"]
mod clinic;
#[path = "support/postgres_server.rs"]
mod postgres_server;
#[path = "programs/process.rs"]
mod process;
#[path = "../src/store/postgres/tests/proxy.rs"]
mod proxy;
#[path = "support/skip.rs"]
mod skip;

#[path = "clinic_faults/away.rs"]
mod away;
#[path = "clinic_faults/clocks.rs"]
mod clocks;
#[path = "clinic_faults/commit.rs"]
mod commit;
#[path = "clinic_faults/cut_off.rs"]
mod cut_off;
#[path = "clinic_faults/joining.rs"]
mod joining;
#[path = "clinic_faults/killed.rs"]
mod killed;
#[path = "clinic_faults/scene.rs"]
mod scene;
#[path = "clinic_faults/seat.rs"]
mod seat;
