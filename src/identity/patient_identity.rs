//! A patient's own keys and papers.

use crate::elgamal::{KemSecret, SignSecret};
use crate::identity::certificate::{Role, VerifiedCertificate};
use crate::identity::known_doctor::Own;

/// A patient's certificate with the secrets that belong to it.
#[derive(Debug)]
pub struct PatientIdentity {
    certificate: VerifiedCertificate,
    issuer: VerifiedCertificate,
    signing: SignSecret,
    encryption: KemSecret,
}

impl PatientIdentity {
    /// Puts certificate and secrets together; nothing if they do not belong
    /// together.
    #[must_use]
    pub fn new(
        certificate: VerifiedCertificate,
        issuer: VerifiedCertificate,
        signing: SignSecret,
        encryption: KemSecret,
    ) -> Option<Self> {
        let subject = certificate.subject();
        let belongs = subject.role == Role::Patient
            && subject.signing_key == *signing.verifying_key()
            && subject.encryption_key.as_ref() == Some(encryption.public());
        belongs.then_some(Self {
            certificate,
            issuer,
            signing,
            encryption,
        })
    }

    /// The patient's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &VerifiedCertificate {
        &self.certificate
    }

    /// The certificate of the doctor who issued it.
    #[must_use]
    pub const fn issuer(&self) -> &VerifiedCertificate {
        &self.issuer
    }

    /// The patient's signing secret.
    #[must_use]
    pub const fn signing(&self) -> &SignSecret {
        &self.signing
    }

    /// The patient's encryption secret.
    #[must_use]
    pub const fn encryption(&self) -> &KemSecret {
        &self.encryption
    }

    /// Name and keys that no doctor may show.
    #[must_use]
    pub fn own(&self) -> Own<'_> {
        Own {
            identifier: &self.certificate.subject().identifier,
            signing_key: self.signing.verifying_key(),
            encryption_key: self.encryption.public(),
        }
    }
}
