//! The group: everyone who has a session with the doctor now, and the key they
//! share for broadcasts.
//!
//! An epoch begins with a rekey and ends with the next one. Whoever joins or
//! leaves makes the group dirty, and nothing is sealed while it is dirty, so
//! that exactly the members at the time of sending can open a broadcast:
//!
//! ```text
//! join, leave, loss ──> dirty ──> rekey: epoch + 1, GROUP_KEY to all ──> clean
//!                         ^                                                │
//!                         └───────── join, leave, loss ────────────────────┘
//! ```
//!
//! `GK = Xp(Ex(R, all gsec in the order of the certificates' fingerprints),
//! "GK", conf ‖ epoch ‖ n, 64)`, with 32 fresh random bytes R.

pub mod receiver;
pub mod sender;
#[cfg(test)]
mod tests;

use crate::aes::SealingKey;
use crate::codec::Writer;
use crate::identity::certificate::Fingerprint;
use crate::kdf::{self, Prk, label};
use crate::protocol::record::Conference;
use crate::secret::Secret;

/// The keys of one epoch.
#[derive(Debug)]
struct EpochKey {
    seal: SealingKey,
    /// Stands in the signed header of every broadcast of the epoch, so that no
    /// two members can be given different keys for it.
    id: [u8; 32],
}

impl EpochKey {
    fn new(group_key: &Secret<64>, conference: &Conference, epoch: u64) -> Self {
        let prk = Prk::from_secret(group_key.duplicate());
        let context: [&[u8]; 2] = [conference, &epoch.to_be_bytes()];
        let id: Secret<32> = prk.expand(label::GROUP_KEY_ID, &context);
        Self {
            seal: SealingKey::new(prk.expand(label::GROUP_SEAL, &context)),
            id: *id.expose(),
        }
    }
}

/// Where a broadcast belongs, as its header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    conference: Conference,
    epoch: u64,
    mid: u64,
}

impl Place {
    fn encode(&self) -> Writer {
        Writer::new()
            .bytes(&self.conference)
            .u64(self.epoch)
            .u64(self.mid)
    }
}

/// Length of a broadcast's body before the sealed message's length: conference,
/// epoch, mid, time, name of the key.
const BROADCAST_HEADER_LEN: usize = 16 + 8 + 8 + 8 + 32;

/// What the doctor signs in a broadcast, for `sign` and `verify`: the hash of
/// the frame to the end of the box, and her certificate's fingerprint.
fn signed_part(frame_to_box_end: &[u8], doctor: &Fingerprint) -> [u8; 96] {
    let mut signed = [0; 96];
    signed[..64].copy_from_slice(&kdf::hash(&[frame_to_box_end]));
    signed[64..].copy_from_slice(doctor);
    signed
}
