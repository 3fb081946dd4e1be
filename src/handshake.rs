//! How a patient and a doctor prove themselves to each other and agree on a
//! session key. Bytes in, bytes out: no socket, no file, no clock.
//!
//! ```text
//! patient                                               doctor
//!   | -- CERT? (only when the prekey is unknown or old) -> |
//!   | <- CERT: root, certificate, prekey, revocations ---- |
//!   |                                                      |
//!   | -- M1: KEM to the prekey, box1{cert_P, Y_e, Sig_P} -> |
//!   | <- RETRY: nonce (only when freshness is in doubt) -- |
//!   | -- M1 with the nonce ------------------------------> |
//!   | <- M2: KEM to Y_e and y_e, box2{cert_D, …, Sig_D} -- |
//!   | -- M3: HMAC under the session key -----------------> |
//!   | <- SESSION_TOKEN, the first record ----------------- |
//! ```
//!
//! A state is a struct that its step consumes, so that a wrong order does not
//! compile. [`resume`] replaces the signatures by a key of an earlier session;
//! [`enrol`] gives a newcomer her certificate.

pub mod doctor;
pub mod enrol;
pub mod established;
pub mod patient;
pub mod refusal;
pub mod registry;
pub mod resume;
mod schedule;
#[cfg(test)]
mod tests;
