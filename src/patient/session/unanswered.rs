//! What is answered once the keys are renewed.

use crate::framing::Frame;
use crate::identity::certificate::Fingerprint;
use crate::kdf;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::opcode;
use crate::protocol::record::{DecMsg, Receipt};
use crate::secret::Secret;
use crate::session::patient::Delivery;
use crate::session::{Direction, receipt};

/// A message that cannot be answered before the keys are renewed, and then
/// only under the new ones.
#[derive(Debug)]
pub(super) enum Unanswered {
    Broadcast(receipt::Broadcast, MessageId),
    Other {
        opcode: u8,
        id: MessageId,
        hash: [u8; 64],
    },
}

impl Unanswered {
    pub(super) fn new(
        message: &Message,
        (opcode, body): (u8, &[u8]),
        delivery: Delivery,
        frame: &Frame,
    ) -> Option<Self> {
        if opcode == opcode::DEC_MSG {
            let answer = DecMsg::decode(body).ok()?;
            let broadcast = receipt::Broadcast {
                conference: answer.conference,
                epoch: answer.epoch,
                mid: answer.mid,
                frame_hash: kdf::hash(&[frame.as_bytes()]),
                message_hash: message.hash(),
            };
            return Some(Self::Broadcast(broadcast, message.id()));
        }
        Some(Self::Other {
            opcode: match delivery {
                Delivery::Private => opcode::PRIVATE,
                Delivery::Broadcast | Delivery::Missed | Delivery::Chosen => opcode::DIRECT,
            },
            id: message.id(),
            hash: message.hash(),
        })
    }

    /// Opcode and body of the answer.
    pub(super) fn answer(&self, key: &Secret<64>, device: &Fingerprint) -> (u8, Vec<u8>) {
        match self {
            Self::Broadcast(broadcast, id) => {
                let answer = DecMsg {
                    conference: broadcast.conference,
                    epoch: broadcast.epoch,
                    mid: broadcast.mid,
                    id: *id,
                    mac: receipt::broadcast_mac(key, device, broadcast),
                };
                (opcode::DEC_MSG, answer.encode())
            }
            Self::Other { opcode, id, hash } => {
                let direction = Direction::DoctorToPatient;
                let at = receipt::NO_TIME;
                let mac = receipt::private_mac(key, *opcode, direction, (*id, at), hash);
                let answer = Receipt { id: *id, at, mac };
                (opcode::RECEIPT, answer.encode())
            }
        }
    }
}
