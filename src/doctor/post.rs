//! Messages on their way out: who is to get one, into the books with it, and
//! on to those who are there.

pub(super) mod outgoing;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::messages::addressees::Addressees;
use crate::doctor::messages::{self, mark_of};
use crate::doctor::practice::Practice;
use crate::doctor::presence;
use crate::doctor::reach::{self, Unreached};
use crate::doctor::records::{self, RecordError};
use crate::doctor::shared::Shared;
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::protocol::message::{Boundary, Message, TextError};
use crate::random::OsRandom;
use crate::session::table::Prepared;
use crate::store::StoreError;
use crate::store::messages::{Kind, MessageRow};
use outgoing::Outgoing;

/// Recipients that the audit log names one by one.
const NAMED: usize = 20;

/// For whom a message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipients {
    /// Every patient of this doctor; where she works alone that is everyone who
    /// is enrolled.
    Everyone,
    /// Every patient of the clinic.
    Clinic,
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
            Self::Everyone | Self::Clinic => Kind::Broadcast,
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

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Records(error) => Some(error),
            _ => None,
        }
    }
}

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
    /// Devices that are connected to other doctors of the clinic, whose servers
    /// give it to them.
    pub elsewhere: usize,
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
        Recipients::Everyone | Recipients::Clinic => {
            let (mut devices, mut left_out) = (of(None)?, reach::unreached(practice, None)?);
            if let (Recipients::Everyone, Some(nodes)) = (to, practice.store.nodes()) {
                let others = nodes.others_patients()?;
                devices.retain(|(_, patient)| !others.contains(patient));
                left_out.retain(|unreached| !others.contains(&unreached.patient));
            }
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

/// A message in the books.
pub(super) struct Entered {
    /// It.
    pub(super) row: MessageRow,
    /// For whom it is, by its own word.
    pub(super) addressees: Addressees,
    /// The devices that are to get it.
    pub(super) devices: Devices,
    /// Patients it would be for, but whom no message reaches.
    pub(super) left_out: Vec<Unreached>,
}

/// A letter as a message of hers whose practice this is. In a clinic it says who
/// she is.
///
/// # Errors
/// [`SendError::Text`].
pub(super) fn written(
    practice: &Practice,
    letter: &Letter<'_>,
    now: Timestamp,
) -> Result<Message, SendError> {
    let message = letter.message(now)?;
    Ok(match practice.store.nodes() {
        Some(_) => message.by(practice.identity().identifier().clone()),
        None => message,
    })
}

/// Puts a letter into the books.
///
/// # Errors
/// [`SendError`]; nothing is in the books then.
pub(super) fn enter(
    practice: &Practice,
    letter: &Letter<'_>,
    message: &Message,
    now: Timestamp,
) -> Result<Entered, SendError> {
    let (devices, left_out) = recipients_of(practice, letter)?;
    let addressees = match (&letter.to, letter.to.kind()) {
        (Recipients::One(patient), _) => Addressees::One(patient.clone()),
        (_, Kind::Broadcast) => Addressees::All,
        _ => Addressees::chosen(&message.id(), devices.iter().map(|(_, name)| name.as_str())),
    };
    let mut row = MessageRow {
        number: 0,
        id: message.id().0,
        kind: letter.to.kind(),
        patient: match &letter.to {
            Recipients::One(patient) => Some(patient.to_string()),
            _ => None,
        },
        boundary: mark_of(message),
        urgent: message.is_urgent(),
        written: now,
        expires: letter.expires.map(|after| now.plus(after)),
        sealed: messages::seal(practice, message, &addressees).map_err(StoreError::from)?,
    };
    let entry = entry(practice, letter, message, &devices);
    row.number = practice.store.add_message(&row, &devices, &[entry])?;
    Ok(Entered {
        row,
        addressees,
        devices,
        left_out,
    })
}

/// Puts a letter into the books and gives it to those who are there; the others
/// get it when they come back.
///
/// # Errors
/// [`SendError`]; nothing is in the books then, and nothing was sent.
pub(super) fn send(shared: &Arc<Shared>, letter: &Letter<'_>) -> Result<Sent, SendError> {
    let practice = &*shared.practice;
    let now = practice.now();
    let message = written(practice, letter, now)?;
    let prepared = match letter.to.kind() {
        Kind::Broadcast => prepare(shared, &message, now),
        Kind::Chosen | Kind::Private => None,
    };
    // Whoever joins is either before this message or after it.
    let order = shared.order();
    let Entered {
        row,
        addressees,
        devices,
        left_out,
    } = enter(practice, letter, &message, now)?;
    let number = row.number;
    shared.clinic.sent(number);
    let (recipients, code) = (devices.len(), message.id().code());
    let devices = devices.into_iter().map(|(device, _)| device).collect();
    let outgoing = Outgoing::new(shared, (message, addressees), number, devices);
    // Where other doctors' patients are there, too, the group is too many.
    let is_for_all = || practice.store.nodes().is_none() || outgoing.is_for_all();
    let (devices, epoch) = match row.kind {
        Kind::Broadcast if is_for_all() => {
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
    let away = recipients.saturating_sub(devices);
    let elsewhere = match away {
        0 => 0,
        _ => presence::elsewhere(practice, outgoing.devices())
            .unwrap_or(0)
            .min(away),
    };
    Ok(Sent {
        number,
        code,
        devices,
        elsewhere,
        away: away - elsewhere,
        epoch,
        left_out,
    })
}

/// Signs a broadcast before anybody is kept waiting.
pub(super) fn prepare(shared: &Shared, message: &Message, now: Timestamp) -> Option<Prepared> {
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
        Recipients::Clinic => (
            Action::Broadcast,
            "",
            format!(", to all {} patients of the clinic", patients.len()),
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
