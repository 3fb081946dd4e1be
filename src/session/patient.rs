//! The patient's end of one session: what the doctor's frames say, and what is
//! answered to them.

use crate::clock::Timestamp;
use crate::framing::Frame;
use crate::group::receiver::{GroupError, NewEpoch, Progress, Receiver};
use crate::identity::certificate::VerifiedCertificate;
use crate::identity::patient_identity::PatientIdentity;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::opcode;
use crate::protocol::record::{
    Ack, DecMsg, Direct, Disconnect, GroupKey, Heartbeat, Receipt, Roster, SessionToken,
};
use crate::random::Random;
use crate::secret::{Secret, ct_eq};
use crate::session::channel::Opener;
pub use crate::session::doctor::SessionError;
use crate::session::signed::{self, Parties};
use crate::session::{Direction, SessionKey, receipt};

impl From<GroupError> for SessionError {
    fn from(_: GroupError) -> Self {
        Self::MessageMissing
    }
}

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// As a broadcast to the group.
    Broadcast,
    /// As a broadcast missed while away.
    Missed,
    /// To chosen recipients.
    Chosen,
    /// To this patient alone, in the conversation with the doctor.
    Private,
}

/// What a frame of the doctor's says.
#[derive(Debug)]
pub enum FromDoctor {
    /// A new group key.
    Epoch(NewEpoch),
    /// A message, genuine, with the answer that proves its arrival. The answer
    /// is sent also when the message came before; it is shown only once.
    Message {
        /// The message.
        message: Message,
        /// How it came.
        delivery: Delivery,
        /// Opcode and body of the record that answers it.
        answer: (u8, Vec<u8>),
    },
    /// The doctor's server has a message of ours. The proof is still to be
    /// checked.
    Received(Receipt),
    /// The doctor's server is alive.
    Heartbeat,
    /// Doctors of the clinic. Each entry is still to be checked.
    Roster(Roster),
    /// The doctor ends the session.
    Disconnect(Disconnect),
}

/// M3 is sent; the doctor's confirmation is awaited. Nothing else is accepted
/// and nothing is sent before it.
#[derive(Debug)]
pub struct AwaitToken {
    session: SessionKey,
    opener: Opener,
}

impl AwaitToken {
    /// The state after M3.
    #[must_use]
    pub fn new(session: SessionKey) -> Self {
        let opener = Opener::new(&session, Direction::DoctorToPatient);
        Self { session, opener }
    }

    /// Takes record 0. Gives the token, the session key (for the sealer and for
    /// resuming later) and the opener of what follows.
    ///
    /// # Errors
    /// [`SessionError::Unreadable`]: close without a word.
    pub fn on_frame(
        mut self,
        frame: &Frame,
    ) -> Result<(SessionToken, SessionKey, Opener), SessionError> {
        if frame.opcode() != opcode::SESSION_TOKEN {
            return Err(SessionError::Unreadable);
        }
        let body = self.opener.open(frame)?;
        // Whoever is confirmed with nonsense has no session to say so in.
        let token = SessionToken::decode(body.expose()).map_err(|_| SessionError::Unreadable)?;
        Ok((token, self.session, self.opener))
    }
}

/// The patient's end of a session.
#[derive(Debug)]
pub struct PatientEnd {
    opener: Opener,
    receipt_key: Secret<64>,
    group: Receiver,
    doctor: VerifiedCertificate,
    parties: Parties,
}

impl PatientEnd {
    /// The end of a session the doctor has confirmed.
    #[must_use]
    pub fn new(
        session: &SessionKey,
        opener: Opener,
        token: &SessionToken,
        identity: &PatientIdentity,
        doctor: &VerifiedCertificate,
        earlier: Option<Progress>,
    ) -> Self {
        Self {
            opener,
            receipt_key: session.receipt_key(),
            group: Receiver::new(token.conference, earlier),
            doctor: doctor.clone(),
            parties: Parties {
                doctor: doctor.fingerprint(),
                patient: identity.certificate().fingerprint(),
            },
        }
    }

    /// Goes on under the keys of a renewed session of the same conference.
    ///
    /// # Errors
    /// [`SessionError::Nonsense`] if the conference changed.
    pub fn renew(
        &mut self,
        session: &SessionKey,
        opener: Opener,
        token: &SessionToken,
    ) -> Result<(), SessionError> {
        if token.conference != *self.group.conference() {
            return Err(SessionError::Nonsense);
        }
        self.opener = opener;
        self.receipt_key = session.receipt_key();
        Ok(())
    }

    /// What a later session of the same conference goes on from.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.group.progress()
    }

    /// The number of the last broadcast seen, 0 for none.
    #[must_use]
    pub fn last_mid(&self) -> u64 {
        self.group.last_mid().unwrap_or(0)
    }

    /// How many records have come.
    #[must_use]
    pub const fn records_received(&self) -> u64 {
        self.opener.count()
    }

    /// Opens and reads the doctor's next frame.
    ///
    /// # Errors
    /// [`SessionError`], saying how the session ends.
    pub fn on_frame(&mut self, frame: &Frame) -> Result<FromDoctor, SessionError> {
        if frame.opcode() == opcode::ENC_MSG {
            let (message, broadcast) = self.group.open(frame, &self.doctor)?;
            let mac = receipt::broadcast_mac(&self.receipt_key, &self.parties.patient, &broadcast);
            let answer = DecMsg {
                conference: broadcast.conference,
                epoch: broadcast.epoch,
                mid: broadcast.mid,
                id: message.id(),
                mac,
            };
            return Ok(FromDoctor::Message {
                message,
                delivery: Delivery::Broadcast,
                answer: (opcode::DEC_MSG, answer.encode()),
            });
        }
        let allowed = [
            opcode::GROUP_KEY,
            opcode::DIRECT,
            opcode::PRIVATE,
            opcode::RECEIPT,
            opcode::HEARTBEAT,
            opcode::ROSTER,
            opcode::DISCONNECT,
        ];
        if !allowed.contains(&frame.opcode()) {
            return Err(SessionError::Unreadable);
        }
        let body = self.opener.open(frame)?;
        self.on_record(frame.opcode(), body.expose())
    }

    fn on_record(&mut self, opcode: u8, body: &[u8]) -> Result<FromDoctor, SessionError> {
        match opcode {
            opcode::GROUP_KEY => self.on_group_key(&GroupKey::decode(body)?),
            opcode::DIRECT => self.on_direct(Direct::decode(body)?),
            opcode::PRIVATE => {
                let message = Message::decode(body)?;
                Ok(self.message(opcode, message, Delivery::Private))
            }
            opcode::RECEIPT => Ok(FromDoctor::Received(Receipt::decode(body)?)),
            opcode::HEARTBEAT => self.on_heartbeat(Heartbeat::decode(body)?),
            opcode::ROSTER => Ok(FromDoctor::Roster(Roster::decode(body)?)),
            _ => Ok(FromDoctor::Disconnect(Disconnect::decode(body)?)),
        }
    }

    /// A broadcast dropped on the way shows here too, and is no fault of the
    /// doctor's: come back for it.
    fn on_group_key(&mut self, record: &GroupKey) -> Result<FromDoctor, SessionError> {
        let is_behind = self.group.is_behind(record);
        let epoch = self
            .group
            .on_group_key(record)
            .map_err(|_| match is_behind {
                true => SessionError::MessageMissing,
                false => SessionError::Nonsense,
            })?;
        Ok(FromDoctor::Epoch(epoch))
    }

    fn on_direct(&self, direct: Direct) -> Result<FromDoctor, SessionError> {
        let key = &self.doctor.subject().signing_key;
        signed::verify_direct(key, &direct, &self.parties).map_err(|_| SessionError::Nonsense)?;
        let delivery = match direct.audience {
            crate::protocol::record::Audience::Everyone => Delivery::Missed,
            crate::protocol::record::Audience::Chosen => Delivery::Chosen,
        };
        Ok(self.message(opcode::DIRECT, direct.message, delivery))
    }

    fn message(&self, opcode: u8, message: Message, delivery: Delivery) -> FromDoctor {
        let direction = Direction::DoctorToPatient;
        let mac = receipt::private_mac(
            &self.receipt_key,
            opcode,
            direction,
            (message.id(), receipt::NO_TIME),
            &message.hash(),
        );
        let answer = Receipt {
            id: message.id(),
            at: receipt::NO_TIME,
            mac,
        };
        FromDoctor::Message {
            message,
            delivery,
            answer: (opcode::RECEIPT, answer.encode()),
        }
    }

    /// Before the first group key a heartbeat's number says nothing; after it,
    /// another number than one's own means that a broadcast was dropped.
    fn on_heartbeat(&self, heartbeat: Heartbeat) -> Result<FromDoctor, SessionError> {
        match self.group.last_mid() {
            Some(seen) if seen != heartbeat.0 => Err(SessionError::MessageMissing),
            _ => Ok(FromDoctor::Heartbeat),
        }
    }

    /// Whether the doctor's server proved that it has this message of ours.
    #[must_use]
    pub fn proves_message(&self, message: &Message, receipt: &Receipt) -> bool {
        receipt.id == message.id() && self.proves(opcode::PRIVATE, &message.hash(), receipt)
    }

    /// Whether the doctor's server proved that it has our confirmation of the
    /// message with the receipt's id and this hash.
    #[must_use]
    pub fn proves_confirmation(&self, hash: &[u8; 64], receipt: &Receipt) -> bool {
        self.proves(opcode::ACK, hash, receipt)
    }

    /// Whether the doctor's server says that it does not have the message with
    /// the receipt's id, so that it cannot keep our confirmation.
    #[must_use]
    pub fn proves_unknown(&self, receipt: &Receipt) -> bool {
        receipt.at == receipt::NO_TIME && self.proves(opcode::ACK, &receipt::NO_MESSAGE, receipt)
    }

    fn proves(&self, opcode: u8, hash: &[u8; 64], receipt: &Receipt) -> bool {
        let direction = Direction::PatientToDoctor;
        let about = (receipt.id, receipt.at);
        let expected = receipt::private_mac(&self.receipt_key, opcode, direction, about, hash);
        ct_eq(&receipt.mac, &expected)
    }

    /// Signs that the person at this device confirmed a message.
    #[must_use]
    pub fn confirm(
        &self,
        identity: &PatientIdentity,
        id: MessageId,
        message_hash: &[u8; 64],
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Ack {
        signed::sign_ack(
            identity.signing(),
            id,
            message_hash,
            now,
            &self.parties,
            random,
        )
    }
}
