//! A patient is given to another doctor of the clinic.

use std::fmt;

use crate::audit::Action;
use crate::doctor::practice::Practice;
use crate::identity::id::Identifier;
use crate::store::StoreError;

/// What staff who have patients are called in the store.
const DOCTOR: &str = "doctor";

/// Why a patient is not given to another doctor.
#[derive(Debug)]
pub enum TransferError {
    /// The store.
    Store(StoreError),
    /// There is no other doctor.
    Alone,
    /// Nobody of this name is a doctor of the clinic; these are.
    NoDoctor(Identifier, Vec<String>),
    /// She is the doctor's own already.
    Own(Identifier),
    /// She is nobody's patient.
    NoPatient(Identifier),
    /// She is this doctor's patient.
    Others(Identifier, String),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Alone => f.write_str(
                "this practice is one doctor's, there is nobody to give a patient to; let \
                 another doctor join first: doctor enrol-doctor",
            ),
            Self::NoDoctor(name, doctors) => write!(
                f,
                "the clinic has no doctor {name}; its doctors are {}",
                doctors.join(", ")
            ),
            Self::Own(patient) => write!(f, "{patient} is your patient already"),
            Self::NoPatient(patient) => write!(
                f,
                "{patient} is no doctor's patient; make a ticket first: doctor enrol {patient}"
            ),
            Self::Others(patient, doctor) => write!(
                f,
                "{patient} is a patient of {doctor}, who alone can give her to somebody else"
            ),
        }
    }
}

impl std::error::Error for TransferError {}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Gives one of the doctor's own patients to another doctor, and logs that.
///
/// # Errors
/// [`TransferError`]; nothing was changed.
pub fn transfer(
    practice: &Practice,
    patient: &Identifier,
    to: &Identifier,
) -> Result<(), TransferError> {
    let clinic = practice.store.clinic().ok_or(TransferError::Alone)?;
    let identity = practice.identity();
    let own = identity.identifier();
    let staff = clinic.staff()?.into_iter();
    let doctors = staff.filter(|row| row.role == DOCTOR).map(|row| row.id);
    let doctors: Vec<String> = doctors.collect();
    if to != own && !doctors.iter().any(|doctor| doctor == to.as_str()) {
        return Err(TransferError::NoDoctor(to.clone(), doctors));
    }
    let name = patient.as_str();
    match clinic.assigned(name)? {
        None => return Err(TransferError::NoPatient(patient.clone())),
        Some(doctor) if doctor != own.as_str() => {
            return Err(TransferError::Others(patient.clone(), doctor));
        }
        Some(_) if to == own => return Err(TransferError::Own(patient.clone())),
        Some(_) => {}
    }
    let entry = practice.by_doctor(Action::Transferred, name, &format!("to doctor {to}"));
    if clinic.transfer(name, own.as_str(), to.as_str(), &[entry])? {
        return Ok(());
    }
    // Somebody was quicker.
    Err(match clinic.assigned(name)? {
        Some(doctor) => TransferError::Others(patient.clone(), doctor),
        None => TransferError::NoPatient(patient.clone()),
    })
}
