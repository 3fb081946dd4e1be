//! What doctor and patients wrote to each other, from the books.
//!
//! A consultation is the run of private messages from one that opens it to one
//! that closes it. Both sides find it in the same messages, in the same order,
//! that of the doctor's clock: her messages stand where she wrote them, a
//! patient's where it came, whatever the patient's clock says.

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::authors::Authors;
use crate::doctor::deliveries;
use crate::doctor::messages::senders::Senders;
use crate::doctor::messages::{self, BookError, device_code, mark_of};
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::reach;
use crate::identity::certificate::Role;
use crate::identity::id::Identifier;
use crate::protocol::message::{Message, MessageId, Place};
use crate::store::StoreError;
use crate::store::messages::{BoundaryMark, DeliveryRow, IncomingRow, MessageRow};

/// The most messages of the inbox that are shown at once.
const SHOWN: usize = 1_000;
/// How many messages of a history are shown where nothing else is said.
pub const LAST: u64 = 1_000;
/// More than the database holds of one patient.
const MOST: usize = u32::MAX as usize;

/// What the office can be asked about messages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What was written between the doctor and one patient.
    History {
        /// Whom.
        patient: String,
        /// Only so many of the newest messages, of both directions together.
        last: Option<u64>,
    },
    /// What patients wrote that was not shown yet.
    Inbox {
        /// What was shown before, too.
        all: bool,
    },
    /// Messages of the inbox were shown to a person.
    Shown {
        /// Their numbers.
        numbers: Vec<u64>,
    },
}

/// What the office answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// What was written between the doctor and one patient, in the order that
    /// both have.
    History {
        /// Whom.
        patient: String,
        /// The messages.
        letters: Vec<LetterReport>,
        /// How many older ones are not among them.
        older: u64,
        /// Whether a consultation is open.
        consulting: bool,
    },
    /// What patients wrote, the oldest first.
    Inbox {
        /// How many were not shown before.
        unread: u64,
        /// The messages.
        letters: Vec<LetterReport>,
    },
    /// So it is noted.
    Noted,
}

/// One message, in either direction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct LetterReport {
    /// Whether a patient wrote it.
    pub incoming: bool,
    /// What it is called by, in its direction.
    pub number: u64,
    /// Its short name, the same on the patient's side.
    pub code: String,
    /// Who wrote it or got it.
    pub patient: String,
    /// The device it came from.
    pub device: Option<String>,
    /// broadcast, chosen or private.
    pub kind: String,
    /// Whether it is an emergency.
    pub urgent: bool,
    /// When it was written, by its writer's clock.
    pub written: Timestamp,
    /// When it came.
    pub received: Option<Timestamp>,
    /// Whether it was shown to the doctor before; how far it has come at the
    /// patient's devices, in words: what is furthest counts. `kept` if it is for
    /// no device.
    pub state: String,
    /// `opens` or `closes`, if a consultation begins or ends with it.
    pub boundary: Option<String>,
    /// Whether it is part of a consultation.
    pub in_consultation: bool,
    /// What it says; none if it is not for her who asks.
    pub text: Option<String>,
    /// Who wrote it, in a clinic of several, if no patient did.
    pub author: Option<String>,
    /// Whether it bears the name of nobody who could have written it: it is given
    /// to nobody; or of a patient who has not, or who nobody knows that she has.
    pub doubted: bool,
    /// Whether it does not open any more.
    #[serde(default)]
    pub damaged: bool,
}

/// Does what is asked; a sentence if it cannot be done.
///
/// # Errors
/// The sentence.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, NotDone> {
    let answered = match request {
        Request::History { patient, last } => {
            let patient: Identifier = patient
                .parse()
                .map_err(|error: crate::identity::id::IdentifierError| error.to_string())?;
            match reach::is_on_file(practice, &patient) {
                Ok(true) if practice.role() != Role::Doctor => {
                    history_of_staff(practice, &patient, *last)
                }
                Ok(true) => history(practice, &patient, *last),
                Ok(false) => return Err(reach::unknown(&patient).into()),
                Err(error) => Err(BookError::from(error)),
            }
        }
        Request::Inbox { all } => inbox(practice, *all),
        Request::Shown { numbers } => practice
            .store
            .mark_shown(numbers, practice.now(), &[])
            .map(|()| Answer::Noted)
            .map_err(BookError::from),
    };
    Ok(answered?)
}

fn history(
    practice: &Practice,
    patient: &Identifier,
    last: Option<u64>,
) -> Result<Answer, BookError> {
    let store = &practice.store;
    let limit = last.map_or(MOST, |last| usize::try_from(last).unwrap_or(MOST).min(MOST));
    let mut found: Vec<(Place, LetterReport)> = Vec::new();
    let authors = Authors::new(practice);
    for (row, deliveries) in store.messages_to(patient.as_str(), limit)? {
        found.push((row.place(), outgoing(&authors, patient, &row, &deliveries)?));
    }
    let senders = Senders::new(practice);
    for row in store.incoming(Some(patient.as_str()), limit)? {
        found.push((row.place(), read_incoming(&senders, &row)?));
    }
    found.sort_by_key(|(place, _)| *place);
    found.drain(..found.len().saturating_sub(limit));
    let mut consulting = false;
    if let Some((first, _)) = found.first() {
        let before = last_word(practice, patient, |place| place < *first)?;
        consulting = before == Some(BoundaryMark::Opens);
    }
    let mut letters: Vec<_> = found.into_iter().map(|(_, letter)| letter).collect();
    for letter in &mut letters {
        let mark = letter.boundary.as_deref();
        let is_private = letter.kind == "private";
        letter.in_consultation = is_private && (consulting || mark == Some("opens"));
        match mark {
            Some("opens") => consulting = true,
            Some(_) => consulting = false,
            None => {}
        }
    }
    let older = store.count_messages(patient.as_str())?;
    let older = older.saturating_sub(letters.len() as u64);
    let detail = format!("history, {} messages", letters.len());
    practice.note_read(Action::MessagesRead, patient.as_str(), &detail)?;
    Ok(Answer::History {
        patient: patient.to_string(),
        letters,
        older,
        consulting,
    })
}

/// What was written to one patient, for an assistant: not what the patient wrote,
/// and nothing of consultations.
fn history_of_staff(
    practice: &Practice,
    patient: &Identifier,
    last: Option<u64>,
) -> Result<Answer, BookError> {
    let mut rows = practice.store.messages_to(patient.as_str(), MOST)?;
    rows.sort_by_key(|(row, _)| row.place());
    let limit = last.map_or(MOST, |last| usize::try_from(last).unwrap_or(MOST));
    let older = rows.len().saturating_sub(limit);
    let newest = rows.iter().skip(older);
    let authors = Authors::new(practice);
    let letters: Result<Vec<_>, BookError> = newest
        .map(|(row, deliveries)| {
            let letter = outgoing(&authors, patient, row, deliveries)?;
            Ok(LetterReport {
                boundary: None,
                ..letter
            })
        })
        .collect();
    let letters = letters?;
    let detail = format!("history, {} messages", letters.len());
    practice.note_read(Action::MessagesRead, patient.as_str(), &detail)?;
    Ok(Answer::History {
        patient: patient.to_string(),
        letters,
        older: older as u64,
        consulting: false,
    })
}

/// The last word of this patient's consultations among those that stand where
/// `is_wanted` says.
fn last_word(
    practice: &Practice,
    patient: &Identifier,
    is_wanted: impl Fn(Place) -> bool,
) -> Result<Option<BoundaryMark>, StoreError> {
    let (outgoing, incoming) = practice.store.consultation_words(patient.as_str())?;
    let outgoing = outgoing.iter().map(|row| (row.place(), row.boundary));
    let incoming = incoming.iter().map(|row| (row.place(), row.boundary));
    let words = outgoing
        .chain(incoming)
        .filter(|(place, _)| is_wanted(*place));
    let last = words.max_by_key(|(place, _)| *place);
    Ok(last.and_then(|(_, mark)| mark))
}

fn inbox(practice: &Practice, all: bool) -> Result<Answer, BookError> {
    let store = &practice.store;
    let unread = store.unread_count()?;
    let rows = if all {
        let mut rows = store.incoming(None, SHOWN)?;
        rows.reverse();
        rows
    } else {
        store.incoming_unread(SHOWN)?
    };
    let senders = Senders::new(practice);
    let opened: Result<Vec<_>, BookError> = rows
        .iter()
        .map(|row| read_incoming(&senders, row))
        .collect();
    let letters = opened?;
    if !letters.is_empty() {
        let detail = format!("inbox, {} messages", letters.len());
        practice.note_read(Action::MessagesRead, "", &detail)?;
    }
    Ok(Answer::Inbox { unread, letters })
}

fn outgoing(
    authors: &Authors<'_>,
    patient: &Identifier,
    row: &MessageRow,
    at_devices: &[DeliveryRow],
) -> Result<LetterReport, BookError> {
    let practice = authors.practice;
    let found = messages::find_with(authors, row)?;
    let (message, now) = (found.message(), practice.now());
    let states = ["confirmed", "delivered", "sent", "expired", "queued"];
    let reached = |state: &&&str| {
        let mut reached = at_devices.iter();
        reached.any(|delivery| deliveries::state(row, delivery, now).0 == **state)
    };
    let state = states.iter().find(reached).copied().unwrap_or("kept");
    Ok(LetterReport {
        incoming: false,
        number: row.number,
        code: MessageId(row.id).code(),
        patient: patient.to_string(),
        device: None,
        kind: row.kind.word().to_owned(),
        urgent: row.urgent,
        written: message.map_or(row.written, Message::written),
        received: None,
        state: state.to_owned(),
        boundary: match message {
            Some(message) => word(message),
            None if found.is_damaged() => row.boundary.map(|mark| mark.word().to_owned()),
            None => None,
        },
        in_consultation: false,
        text: message.map(|message| message.text().to_owned()),
        author: messages::author(practice, row, message)?,
        doubted: found.is_doubted(),
        damaged: found.is_damaged(),
    })
}

/// A patient's message. One that is damaged must not hide the others: of it is
/// told what its row says.
fn read_incoming(senders: &Senders<'_>, row: &IncomingRow) -> Result<LetterReport, BookError> {
    let letter = match messages::open_incoming(senders.practice, row) {
        Ok(message) => incoming(row, Some(&message)),
        Err(BookError::Sealed(_)) => incoming(row, None),
        Err(error) => return Err(error),
    };
    let sender = senders.of(row)?;
    Ok(LetterReport {
        doubted: sender.as_ref() != Some(&row.patient),
        patient: sender.unwrap_or(letter.patient),
        ..letter
    })
}

/// A patient's message; without it, of one that does not open.
fn incoming(row: &IncomingRow, message: Option<&Message>) -> LetterReport {
    let state = if row.shown.is_some() {
        "read"
    } else {
        "unread"
    };
    LetterReport {
        incoming: true,
        number: row.number,
        code: MessageId(row.id).code(),
        patient: row.patient.clone(),
        device: Some(device_code(&row.device)),
        kind: "private".to_owned(),
        urgent: message.is_some_and(Message::is_urgent),
        written: message.map_or(row.written, Message::written),
        received: Some(row.received),
        state: state.to_owned(),
        boundary: match message {
            Some(message) => word(message),
            None => row.boundary.map(|mark| mark.word().to_owned()),
        },
        in_consultation: false,
        text: message.map(|message| message.text().to_owned()),
        author: None,
        doubted: false,
        damaged: message.is_none(),
    }
}

fn word(message: &Message) -> Option<String> {
    mark_of(message).map(|mark| mark.word().to_owned())
}

/// Whether a consultation with this patient is open: the last word counts,
/// whoever said it.
///
/// # Errors
/// [`StoreError`].
pub fn is_consulting(practice: &Practice, patient: &Identifier) -> Result<bool, StoreError> {
    let words = practice.store.boundaries(patient.as_str())?;
    let last = words.into_iter().max_by_key(|(_, place)| *place);
    Ok(last.is_some_and(|(mark, _)| mark == BoundaryMark::Opens))
}
