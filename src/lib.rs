//! telemed: confidential consultations and emergency broadcasts between a
//! doctor and her patients, over networks nobody trusts.
//!
//! Two programs share this library: `doctor`, the server (the protocol's
//! gateway node), and `patient`, the client. The modules stand in layers; each
//! uses only its own and what stands before it here:
//!
//! 1. [`clock`], [`random`], [`secret`], [`codec`], [`base32`], [`hex`], [`address`],
//!    [`deadline`], [`new_file`], [`memcheck`]
//! 2. [`kdf`], [`bigint`]
//! 3. [`elgamal`], [`aes`], [`framing`]
//! 4. [`protocol`], [`identity`]
//! 5. [`handshake`], [`session`], [`group`]: no socket, no file, no clock
//! 6. [`audit`], [`store`], [`vault`]; then [`backup`]
//! 7. [`control`]; then [`doctor`], [`patient`]: sockets and threads
//! 8. [`cli`]

pub mod address;
pub mod aes;
pub mod audit;
pub mod backup;
pub mod base32;
pub mod bigint;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod control;
pub mod deadline;
pub mod doctor;
pub mod elgamal;
pub mod framing;
pub mod group;
pub mod handshake;
pub mod hex;
pub mod identity;
pub mod kdf;
pub mod memcheck;
pub mod new_file;
pub mod patient;
pub mod protocol;
pub mod random;
pub mod secret;
pub mod session;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
pub mod vault;
