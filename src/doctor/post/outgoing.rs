//! A message that is in the books, on to those who are there.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::clock::Timestamp;
use crate::doctor::messages::BookError;
use crate::doctor::messages::addressees::Addressees;
use crate::doctor::messages::live::Given;
use crate::doctor::shared::Shared;
use crate::identity::certificate::Fingerprint;
use crate::protocol::message::Message;
use crate::protocol::opcode;
use crate::protocol::record::Audience;
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::outbox::{Pushed, QueueFull};
use crate::session::signed::{self, Parties};
use crate::session::table::{Connected, Prepared};
use crate::store::messages::{Change, Kind, Work};

/// Connected devices to which a message is given one by one before the doctor
/// is answered.
const AT_ONCE: usize = 16;

/// A message that is in the books.
#[derive(Clone)]
pub(in crate::doctor) struct Outgoing {
    shared: Arc<Shared>,
    message: Message,
    addressees: Addressees,
    number: u64,
    devices: HashSet<Fingerprint>,
    now: Timestamp,
}

impl Outgoing {
    /// A message for these devices, as far as it is for their owners by its own
    /// word.
    pub(in crate::doctor) fn new(
        shared: &Arc<Shared>,
        (message, addressees): (Message, Addressees),
        number: u64,
        devices: HashSet<Fingerprint>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            message,
            addressees,
            number,
            devices,
            now: shared.clock.now(),
        }
    }

    /// What it says.
    pub(in crate::doctor) const fn message(&self) -> &Message {
        &self.message
    }

    /// The recipients' devices.
    pub(in crate::doctor) const fn devices(&self) -> &HashSet<Fingerprint> {
        &self.devices
    }

    /// Whether everyone who is there is to get it.
    pub(in crate::doctor) fn is_for_all(&self) -> bool {
        let members = self.shared.tables.sessions.connected();
        let mut devices = members.iter().map(|it| it.certificate.fingerprint());
        devices.all(|device| self.devices.contains(&device))
    }

    /// To everyone who is there, under the group key; gives them, and the
    /// epoch.
    pub(in crate::doctor) fn to_group(&self, prepared: Option<Prepared>) -> (Vec<Connected>, u64) {
        let shared = &*self.shared;
        let identity = shared.identity();
        shared.pulse.broadcast(Instant::now());
        // Held until all is noted, so that no receipt comes before it is known
        // what for, and "delivered" is written after "sent".
        let mut live = shared.live();
        let broadcast = shared.tables.sessions.broadcast(
            prepared,
            &self.message,
            &identity,
            self.now,
            Instant::now(),
            &mut OsRandom,
        );
        let recipients = broadcast.recipients;
        let epoch = broadcast.sealed.as_ref().map(|sealed| {
            let sessions = recipients.iter().map(|member| member.id);
            live.broadcast(self.number, self.message.id(), sealed.receipted, sessions);
            sealed.receipted.epoch
        });
        self.sent(&recipients);
        drop(live);
        shared.dropped(broadcast.dropped);
        (recipients, epoch.unwrap_or(0))
    }

    /// The recipients who are there.
    pub(in crate::doctor) fn members(&self) -> Vec<Connected> {
        let members = self.shared.tables.sessions.connected().into_iter();
        members
            .filter(|member| self.devices.contains(&member.certificate.fingerprint()))
            .collect()
    }

    /// To each of these under its own session's key; gives the number of those
    /// who have it or are given it at once. Each is signed for alone, which
    /// takes its time: for many it is done by a thread of its own, and nobody
    /// waits for it.
    pub(in crate::doctor) fn one_by_one(&self, kind: Kind, members: Vec<Connected>) -> usize {
        let count = members.len();
        if kind == Kind::Private || count <= AT_ONCE {
            return self.give_all(kind, members);
        }
        let (outgoing, for_thread) = (self.clone(), members.clone());
        let thread = thread::Builder::new().name("post".to_owned());
        match thread.spawn(move || outgoing.give_all(kind, for_thread)) {
            Ok(_) => count,
            Err(_) => self.give_all(kind, members),
        }
    }

    /// Gives the number of those who have it.
    fn give_all(&self, kind: Kind, members: Vec<Connected>) -> usize {
        let gives = |member| usize::from(self.give(kind, member));
        members.into_iter().map(gives).sum()
    }

    /// Whoever has left meanwhile gets it when it comes back.
    fn give(&self, kind: Kind, member: Connected) -> bool {
        let shared = &*self.shared;
        let device = member.certificate.fingerprint();
        if shared.is_stopping() || !shared.tables.sessions.has(&device, member.id) {
            return false;
        }
        let patient = &member.certificate.subject().identifier;
        if !self.addressees.admits(&self.message.id(), patient) {
            let error = BookError::Addressees(self.number);
            shared.tell_refused(self.number, &error);
            return false;
        }
        let identity = shared.identity();
        let parties = Parties {
            doctor: identity.certificate.fingerprint(),
            patient: device,
        };
        // Signed before anybody is kept waiting.
        let sign = || {
            let (_, body) = record(kind, &self.message, &identity.signing, &parties);
            body
        };
        let body = match kind {
            Kind::Broadcast => {
                let slot = shared
                    .signed()
                    .slot(self.number, self.message.id(), &parties.doctor);
                slot.get_or_init(sign).clone()
            }
            Kind::Chosen | Kind::Private => sign(),
        };
        let opcode = opcode_of(kind);
        let given = Given {
            number: self.number,
            opcode,
            hash: self.message.hash(),
        };
        // Held so that "delivered" is written after "sent", and so that nothing
        // is noted of a session that is over.
        let mut live = shared.live();
        if !shared.tables.sessions.has(&device, member.id) {
            return false;
        }
        match member.outbox.push_record(opcode, SecretBytes::new(body)) {
            Ok(Pushed::Queued) => {}
            Ok(Pushed::Over) => return false,
            Err(QueueFull) => {
                drop(live);
                let subject = member.certificate.subject();
                shared.drop_stalled(&device, member.id, &subject.identifier);
                return false;
            }
        }
        live.record(member.id, self.message.id(), given);
        self.sent(std::slice::from_ref(&member));
        drop(live);
        shared.flusher.send([member.outbox]);
        true
    }

    fn sent(&self, members: &[Connected]) {
        let devices: Vec<_> = members
            .iter()
            .map(|member| member.certificate.fingerprint())
            .collect();
        if devices.is_empty() {
            return;
        }
        let work = Work::Sent {
            message: self.number,
            devices,
            at: self.now,
        };
        // That it cannot be written is told by the ledger.
        self.shared.ledger.write(Change::unlogged(work), |_| {});
    }
}

/// The opcode of a message that goes to one device.
pub(in crate::doctor) const fn opcode_of(kind: Kind) -> u8 {
    match kind {
        Kind::Private => opcode::PRIVATE,
        Kind::Broadcast | Kind::Chosen => opcode::DIRECT,
    }
}

/// A message as the record that goes to one device: opcode and body.
pub(in crate::doctor) fn record(
    kind: Kind,
    message: &Message,
    doctor: &crate::elgamal::SignSecret,
    parties: &Parties,
) -> (u8, Vec<u8>) {
    let audience = match kind {
        Kind::Private => return (opcode::PRIVATE, message.encode()),
        Kind::Broadcast => Audience::Everyone,
        Kind::Chosen => Audience::Chosen,
    };
    let message = message.clone();
    let direct = signed::sign_direct(doctor, audience, message, parties, &mut OsRandom);
    (opcode::DIRECT, direct.encode())
}
