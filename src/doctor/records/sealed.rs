//! Sealing and opening records, and who sees how much of them.

use super::encoding::{
    decode_contact, decode_old, decode_rest, encode_contact, encode_rest, is_old,
};
use super::{Content, Personal, RecordError};
use crate::doctor::practice::Practice;
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::store::{ConsultationRow, RecordRow, StoreError};
use crate::vault::{Column, ColumnError, Vault, column};

/// How much of records somebody can open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// All of it: a doctor.
    Whole,
    /// Who a patient is and how she is reached: an assistant.
    Contact,
}

impl Sight {
    /// What this practice's keys open.
    ///
    /// # Errors
    /// [`ColumnError::NoKey`] as a [`RecordError`] if that is nothing.
    pub(super) fn of(practice: &Practice) -> Result<Self, RecordError> {
        let opens = |column| practice.vault.opens(column);
        if !opens(column::CONTACT) {
            return Err(StoreError::from(ColumnError::NoKey(column::CONTACT)).into());
        }
        match opens(column::RECORD) && opens(column::CONSULTATION) {
            true => Ok(Self::Whole),
            false => Ok(Self::Contact),
        }
    }

    /// Refuses all but a doctor to do `what`.
    ///
    /// # Errors
    /// [`RecordError::DoctorsOnly`]; as [`Sight::of`].
    pub(super) fn need_whole(practice: &Practice, what: &'static str) -> Result<(), RecordError> {
        match Self::of(practice)? {
            Self::Whole => Ok(()),
            Self::Contact => Err(RecordError::DoctorsOnly(what)),
        }
    }

    /// What is seen of a record.
    ///
    /// # Errors
    /// [`RecordError::Damaged`]; [`RecordError::Unsplit`] where only all of it
    /// could be opened.
    pub(super) fn read(self, practice: &Practice, row: &RecordRow) -> Result<Content, RecordError> {
        match self {
            Self::Whole => open(practice, row),
            Self::Contact => match &row.contact {
                Some(contact) => open_contact(&practice.vault, row, contact),
                None => Err(RecordError::Unsplit(row.patient.clone())),
            },
        }
    }
}

/// Seals a content into the two parts of its row.
pub(super) fn seal(
    vault: &Vault,
    row: RecordRow,
    content: &Content,
) -> Result<RecordRow, StoreError> {
    let name = row.row_name();
    let seal =
        |column, encoded: SecretBytes| vault.seal(column, &name, encoded.expose(), &mut OsRandom);
    let contact = seal(column::CONTACT, encode_contact(content))?;
    let sealed = seal(column::RECORD, encode_rest(content, &contact))?;
    Ok(RecordRow {
        sealed,
        contact: Some(contact),
        ..row
    })
}

/// All that a record says.
pub(super) fn open(practice: &Practice, row: &RecordRow) -> Result<Content, RecordError> {
    open_whole(&practice.vault, row)
}

/// The same, without a practice.
pub(super) fn open_whole(vault: &Vault, row: &RecordRow) -> Result<Content, RecordError> {
    let damaged = |_| RecordError::Damaged(row.patient.clone());
    let opened = open_part(vault, column::RECORD, row, &row.sealed)?;
    if is_old(opened.expose()) {
        return decode_old(opened.expose()).map_err(damaged);
    }
    let Some(contact) = &row.contact else {
        return Err(RecordError::Damaged(row.patient.clone()));
    };
    let content = open_contact(vault, row, contact)?;
    decode_rest(opened.expose(), contact, content).map_err(damaged)
}

fn open_contact(vault: &Vault, row: &RecordRow, contact: &[u8]) -> Result<Content, RecordError> {
    let opened = open_part(vault, column::CONTACT, row, contact)?;
    decode_contact(opened.expose()).map_err(|_| RecordError::Damaged(row.patient.clone()))
}

fn open_part(
    vault: &Vault,
    column: Column,
    row: &RecordRow,
    sealed: &[u8],
) -> Result<SecretBytes, RecordError> {
    vault
        .open(column, &row.row_name(), sealed)
        .map_err(|error| not_opened(error, &row.patient))
}

fn not_opened(error: ColumnError, patient: &str) -> RecordError {
    match error {
        ColumnError::NoKey(_) | ColumnError::NoDataKey => StoreError::from(error).into(),
        ColumnError::Damaged => RecordError::Damaged(patient.to_owned()),
    }
}

/// What was noted of a consultation.
pub(super) fn open_note(
    practice: &Practice,
    row: &ConsultationRow,
) -> Result<Personal, RecordError> {
    let damaged = || RecordError::Damaged(row.patient.clone());
    let opened = practice
        .vault
        .open(column::CONSULTATION, &row.row_name(), &row.sealed)
        .map_err(|error| not_opened(error, &row.patient))?;
    let text = std::str::from_utf8(opened.expose()).map_err(|_| damaged())?;
    Ok(text.into())
}
