//! Retention: what was kept long enough is deleted for good, and the audit log
//! keeps a tombstone of each.

use serde::{Deserialize, Serialize};

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::protocol::message::MessageId;
use crate::store::{Purgeable, StoreError};

/// How many go in one transaction: others write in between.
const AT_ONCE: usize = 500;

/// What was deleted, or would be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Purged {
    /// What is older than this.
    pub before: Timestamp,
    /// Messages of the doctor's.
    pub messages: u64,
    /// Messages from patients.
    pub incoming: u64,
    /// What was written of consultations.
    pub consultations: u64,
    /// Records that had been put away.
    pub records: u64,
    /// Messages and notes that are as old and kept: not delivered or confirmed,
    /// not read, or of an open consultation.
    pub kept: u64,
    /// Whether it was only looked.
    pub dry_run: bool,
}

/// What would be deleted.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn look(practice: &Practice, before: Timestamp) -> Result<Purged, StoreError> {
    let (store, now) = (&practice.store, practice.now());
    let [messages, incoming, consultations, records] = store.count_purgeable(before, now)?;
    Ok(Purged {
        before,
        messages,
        incoming,
        consultations,
        records,
        kept: store.count_kept(before, now)?,
        dry_run: true,
    })
}

/// Deletes what is older than `before`, for good. What was deleted before an
/// error stays deleted, and logged.
///
/// # Errors
/// [`StoreError`] if the store cannot be written, or not be scrubbed because a
/// backup reads it.
pub fn purge(practice: &Practice, before: Timestamp) -> Result<Purged, StoreError> {
    let mut purged = Purged {
        dry_run: false,
        messages: 0,
        incoming: 0,
        consultations: 0,
        records: 0,
        kept: 0,
        before,
    };
    let now = practice.now();
    loop {
        let tombstone = |one: &Purgeable| tombstone(practice, one);
        let gone = practice.store.purge(before, now, AT_ONCE, &tombstone)?;
        if gone.is_empty() {
            break;
        }
        for one in &gone {
            *match one {
                Purgeable::Message { .. } => &mut purged.messages,
                Purgeable::Incoming { .. } => &mut purged.incoming,
                Purgeable::Consultation { .. } => &mut purged.consultations,
                Purgeable::Record { .. } => &mut purged.records,
            } += 1;
        }
    }
    purged.kept = practice.store.count_kept(before, now)?;
    practice.store.scrub()?;
    Ok(purged)
}

fn tombstone(practice: &Practice, what: &Purgeable) -> Entry {
    let (patient, detail) = match what {
        Purgeable::Message {
            number,
            id,
            written,
            patient,
        } => (
            patient.as_deref().unwrap_or_default(),
            format!("message {number} ({}) of {written}", MessageId(*id).code()),
        ),
        Purgeable::Incoming {
            number,
            id,
            written,
            patient,
        } => (
            patient.as_str(),
            format!(
                "message from the patient {number} ({}) of {written}",
                MessageId(*id).code()
            ),
        ),
        Purgeable::Consultation { patient, .. } => {
            (patient.as_str(), "notes of a consultation".to_owned())
        }
        Purgeable::Record { patient } => (patient.as_str(), "record".to_owned()),
    };
    practice.by_doctor(Action::Purged, patient, &detail)
}
