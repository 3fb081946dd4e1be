//! Whose a patient's message is. Its row says so, but whoever can write to a database
//! that several share could change that: the certificate of the device that it came
//! from says it, too, which a doctor has signed and the message is sealed with.

use std::cell::OnceCell;

use crate::doctor::messages::{BookError, doctors, open_incoming};
use crate::doctor::practice::Practice;
use crate::identity::certificate::{Certificate, Fingerprint, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::protocol::message::Message;
use crate::store::StoreError;
use crate::store::messages::IncomingRow;

/// Tells who has written messages, for as long as one question takes.
pub struct Senders<'a> {
    pub(in crate::doctor) practice: &'a Practice,
    doctors: OnceCell<Vec<VerifiedCertificate>>,
}

impl<'a> Senders<'a> {
    /// Nobody was looked for yet.
    #[must_use]
    pub const fn new(practice: &'a Practice) -> Self {
        Self {
            practice,
            doctors: OnceCell::new(),
        }
    }

    /// Who has written this; none if no doctor of the clinic has certified the
    /// device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(&self, row: &IncomingRow) -> Result<Option<String>, StoreError> {
        // A file has only what this program put there.
        if self.practice.store.nodes().is_none() {
            return Ok(Some(row.patient.clone()));
        }
        let owner = self.owner(&row.device)?;
        Ok(owner.map(|owner| owner.to_string()))
    }

    /// Opens a patient's message and says who has written it, whatever the row says.
    ///
    /// # Errors
    /// [`BookError`]; [`BookError::Sender`] if that is nobody.
    pub fn open(&self, row: &IncomingRow) -> Result<(String, Message), BookError> {
        let message = open_incoming(self.practice, row)?;
        let patient = self.of(row)?.ok_or(BookError::Sender(row.number))?;
        Ok((patient, message))
    }

    /// Whose device it is, if one of the clinic's doctors has certified it. What she
    /// has signed stays so, and is looked at once.
    fn owner(&self, device: &Fingerprint) -> Result<Option<Identifier>, StoreError> {
        if let Some(known) = self.practice.owner(device) {
            return Ok(Some(known));
        }
        let Some(bytes) = self.practice.store.certificate_bytes(device)? else {
            return Ok(None);
        };
        let identity = self.practice.identity();
        let Ok(certificate) = Certificate::decode(&bytes, identity.group()) else {
            return Ok(None);
        };
        let accepted = |each: &VerifiedCertificate| each.accept_issued(certificate.clone()).ok();
        let verified = self.doctors()?.iter().find_map(accepted);
        let hers = verified.filter(|verified| verified.fingerprint() == *device);
        Ok(hers.map(|verified| {
            let owner = verified.subject().identifier.clone();
            self.practice.set_owner(*device, owner.clone());
            owner
        }))
    }

    fn doctors(&self) -> Result<&[VerifiedCertificate], StoreError> {
        if self.doctors.get().is_none() {
            let found = doctors(self.practice)?;
            return Ok(self.doctors.get_or_init(|| found));
        }
        Ok(self.doctors.get().map_or(&[], Vec::as_slice))
    }
}
