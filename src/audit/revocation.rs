//! What the file of heads says of a certificate that was stopped, signed by the
//! doctor, so that nobody can have the restore of a backup stop others.
//!
//! ```text
//! signature = sign("tmc1 audit stop", clinic 16 ‖ FP(doctor's certificate) 32 ‖ serial 16
//!                  ‖ LP32(subject) ‖ LP32(state) ‖ at u64)
//! ```

use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::InvalidSignature;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Fingerprint, Serial, VerifiedCertificate};
use crate::kdf::label;
use crate::random::Random;

/// A certificate that was stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// Its serial number.
    pub serial: Serial,
    /// The identifier it was issued to.
    pub subject: String,
    /// `frozen` or `revoked`.
    pub state: String,
    /// When that was noticed here.
    pub at: Timestamp,
    /// Names the doctor's certificate, and so the key that signed.
    pub certificate: Fingerprint,
    /// The signature, twice the length of the group's elements.
    pub signature: Vec<u8>,
}

impl Revocation {
    /// Signs that the certificate `serial` of `subject` has this state.
    #[must_use]
    pub fn sign(
        doctor: &DoctorIdentity,
        (serial, subject): (Serial, &str),
        state: &str,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        let mut revocation = Self {
            serial,
            subject: subject.to_owned(),
            state: state.to_owned(),
            at,
            certificate: doctor.certificate.fingerprint(),
            signature: Vec::new(),
        };
        let signed = revocation.signed(&doctor.certificate);
        let domain = label::SIG_AUDIT_STOP;
        revocation.signature = doctor.signing.sign(domain, &[&signed], random);
        revocation
    }

    /// Whether the holder of this certificate has signed it.
    ///
    /// # Errors
    /// [`InvalidSignature`] if not.
    pub fn verify(&self, doctor: &VerifiedCertificate) -> Result<(), InvalidSignature> {
        if self.certificate != doctor.fingerprint() {
            return Err(InvalidSignature);
        }
        let key = &doctor.subject().signing_key;
        let signed = self.signed(doctor);
        key.verify(label::SIG_AUDIT_STOP, &[&signed], &self.signature)
    }

    fn signed(&self, doctor: &VerifiedCertificate) -> Vec<u8> {
        Writer::new()
            .bytes(&doctor.subject().clinic)
            .bytes(&self.certificate)
            .bytes(&self.serial)
            .lp32(self.subject.as_bytes())
            .lp32(self.state.as_bytes())
            .u64(self.at.as_millis())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;
    use crate::testing::{NOW, clinic};

    #[test]
    fn every_part_of_a_revocation_is_signed() {
        let doctor = &clinic().doctor;
        let signed = Revocation::sign(doctor, ([7; 16], "P1"), "frozen", NOW, &mut OsRandom);
        let papers = &doctor.certificate;
        assert!(signed.verify(papers).is_ok());
        let other = clinic().other_doctor("D2").certificate;
        assert!(signed.verify(&other).is_err());
        let change = |change: &dyn Fn(&mut Revocation)| {
            let mut changed = signed.clone();
            change(&mut changed);
            assert!(changed.verify(papers).is_err(), "{changed:?}");
        };
        change(&|it| it.serial[0] ^= 1);
        change(&|it| it.subject.push('2'));
        change(&|it| it.state = "revoked".to_owned());
        change(&|it| it.at = Timestamp::default());
        change(&|it| it.certificate = other.fingerprint());
        change(&|it| it.signature[0] ^= 1);
        // Not even a letter that moves from one word into the next.
        change(&|it| (it.subject, it.state) = ("P1f".to_owned(), "rozen".to_owned()));
    }
}
