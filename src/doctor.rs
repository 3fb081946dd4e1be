//! The doctor's server: sockets, threads and what they share.
//!
//! One thread accepts; each stranger's handshake has a thread, which ends with
//! it, and each patient's session another; one writes on where sockets are
//! behind; one looks after what time changes; one commits to the disk what comes
//! in crowds; one reads the whole database once a day. Who broadcasts writes to
//! every socket what it takes at once and waits for none.

pub mod alike;
pub mod audit;
pub mod audit_log;
pub mod authority;
pub mod backup;
pub mod blocks;
pub mod control;
pub mod correspondence;
pub mod counter;
pub mod deliveries;
pub mod desk;
pub mod devices;
pub mod dismissal;
pub mod event;
pub mod gate;
pub mod join_tickets;
pub mod joining;
pub mod ledger;
pub mod member;
pub mod messages;
pub mod newcomer;
pub mod not_done;
pub mod office;
pub mod patients;
pub mod peer;
pub mod post;
pub mod practice;
pub mod presence;
pub mod purge;
pub mod reach;
pub mod records;
pub mod recovery;
pub mod roles;
pub mod seen;
pub mod server;
pub mod setup;
pub mod shared;
pub mod staff;
pub mod tickets;
pub mod transfer;

mod allowance;
mod authors;
mod clinic;
mod connection;
mod copies;
mod flusher;
mod housekeeping;
mod line;
mod listener;
mod pulse;
mod recall;
mod registry;
mod roster;
mod sifted;
mod signed;
mod socket;
mod store_check;
mod stranger;
mod unsure;
mod watch;
