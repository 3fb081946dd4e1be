//! Requests about patients' records, and their answers.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::doctor::not_done::NotDone;
use crate::doctor::practice::Practice;
use crate::doctor::records::{self, Change, Found, Listed, Note, Personal, RecordError, Shown};
use crate::doctor::transfer;
use crate::identity::id::{Identifier, IdentifierError};

/// What can be asked about patients' records.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Make a record.
    Add {
        /// Of whom.
        patient: String,
        /// What it is to say.
        change: Box<Change>,
    },
    /// Change a record.
    Edit {
        /// Of whom.
        patient: String,
        /// The version that the change is based on, if that matters.
        base: Option<u64>,
        /// What it is to say.
        change: Box<Change>,
    },
    /// Show a record.
    Show {
        /// Of whom.
        patient: String,
    },
    /// List the patients.
    List {
        /// Those whose record was put away.
        archived: bool,
        /// Only those with this tag.
        tag: Option<Personal>,
    },
    /// Look for a text.
    Search {
        /// This one.
        text: Personal,
    },
    /// Put a record away.
    Archive {
        /// Of whom.
        patient: String,
    },
    /// Take a record out again.
    Unarchive {
        /// Of whom.
        patient: String,
    },
    /// Give her to another doctor of the clinic.
    Transfer {
        /// Whom.
        patient: String,
        /// To whom.
        doctor: String,
    },
    /// Give all patients of one doctor to another.
    TransferAll {
        /// Whose: the doctor's own, or those of one who has left.
        from: String,
        /// To whom.
        doctor: String,
    },
    /// Write about a consultation.
    Note {
        /// With whom.
        patient: String,
        /// When it began, if not now.
        begun: Option<Timestamp>,
        /// When it ended.
        ended: Option<Timestamp>,
        /// What was noted.
        text: Personal,
    },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A record was made.
    Added {
        /// Of whom.
        patient: String,
    },
    /// A record was changed, or was so already.
    Edited {
        /// Of whom.
        patient: String,
        /// The version it has now.
        version: u64,
        /// What is not as it was.
        fields: Vec<String>,
    },
    /// All about a patient.
    Shown(Box<Shown>),
    /// The patients.
    Listed(Vec<Listed>),
    /// The patients in whose records it stands.
    Found {
        /// They.
        patients: Vec<Found>,
        /// Whether it was looked for in the contact part only: there is no key to
        /// the rest.
        contact_only: bool,
    },
    /// A record was put away, or was so already.
    Archived {
        /// Of whom.
        patient: String,
    },
    /// A record is not put away any more.
    Unarchived {
        /// Of whom.
        patient: String,
    },
    /// She is another doctor's patient now.
    Transferred {
        /// Who.
        patient: String,
        /// Whose.
        doctor: String,
    },
    /// They are another doctor's patients now.
    AllTransferred {
        /// Who.
        patients: Vec<String>,
        /// Whose.
        doctor: String,
    },
    /// A consultation was noted.
    Noted {
        /// With whom.
        patient: String,
    },
    /// It was not done, for this reason.
    Failed(NotDone),
    /// It cannot be done, because what is stored is damaged.
    Damaged(String),
}

/// Does what is asked and says what came of it.
#[must_use]
pub fn answer(practice: &Practice, request: Request) -> Answer {
    match done(practice, request) {
        Ok(answer) => answer,
        Err(error @ RecordError::Damaged(_)) => Answer::Damaged(error.to_string()),
        Err(error) => Answer::Failed(NotDone::of(&error)),
    }
}

fn done(practice: &Practice, request: Request) -> Result<Answer, RecordError> {
    Ok(match request {
        Request::Add { patient, change } => {
            records::add(practice, &named(&patient)?, &change)?;
            Answer::Added { patient }
        }
        Request::Edit {
            patient,
            base,
            change,
        } => {
            let (version, fields) = records::edit(practice, &named(&patient)?, base, &change)?;
            let fields = fields.iter().map(|field| field.word().to_owned()).collect();
            Answer::Edited {
                patient,
                version,
                fields,
            }
        }
        Request::Show { patient } => {
            Answer::Shown(Box::new(records::show(practice, &named(&patient)?)?))
        }
        Request::List { archived, tag } => {
            let tag = tag.as_ref().map(Personal::as_str);
            Answer::Listed(records::list(practice, archived, tag)?)
        }
        Request::Search { text } => Answer::Found {
            patients: records::search(practice, text.as_str())?,
            contact_only: records::is_contact_only(practice)?,
        },
        Request::Archive { patient } => {
            records::archive(practice, &named(&patient)?, true)?;
            Answer::Archived { patient }
        }
        Request::Unarchive { patient } => {
            records::archive(practice, &named(&patient)?, false)?;
            Answer::Unarchived { patient }
        }
        Request::Transfer { patient, doctor } => {
            transfer::transfer(practice, &named(&patient)?, &named(&doctor)?)?;
            Answer::Transferred { patient, doctor }
        }
        Request::TransferAll { from, doctor } => {
            let patients = transfer::transfer_all(practice, &named(&from)?, &named(&doctor)?)?;
            Answer::AllTransferred { patients, doctor }
        }
        Request::Note {
            patient,
            begun,
            ended,
            text,
        } => {
            let note = Note {
                begun: begun.unwrap_or_else(|| practice.now()),
                ended,
                text: text.as_str(),
            };
            records::note(practice, &named(&patient)?, &note)?;
            Answer::Noted { patient }
        }
    })
}

fn named(patient: &str) -> Result<Identifier, RecordError> {
    patient
        .parse()
        .map_err(|error: IdentifierError| RecordError::Content(error.to_string()))
}
