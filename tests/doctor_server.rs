//! The doctor's server over real sockets, as patients and strangers meet it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends with what it cannot do"
)]

mod support;

#[path = "doctor_server/access.rs"]
mod access;
#[path = "doctor_server/authority.rs"]
mod authority;
#[path = "doctor_server/away.rs"]
mod away;
#[path = "doctor_server/backups.rs"]
mod backups;
#[path = "doctor_server/blocks.rs"]
mod blocks;
#[path = "doctor_server/broadcasts.rs"]
mod broadcasts;
#[path = "doctor_server/copies.rs"]
mod copies;
#[path = "doctor_server/crowds.rs"]
mod crowds;
#[path = "doctor_server/durable.rs"]
mod durable;
#[path = "doctor_server/group.rs"]
mod group;
#[cfg(feature = "postgres")]
#[path = "doctor_server/nodes.rs"]
mod nodes;
#[path = "doctor_server/promptness.rs"]
mod promptness;
#[path = "doctor_server/resumption.rs"]
mod resumption;
#[path = "doctor_server/revoking.rs"]
mod revoking;
#[path = "doctor_server/roster.rs"]
mod roster;
#[path = "doctor_server/sessions.rs"]
mod sessions;
#[path = "doctor_server/steering.rs"]
mod steering;
#[path = "doctor_server/unreached.rs"]
mod unreached;
