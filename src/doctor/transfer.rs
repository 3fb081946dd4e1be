//! A patient is given to another doctor of the clinic.

use std::fmt;

use crate::audit::{Action, Entry};
use crate::doctor::practice::Practice;
use crate::doctor::records::RecordError;
use crate::doctor::staff::{self, StaffError};
use crate::identity::id::Identifier;
use crate::store::{ClinicStore, StoreError};

/// Why a patient is not given to another doctor.
#[derive(Debug)]
pub enum TransferError {
    /// The store.
    Store(StoreError),
    /// It cannot be said who works in the clinic.
    Staff(StaffError),
    /// There is no other doctor.
    Alone,
    /// Nobody of this name is a doctor of the clinic; these are.
    NoDoctor(Identifier, Vec<String>),
    /// She is this doctor's already.
    Already(Identifier, String),
    /// She is nobody's patient.
    NoPatient(Identifier),
    /// She is this doctor's patient.
    Others(Identifier, String),
    /// She works here, and gives her patients to others herself.
    HerOwn(Identifier),
    /// She has none, or has them already.
    NoPatients(Identifier),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Staff(error) => write!(f, "{error}"),
            Self::Alone => f.write_str(
                "this practice is one doctor's, there is nobody to give a patient to; let \
                 another doctor join first: doctor enrol-doctor",
            ),
            Self::NoDoctor(name, doctors) => write!(
                f,
                "the clinic has no doctor {name}; its doctors are {}",
                doctors.join(", ")
            ),
            Self::Already(patient, doctor) => {
                write!(f, "{patient} is a patient of {doctor} already")
            }
            Self::NoPatient(patient) => write!(
                f,
                "{patient} is no doctor's patient; make a ticket first: doctor enrol {patient}"
            ),
            Self::Others(patient, doctor) => write!(
                f,
                "{patient} is a patient of {doctor}, who alone can give her to somebody else"
            ),
            Self::HerOwn(doctor) => write!(
                f,
                "{doctor} works in this clinic, and alone can give her patients to somebody else"
            ),
            Self::NoPatients(doctor) => write!(f, "there are no patients of {doctor} to be given"),
        }
    }
}

impl From<TransferError> for RecordError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Store(error) | TransferError::Staff(StaffError::Store(error)) => {
                Self::Store(error)
            }
            error => Self::Content(error.to_string()),
        }
    }
}

impl std::error::Error for TransferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Staff(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StaffError> for TransferError {
    fn from(error: StaffError) -> Self {
        match error {
            StaffError::Store(error) => Self::Store(error),
            other => Self::Staff(other),
        }
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Gives a patient to another doctor, and logs that: one of the doctor's own, or
/// one whose doctor does not work in the clinic any more.
///
/// # Errors
/// [`TransferError`]; nothing was changed.
pub fn transfer(
    practice: &Practice,
    patient: &Identifier,
    to: &Identifier,
) -> Result<(), TransferError> {
    let clinic = practice.store.clinic().ok_or(TransferError::Alone)?;
    let doctors = doctors(clinic)?;
    let identity = practice.identity();
    check_doctor(&doctors, identity.identifier(), to)?;
    let (name, own) = (patient.as_str(), identity.identifier().as_str());
    let from = match clinic.assigned(name)? {
        None => return Err(TransferError::NoPatient(patient.clone())),
        Some(doctor) if doctor == to.as_str() => {
            return Err(TransferError::Already(patient.clone(), doctor));
        }
        Some(doctor) if doctor != own && staff::works_here(practice, &doctor)? => {
            return Err(TransferError::Others(patient.clone(), doctor));
        }
        Some(doctor) => doctor,
    };
    let entry = entry(practice, &from, to, name);
    if clinic.transfer(name, &from, to.as_str(), &[entry])? {
        return Ok(());
    }
    // Somebody was quicker.
    Err(match clinic.assigned(name)? {
        Some(doctor) => TransferError::Others(patient.clone(), doctor),
        None => TransferError::NoPatient(patient.clone()),
    })
}

/// Gives all patients of one doctor to another, and logs each: the doctor's own,
/// or those of one who does not work in the clinic any more. Gives their names.
///
/// # Errors
/// [`TransferError`]; nothing was changed.
pub fn transfer_all(
    practice: &Practice,
    from: &Identifier,
    to: &Identifier,
) -> Result<Vec<String>, TransferError> {
    let clinic = practice.store.clinic().ok_or(TransferError::Alone)?;
    let doctors = doctors(clinic)?;
    let identity = practice.identity();
    check_doctor(&doctors, identity.identifier(), to)?;
    let name = from.as_str();
    if from != identity.identifier() && staff::works_here(practice, name)? {
        return Err(TransferError::HerOwn(from.clone()));
    }
    let to_herself = from == to || clinic.patients_of(name)?.is_empty();
    if to_herself {
        return Err(TransferError::NoPatients(from.clone()));
    }
    let entry = |patient: &str| entry(practice, name, to, patient);
    Ok(clinic.transfer_all(name, to.as_str(), &entry)?)
}

fn doctors(clinic: &dyn ClinicStore) -> Result<Vec<String>, StoreError> {
    Ok(staff::doctors(clinic.staff()?))
}

/// Whether patients can be given to this doctor.
fn check_doctor(
    doctors: &[String],
    own: &Identifier,
    to: &Identifier,
) -> Result<(), TransferError> {
    match to == own || doctors.iter().any(|doctor| doctor == to.as_str()) {
        true => Ok(()),
        false => Err(TransferError::NoDoctor(to.clone(), doctors.to_vec())),
    }
}

fn entry(practice: &Practice, from: &str, to: &Identifier, patient: &str) -> Entry {
    let identity = practice.identity();
    let of_whom = match from == identity.identifier().as_str() {
        true => String::new(),
        false => format!(", a patient of {from}, who has left"),
    };
    let detail = format!("to doctor {to}{of_whom}");
    practice.by_doctor(Action::Transferred, patient, &detail)
}
