//! Why something was not done with a patient's record.

use std::fmt;

use crate::identity::id::Identifier;
use crate::store::StoreError;

/// Why something was not done with a patient's record. Says nothing of what
/// stands in it.
#[derive(Debug)]
pub enum RecordError {
    /// The store.
    Store(StoreError),
    /// What lies in the database does not open.
    Damaged(String),
    /// What is to be written cannot stand in a record: a sentence.
    Content(String),
    /// Patients are not called like the doctor.
    OwnName(Identifier),
    /// The patient has a record already.
    Exists(Identifier),
    /// The patient has none.
    Missing(Identifier),
    /// Nobody of this name is enrolled or has a record.
    Unknown(Identifier),
    /// This takes the key to all of a record, and there is only the one to its
    /// contact part: what was wanted.
    DoctorsOnly(&'static str),
    /// An earlier version has sealed it in one piece, and there is only the key to
    /// the contact part.
    Unsplit(String),
    /// It was put away.
    Archived(Identifier),
    /// Somebody else has changed it meanwhile.
    Stale {
        /// Whose it is.
        patient: Identifier,
        /// The version the change is based on.
        base: u64,
        /// The version it has.
        found: u64,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Damaged(patient) => write!(
                f,
                "the record of {patient} does not open: it is damaged, or belongs to another \
                 data key; keep the files and restore a backup"
            ),
            Self::Content(sentence) => f.write_str(sentence),
            Self::OwnName(name) => write!(
                f,
                "{name} is the doctor's own identifier; choose another one for the patient"
            ),
            Self::Exists(patient) => write!(
                f,
                "there is a record of {patient} already; change it: doctor patients edit {patient}"
            ),
            Self::Missing(patient) => write!(
                f,
                "there is no record of {patient}; make one: doctor patients add {patient}"
            ),
            Self::Unknown(patient) => write!(
                f,
                "there is no record of {patient}, and nobody of that name is enrolled; see who \
                 there is: doctor patients list"
            ),
            Self::DoctorsOnly(what) => write!(
                f,
                "{what} is for the clinic's doctors: there is no key to notes and tags here"
            ),
            Self::Unsplit(patient) => write!(
                f,
                "the record of {patient} was written by an older version, with name and notes \
                 sealed in one piece: it can be seen here when a doctor of the clinic has \
                 started this version once"
            ),
            Self::Archived(patient) => write!(
                f,
                "the record of {patient} is archived; take it out first: doctor patients \
                 unarchive {patient}"
            ),
            Self::Stale {
                patient,
                base,
                found,
            } => write!(
                f,
                "the record of {patient} was changed meanwhile: it has version {found}, this \
                 change is based on version {base}; look at it again: doctor patients show \
                 {patient}"
            ),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
