//! What was sent and what became of it, for each device: kept in memory, until
//! the program ends.
//!
//! A message is queued when it is written, sent when it is given to the
//! device's connection, delivered when the device proved that it has it, and
//! confirmed when a person signed that. No state is ever inferred from another.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::clock::Timestamp;
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::opcode;
use crate::protocol::record::{Ack, Direct};
use crate::session::receipt;
use crate::session::table::{Connected, SessionId};

/// The most messages kept; older ones are forgotten.
const MAX_ENTRIES: usize = 1_000;
/// The most ids of patients' messages remembered.
const MAX_INCOMING: usize = 10_000;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// For everyone.
    Broadcast,
    /// For one patient.
    Private,
}

/// How a device was last sent a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// As `ENC_MSG`, to the group.
    Group,
    /// As a record, DIRECT or PRIVATE.
    Record,
}

/// What became of a message at one device.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Whose device it is.
    pub patient: Identifier,
    /// When it was last given to the device's connection.
    pub sent: Option<Timestamp>,
    /// When the device proved that it has it.
    pub delivered: Option<Timestamp>,
    /// The patient's signed confirmation, and when it came.
    pub confirmed: Option<(Timestamp, Ack)>,
    form: Option<Form>,
    /// The session it was last given to: it is not given twice to one.
    session: Option<SessionId>,
}

impl Delivery {
    const fn queued(patient: Identifier) -> Self {
        Self {
            patient,
            sent: None,
            delivered: None,
            confirmed: None,
            form: None,
            session: None,
        }
    }

    const fn given(&mut self, form: Form, session: SessionId, now: Timestamp) {
        self.sent = Some(now);
        self.form = Some(form);
        self.session = Some(session);
    }

    /// The state as a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (&self.confirmed, self.delivered, self.sent) {
            (Some(_), _, _) => "confirmed",
            (None, Some(_), _) => "delivered",
            (None, None, Some(_)) => "sent",
            (None, None, None) => "queued",
        }
    }
}

/// One message.
#[derive(Debug)]
pub struct Entry {
    /// Counts the messages of this run, from 1 on: what people call it by.
    pub number: u64,
    /// What it says.
    pub message: Message,
    /// What it is.
    pub kind: Kind,
    /// What became of it, by device.
    pub deliveries: BTreeMap<Fingerprint, Delivery>,
    hash: [u8; 64],
    sealed: Option<receipt::Broadcast>,
    /// Signed once for everyone who missed it.
    direct: Option<Direct>,
}

impl Entry {
    fn has_arrived(&self) -> bool {
        let mut deliveries = self.deliveries.values();
        deliveries.all(|delivery| delivery.delivered.is_some())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct MessageLog {
    /// How many messages there were.
    count: u64,
    entries: VecDeque<Entry>,
    incoming: HashMap<(Fingerprint, MessageId), [u8; 64]>,
    incoming_order: VecDeque<(Fingerprint, MessageId)>,
}

/// What a patient's message is to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// Never seen.
    New,
    /// Seen before, the very same: answered again, not shown again.
    Repeated,
    /// Another message under an id seen before.
    Forged,
}

impl MessageLog {
    /// Makes room for one more message: the oldest that has reached everybody is
    /// forgotten, or else the oldest. Then its number is given, for it will
    /// reach nobody any more.
    pub fn make_room(&mut self) -> Option<u64> {
        if self.entries.len() < MAX_ENTRIES {
            return None;
        }
        let done = self.entries.iter().position(Entry::has_arrived);
        let forgotten = self.entries.remove(done.unwrap_or(0))?;
        done.is_none().then_some(forgotten.number)
    }

    /// Adds a message that is not sent to anybody yet, and gives its number.
    pub fn add(
        &mut self,
        message: Message,
        kind: Kind,
        devices: Vec<(Fingerprint, Identifier)>,
    ) -> u64 {
        let deliveries = devices
            .into_iter()
            .map(|(device, patient)| (device, Delivery::queued(patient)))
            .collect();
        let hash = message.hash();
        self.count += 1;
        self.entries.push_back(Entry {
            number: self.count,
            message,
            kind,
            deliveries,
            hash,
            sealed: None,
            direct: None,
        });
        self.count
    }

    /// Notes that a broadcast went to the group.
    pub fn sent_to_group(
        &mut self,
        id: MessageId,
        sealed: receipt::Broadcast,
        members: &[Connected],
        now: Timestamp,
    ) {
        let Some(entry) = self.entry_mut(id) else {
            return;
        };
        entry.sealed = Some(sealed);
        for member in members {
            // Somebody may have enrolled and joined since the list was made.
            entry
                .deliveries
                .entry(member.certificate.fingerprint())
                .or_insert_with(|| {
                    Delivery::queued(member.certificate.subject().identifier.clone())
                })
                .given(Form::Group, member.id, now);
        }
    }

    /// The oldest message that a device has not proved to have and that was not
    /// given to its session yet: its id, and opcode and body of the record to
    /// send. `sign` signs a broadcast for everyone who missed it, once.
    pub fn next_missed(
        &mut self,
        device: &Fingerprint,
        session: SessionId,
        sign: &mut dyn FnMut(&Message) -> Direct,
    ) -> Option<(MessageId, u8, Vec<u8>)> {
        let entry = self.entries.iter_mut().find(|entry| {
            entry.deliveries.get(device).is_some_and(|delivery| {
                delivery.delivered.is_none() && delivery.session != Some(session)
            })
        })?;
        let (opcode, body) = match entry.kind {
            Kind::Private => (opcode::PRIVATE, entry.message.encode()),
            Kind::Broadcast => {
                let direct = entry.direct.get_or_insert_with(|| sign(&entry.message));
                (opcode::DIRECT, direct.encode())
            }
        };
        Some((entry.message.id(), opcode, body))
    }

    /// Notes that a message went to a device as a record.
    pub fn sent_as_record(
        &mut self,
        device: &Fingerprint,
        id: MessageId,
        session: SessionId,
        now: Timestamp,
    ) {
        let delivery = self
            .entry_mut(id)
            .and_then(|entry| entry.deliveries.get_mut(device));
        if let Some(delivery) = delivery {
            delivery.given(Form::Record, session, now);
        }
    }

    /// The broadcast with this number, if this device was a member when it was
    /// sent: what its receipt must speak of.
    #[must_use]
    pub fn broadcast_of(
        &self,
        device: &Fingerprint,
        mid: u64,
    ) -> Option<(MessageId, receipt::Broadcast)> {
        self.entries.iter().rev().find_map(|entry| {
            let sealed = entry.sealed.filter(|sealed| sealed.mid == mid)?;
            entry.deliveries.get(device)?.sent?;
            Some((entry.message.id(), sealed))
        })
    }

    /// Opcode and hash of a message that was sent to this device as a record.
    #[must_use]
    pub fn record_of(&self, device: &Fingerprint, id: MessageId) -> Option<(u8, [u8; 64])> {
        let entry = self.entry(id)?;
        let delivery = entry.deliveries.get(device)?;
        (delivery.form == Some(Form::Record)).then_some(match entry.kind {
            Kind::Private => (opcode::PRIVATE, entry.hash),
            Kind::Broadcast => (opcode::DIRECT, entry.hash),
        })
    }

    /// Hash of a message that was sent to this device in any form.
    #[must_use]
    pub fn hash_of_sent(&self, device: &Fingerprint, id: MessageId) -> Option<[u8; 64]> {
        let entry = self.entry(id)?;
        entry.deliveries.get(device)?.sent?;
        Some(entry.hash)
    }

    /// Notes a proof of delivery, and gives the message's number; none if there
    /// was a proof already.
    pub fn delivered(
        &mut self,
        device: &Fingerprint,
        id: MessageId,
        now: Timestamp,
    ) -> Option<u64> {
        let entry = self.entry_mut(id)?;
        let delivery = entry.deliveries.get_mut(device)?;
        let is_first = delivery.delivered.is_none();
        delivery.delivered.get_or_insert(now);
        is_first.then_some(entry.number)
    }

    /// Whether a confirmation is known already.
    #[must_use]
    pub fn is_confirmed(&self, device: &Fingerprint, id: MessageId) -> bool {
        self.entry(id)
            .and_then(|entry| entry.deliveries.get(device))
            .is_some_and(|delivery| delivery.confirmed.is_some())
    }

    /// Notes a confirmation whose signature was checked, and gives the message's
    /// number; the first one stays.
    pub fn confirmed(&mut self, device: &Fingerprint, ack: Ack, now: Timestamp) -> Option<u64> {
        let entry = self.entry_mut(ack.id)?;
        let delivery = entry.deliveries.get_mut(device)?;
        let is_first = delivery.confirmed.is_none();
        delivery.confirmed.get_or_insert((now, ack));
        is_first.then_some(entry.number)
    }

    /// Notes a patient's message.
    pub fn incoming(&mut self, device: &Fingerprint, message: &Message) -> Incoming {
        let key = (*device, message.id());
        let hash = message.hash();
        if let Some(known) = self.incoming.get(&key) {
            return if *known == hash {
                Incoming::Repeated
            } else {
                Incoming::Forged
            };
        }
        if self.incoming_order.len() >= MAX_INCOMING
            && let Some(oldest) = self.incoming_order.pop_front()
        {
            self.incoming.remove(&oldest);
        }
        self.incoming.insert(key, hash);
        self.incoming_order.push_back(key);
        Incoming::New
    }

    /// The messages, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    fn entry(&self, id: MessageId) -> Option<&Entry> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.message.id() == id)
    }

    fn entry_mut(&mut self, id: MessageId) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .rev()
            .find(|entry| entry.message.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    const DEVICE: Fingerprint = [1; 32];
    const NOW: Timestamp = Timestamp::from_millis(1);

    fn add(log: &mut MessageLog) -> MessageId {
        let message = Message::new("x", false, NOW, &mut OsRandom).unwrap();
        let id = message.id();
        log.add(
            message,
            Kind::Private,
            vec![(DEVICE, "P1".parse().unwrap())],
        );
        id
    }

    #[test]
    fn what_has_arrived_is_forgotten_before_what_has_not() {
        let mut log = MessageLog::default();
        let ids: Vec<MessageId> = (0..MAX_ENTRIES).map(|_| add(&mut log)).collect();
        log.delivered(&DEVICE, ids[7], NOW);
        assert_eq!(log.make_room(), None);
        assert!(log.entries().all(|entry| entry.number != 8));
        add(&mut log);
        assert_eq!(log.make_room(), Some(1), "message 1 never arrived");
        assert_eq!(log.entries().count(), MAX_ENTRIES - 1);
    }
}
