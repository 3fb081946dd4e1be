//! A patient's device, as the doctor is told of it.

use std::fmt;

use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;

use super::messages::device_code;

/// A patient's device. A patient's only one is called by the patient's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Peer {
    /// Whose it is.
    pub patient: Identifier,
    /// Which one it is.
    pub device: Fingerprint,
    /// Whether the patient has others.
    pub is_one_of_several: bool,
}

impl Peer {
    /// The patient's identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.patient.as_str()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one_of_several {
            let name = format!("{} (device {})", self.patient, device_code(&self.device));
            f.pad(&name)
        } else {
            write!(f, "{}", self.patient)
        }
    }
}
