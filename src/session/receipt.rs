//! Receipts of devices: proofs, for the doctor only, that a device has a
//! message. Bound to conference, epoch, number, certificate, frame and text.

use crate::clock::Timestamp;
use crate::identity::certificate::Fingerprint;
use crate::kdf::{self, label};
use crate::protocol::message::MessageId;
use crate::protocol::record::{Conference, Mac};
use crate::secret::Secret;
use crate::session::Direction;

/// What a broadcast's receipt speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// Conference of the broadcast.
    pub conference: Conference,
    /// Epoch of the broadcast.
    pub epoch: u64,
    /// Number of the broadcast.
    pub mid: u64,
    /// `H` of the whole `ENC_MSG` frame.
    pub frame_hash: [u8; 64],
    /// `H` of the message in it.
    pub message_hash: [u8; 64],
}

/// Stands for the hash of a message that the doctor does not have.
pub const NO_MESSAGE: [u8; 64] = [0; 64];

/// The time in a receipt that tells none.
pub const NO_TIME: Timestamp = Timestamp::from_millis(0);

/// The proof in `DEC_MSG`.
#[must_use]
pub fn broadcast_mac(key: &Secret<64>, device: &Fingerprint, broadcast: &Broadcast) -> Mac {
    kdf::hmac(
        key.expose(),
        &[
            &label::RECEIPT.encoded(),
            &broadcast.conference,
            &broadcast.epoch.to_be_bytes(),
            &broadcast.mid.to_be_bytes(),
            device,
            &broadcast.frame_hash,
            &broadcast.message_hash,
        ],
    )
}

/// The proof in RECEIPT; opcode and direction are those of what is receipted,
/// DIRECT, PRIVATE or ACK; for ACK the message is the confirmed one, or
/// [`NO_MESSAGE`]. `at` is the receipt's own time.
#[must_use]
pub fn private_mac(
    key: &Secret<64>,
    opcode: u8,
    direction: Direction,
    (id, at): (MessageId, Timestamp),
    message_hash: &[u8; 64],
) -> Mac {
    kdf::hmac(
        key.expose(),
        &[
            &label::PRIVATE_RECEIPT.encoded(),
            &[opcode, direction.to_byte()],
            &id.0,
            &at.as_millis().to_be_bytes(),
            message_hash,
        ],
    )
}
