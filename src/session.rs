//! What two parties share once a handshake is done: the session key, and the
//! keys that are computed from it.

pub mod channel;
pub mod doctor;
pub mod outbox;
pub mod patient;
pub mod receipt;
pub mod signed;
pub mod table;
#[cfg(test)]
mod tests;
mod tokens;

use crate::aes::SealingKey;
use crate::kdf::{self, Label, Prk, label};
use crate::secret::Secret;

/// Which way a record travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the patient to the doctor.
    PatientToDoctor,
    /// From the doctor to the patient.
    DoctorToPatient,
}

impl Direction {
    /// The byte in what is authenticated.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::PatientToDoctor => 0,
            Self::DoctorToPatient => 1,
        }
    }

    const fn label(self) -> Label {
        match self {
            Self::PatientToDoctor => label::RECORD_P_TO_D,
            Self::DoctorToPatient => label::RECORD_D_TO_P,
        }
    }
}

/// The session key MS and the transcript hash it is bound to.
#[derive(Debug)]
pub struct SessionKey {
    master: Prk,
    transcript: [u8; 64],
}

impl SessionKey {
    /// Takes the session key a handshake with this transcript gave.
    #[must_use]
    pub const fn new(master: Prk, transcript: [u8; 64]) -> Self {
        Self { master, transcript }
    }

    /// `SKV`, the body of M3: proves that the patient has this session key.
    #[must_use]
    pub fn verification(&self) -> [u8; 64] {
        let key: Secret<64> = self.master.expand(label::CONFIRM, &[]);
        kdf::hmac(key.expose(), &[&label::M3.encoded(), &self.transcript])
    }

    /// The key of the records of one direction.
    #[must_use]
    pub fn record_key(&self, direction: Direction) -> SealingKey {
        SealingKey::new(self.master.expand(direction.label(), &[]))
    }

    /// `gsec`: this session's share in the group key.
    #[must_use]
    pub fn group_contribution(&self) -> Secret<32> {
        self.master.expand(label::GROUP_CONTRIBUTION, &[])
    }

    /// `krc`: the key of the device's receipts.
    #[must_use]
    pub fn receipt_key(&self) -> Secret<64> {
        self.master.expand(label::RECEIPT_KEY, &[])
    }

    /// `rms`: the key from which the session is resumed with `token`.
    #[must_use]
    pub fn resumption_key(&self, token: &[u8; 32]) -> Prk {
        Prk::from_secret(self.master.expand(label::RESUMPTION, &[token]))
    }
}
