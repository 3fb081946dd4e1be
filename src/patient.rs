//! The patient's program without its terminal: files, a connection that comes
//! back by itself, messages that are shown once.
//!
//! ```text
//! any thread --send, confirm--> Outbox --+
//!                                        |  one lock: sealer and socket
//! connection thread: connect, handshake, session, wait, connect again
//!      |        +--> Inbox   both in the directory's store, sealed
//!      |        +--> Colleagues: the clinic's doctors; another one if need be
//!      +--Event--> whoever shows it
//! ```
//!
//! [`enrol`](enrol::enrol) makes an identity out of a ticket, [`files`] keeps
//! it, [`Client`](client::Client) uses it. Nothing that an unauthenticated
//! frame says reaches an [`Event`](event::Event).

mod backoff;
pub mod client;
pub mod colleagues;
pub mod config;
pub mod connect;
mod connection;
pub mod control;
pub mod damaged;
pub mod desk;
pub mod enrol;
pub mod event;
pub mod files;
pub mod history;
pub mod inbox;
pub mod link;
mod lookout;
pub mod outbox;
mod session;
mod wire;
