//! Who has got what: a message's states at each device, from the books.

mod missing;
mod outcome;

pub use outcome::{Outcome, Report, newest};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::authors::Authors;
use crate::doctor::messages::{self, BookError, device_code};
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::records;
use crate::hex;
use crate::protocol::message::MessageId;
use crate::store::messages::{DeliveryRow, MessageRow};

/// How many messages are listed where none is named.
const LISTED: usize = 20;
/// How many devices of a message are listed one by one where it is not named.
const DEVICES: u64 = 50;
/// Hexadecimal digits of a message's short name.
const CODE_LEN: usize = 6;

/// What the office can be asked about deliveries.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What has reached whom?
    List {
        /// Of this message, by number or short name; else of the newest.
        message: Option<String>,
        /// Only what has not arrived, with the number to call.
        missing: bool,
        /// Check each confirmation's signature.
        verify: bool,
        /// Only the patients who have not confirmed, with the number to call.
        #[serde(default)]
        unconfirmed: bool,
    },
    /// Who has not confirmed this message, on any device?
    Unconfirmed {
        /// Its number.
        message: u64,
        /// Tell the numbers to call, too, which the audit log notes.
        #[serde(default)]
        phones: bool,
    },
}

/// What the office answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// What became of messages, the newest last; of what is missing, first.
    List {
        /// Whether only what has not arrived is listed.
        missing: bool,
        /// Whether only the patients are listed who have not confirmed.
        #[serde(default)]
        unconfirmed: bool,
        /// How many older messages are missing somewhere, too, and not listed.
        older: u64,
        /// The messages.
        messages: Vec<MessageReport>,
        /// Of a message that was named and has expired: when, and how many
        /// patients have got it on no device. It is not missing any more.
        over: Option<(Timestamp, u64)>,
    },
    /// Who has not confirmed it.
    Unconfirmed {
        /// These patients.
        patients: Vec<String>,
        /// The numbers to call that are on file; nothing if that was not asked
        /// or they cannot be read.
        #[serde(default)]
        phones: Option<BTreeMap<String, String>>,
        /// Whether it is not given to anybody any more.
        expired: bool,
    },
}

/// What became of one message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct MessageReport {
    /// What it is called by.
    pub number: u64,
    /// Its short name, the same on the patients' side.
    pub code: String,
    /// broadcast, chosen or private.
    pub kind: String,
    /// The patient, if it is private.
    pub patient: Option<String>,
    /// When it was written.
    pub written: Timestamp,
    /// Whether it is an emergency.
    pub urgent: bool,
    /// From when on it is not given to anybody any more.
    pub expires: Option<Timestamp>,
    /// What it says; none if it is not for her who asks.
    pub text: Option<String>,
    /// Who wrote it, in a clinic of several.
    pub author: Option<String>,
    /// Whether it bears the name of nobody who could have written it: it is given
    /// to nobody.
    pub doubted: bool,
    /// Whether it does not open any more.
    #[serde(default)]
    pub damaged: bool,
    /// Devices that wait for it.
    pub queued: u64,
    /// Devices to whose connection it was given.
    pub sent: u64,
    /// Devices that proved that they have it.
    pub delivered: u64,
    /// Devices whose owner confirmed it.
    pub confirmed: u64,
    /// Devices that it did not reach before it expired.
    pub expired: u64,
    /// How many devices are not listed one by one, because there are too many
    /// and it was not named.
    pub unlisted: u64,
    /// Device by device.
    pub deliveries: Vec<DeliveryReport>,
}

impl MessageReport {
    /// Whether it is for no device at all.
    #[must_use]
    pub const fn is_for_nobody(&self) -> bool {
        self.deliveries.is_empty() && self.unlisted == 0
    }
}

/// What became of one message at one device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct DeliveryReport {
    /// Whose device it is.
    pub patient: String,
    /// Its short name.
    pub device: String,
    /// Whether the message has several devices of this patient's.
    pub is_one_of_several: bool,
    /// queued, sent, delivered, confirmed or expired.
    pub state: String,
    /// Since when.
    pub at: Timestamp,
    /// When it was committed.
    pub queued: Timestamp,
    /// When it was first given to the device's connection.
    pub sent: Option<Timestamp>,
    /// When the device proved that it has it.
    pub delivered: Option<Timestamp>,
    /// When a person's signed confirmation came.
    pub confirmed: Option<Timestamp>,
    /// Whether that signature is right, if that was asked.
    pub genuine: Option<bool>,
    /// The number to call, if it is on file and was asked for.
    pub phone: Option<String>,
}

/// Does what is asked; a sentence if it cannot be done.
///
/// # Errors
/// The sentence.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, NotDone> {
    match request {
        Request::List {
            message,
            missing,
            verify,
            unconfirmed,
        } => {
            let name = message.as_deref();
            let (messages, older) = match missing {
                true => missing::list(practice, name)?,
                false if *unconfirmed => (list_unconfirmed(practice, name)?, 0),
                false => (list(practice, name, *verify)?, 0),
            };
            let over = match name {
                Some(name) if *missing && messages.is_empty() => missing::over(practice, name)?,
                _ => None,
            };
            note_read(practice, &messages)?;
            Ok(Answer::List {
                missing: *missing,
                unconfirmed: *unconfirmed,
                older,
                messages,
                over,
            })
        }
        Request::Unconfirmed { message, phones } => {
            let answer = unconfirmed(practice, *message, *phones);
            Ok(answer?)
        }
    }
}

/// Logs that these are shown, with the patient if they all are hers.
fn note_read(practice: &Practice, messages: &[MessageReport]) -> Result<(), NotDone> {
    let Some((first, others)) = messages.split_first() else {
        return Ok(());
    };
    let patient = first.patient.as_deref();
    let is_hers = |report: &MessageReport| report.patient.as_deref() == patient;
    let subject = patient.filter(|_| others.iter().all(is_hers));
    let detail = match others {
        [] => format!("deliveries, message {} ({})", first.number, first.code),
        _ => format!("deliveries, {} messages", messages.len()),
    };
    let noted = practice.note_read(Action::MessagesRead, subject.unwrap_or_default(), &detail);
    Ok(noted?)
}

fn unconfirmed(practice: &Practice, message: u64, with_phones: bool) -> Result<Answer, BookError> {
    let row = practice.store.message(message)?;
    let expired = row.is_some_and(|row| has_expired(&row, practice.now()));
    let rows = practice.store.deliveries(message)?;
    let confirmed: BTreeSet<_> = rows
        .iter()
        .filter(|row| row.confirmed.is_some())
        .map(|row| &row.patient)
        .collect();
    let all: BTreeSet<_> = rows.iter().map(|row| &row.patient).collect();
    let patients: Vec<String> = all.difference(&confirmed).copied().cloned().collect();
    let phones = with_phones.then(|| {
        let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
        let phones = records::phones(practice, &patients).ok()?;
        let phones = phones.into_iter();
        Some(
            phones
                .map(|(patient, phone)| (patient, phone.as_str().to_owned()))
                .collect(),
        )
    });
    Ok(Answer::Unconfirmed {
        patients,
        phones: phones.flatten(),
        expired,
    })
}

/// What became of a message at the devices of those who have confirmed it on
/// none.
fn list_unconfirmed(
    practice: &Practice,
    message: Option<&str>,
) -> Result<Vec<MessageReport>, NotDone> {
    let mut reports = list(practice, message, false)?;
    for report in &mut reports {
        let deliveries = report.deliveries.iter();
        let confirmed = deliveries.filter(|delivery| delivery.confirmed.is_some());
        let confirmed: BTreeSet<_> = confirmed.map(|row| row.patient.clone()).collect();
        let has_not = |delivery: &DeliveryReport| !confirmed.contains(&delivery.patient);
        report.deliveries.retain(has_not);
    }
    add_phones(practice, &mut reports)?;
    Ok(reports)
}

/// Adds the numbers to call.
fn add_phones(practice: &Practice, reports: &mut [MessageReport]) -> Result<(), NotDone> {
    let deliveries = reports.iter().flat_map(|report| &report.deliveries);
    let patients: BTreeSet<&str> = deliveries.map(|row| row.patient.as_str()).collect();
    let patients: Vec<&str> = patients.into_iter().collect();
    let phones = records::phones(practice, &patients).map_err(|error| NotDone::of(&error))?;
    for delivery in reports.iter_mut().flat_map(|report| &mut report.deliveries) {
        let phone = phones.get(&delivery.patient);
        delivery.phone = phone.map(|phone| phone.as_str().to_owned());
    }
    Ok(())
}

/// Whether a message is not given to anybody any more.
fn has_expired(row: &MessageRow, now: Timestamp) -> bool {
    row.expires.is_some_and(|expires| expires <= now)
}

/// How far a message has come at a device, as a word, and since when. What has
/// not arrived before the message expired never does.
#[must_use]
pub fn state(
    row: &MessageRow,
    delivery: &DeliveryRow,
    now: Timestamp,
) -> (&'static str, Timestamp) {
    match row.expires {
        Some(expires) if expires <= now && !delivery.has_arrived() => ("expired", expires),
        _ => delivery.state(),
    }
}

/// The messages that are called this: a number, or the short name or more of
/// the long one.
fn named(practice: &Practice, name: &str) -> Result<Vec<MessageRow>, NotDone> {
    if let Ok(number) = name.parse()
        && let Some(row) = practice.store.message(number)?
    {
        return Ok(vec![row]);
    }
    // Of an odd last digit the filter below takes care.
    let bytes = name.get(..name.len() & !1).and_then(hex::decode);
    let found = match bytes {
        Some(prefix) if name.len() >= CODE_LEN => {
            let rows = practice.store.messages_with_prefix(&prefix, LISTED);
            rows?
        }
        _ => Vec::new(),
    };
    let name = name.to_ascii_lowercase();
    let found: Vec<_> = found
        .into_iter()
        .filter(|row| MessageId(row.id).to_string().starts_with(&name))
        .collect();
    match found.is_empty() {
        true => Err(format!(
            "there is no message {name}; doctor deliveries lists the newest, with their numbers"
        )
        .into()),
        false => Ok(found),
    }
}

fn list(
    practice: &Practice,
    message: Option<&str>,
    verify: bool,
) -> Result<Vec<MessageReport>, NotDone> {
    let mut rows = match message {
        Some(name) => named(practice, name)?,
        None => practice.store.messages_before(u64::MAX, LISTED)?,
    };
    rows.reverse();
    let authors = Authors::new(practice);
    let reports: Result<Vec<_>, BookError> = rows
        .iter()
        .map(|row| {
            let counts = practice.store.delivery_counts(row.number)?;
            let devices = counts.queued + counts.sent + counts.delivered + counts.confirmed;
            let deliveries = match message.is_some() || devices <= DEVICES {
                true => practice.store.deliveries(row.number)?,
                false => Vec::new(),
            };
            let mut report = report_of(&authors, row, &deliveries)?;
            match has_expired(row, practice.now()) {
                true => report.expired = counts.queued + counts.sent,
                false => (report.queued, report.sent) = (counts.queued, counts.sent),
            }
            report.delivered = counts.delivered;
            report.confirmed = counts.confirmed;
            report.unlisted = devices.saturating_sub(deliveries.len() as u64);
            if verify && !report.damaged {
                for (delivery, found) in report.deliveries.iter_mut().zip(&deliveries) {
                    if found.confirmed.is_some() {
                        let genuine =
                            messages::is_confirmation_genuine(practice, row, &found.device)?;
                        delivery.genuine = Some(genuine);
                    }
                }
            }
            Ok(report)
        })
        .collect();
    Ok(reports?)
}

/// A message's report with these deliveries, and without counts.
fn report_of(
    authors: &Authors<'_>,
    row: &MessageRow,
    deliveries: &[DeliveryRow],
) -> Result<MessageReport, BookError> {
    let practice = authors.practice;
    let found = messages::find_with(authors, row)?;
    let message = found.message();
    let now = practice.now();
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in deliveries {
        *devices.entry(&delivery.patient).or_default() += 1;
    }
    let deliveries = deliveries
        .iter()
        .map(|delivery| {
            let (state, at) = state(row, delivery, now);
            let several = devices.get(delivery.patient.as_str());
            DeliveryReport {
                patient: delivery.patient.clone(),
                device: device_code(&delivery.device),
                is_one_of_several: several.is_some_and(|count| *count > 1),
                state: state.to_owned(),
                at,
                queued: delivery.queued,
                sent: delivery.sent,
                delivered: delivery.delivered,
                confirmed: delivery.confirmed,
                genuine: None,
                phone: None,
            }
        })
        .collect();
    Ok(MessageReport {
        number: row.number,
        code: MessageId(row.id).code(),
        kind: row.kind.word().to_owned(),
        patient: row.patient.clone(),
        written: row.written,
        urgent: row.urgent,
        expires: row.expires,
        text: message.map(|message| message.text().to_owned()),
        author: messages::author(practice, row, message)?,
        doubted: found.is_doubted(),
        damaged: found.is_damaged(),
        queued: 0,
        sent: 0,
        delivered: 0,
        confirmed: 0,
        expired: 0,
        unlisted: 0,
        deliveries,
    })
}
