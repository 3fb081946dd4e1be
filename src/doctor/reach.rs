//! Whom no message reaches, and why: a patient none of whose devices is let in.

use std::fmt;
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::store::messages::ClosedDevice;
use crate::store::{CertificateState, StoreError};

/// Why no device of a patient's is let in: what is true of the newest one.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There is no certificate.
    NeverEnrolled,
    /// The device has enrolled and has not connected yet.
    NotConnectedYet,
    /// Held back after an alarm: the ticket was used by a second device.
    Frozen,
    /// Never let in again.
    Revoked,
    /// The certificate ended then.
    Ended(Timestamp),
}

impl Why {
    /// The reason as one word, for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NeverEnrolled => "never_enrolled",
            Self::NotConnectedYet => "not_connected_yet",
            Self::Frozen => "frozen",
            Self::Revoked => "revoked",
            Self::Ended(_) => "ended",
        }
    }

    fn of(device: &ClosedDevice, now: Timestamp) -> Self {
        match device.state {
            CertificateState::Frozen => Self::Frozen,
            CertificateState::Revoked => Self::Revoked,
            CertificateState::Inactive if device.not_after >= now => Self::NotConnectedYet,
            CertificateState::Inactive | CertificateState::Active => Self::Ended(device.not_after),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverEnrolled => f.write_str("never enrolled"),
            Self::NotConnectedYet => f.write_str("enrolled, not connected yet"),
            Self::Frozen => f.write_str("frozen after an alarm"),
            Self::Revoked => f.write_str("revoked"),
            Self::Ended(at) => write!(f, "certificate ended {}", day(*at)),
        }
    }
}

/// The date without the time.
fn day(at: Timestamp) -> String {
    let written = at.to_string();
    let date = written.split_once(' ').map(|(date, _)| date.to_owned());
    date.unwrap_or(written)
}

/// A patient whom no message reaches.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Unreached {
    /// Who.
    pub patient: String,
    /// Why.
    pub why: Why,
    /// How many devices of hers that is true of.
    #[serde(default)]
    pub devices: usize,
}

impl Unreached {
    /// Why nothing is sent to her, and what to do next.
    fn sentence(&self) -> String {
        let patient = &self.patient;
        match self.why {
            Why::NeverEnrolled => format!(
                "no patient {patient} has enrolled, nothing was sent; check the name, or enrol \
                 {patient} first"
            ),
            Why::NotConnectedYet => format!(
                "{patient} has enrolled, but the device has not connected yet, nothing was sent; \
                 send it again once {patient} has connected"
            ),
            Why::Frozen => format!(
                "{patient} is frozen after an alarm, because a second device used the ticket; \
                 nothing was sent; phone {patient}, then let the device in again (doctor \
                 unfreeze), or revoke it and make a new ticket: doctor enrol {patient}"
            ),
            Why::Revoked => format!(
                "the certificate of {patient} is revoked, nothing was sent; if {patient} is to be \
                 let in again, make a new ticket: doctor enrol {patient}"
            ),
            Why::Ended(at) => format!(
                "the certificate of {patient} ended on {}, nothing was sent; make a new ticket: \
                 doctor enrol {patient}",
                day(at)
            ),
        }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.devices {
            0 | 1 => write!(f, "{} ({})", self.patient, self.why),
            count => write!(f, "{} ({count} devices: {})", self.patient, self.why),
        }
    }
}

/// Why nothing was sent to several of whom these are not reached, and what to
/// do next.
#[must_use]
pub fn refusal(unreached: &[Unreached]) -> String {
    if let [one] = unreached {
        return one.sentence();
    }
    let listed: Vec<_> = unreached.iter().map(ToString::to_string).collect();
    format!(
        "nothing was sent, because no message reaches {}; leave them out, or make new tickets: \
         doctor enrol PATIENT",
        listed.join(", ")
    )
}

/// Those who have enrolled at some time and of whom no device is let in now,
/// ordered by name; or this patient, if that is so.
///
/// # Errors
/// [`StoreError`].
pub fn unreached(
    practice: &Practice,
    patient: Option<&Identifier>,
) -> Result<Vec<Unreached>, StoreError> {
    let now = practice.now();
    let patient = patient.map(Identifier::as_str);
    let mut found: Vec<Unreached> = Vec::new();
    for device in practice.store.closed_devices(patient, now)? {
        let why = Why::of(&device, now);
        match found.last_mut() {
            // The newest device comes last.
            Some(last) if last.patient == device.patient => {
                let before = discriminant(&last.why) == discriminant(&why);
                last.devices = if before { last.devices + 1 } else { 1 };
                last.why = why;
            }
            _ => found.push(Unreached {
                patient: device.patient,
                why,
                devices: 1,
            }),
        }
    }
    Ok(found)
}

/// Why no device of this patient's is let in; the patient has none that is.
///
/// # Errors
/// [`StoreError`].
pub fn why_not(practice: &Practice, patient: &Identifier) -> Result<Unreached, StoreError> {
    let found = unreached(practice, Some(patient))?.pop();
    Ok(found.unwrap_or_else(|| Unreached {
        patient: patient.to_string(),
        why: Why::NeverEnrolled,
        devices: 0,
    }))
}

/// The devices of a patient whom nothing reaches that may be let in again, or
/// whose place a new one takes: all but the revoked.
///
/// # Errors
/// [`StoreError`].
pub fn waiting_devices(
    practice: &Practice,
    patient: &Identifier,
) -> Result<Vec<(Fingerprint, String)>, StoreError> {
    let patient = Some(patient.as_str());
    let devices = practice.store.closed_devices(patient, practice.now())?;
    let waiting = devices
        .into_iter()
        .filter(|device| device.state != CertificateState::Revoked)
        .map(|device| (device.device, device.patient));
    Ok(waiting.collect())
}

/// Whether there is or was a patient of this name: with a record, a device or
/// messages.
///
/// # Errors
/// [`StoreError`].
pub fn is_on_file(practice: &Practice, patient: &Identifier) -> Result<bool, StoreError> {
    let (store, name) = (&practice.store, patient.as_str());
    Ok(store.record(name)?.is_some()
        || !store.active_devices(Some(name), practice.now())?.is_empty()
        || !store.closed_devices(Some(name), practice.now())?.is_empty()
        || !store.incoming(Some(name), 1)?.is_empty()
        || !store.messages_to(name, 1)?.is_empty())
}

/// What is said of a patient of whom nothing is on file.
#[must_use]
pub fn unknown(patient: &Identifier) -> String {
    format!("there is no patient {patient}; doctor patients list has their names")
}
