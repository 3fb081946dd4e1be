//! Patients' records: what the doctor keeps on file, sealed in the database.
//!
//! A record has two parts with a key each: who the patient is and how she is
//! reached, which assistants of a clinic may see, and the rest, which is for doctors.
//! Only who has both keys writes.
//!
//! Whatever is read or changed here is in the audit log, without what it says.

mod change;
mod content;
mod encoding;
mod error;
mod fold;
mod read;
mod sealed;
mod split;
#[cfg(test)]
mod tests;

pub use change::{Change, MAX_CONTENT, MAX_NOTE, check_note, check_tag, check_text};
pub use content::{Content, Field, Personal};
pub use error::RecordError;
pub use read::{
    Consultation, Device, Found, Listed, Record, Shown, Summary, is_contact_only, list,
    patients_with_tag, phone_of, phones, search, show,
};
pub(in crate::doctor) use split::split_old;

use sealed::{Sight, open, seal};

use jiff::civil::Date;

use crate::audit::Action;
use crate::clock::Timestamp;
use crate::doctor::practice::Practice;
use crate::identity::id::Identifier;
use crate::random::{self, OsRandom};
use crate::store::{ConsultationRow, RecordRow, StoreError, StoreFault};
use crate::vault::column;

/// What is to be written about a consultation.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    /// When it began.
    pub begun: Timestamp,
    /// When it ended, if that is known.
    pub ended: Option<Timestamp>,
    /// What was noted.
    pub text: &'a str,
}

/// The day that a time belongs to, in this machine's time zone.
#[must_use]
pub fn day(at: Timestamp) -> Date {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned(jiff::tz::TimeZone::system())
        .date()
}

/// What a refusal says that somebody who is no doctor wanted.
const WRITING: &str = "writing in records";

/// Makes a patient's record. The patient need not be enrolled.
///
/// # Errors
/// [`RecordError`]; there is a record already, perhaps.
pub fn add(practice: &Practice, patient: &Identifier, change: &Change) -> Result<(), RecordError> {
    Sight::need_whole(practice, WRITING)?;
    if patient == practice.identity().identifier() {
        return Err(RecordError::OwnName(patient.clone()));
    }
    let now = practice.now();
    let (content, _) = change
        .apply(&Content::default(), day(now))
        .map_err(RecordError::Content)?;
    let row = RecordRow {
        patient: patient.to_string(),
        created: now,
        changed: now,
        archived: None,
        version: 1,
        sealed: Vec::new(),
        contact: None,
    };
    let row = seal(&practice.vault, row, &content)?;
    let entry = practice.by_doctor(Action::RecordAdded, patient.as_str(), "version 1");
    match practice.store.add_record(&row, &[entry]) {
        Err(error) if matches!(error.fault(), StoreFault::Duplicate) => {
            Err(RecordError::Exists(patient.clone()))
        }
        other => Ok(other?),
    }
}

/// Changes what is named, and says what is not as it was, and which version
/// the record has now. If `base` is given, nobody may have changed the record
/// since it had that version.
///
/// # Errors
/// [`RecordError`]; nothing was changed then.
pub fn edit(
    practice: &Practice,
    patient: &Identifier,
    base: Option<u64>,
    change: &Change,
) -> Result<(u64, Vec<Field>), RecordError> {
    Sight::need_whole(practice, WRITING)?;
    // Whoever was quicker is taken into account; somebody gets on each time.
    loop {
        let row = existing(practice, patient)?;
        if let Some(base) = base.filter(|base| *base != row.version) {
            return Err(RecordError::Stale {
                patient: patient.clone(),
                base,
                found: row.version,
            });
        }
        if row.archived.is_some() {
            return Err(RecordError::Archived(patient.clone()));
        }
        let now = practice.now();
        let before = open(practice, &row)?;
        let (content, fields) = change
            .apply(&before, day(now))
            .map_err(RecordError::Content)?;
        if fields.is_empty() {
            return Ok((row.version, fields));
        }
        let words: Vec<_> = fields.iter().map(|field| field.word()).collect();
        let version = row.version + 1;
        let detail = format!("version {version}: {}", words.join(", "));
        let entry = practice.by_doctor(Action::RecordChanged, patient.as_str(), &detail);
        let changed = RecordRow {
            changed: now,
            ..row
        };
        let changed = next_version(practice, changed, &content)?;
        if practice.store.change_record(&changed, &[entry])? {
            return Ok((version, fields));
        }
    }
}

/// Puts a record away, or takes it out again. Says whether it was elsewhere
/// before.
///
/// # Errors
/// [`RecordError`].
pub fn archive(practice: &Practice, patient: &Identifier, away: bool) -> Result<bool, RecordError> {
    Sight::need_whole(practice, WRITING)?;
    loop {
        let row = existing(practice, patient)?;
        if row.archived.is_some() == away {
            return Ok(false);
        }
        let content = open(practice, &row)?;
        let again = if away { "" } else { ": taken out again" };
        let detail = format!("version {}{again}", row.version + 1);
        let entry = practice.by_doctor(Action::RecordArchived, patient.as_str(), &detail);
        let now = practice.now();
        let changed = RecordRow {
            changed: now,
            archived: away.then_some(now),
            ..row
        };
        let changed = next_version(practice, changed, &content)?;
        if practice.store.change_record(&changed, &[entry])? {
            return Ok(true);
        }
    }
}

/// Adds a consultation to a patient's record.
///
/// # Errors
/// [`RecordError`].
pub fn note(practice: &Practice, patient: &Identifier, note: &Note) -> Result<(), RecordError> {
    Sight::need_whole(practice, WRITING)?;
    let text = check_note(note.text).map_err(RecordError::Content)?;
    let now = practice.now();
    if note.begun > now || note.ended.is_some_and(|ended| ended > now) {
        return Err(RecordError::Content(
            "that time is still to come".to_owned(),
        ));
    }
    if note.ended.is_some_and(|ended| ended < note.begun) {
        let sentence = "a consultation ends after it has begun";
        return Err(RecordError::Content(sentence.to_owned()));
    }
    if existing(practice, patient)?.archived.is_some() {
        return Err(RecordError::Archived(patient.clone()));
    }
    let id = random::array(&mut OsRandom);
    let mut row = ConsultationRow {
        id,
        patient: patient.to_string(),
        written: now,
        begun: note.begun,
        ended: note.ended,
        sealed: Vec::new(),
    };
    let sealed = practice.vault.seal(
        column::CONSULTATION,
        &row.row_name(),
        text.as_str().as_bytes(),
        &mut OsRandom,
    );
    row.sealed = sealed.map_err(StoreError::from)?;
    let entry = practice.by_doctor(
        Action::RecordChanged,
        patient.as_str(),
        "consultation noted",
    );
    Ok(practice.store.add_consultation(&row, &[entry])?)
}

/// The record of a patient who must have one.
fn existing(practice: &Practice, patient: &Identifier) -> Result<RecordRow, RecordError> {
    practice
        .store
        .record(patient.as_str())?
        .ok_or_else(|| RecordError::Missing(patient.clone()))
}

/// A changed row for the store, which counts its version up: the content is
/// sealed to the version it then has.
fn next_version(
    practice: &Practice,
    row: RecordRow,
    content: &Content,
) -> Result<RecordRow, StoreError> {
    let before = row.version;
    let stored = RecordRow {
        version: before + 1,
        ..row
    };
    Ok(RecordRow {
        version: before,
        ..seal(&practice.vault, stored, content)?
    })
}
