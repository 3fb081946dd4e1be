//! Signed heads: the doctor's signature on the newest link of the audit log.
//! Whoever keeps one elsewhere notices if what lies before it is replaced, even
//! if the whole chain is computed anew, and if what lies there is cut off.
//!
//! ```text
//! signature = sign("tmc1 audit head", clinic 16 ‖ FP(doctor's certificate) 32
//!                  ‖ number u64 ‖ link 32 ‖ at u64)
//! ```

use crate::audit::Link;
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::InvalidSignature;
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Fingerprint, VerifiedCertificate};
use crate::kdf::label;
use crate::random::Random;

/// After so many entries a server signs a head, however young the last one is.
pub const HEAD_AFTER: u64 = 1_000;

/// A signed head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Number of the entry that was the last one.
    pub number: u64,
    /// Its link.
    pub link: Link,
    /// When the head was made, by that machine's clock.
    pub at: Timestamp,
    /// Names the doctor's certificate, and so the key that signed.
    pub certificate: Fingerprint,
    /// The signature, twice the length of the group's elements.
    pub signature: Vec<u8>,
}

impl Head {
    /// Signs that `link` is that of entry `number`, the last one at `at`.
    #[must_use]
    pub fn sign(
        doctor: &DoctorIdentity,
        (number, link): (u64, Link),
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        let mut head = Self {
            number,
            link,
            at,
            certificate: doctor.certificate.fingerprint(),
            signature: Vec::new(),
        };
        let signed = head.signed(&doctor.certificate);
        let domain = label::SIG_AUDIT_HEAD;
        head.signature = doctor.signing.sign(domain, &[&signed], random);
        head
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
        key.verify(label::SIG_AUDIT_HEAD, &[&signed], &self.signature)
    }

    fn signed(&self, doctor: &VerifiedCertificate) -> Vec<u8> {
        Writer::new()
            .bytes(&doctor.subject().clinic)
            .bytes(&self.certificate)
            .u64(self.number)
            .bytes(&self.link)
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
    fn every_part_of_a_head_is_signed() {
        let doctor = &clinic().doctor;
        let head = Head::sign(doctor, (7, [1; 32]), NOW, &mut OsRandom);
        let papers = &doctor.certificate;
        assert!(head.verify(papers).is_ok());
        let other = clinic().other_doctor("D2").certificate;
        assert!(head.verify(&other).is_err());
        let changed = [
            Head {
                number: 8,
                ..head.clone()
            },
            Head {
                link: [2; 32],
                ..head.clone()
            },
            Head {
                at: Timestamp::default(),
                ..head.clone()
            },
            Head {
                certificate: other.fingerprint(),
                ..head.clone()
            },
            Head {
                signature: head.signature[1..].to_vec(),
                ..head.clone()
            },
        ];
        for head in changed {
            assert!(head.verify(papers).is_err(), "{head:?}");
        }
    }
}
