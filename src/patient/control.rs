//! What a patient's program can be asked, through the control socket in her
//! directory or, if none runs, by a command that has opened the directory
//! itself; and what it answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::patient::damaged::Damaged;
use crate::patient::history::Item;
use crate::patient::inbox::Entry;
use crate::patient::outbox::Written;
use crate::protocol::message::{Boundary, Message};
use crate::session::patient::Delivery;
use crate::store::MailCounts;

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Which messages has the doctor sent?
    Inbox {
        /// Only those no person has seen.
        unread: bool,
    },
    /// A person has seen these messages.
    Shown {
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// Send this to the doctor.
    Send {
        /// What to say.
        text: String,
        /// Whether a consultation begins or ends with it.
        consultation: Option<Word>,
    },
    /// Wait a moment for this message to the doctor to arrive.
    WaitDelivered {
        /// Its number.
        number: u64,
        /// For at most so many milliseconds, and at most 10 s.
        milliseconds: u64,
    },
    /// The person confirms a message.
    Confirm {
        /// Its number or code.
        message: String,
    },
    /// Wait a moment for the confirmation of a message to arrive.
    WaitConfirmed {
        /// Its number.
        number: u64,
        /// For at most so many milliseconds, and at most 10 s.
        milliseconds: u64,
    },
    /// What was said, in both directions?
    History,
    /// How are things?
    Status,
    /// What can be compared over the phone?
    Fingerprints,
    /// Who are the clinic's doctors?
    Doctors,
}

/// What a message is to a consultation.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It begins with the message.
    Opens,
    /// It ends with the message.
    Closes,
}

impl Word {
    /// The word itself.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opens => "opens",
            Self::Closes => "closes",
        }
    }

    /// As the message says it.
    #[must_use]
    pub const fn boundary(self) -> Boundary {
        match self {
            Self::Opens => Boundary::Opens,
            Self::Closes => Boundary::Closes,
        }
    }
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The doctor's messages, the oldest first.
    Inbox {
        /// What there is: messages, and those that do not open.
        said: Vec<Said>,
        /// Whether there are more than one answer holds.
        more: bool,
    },
    /// It is kept on the disk.
    Kept {
        /// What the message is called by.
        number: u64,
        /// Its short name.
        code: String,
        /// Whether there is a session, so that it arrives at once.
        connected: bool,
    },
    /// Whether it has arrived at the doctor's.
    Arrived(bool),
    /// What was said, in order.
    History {
        /// What there is.
        said: Vec<Said>,
        /// Whether there is more than one answer holds.
        more: bool,
    },
    /// How things are.
    Status(Status),
    /// What is compared over the phone.
    Fingerprints(Fingerprints),
    /// The clinic's doctors, in the order of their names.
    Doctors(Vec<ClinicDoctor>),
    /// It is done.
    Done,
    /// It was not done, for this reason.
    Failed(String),
}

/// A message of the doctor's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// What the message is called by.
    pub number: u64,
    /// Its short name, the same on the doctor's side.
    pub code: String,
    /// Whether it is an emergency.
    pub urgent: bool,
    /// For whom it is: `everyone`, `chosen` or `you`.
    pub to: String,
    /// Whether it was missed while away.
    pub missed: bool,
    /// What it is to a consultation.
    pub consultation: Option<Word>,
    /// When it was written, by the doctor's clock.
    pub written: Timestamp,
    /// When it came.
    pub received: Timestamp,
    /// When a person first saw it.
    pub shown: Option<Timestamp>,
    /// When the person confirmed it.
    pub confirmed: Option<Timestamp>,
    /// When the doctor's server had the confirmation.
    pub confirmation_arrived: Option<Timestamp>,
    /// When it said that it does not have the message.
    pub confirmation_refused: Option<Timestamp>,
    /// Which of the clinic's doctors has written it, if it says so.
    #[serde(default)]
    pub author: Option<String>,
    /// Which of them she was connected to when it came, if that was another.
    #[serde(default)]
    pub through: Option<String>,
    /// What it says.
    pub text: String,
}

impl From<&Entry> for Received {
    fn from(entry: &Entry) -> Self {
        let message = &entry.message;
        Self {
            number: entry.number,
            code: message.id().code(),
            urgent: message.is_urgent(),
            to: match entry.delivery {
                Delivery::Broadcast | Delivery::Missed => "everyone",
                Delivery::Chosen => "chosen",
                Delivery::Private => "you",
            }
            .to_owned(),
            missed: entry.delivery == Delivery::Missed,
            consultation: word_of(message),
            written: message.written(),
            received: entry.received,
            shown: entry.shown,
            confirmed: entry.confirmed,
            confirmation_arrived: entry.confirmation_arrived,
            confirmation_refused: entry.confirmation_refused,
            author: message.author().map(ToString::to_string),
            through: entry.through.as_ref().map(ToString::to_string),
            text: message.text().to_owned(),
        }
    }
}

/// A message to the doctor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Counts them, from 1 on.
    pub number: u64,
    /// Its short name, the same on the doctor's side.
    pub code: String,
    /// What it is to a consultation.
    pub consultation: Option<Word>,
    /// queued, sent or delivered.
    pub state: String,
    /// When it was written.
    pub written: Timestamp,
    /// When the doctor's server had it.
    pub delivered: Option<Timestamp>,
    /// What it says.
    pub text: String,
}

impl From<&Written> for Sent {
    fn from(written: &Written) -> Self {
        let message = &written.message;
        Self {
            number: written.number,
            code: message.id().code(),
            consultation: word_of(message),
            state: written.word().to_owned(),
            written: message.written(),
            delivered: written.delivered,
            text: message.text().to_owned(),
        }
    }
}

fn word_of(message: &Message) -> Option<Word> {
    message.boundary().map(|boundary| match boundary {
        Boundary::Opens => Word::Opens,
        Boundary::Closes => Word::Closes,
    })
}

/// A message that does not open any more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Spoilt {
    /// Whether it is the doctor's, and not to her.
    pub from_doctor: bool,
    /// What the message is called by.
    pub number: u64,
    /// Whether it is an emergency.
    pub urgent: bool,
    /// Whether a person has heard of it.
    pub shown: bool,
    /// What there is to say of it.
    pub sentence: String,
}

impl From<&Damaged> for Spoilt {
    fn from(damaged: &Damaged) -> Self {
        Self {
            from_doctor: damaged.from_doctor,
            number: damaged.number,
            urgent: damaged.urgent,
            shown: damaged.shown,
            sentence: damaged.to_string(),
        }
    }
}

/// Something in the history.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// By the doctor.
    Received(Received),
    /// By the patient.
    Sent(Sent),
    /// Something that does not open any more.
    Damaged(Spoilt),
    /// A consultation begins.
    Begins(Timestamp),
    /// The consultation ends.
    Ends(Timestamp),
}

impl From<&Result<Entry, Damaged>> for Said {
    fn from(found: &Result<Entry, Damaged>) -> Self {
        match found {
            Ok(entry) => Self::Received(entry.into()),
            Err(damaged) => Self::Damaged(damaged.into()),
        }
    }
}

impl Said {
    /// The number of a message of the doctor's that no person has seen.
    #[must_use]
    pub const fn unread(&self) -> Option<u64> {
        match self {
            Self::Received(message) if message.shown.is_none() => Some(message.number),
            Self::Damaged(damaged) if damaged.from_doctor && !damaged.shown => Some(damaged.number),
            _ => None,
        }
    }
}

impl From<&Item> for Said {
    fn from(item: &Item) -> Self {
        match item {
            Item::Received(entry) => Self::Received(entry.into()),
            Item::Sent(written) => Self::Sent(written.into()),
            Item::Damaged(damaged) => Self::Damaged(damaged.into()),
            Item::Begins(at) => Self::Begins(*at),
            Item::Ends(at) => Self::Ends(*at),
        }
    }
}

/// What a patient and her doctor compare over the phone, each in groups of
/// digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// Of the clinic's root certificate.
    pub root: String,
    /// Of the doctor's signing key.
    pub doctor: String,
    /// Of this device's signing key.
    pub own: String,
}

/// A doctor of the patient's clinic.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClinicDoctor {
    /// Her name.
    pub doctor: String,
    /// Where she is reached: `host:port`.
    pub address: String,
    /// Whether she enrolled the patient.
    pub enrolled: bool,
    /// Whether the person wants to be connected to her.
    pub asked: bool,
    /// Whether there is a session with her.
    pub connected: bool,
    /// Whether the clinic has revoked her: there is none any more.
    pub revoked: bool,
    /// When this device first heard of her from the clinic; none if it has not.
    pub since: Option<Timestamp>,
}

/// How things are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Whether a program keeps a connection, or tries to.
    pub running: bool,
    /// Whether there is a session.
    pub connected: bool,
    /// Messages that no person has seen.
    pub unread: u64,
    /// Those of them that are urgent.
    pub unread_urgent: u64,
    /// Messages that have not arrived at the doctor's.
    pub waiting_messages: u64,
    /// Confirmations that have not arrived at the doctor's.
    pub waiting_confirmations: u64,
    /// When this device's certificate ends.
    #[serde(default)]
    pub certificate_ends: Option<Timestamp>,
    /// The doctor with whom there is a session.
    #[serde(default)]
    pub doctor: Option<String>,
}

/// From so long before its end on, a person is told that her device's
/// certificate ends.
pub const REMIND: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Whether it is time to speak of a certificate that ends then.
#[must_use]
pub fn ends_soon(end: Timestamp, now: Timestamp) -> bool {
    end.since(now) <= REMIND
}

impl Status {
    /// The status of a program, with these counts.
    #[must_use]
    pub const fn new(counts: MailCounts, running: bool, connected: bool) -> Self {
        Self {
            running,
            connected,
            unread: counts.unread,
            unread_urgent: counts.unread_urgent,
            waiting_messages: counts.waiting_messages,
            waiting_confirmations: counts.waiting_confirmations,
            certificate_ends: None,
            doctor: None,
        }
    }
}
