//! Messages on their way out: who is to get one, into the books with it, and
//! on to those who are there.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::messages::live::Given;
use crate::doctor::messages::{self, mark_of};
use crate::doctor::practice::Practice;
use crate::doctor::reach::{self, Unreached};
use crate::doctor::records::{self, RecordError};
use crate::doctor::shared::Shared;
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::protocol::message::{Boundary, Message, TextError};
use crate::protocol::opcode;
use crate::protocol::record::Audience;
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::outbox::{Pushed, QueueFull};
use crate::session::signed::{self, Parties};
use crate::session::table::{Connected, Prepared};
use crate::store::StoreError;
use crate::store::messages::{Change, Kind, MessageRow, Work};

/// Recipients that the audit log names one by one.
const NAMED: usize = 20;

/// Connected devices to which a message is given one by one before the doctor
/// is answered.
const AT_ONCE: usize = 16;

/// For whom a message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipients {
    /// Everyone who is enrolled.
    Everyone,
    /// These patients.
    Chosen(Vec<Identifier>),
    /// The patients whose records have this tag.
    Tagged(String),
    /// This patient alone.
    One(Identifier),
}

impl Recipients {
    const fn kind(&self) -> Kind {
        match self {
            Self::Everyone => Kind::Broadcast,
            Self::Chosen(_) | Self::Tagged(_) => Kind::Chosen,
            Self::One(_) => Kind::Private,
        }
    }
}

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// For whom.
    pub to: Recipients,
    /// What it says.
    pub text: &'a str,
    /// Whether it is an emergency: given again at every session until somebody
    /// confirms it.
    pub urgent: bool,
    /// After how long it is not given to anybody any more.
    pub expires: Option<Duration>,
    /// What it is to a consultation. Only for one patient.
    pub boundary: Option<Boundary>,
}

impl<'a> Letter<'a> {
    /// An ordinary message.
    #[must_use]
    pub const fn new(to: Recipients, text: &'a str) -> Self {
        Self {
            to,
            text,
            urgent: false,
            expires: None,
            boundary: None,
        }
    }

    fn message(&self, now: Timestamp) -> Result<Message, SendError> {
        let random = &mut OsRandom;
        let message = match self.boundary {
            Some(boundary) => Message::at_boundary(boundary, self.text, now, random),
            None => Message::new(self.text, self.urgent, now, random),
        };
        message.map_err(SendError::Text)
    }
}

/// Why a message was not sent.
#[derive(Debug)]
pub enum SendError {
    /// The text.
    Text(TextError),
    /// Nobody has enrolled yet, or these have and no message reaches them.
    NoPatients(Vec<Unreached>),
    /// No message reaches these of the named.
    Unreached(Vec<Unreached>),
    /// Nobody's record has this tag, or no message reaches those who have it.
    NobodyTagged(String, Vec<Unreached>),
    /// The patients' records.
    Records(RecordError),
    /// The store.
    Store(StoreError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => write!(f, "{error}"),
            Self::NoPatients(unreached) if unreached.is_empty() => {
                f.write_str("nothing was sent: no patient has enrolled yet; enrol one first")
            }
            Self::NoPatients(unreached) | Self::Unreached(unreached) => {
                f.write_str(&reach::refusal(unreached))
            }
            Self::NobodyTagged(tag, unreached) if !unreached.is_empty() => write!(
                f,
                "nobody with the tag {tag} is reached: {}",
                reach::refusal(unreached)
            ),
            Self::NobodyTagged(tag, _) => write!(
                f,
                "no enrolled patient has the tag {tag}, nothing was sent; check the tag, or give \
                 it to somebody"
            ),
            Self::Records(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What became of a message at once.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What the message is called by.
    pub number: u64,
    /// Its short name, the same on the patients' side.
    pub code: String,
    /// Devices it was given to.
    pub devices: usize,
    /// Devices that will be given it when they come back.
    pub away: usize,
    /// Number of the group's epoch; 0 for what did not go to the group.
    pub epoch: u64,
    /// Patients it would be for, but whom no message reaches.
    pub left_out: Vec<Unreached>,
}

type Devices = Vec<(Fingerprint, String)>;

/// The devices that are to get a letter, with their patients; and the patients
/// it would be for, but whom no message reaches.
///
/// # Errors
/// [`SendError`] if no message reaches one of those who are named, or if there
/// is nobody.
pub fn recipients(
    practice: &Practice,
    to: &Recipients,
) -> Result<(Devices, Vec<Unreached>), SendError> {
    let of = |patient: Option<&str>| practice.store.active_devices(patient, practice.now());
    let (mut devices, mut unreached) = (Vec::new(), Vec::new());
    let mut add = |patient: &Identifier| -> Result<(), StoreError> {
        let found = of(Some(patient.as_str()))?;
        if found.is_empty() {
            unreached.push(reach::why_not(practice, patient)?);
        }
        devices.extend(found);
        Ok(())
    };
    match to {
        Recipients::Everyone => {
            let (devices, left_out) = (of(None)?, reach::unreached(practice, None)?);
            match devices.is_empty() {
                true => Err(SendError::NoPatients(left_out)),
                false => Ok((devices, left_out)),
            }
        }
        Recipients::One(patient) => {
            add(patient)?;
            all_or_none(devices, unreached)
        }
        Recipients::Chosen(patients) => {
            for patient in patients.iter().collect::<std::collections::BTreeSet<_>>() {
                add(patient)?;
            }
            all_or_none(devices, unreached)
        }
        Recipients::Tagged(tag) => {
            let patients = records::patients_with_tag(practice, tag);
            for patient in patients.map_err(SendError::Records)? {
                // A record under a name that nobody can have is nobody's.
                if let Ok(patient) = patient.parse() {
                    add(&patient)?;
                }
            }
            match devices.is_empty() {
                true => Err(SendError::NobodyTagged(tag.clone(), unreached)),
                false => Ok((devices, unreached)),
            }
        }
    }
}

fn all_or_none(
    devices: Devices,
    unreached: Vec<Unreached>,
) -> Result<(Devices, Vec<Unreached>), SendError> {
    match unreached.is_empty() {
        true => Ok((devices, unreached)),
        false => Err(SendError::Unreached(unreached)),
    }
}

/// The same of a letter. The word that ends a consultation is kept whether it
/// reaches the patient or not: it waits for devices that may come back.
fn recipients_of(
    practice: &Practice,
    letter: &Letter<'_>,
) -> Result<(Devices, Vec<Unreached>), SendError> {
    match (recipients(practice, &letter.to), &letter.to) {
        (Err(SendError::Unreached(_)), Recipients::One(patient))
            if letter.boundary == Some(Boundary::Closes) =>
        {
            Ok((reach::waiting_devices(practice, patient)?, Vec::new()))
        }
        (found, _) => found,
    }
}

/// Puts a letter into the books and gives it to those who are there; the others
/// get it when they come back.
///
/// # Errors
/// [`SendError`]; nothing is in the books then, and nothing was sent.
pub(super) fn send(shared: &Arc<Shared>, letter: &Letter<'_>) -> Result<Sent, SendError> {
    let practice = &*shared.practice;
    let now = practice.now();
    let message = letter.message(now)?;
    let prepared = match letter.to.kind() {
        Kind::Broadcast => prepare(shared, &message, now),
        Kind::Chosen | Kind::Private => None,
    };
    // Whoever joins is either before this message or after it.
    let order = shared.order();
    let (devices, left_out) = recipients_of(practice, letter)?;
    let row = MessageRow {
        number: 0,
        id: message.id().0,
        kind: letter.to.kind(),
        patient: match &letter.to {
            Recipients::One(patient) => Some(patient.to_string()),
            _ => None,
        },
        boundary: mark_of(&message),
        urgent: message.is_urgent(),
        written: now,
        expires: letter.expires.map(|after| now.plus(after)),
        sealed: messages::seal(practice, &message).map_err(StoreError::from)?,
    };
    let entry = entry(practice, letter, &message, &devices);
    let number = practice.store.add_message(&row, &devices, &[entry])?;
    let outgoing = Outgoing {
        shared: Arc::clone(shared),
        message,
        number,
        devices: devices.into_iter().map(|(device, _)| device).collect(),
        now,
    };
    let recipients = outgoing.devices.len();
    let code = outgoing.message.id().code();
    let (devices, epoch) = match row.kind {
        Kind::Broadcast => {
            let (given, epoch) = outgoing.to_group(prepared);
            drop(order);
            let devices = given.len();
            let queues = given.into_iter().map(|member| member.outbox);
            shared.flusher.send(queues);
            (devices, epoch)
        }
        kind => {
            let members = outgoing.members();
            // Whoever joins from now on finds it in the books.
            drop(order);
            (outgoing.one_by_one(kind, members), 0)
        }
    };
    Ok(Sent {
        number,
        code,
        devices,
        away: recipients.saturating_sub(devices),
        epoch,
        left_out,
    })
}

/// Signs a broadcast before anybody is kept waiting.
fn prepare(shared: &Shared, message: &Message, now: Timestamp) -> Option<Prepared> {
    let identity = shared.identity();
    let sessions = &shared.tables.sessions;
    let (prepared, dropped) =
        sessions.prepare(message, &identity, now, Instant::now(), &mut OsRandom);
    shared.dropped(dropped);
    prepared
}

/// What the audit log says of a message.
fn entry(practice: &Practice, letter: &Letter<'_>, message: &Message, devices: &Devices) -> Entry {
    let mut patients: Vec<&str> = devices.iter().map(|(_, name)| name.as_str()).collect();
    patients.dedup();
    let (action, subject, to) = match &letter.to {
        Recipients::One(patient) => (Action::Message, patient.as_str(), String::new()),
        Recipients::Everyone => (
            Action::Broadcast,
            "",
            format!(", to all {} patients", patients.len()),
        ),
        Recipients::Chosen(_) | Recipients::Tagged(_) if patients.len() <= NAMED => (
            Action::Broadcast,
            "",
            format!(", to {}", patients.join(", ")),
        ),
        Recipients::Chosen(_) | Recipients::Tagged(_) => (
            Action::Broadcast,
            "",
            format!(", to {} chosen patients", patients.len()),
        ),
    };
    let urgent = if letter.urgent { ", urgent" } else { "" };
    let detail = format!("message {}{to}{urgent}", message.id().code());
    practice.by_doctor(action, subject, &detail)
}

/// A message that is in the books.
#[derive(Clone)]
struct Outgoing {
    shared: Arc<Shared>,
    message: Message,
    number: u64,
    devices: HashSet<Fingerprint>,
    now: Timestamp,
}

impl Outgoing {
    /// To everyone who is there, under the group key; gives them, and the
    /// epoch.
    fn to_group(&self, prepared: Option<Prepared>) -> (Vec<Connected>, u64) {
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
    fn members(&self) -> Vec<Connected> {
        let members = self.shared.tables.sessions.connected().into_iter();
        members
            .filter(|member| self.devices.contains(&member.certificate.fingerprint()))
            .collect()
    }

    /// To each of these under its own session's key; gives the number of those
    /// who have it or are given it at once. Each is signed for alone, which
    /// takes its time: for many it is done by a thread of its own, and nobody
    /// waits for it.
    fn one_by_one(self, kind: Kind, members: Vec<Connected>) -> usize {
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
        let identity = shared.identity();
        let parties = Parties {
            doctor: identity.certificate.fingerprint(),
            patient: device,
        };
        // Signed before anybody is kept waiting.
        let (opcode, body) = record(kind, &self.message, &identity.signing, &parties);
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
pub(super) const fn opcode_of(kind: Kind) -> u8 {
    match kind {
        Kind::Private => opcode::PRIVATE,
        Kind::Broadcast | Kind::Chosen => opcode::DIRECT,
    }
}

/// A message as the record that goes to one device: opcode and body.
pub(super) fn record(
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
