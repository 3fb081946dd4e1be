//! The doctor's messages: what she wrote and what became of it at each device,
//! and what her patients wrote. Texts and signatures are sealed before they
//! come here.
//!
//! A message has states, each stored with its time and none inferred from
//! another: queued when it is committed, sent when it is given to the device's
//! connection, delivered when the device has proved that it has it, confirmed
//! when a person has signed that.

use std::fmt;

use crate::audit::Entry;
use crate::clock::Timestamp;
use crate::protocol::message::{MessageId, Place};
use crate::store::nodes::NodeStore;
use crate::store::{CertificateState, StoreError};

/// A device, by the fingerprint of its certificate.
pub type Device = [u8; 32];

/// For whom a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// For everyone.
    Broadcast,
    /// For some patients.
    Chosen,
    /// For one patient.
    Private,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Broadcast, Self::Chosen, Self::Private];

    /// The kind as one lower-case word, on the disk and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Chosen => "chosen",
            Self::Private => "private",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a message is to a consultation, as it lies in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoundaryMark {
    /// The consultation begins with it.
    Opens,
    /// The consultation ends with it.
    Closes,
}

impl BoundaryMark {
    /// The mark as one lower-case word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opens => "opens",
            Self::Closes => "closes",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Opens, Self::Closes]
            .into_iter()
            .find(|mark| mark.word() == word)
    }
}

/// A message of the doctor's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageRow {
    /// What people call it by, from 1 on. Given by the store: of a message that
    /// is added it is ignored.
    pub number: u64,
    /// Its name.
    pub id: [u8; 16],
    /// For whom it is.
    pub kind: Kind,
    /// The patient, if it is private.
    pub patient: Option<String>,
    /// What it is to a consultation.
    pub boundary: Option<BoundaryMark>,
    /// Whether it is an emergency, given again until somebody confirms it.
    pub urgent: bool,
    /// When it was written.
    pub written: Timestamp,
    /// From when on it is not given to anybody any more.
    pub expires: Option<Timestamp>,
    /// The message, sealed.
    pub sealed: Vec<u8>,
}

impl MessageRow {
    /// Where it stands among the messages in both directions.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place {
            at: self.written,
            written: self.written,
            id: MessageId(self.id),
        }
    }
}

/// What became of a message at one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryRow {
    /// The message's number.
    pub message: u64,
    /// The device.
    pub device: Device,
    /// Whose it is.
    pub patient: String,
    /// When it was committed.
    pub queued: Timestamp,
    /// When it was first given to the device's connection.
    pub sent: Option<Timestamp>,
    /// When the device proved that it has it.
    pub delivered: Option<Timestamp>,
    /// When a person's signed confirmation came.
    pub confirmed: Option<Timestamp>,
}

impl DeliveryRow {
    /// The latest state as a word, and when it began.
    #[must_use]
    pub fn state(&self) -> (&'static str, Timestamp) {
        let states = [
            ("confirmed", self.confirmed),
            ("delivered", self.delivered),
            ("sent", self.sent),
        ];
        let reached = states.into_iter().find_map(|(word, at)| Some((word, at?)));
        reached.unwrap_or(("queued", self.queued))
    }

    /// Whether the device has it, by its own proof or its owner's word.
    #[must_use]
    pub const fn has_arrived(&self) -> bool {
        self.delivered.is_some() || self.confirmed.is_some()
    }
}

/// How many devices a message has reached how far, each counted once, by the
/// latest state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DeliveryCounts {
    /// Waiting for the device.
    pub queued: u64,
    /// Given to its connection.
    pub sent: u64,
    /// Proved to have arrived.
    pub delivered: u64,
    /// Confirmed by a person.
    pub confirmed: u64,
}

/// A message of a patient's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncomingRow {
    /// What people call it by, from 1 on. Given by the store: of a message that
    /// is added it is ignored.
    pub number: u64,
    /// The device it came from.
    pub device: Device,
    /// Who wrote it.
    pub patient: String,
    /// Its name, unique for the device.
    pub id: [u8; 16],
    /// What it is to a consultation.
    pub boundary: Option<BoundaryMark>,
    /// When it was written, by the patient's clock.
    pub written: Timestamp,
    /// When it came.
    pub received: Timestamp,
    /// When it was first shown to the doctor; until then it is unread.
    pub shown: Option<Timestamp>,
    /// The message, sealed.
    pub sealed: Vec<u8>,
}

impl IncomingRow {
    /// Where it stands among the messages in both directions: where it came. The
    /// patient's clock may be wrong. What came at the same moment stands in the
    /// order in which it was written.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place {
            at: self.received,
            written: self.written,
            id: MessageId(self.id),
        }
    }
}

/// A device that is given nothing now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClosedDevice {
    /// Which one it is.
    pub device: Device,
    /// Whose it is.
    pub patient: String,
    /// The state of its certificate; an active one has ended.
    pub state: CertificateState,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// A small change of the kind that comes in crowds: many are committed
/// together.
#[derive(Debug)]
pub struct Change {
    /// What changes.
    pub work: Work,
    /// What the audit log says of it, if it changes anything.
    pub audit: Vec<Entry>,
}

/// What a change does.
#[derive(Debug)]
pub enum Work {
    /// Nothing but to be logged.
    Nothing,
    /// A message was given to the connections of these devices.
    Sent {
        /// The message's number.
        message: u64,
        /// To whom.
        devices: Vec<Device>,
        /// When.
        at: Timestamp,
    },
    /// A device proved that it has a message.
    Delivered {
        /// The message's number.
        message: u64,
        /// The device.
        device: Device,
        /// When.
        at: Timestamp,
        /// When it was given to the device's connection, if that is to be noted
        /// with it.
        sent: Option<Timestamp>,
    },
    /// A person confirmed a message.
    Confirmed {
        /// The message's number.
        message: u64,
        /// The device.
        device: Device,
        /// When the confirmation came.
        at: Timestamp,
        /// The signed confirmation, sealed.
        confirmation: Vec<u8>,
    },
    /// A message came from a patient.
    Incoming(IncomingRow),
}

/// What came of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is on the disk now.
    New,
    /// There is nothing to change, because it was there before or because what
    /// it speaks of is not there; nothing was logged.
    Known,
}

impl Change {
    /// Entries of the audit log about what changes nothing else.
    #[must_use]
    pub const fn audit(audit: Vec<Entry>) -> Self {
        let work = Work::Nothing;
        Self { work, audit }
    }

    /// A change without an entry.
    #[must_use]
    pub const fn unlogged(work: Work) -> Self {
        let audit = Vec::new();
        Self { work, audit }
    }
}

/// Messages and what became of them.
///
/// # Errors
/// As for [`Store`](super::Store).
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait MessageStore {
    /// What the nodes of a clinic tell each other, if several may share this
    /// store.
    fn nodes(&self) -> Option<&dyn NodeStore> {
        None
    }

    /// Commits changes in one transaction, in this order: all or none. Gives
    /// what came of each.
    fn commit(&self, changes: &[Change]) -> Result<Vec<Outcome>, StoreError>;

    /// Adds a message and a delivery, queued when it was written, for each of
    /// these devices and their patients; gives the message's number.
    fn add_message(
        &self,
        message: &MessageRow,
        devices: &[(Device, String)],
        audit: &[Entry],
    ) -> Result<u64, StoreError>;

    /// Keeps messages with these numbers sealed like this from now on.
    fn seal_messages(&self, sealed: &[(u64, Vec<u8>)]) -> Result<(), StoreError>;

    /// The number of the newest message; 0 if there is none.
    fn newest_message(&self) -> Result<u64, StoreError>;

    /// The message with this number.
    fn message(&self, number: u64) -> Result<Option<MessageRow>, StoreError>;

    /// The messages whose ids begin with these bytes, at most `limit`, the
    /// newest first.
    fn messages_with_prefix(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<MessageRow>, StoreError>;

    /// The newest messages before this number, at most `limit`, the newest
    /// first.
    fn messages_before(&self, number: u64, limit: usize) -> Result<Vec<MessageRow>, StoreError>;

    /// What is to be given to a device: the messages after and up to these
    /// numbers that are open for it and do not end by `now`, at most `limit`,
    /// the oldest first.
    fn pending(
        &self,
        device: &Device,
        after: u64,
        up_to: u64,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<MessageRow>, StoreError>;

    /// The message with this id, and what became of it at this device, if the
    /// device is one of its recipients.
    fn message_for(
        &self,
        device: &Device,
        id: &[u8; 16],
    ) -> Result<Option<(MessageRow, DeliveryRow)>, StoreError>;

    /// What became of a message, device by device, ordered by patient.
    fn deliveries(&self, message: u64) -> Result<Vec<DeliveryRow>, StoreError>;

    /// How far a message has come, in numbers.
    fn delivery_counts(&self, message: u64) -> Result<DeliveryCounts, StoreError>;

    /// How many deliveries have not arrived, neither at this nor at another
    /// device of the same patient, of one message or of all: by the message's
    /// number, the newest first.
    fn missing_counts(
        &self,
        message: Option<u64>,
    ) -> Result<Vec<(u64, DeliveryCounts)>, StoreError>;

    /// Deliveries that have not arrived, neither at this nor at another device
    /// of the same patient, of one message or of all, at most `limit`, the
    /// newest message first, each ordered by patient and device.
    fn missing(&self, message: Option<u64>, limit: usize) -> Result<Vec<DeliveryRow>, StoreError>;

    /// The sealed confirmation of a message from a device.
    fn confirmation(&self, message: u64, device: &Device) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes the recipients of a device that comes for the first time: it gets
    /// what no other device of its patient has got. Gives the number of those
    /// messages; does nothing for a device that was here before.
    fn welcome(&self, device: &Device, patient: &str, now: Timestamp) -> Result<usize, StoreError>;

    /// Gives messages that have ended by `now` to nobody any more; gives their
    /// number.
    fn end_expired(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// The devices whose certificates are active and have not ended by `now`,
    /// with their patients; of one patient or of all. Ordered by patient.
    fn active_devices(
        &self,
        patient: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<(Device, String)>, StoreError>;

    /// The devices of patients who have no active one by `now`: of one patient
    /// or of all. Ordered by patient, each patient's newest device last.
    fn closed_devices(
        &self,
        patient: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<ClosedDevice>, StoreError>;

    /// The certificate of this device, as it is sent.
    fn certificate_bytes(&self, device: &Device) -> Result<Option<Vec<u8>>, StoreError>;

    /// The messages to a patient, at most `limit`, the newest first, each with
    /// what became of it at the patient's devices.
    fn messages_to(
        &self,
        patient: &str,
        limit: usize,
    ) -> Result<Vec<(MessageRow, Vec<DeliveryRow>)>, StoreError>;

    /// How many messages there are to and from a patient.
    fn count_messages(&self, patient: &str) -> Result<u64, StoreError>;

    /// All messages to and from this patient with which a consultation began or
    /// ended.
    fn consultation_words(
        &self,
        patient: &str,
    ) -> Result<(Vec<MessageRow>, Vec<IncomingRow>), StoreError>;

    /// A patient's message, by device and id.
    fn incoming_with_id(
        &self,
        device: &Device,
        id: &[u8; 16],
    ) -> Result<Option<IncomingRow>, StoreError>;

    /// The newest messages of a patient or of all, at most `limit`, the newest
    /// first.
    fn incoming(&self, patient: Option<&str>, limit: usize)
    -> Result<Vec<IncomingRow>, StoreError>;

    /// The messages that were not shown yet, at most `limit`, the oldest first.
    fn incoming_unread(&self, limit: usize) -> Result<Vec<IncomingRow>, StoreError>;

    /// How many messages were not shown yet.
    fn unread_count(&self) -> Result<u64, StoreError>;

    /// Notes that messages were shown to the doctor.
    fn mark_shown(&self, numbers: &[u64], at: Timestamp, audit: &[Entry])
    -> Result<(), StoreError>;

    /// The latest messages in both directions with which a consultation with
    /// this patient began or ended: mark, and where it stands.
    fn boundaries(&self, patient: &str) -> Result<Vec<(BoundaryMark, Place)>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_mark_has_a_word_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        for mark in [BoundaryMark::Opens, BoundaryMark::Closes] {
            assert_eq!(BoundaryMark::from_word(mark.word()), Some(mark));
        }
        assert_eq!(Kind::from_word("Private"), None);
    }
}
