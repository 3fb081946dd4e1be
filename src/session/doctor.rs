//! The doctor's end of one session: what a patient's records say.

use std::fmt;

use crate::clock::Timestamp;
use crate::codec::DecodeError;
use crate::framing::Frame;
use crate::identity::certificate::VerifiedCertificate;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::opcode;
use crate::protocol::record::{Ack, DecMsg, Disconnect, Heartbeat, Mac, Receipt};
use crate::secret::{Secret, ct_eq};
use crate::session::channel::{BadRecord, Opener};
use crate::session::signed::{self, Parties};
use crate::session::{Direction, SessionKey, receipt};

/// Why a session ends by the other side's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionError {
    /// A frame with no place here, or a record that does not open: close
    /// without a word.
    Unreadable,
    /// A record that opens and says nonsense: answer with DISCONNECT.
    Nonsense,
    /// A group key or broadcast that is not the next one: answer with
    /// DISCONNECT and come back.
    MessageMissing,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "a record could not be opened",
            Self::Nonsense => "the other side broke the protocol",
            Self::MessageMissing => "a message went missing on the way",
        })
    }
}

impl std::error::Error for SessionError {}

impl From<BadRecord> for SessionError {
    fn from(_: BadRecord) -> Self {
        Self::Unreadable
    }
}

impl From<DecodeError> for SessionError {
    fn from(_: DecodeError) -> Self {
        Self::Nonsense
    }
}

/// What a patient's record says.
#[derive(Debug)]
pub enum FromPatient {
    /// Her device decrypted a broadcast. The proof is still to be checked.
    Decrypted(DecMsg),
    /// She confirmed a message. The signature is still to be checked.
    Confirmed(Ack),
    /// Her device has a message. The proof is still to be checked.
    Received(Receipt),
    /// She writes.
    Private(Message),
    /// She is alive.
    Heartbeat,
    /// She leaves.
    Disconnect(Disconnect),
}

/// The doctor's end of a session.
#[derive(Debug)]
pub struct DoctorEnd {
    opener: Opener,
    receipt_key: Secret<64>,
    certificate: VerifiedCertificate,
    parties: Parties,
}

impl DoctorEnd {
    /// The end of a session whose key was just verified.
    #[must_use]
    pub fn new(
        session: &SessionKey,
        certificate: VerifiedCertificate,
        doctor: &VerifiedCertificate,
    ) -> Self {
        Self {
            opener: Opener::new(session, Direction::PatientToDoctor),
            receipt_key: session.receipt_key(),
            parties: Parties {
                doctor: doctor.fingerprint(),
                patient: certificate.fingerprint(),
            },
            certificate,
        }
    }

    /// Goes on under the keys of a renewed session.
    pub fn renew(&mut self, session: &SessionKey) {
        self.opener = Opener::new(session, Direction::PatientToDoctor);
        self.receipt_key = session.receipt_key();
    }

    /// Both parties, by their certificates.
    #[must_use]
    pub const fn parties(&self) -> &Parties {
        &self.parties
    }

    /// How many records have come.
    #[must_use]
    pub const fn records_received(&self) -> u64 {
        self.opener.count()
    }

    /// Opens and reads the patient's next record.
    ///
    /// # Errors
    /// [`SessionError`], saying how the session ends.
    pub fn on_record(&mut self, frame: &Frame) -> Result<FromPatient, SessionError> {
        let read: fn(&[u8]) -> Result<FromPatient, DecodeError> = match frame.opcode() {
            opcode::DEC_MSG => |body| DecMsg::decode(body).map(FromPatient::Decrypted),
            opcode::ACK => |body| Ack::decode(body).map(FromPatient::Confirmed),
            opcode::RECEIPT => |body| Receipt::decode(body).map(FromPatient::Received),
            opcode::PRIVATE => |body| Message::decode_from_patient(body).map(FromPatient::Private),
            opcode::HEARTBEAT => |body| Heartbeat::decode(body).map(|_| FromPatient::Heartbeat),
            opcode::DISCONNECT => |body| Disconnect::decode(body).map(FromPatient::Disconnect),
            _ => return Err(SessionError::Unreadable),
        };
        let body = self.opener.open(frame)?;
        Ok(read(body.expose())?)
    }

    /// Whether the device proved that it decrypted this broadcast.
    #[must_use]
    pub fn proves_broadcast(&self, broadcast: &receipt::Broadcast, mac: &Mac) -> bool {
        let expected = receipt::broadcast_mac(&self.receipt_key, &self.parties.patient, broadcast);
        ct_eq(mac, &expected)
    }

    /// Whether the device proved that it has this DIRECT or PRIVATE message.
    #[must_use]
    pub fn proves_message(&self, opcode: u8, hash: &[u8; 64], receipt: &Receipt) -> bool {
        let direction = Direction::DoctorToPatient;
        let about = (receipt.id, receipt::NO_TIME);
        let expected = receipt::private_mac(&self.receipt_key, opcode, direction, about, hash);
        receipt.at == receipt::NO_TIME && ct_eq(&receipt.mac, &expected)
    }

    /// Whether the patient signed that she confirmed this message.
    #[must_use]
    pub fn proves_confirmation(&self, ack: &Ack, hash: &[u8; 64]) -> bool {
        let key = &self.certificate.subject().signing_key;
        signed::verify_ack(key, ack, hash, &self.parties).is_ok()
    }

    /// The receipt for a PRIVATE message of the patient's, which was kept then.
    #[must_use]
    pub fn receipt_for(&self, message: &Message, at: Timestamp) -> Receipt {
        self.receipt(opcode::PRIVATE, message.id(), at, &message.hash())
    }

    /// The receipt for the patient's confirmation, kept then, of a message with
    /// this hash.
    #[must_use]
    pub fn receipt_for_confirmation(
        &self,
        id: MessageId,
        at: Timestamp,
        hash: &[u8; 64],
    ) -> Receipt {
        self.receipt(opcode::ACK, id, at, hash)
    }

    /// The last word on the confirmation of a message that is not one to this
    /// patient's device, or not any more.
    #[must_use]
    pub fn unknown(&self, id: MessageId) -> Receipt {
        self.receipt(opcode::ACK, id, receipt::NO_TIME, &receipt::NO_MESSAGE)
    }

    fn receipt(&self, opcode: u8, id: MessageId, at: Timestamp, hash: &[u8; 64]) -> Receipt {
        let direction = Direction::PatientToDoctor;
        let mac = receipt::private_mac(&self.receipt_key, opcode, direction, (id, at), hash);
        Receipt { id, at, mac }
    }
}
