//! Devices and tickets: which there are, and how a person takes them back.
//!
//! A revocation is never undone. A freeze, which the alarm about a ticket that
//! was used twice brings, is lifted by the doctor's word.

use serde::{Deserialize, Serialize};

use std::collections::HashMap;
use std::time::Duration;

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::join_tickets::{self, IssuedJoin};
use crate::doctor::messages::device_code;
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::sifted::each_page;
use crate::doctor::tickets::{self, TICKET_CODE_LEN, ticket_code};
use crate::hex;
use crate::identity::certificate::{Certificate, Fingerprint, Serial};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::fingerprint_groups;
use crate::store::{CertificateRow, CertificateState, Revocable, TicketRow, TicketState};

/// The longest reason, in bytes: it stands in the audit log.
const MAX_REASON: usize = 500;
/// The digits of a device's short name.
const CODE_LEN: usize = 6;
/// From so long before its end on, a certificate is shown as one that ends soon.
const END_NEAR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What can be asked about devices, tickets and fingerprints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Which devices are there?
    List {
        /// Only this patient's.
        patient: Option<String>,
    },
    /// Revoke devices.
    Revoke {
        /// Whose.
        patient: String,
        /// Number or short name of the one; all of them, and the patient's open
        /// tickets, if it is not said.
        device: Option<String>,
        /// Why.
        reason: String,
    },
    /// Let a frozen device in again.
    Unfreeze {
        /// Whose.
        patient: String,
        /// Its number or short name.
        device: String,
        /// Why.
        reason: String,
    },
    /// Which tickets are there?
    Tickets,
    /// Take an open ticket back.
    RevokeTicket {
        /// Its short name.
        ticket: String,
    },
    /// The fingerprints that patients compare.
    Fingerprints,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The devices there are, ordered by patient and number.
    Listed(Vec<Device>),
    /// What is revoked.
    Revoked {
        /// The devices.
        devices: Vec<Device>,
        /// How many of them were revoked before.
        before: usize,
        /// Short names of the tickets that were taken back.
        tickets: Vec<String>,
    },
    /// This one is let in again.
    Unfrozen(Device),
    /// The tickets there are, the oldest first.
    Tickets {
        /// Those of patients.
        patients: Vec<IssuedTicket>,
        /// Those with which somebody joins the clinic.
        joins: Vec<IssuedJoin>,
    },
    /// This one is taken back.
    TicketRevoked(IssuedTicket),
    /// This one, for joining the clinic, is taken back.
    JoinTicketRevoked(IssuedJoin),
    /// The fingerprints that patients compare, in groups of digits.
    Fingerprints {
        /// The doctor.
        doctor: String,
        /// Of the clinic's root certificate.
        root: String,
        /// Of the doctor's signing key.
        key: String,
    },
}

impl Answer {
    /// The devices that are to be put out, if they are connected.
    #[must_use]
    pub fn revoked(&self) -> Vec<Fingerprint> {
        match self {
            Self::Revoked { devices, .. } => devices.iter().map(|d| d.fingerprint).collect(),
            _ => Vec::new(),
        }
    }
}

/// A device that was enrolled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Whose it is.
    pub patient: String,
    /// Which of the patient's it is, counted from 1 in the order of enrolment.
    pub number: u32,
    /// Its certificate's serial number.
    pub serial: Serial,
    /// Its certificate's fingerprint.
    pub fingerprint: Fingerprint,
    /// The certificate's state, or `ended`.
    pub state: String,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// When it asked to be let in last.
    pub last_seen: Option<Timestamp>,
    /// When its certificate ends.
    pub ends: Timestamp,
    /// Whether that is soon, and it is still let in.
    pub ends_soon: bool,
    /// Short name of the ticket it was enrolled with.
    pub ticket: Option<String>,
    /// In a clinic of several the doctor at whose server it was enrolled.
    pub enrolled_by: Option<String>,
    /// The fingerprint of its signing key, in groups of digits.
    pub key: String,
}

impl Device {
    /// Its short name.
    #[must_use]
    pub fn code(&self) -> String {
        device_code(&self.fingerprint)
    }
}

/// A ticket that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct IssuedTicket {
    /// Its short name.
    pub ticket: String,
    /// For whom it is.
    pub patient: String,
    /// `open`, `expired`, `used`, `frozen` or `revoked`; `damaged` if it is no ticket of
    /// this clinic's.
    pub state: String,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// Does what is asked.
///
/// # Errors
/// A sentence for the doctor; nothing was changed then.
pub fn answer(practice: &Practice, request: &Request) -> Result<Answer, NotDone> {
    match request {
        Request::List { patient } => {
            let patient = patient.as_deref().map(identifier).transpose()?;
            let devices = devices(practice, patient.as_ref())?;
            match patient {
                Some(patient) if devices.is_empty() => Err(nobody(&patient).into()),
                _ => Ok(Answer::Listed(devices)),
            }
        }
        Request::Revoke {
            patient,
            device,
            reason,
        } => revoke(practice, patient, device.as_deref(), reason),
        Request::Unfreeze {
            patient,
            device,
            reason,
        } => unfreeze(practice, patient, device, reason),
        Request::Tickets => {
            let now = practice.now();
            let found = tickets::beginning(practice, &[])?;
            let others = found.others.iter().map(|row| IssuedTicket {
                state: tickets::DAMAGED.to_owned(),
                ..issued(row, now)
            });
            let genuine = found.genuine.iter().map(|row| issued(row, now));
            let mut patients: Vec<_> = genuine.chain(others).collect();
            patients.sort_by_key(|ticket| ticket.made);
            Ok(Answer::Tickets {
                patients,
                joins: join_tickets::list(practice)?,
            })
        }
        Request::RevokeTicket { ticket } => revoke_ticket(practice, ticket),
        Request::Fingerprints => {
            let identity = practice.identity();
            Ok(Answer::Fingerprints {
                doctor: identity.identifier().to_string(),
                root: fingerprint_groups(&identity.root.fingerprint()),
                key: fingerprint_groups(&identity.certificate.key_id()),
            })
        }
    }
}

/// The reason for what is logged with it.
///
/// # Errors
/// The sentence about what is wrong with it.
pub fn check_reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the reason is empty; it stands in the audit log".to_owned()),
        text if text.len() > MAX_REASON => {
            Err(format!("the reason is longer than {MAX_REASON} bytes"))
        }
        text if text.chars().any(char::is_control) => {
            Err("the reason is one line, without control characters".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

/// The device that is meant by a number or a short name.
///
/// # Errors
/// The sentence that there is none.
pub fn find<'a>(devices: &'a [Device], named: &str) -> Result<&'a Device, String> {
    let is_code = named.len() == CODE_LEN && named.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wanted = named.to_ascii_lowercase();
    let mut found = devices.iter().filter(|device| match is_code {
        true => device.code() == wanted,
        false => named.parse() == Ok(device.number),
    });
    match (found.next(), found.next()) {
        (Some(device), None) => Ok(device),
        (Some(_), Some(_)) => Err(format!(
            "several devices are called {named:?}; name the one by its number"
        )),
        (None, _) => {
            let patient = devices.first().map_or("PATIENT", |device| &device.patient);
            Err(format!(
                "{patient} has no device {named:?}; 'doctor devices {patient}' lists their numbers"
            ))
        }
    }
}

fn identifier(patient: &str) -> Result<Identifier, String> {
    let parsed: Result<Identifier, _> = patient.parse();
    parsed.map_err(|error| error.to_string())
}

fn nobody(patient: &Identifier) -> String {
    format!("no device of {patient} was ever enrolled; check the name")
}

/// Devices that are listed at most: ten times as many as a server serves.
const DEVICES: usize = 100_000;

/// The devices there are, or those of one patient.
fn devices(practice: &Practice, only: Option<&Identifier>) -> Result<Vec<Device>, NotDone> {
    let store = &practice.store;
    let now = practice.now();
    let mut devices = Vec::new();
    each_page(&**store, only.map(Identifier::as_str), |page| {
        let serials: Vec<_> = page.iter().map(|row| row.serial).collect();
        let issuers = store.clinic().map(|clinic| clinic.issuers(&serials));
        let mut issuers = issuers.transpose()?.unwrap_or_default();
        for row in page.into_iter().take(DEVICES.saturating_sub(devices.len())) {
            let last_seen = store.last_timestamp(&row.serial)?;
            let issuer = issuers.remove(&row.serial);
            devices.push(device(row, last_seen, issuer, now));
        }
        Ok(())
    })?;
    devices.sort_by(|a, b| {
        (&a.patient, a.enrolled, a.serial).cmp(&(&b.patient, b.enrolled, b.serial))
    });
    let mut numbers: HashMap<String, u32> = HashMap::new();
    for device in &mut devices {
        let number = numbers.entry(device.patient.clone()).or_default();
        *number += 1;
        device.number = *number;
    }
    Ok(devices)
}

/// A device, which has no number yet.
fn device(
    row: CertificateRow,
    last_seen: Option<Timestamp>,
    enrolled_by: Option<String>,
    now: Timestamp,
) -> Device {
    let ended = now > row.not_after;
    let state = match row.state {
        CertificateState::Inactive | CertificateState::Active if ended => "ended",
        state => state.word(),
    };
    let is_near = row.not_after.since(now) < END_NEAR;
    Device {
        number: 0,
        serial: row.serial,
        fingerprint: row.fingerprint,
        state: state.to_owned(),
        enrolled: row.created,
        last_seen,
        ends: row.not_after,
        ends_soon: is_near && !ended && !row.state.is_stopped(),
        ticket: row.ticket.as_ref().map(ticket_code),
        enrolled_by,
        key: Certificate::key_id_in(&row.bytes)
            .map_or_else(String::new, |key| fingerprint_groups(&key)),
        patient: row.subject,
    }
}

fn revoke(
    practice: &Practice,
    patient: &str,
    device: Option<&str>,
    reason: &str,
) -> Result<Answer, NotDone> {
    let patient = identifier(patient)?;
    let reason = check_reason(reason)?;
    let known = devices(practice, Some(&patient))?;
    let only = match device {
        Some(_) if known.is_empty() => return Err(nobody(&patient).into()),
        Some(named) => Some(find(&known, named)?.serial),
        None => None,
    };
    let entry = |what: &Revocable| revocation(practice, &patient, what, &reason);
    let revoked = practice
        .store
        .revoke(patient.as_str(), only.as_ref(), &entry)?;
    let tickets: Vec<_> = revoked.iter().filter_map(ticket_of).collect();
    let now_revoked = revoked.len() - tickets.len();
    // As they are now: one may have come since.
    let mut devices = devices(practice, Some(&patient))?;
    devices.retain(|device| only.is_none_or(|serial| serial == device.serial));
    if devices.is_empty() && tickets.is_empty() {
        return Err(nobody(&patient).into());
    }
    Ok(Answer::Revoked {
        before: devices.len().saturating_sub(now_revoked),
        devices,
        tickets,
    })
}

fn ticket_of(what: &Revocable) -> Option<String> {
    match what {
        Revocable::Ticket(id) => Some(ticket_code(id)),
        Revocable::Certificate(_) => None,
    }
}

fn revocation(practice: &Practice, patient: &Identifier, what: &Revocable, why: &str) -> Entry {
    let (action, detail) = match what {
        Revocable::Certificate(serial) => (
            Action::Revoked,
            format!("certificate {}: {why}", hex::encode(serial)),
        ),
        Revocable::Ticket(id) => (
            Action::TicketRevoked,
            format!(
                "ticket {}, with the patient's devices: {why}",
                ticket_code(id)
            ),
        ),
    };
    practice.by_doctor(action, patient.as_str(), &detail)
}

fn unfreeze(
    practice: &Practice,
    patient: &str,
    device: &str,
    reason: &str,
) -> Result<Answer, NotDone> {
    let patient = identifier(patient)?;
    let reason = check_reason(reason)?;
    let known = devices(practice, Some(&patient))?;
    if known.is_empty() {
        return Err(nobody(&patient).into());
    }
    let serial = find(&known, device)?.serial;
    let detail = format!("certificate {}: {reason}", hex::encode(&serial));
    let entry = practice.by_doctor(Action::Unfrozen, patient.as_str(), &detail);
    let lifted = practice.store.unfreeze_certificate(&serial, &[entry]);
    let lifted = lifted?;
    let mut devices = devices(practice, Some(&patient))?;
    devices.retain(|device| device.serial == serial);
    match devices.pop() {
        Some(device) if lifted => Ok(Answer::Unfrozen(device)),
        Some(device) if device.state == CertificateState::Revoked.word() => Err(format!(
            "device {} of {patient} is revoked, and that is for ever; a new ticket lets {patient} \
             in again: doctor enrol {patient}",
            device.number
        )
        .into()),
        Some(device) => Err(format!(
            "device {} of {patient} is not frozen, it is {}",
            device.number, device.state
        )
        .into()),
        None => Err(nobody(&patient).into()),
    }
}

fn issued(row: &TicketRow, now: Timestamp) -> IssuedTicket {
    let state = match row.state {
        TicketState::Open if now > row.expires => "expired",
        state => state.word(),
    };
    IssuedTicket {
        ticket: ticket_code(&row.id),
        patient: row.subject.clone(),
        state: state.to_owned(),
        made: row.created,
        expires: row.expires,
    }
}

fn revoke_ticket(practice: &Practice, named: &str) -> Result<Answer, NotDone> {
    let wanted = named.trim().to_ascii_lowercase();
    let mut rows = match hex::decode(&wanted) {
        Some(begin) if wanted.len() == TICKET_CODE_LEN => {
            let found = tickets::beginning(practice, &begin)?;
            match found.genuine.is_empty() {
                true => found.others,
                false => found.genuine,
            }
        }
        _ => Vec::new(),
    };
    if rows.len() > 1 {
        // Two of the same short name are rare, and the one that is open is meant.
        rows.retain(|row| row.state == TicketState::Open);
    }
    let Some(mut row) = rows.pop() else {
        if let Some(join) = join_tickets::revoke(practice, &wanted)? {
            return Ok(Answer::JoinTicketRevoked(join));
        }
        return Err(format!("there is no ticket {named:?}; 'doctor tickets' lists them").into());
    };
    let (code, patient) = (ticket_code(&row.id), row.subject.clone());
    let detail = format!("ticket {code}");
    let entry = practice.by_doctor(Action::TicketRevoked, &patient, &detail);
    let is_revoked = practice.store.revoke_ticket(&row.id, &[entry]);
    if is_revoked? {
        row.state = TicketState::Revoked;
        return Ok(Answer::TicketRevoked(issued(&row, practice.now())));
    }
    let row = practice.store.ticket(&row.id)?;
    let why = match row.map(|row| row.state) {
        Some(TicketState::Used) => format!(
            "ticket {code} was used: a device of {patient} is enrolled with it; to take that \
             back: doctor revoke {patient} --device N --reason TEXT"
        ),
        Some(TicketState::Frozen) => format!(
            "ticket {code} is frozen, since it was used twice: nobody enrols with it any more"
        ),
        _ => format!("ticket {code} for {patient} was taken back before"),
    };
    Err(why.into())
}

#[cfg(test)]
mod tests;
