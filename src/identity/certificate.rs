//! Certificates: who holds which keys, said by somebody who is trusted.
//!
//! The path is root, doctor, patient; nothing else and nothing longer. The
//! root's certificate is signed by itself and pinned by its fingerprint. The
//! root also signs assistants and auditors, who sign nobody and whom no patient
//! ever meets.
//!
//! ```text
//! version 1 ‖ serial 16 ‖ clinic 16 ‖ issuer 32 ‖ subject 32 ‖ role 1 ‖ gid 32
//! ‖ not_before 8 ‖ not_after 8 ‖ y_s L ‖ y_e L (patients only) ‖ signature 2L
//! ```

mod places;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, Group, SignSecret, VerifyingKey};
use crate::identity::id::Identifier;
use crate::kdf::{self, label};
use crate::random::Random;

/// Version of the format.
const VERSION: u8 = 1;

/// A certificate's number, 16 random bytes.
pub type Serial = [u8; 16];
/// A clinic's number, 16 random bytes.
pub type ClinicId = [u8; 16];
/// SHA-512 of a whole certificate, its first 32 bytes.
pub type Fingerprint = [u8; 32];
/// Names a signing key: 32 bytes.
pub type KeyId = [u8; 32];

/// What the holder of a certificate may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Signs doctors. Its key lies in a drawer.
    Root,
    /// Runs a node, certifies her patients.
    Doctor,
    /// Connects to a doctor.
    Patient,
    /// Works in a clinic without a node: calls patients, reads no notes.
    Assistant,
    /// Reads a clinic's audit log, and nothing else.
    Auditor,
}

impl Role {
    /// Who works in a clinic, and whom its root signs therefore.
    pub const STAFF: [Self; 3] = [Self::Doctor, Self::Assistant, Self::Auditor];

    /// The role as it stands in certificates: one byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Root => 1,
            Self::Doctor => 2,
            Self::Patient => 3,
            Self::Assistant => 4,
            Self::Auditor => 5,
        }
    }

    /// The inverse of [`Role::to_byte`].
    ///
    /// # Errors
    /// [`DecodeError`] if there is no such role.
    pub const fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            1 => Ok(Self::Root),
            2 => Ok(Self::Doctor),
            3 => Ok(Self::Patient),
            4 => Ok(Self::Assistant),
            5 => Ok(Self::Auditor),
            _ => Err(DecodeError),
        }
    }

    /// The role as one lower-case word, on the disk and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Doctor => "doctor",
            Self::Patient => "patient",
            Self::Assistant => "assistant",
            Self::Auditor => "auditor",
        }
    }

    /// The role among [`Role::STAFF`] that is called this.
    #[must_use]
    pub fn staff_from_word(word: &str) -> Option<Self> {
        Self::STAFF.into_iter().find(|role| role.word() == word)
    }

    /// Whether a clinic's root signs it.
    #[must_use]
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::Doctor | Self::Assistant | Self::Auditor)
    }

    /// Whether she works in a clinic without a server of her own.
    #[must_use]
    pub const fn lacks_node(self) -> bool {
        matches!(self, Self::Assistant | Self::Auditor)
    }

    /// Whether its certificates hold an encryption key.
    const fn has_encryption_key(self) -> bool {
        matches!(self, Self::Patient)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a certificate is not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CertificateError {
    /// It is no certificate, or one for another group.
    Malformed,
    /// The issuer may not sign this role, or clinic, group or key do not match.
    WrongLink,
    /// The issuer did not sign it.
    BadSignature,
    /// It is not the certificate with the expected fingerprint.
    WrongFingerprint,
    /// Its time has not begun.
    NotYetValid(Timestamp),
    /// Its time is over.
    Ended(Timestamp),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the certificate is malformed"),
            Self::WrongLink => f.write_str("the certificate's issuer may not issue it"),
            Self::BadSignature => f.write_str("the certificate's signature is wrong"),
            Self::WrongFingerprint => f.write_str("the certificate has another fingerprint"),
            Self::NotYetValid(from) => write!(f, "the certificate is valid only from {from} on"),
            Self::Ended(at) => write!(f, "the certificate ended on {at}"),
        }
    }
}

impl std::error::Error for CertificateError {}

impl From<DecodeError> for CertificateError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// Who and what a certificate speaks of: everything in it but the issuer and
/// the signature.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Number of the certificate.
    pub serial: Serial,
    /// The clinic it belongs to.
    pub clinic: ClinicId,
    /// Whose keys these are.
    pub identifier: Identifier,
    /// What they may be used for.
    pub role: Role,
    /// First instant of its validity.
    pub not_before: Timestamp,
    /// Last instant of its validity.
    pub not_after: Timestamp,
    /// Verifies the holder's signatures; its group is the certificate's.
    pub signing_key: VerifyingKey,
    /// For secrets to the holder. Patients only.
    pub encryption_key: Option<Element>,
}

/// A certificate as it arrived: well-formed, and nothing more is known of it.
#[derive(Clone)]
pub struct Certificate {
    bytes: Box<[u8]>,
    /// Kept, since tables are looked up by it all the time.
    fingerprint: Fingerprint,
    issuer: KeyId,
    subject: Subject,
}

impl Certificate {
    /// Reads a certificate whose keys are of `group`.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], for any defect of its form: a key that
    /// is no group element, a patient without an encryption key or with twice
    /// the same, another group, bytes too few or too many.
    pub fn decode(bytes: &[u8], group: &Group) -> Result<Self, CertificateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(CertificateError::Malformed);
        }
        let serial = reader.array()?;
        let clinic = reader.array()?;
        let issuer = reader.array()?;
        let identifier = Identifier::from_field(&reader.array()?)?;
        let role = Role::from_byte(reader.u8()?)?;
        if reader.array::<32>()? != *group.id() {
            return Err(CertificateError::Malformed);
        }
        let not_before = Timestamp::from_millis(reader.u64()?);
        let not_after = Timestamp::from_millis(reader.u64()?);
        let signing_key = VerifyingKey::from_bytes(group, reader.take(group.element_len())?)
            .map_err(|_| CertificateError::Malformed)?;
        let encryption_key = match role.has_encryption_key() {
            true => Some(
                Element::from_bytes(group, reader.take(group.element_len())?)
                    .map_err(|_| CertificateError::Malformed)?,
            ),
            false => None,
        };
        reader.take(2 * group.element_len())?;
        reader.finish()?;
        let same_key_twice = encryption_key
            .as_ref()
            .is_some_and(|key| key.as_bytes() == signing_key.as_bytes());
        if same_key_twice || not_after < not_before {
            return Err(CertificateError::Malformed);
        }
        Ok(Self {
            bytes: bytes.into(),
            fingerprint: fingerprint(bytes),
            issuer,
            subject: Subject {
                serial,
                clinic,
                identifier,
                role,
                not_before,
                not_after,
                signing_key,
                encryption_key,
            },
        })
    }

    /// The `gid` a certificate names, before anything in it is checked: needed
    /// to find the group with which it can be decoded.
    #[must_use]
    pub fn group_id(bytes: &[u8]) -> Option<[u8; 32]> {
        const BEFORE: usize = 1 + 16 + 16 + 32 + 32 + 1;
        bytes.get(BEFORE..)?.first_chunk().copied()
    }

    /// The last instant a certificate names, before anything in it is checked.
    #[must_use]
    pub fn end_of(bytes: &[u8]) -> Option<Timestamp> {
        const BEFORE: usize = 1 + 16 + 16 + 32 + 32 + 1 + 32 + 8;
        let millis = bytes.get(BEFORE..)?.first_chunk()?;
        Some(Timestamp::from_millis(u64::from_be_bytes(*millis)))
    }

    /// The whole certificate.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The group of its keys.
    #[must_use]
    pub fn group(&self) -> &Group {
        self.subject.signing_key.group()
    }

    /// `FP`: names the certificate, 32 bytes.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Names the holder's signing key, 32 bytes.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        key_id(&self.subject.signing_key)
    }

    /// Whether `now` lies within its validity.
    ///
    /// # Errors
    /// [`CertificateError::NotYetValid`] or [`CertificateError::Ended`].
    pub fn check_dates(&self, now: Timestamp) -> Result<(), CertificateError> {
        if now < self.subject.not_before {
            Err(CertificateError::NotYetValid(self.subject.not_before))
        } else if now > self.subject.not_after {
            Err(CertificateError::Ended(self.subject.not_after))
        } else {
            Ok(())
        }
    }

    fn check_signature(&self, signer: &VerifyingKey) -> Result<(), CertificateError> {
        let (signed, signature) = self
            .bytes
            .split_at(self.bytes.len() - 2 * self.group().element_len());
        signer
            .verify(label::SIG_CERTIFICATE, &[signed], signature)
            .map_err(|_| CertificateError::BadSignature)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject {
            role, identifier, ..
        } = &self.subject;
        write!(f, "Certificate({role} {identifier})")
    }
}

/// A certificate that was checked back to a pinned root, or that this program
/// issued itself. Its dates are not part of that: they are looked at whenever
/// it is used. Cheap to clone: a server's tables hold each patient's several
/// times.
#[derive(Clone, Debug)]
pub struct VerifiedCertificate(Arc<Certificate>);

impl VerifiedCertificate {
    fn of(certificate: Certificate) -> Self {
        Self(Arc::new(certificate))
    }

    /// Issues a certificate.
    #[must_use]
    pub fn issue(subject: Subject, issuer: &SignSecret, random: &mut dyn Random) -> Self {
        let issuer_id = key_id(issuer.verifying_key());
        let encryption_key = subject
            .encryption_key
            .as_ref()
            .map_or(&[][..], Element::as_bytes);
        let signed = Writer::new()
            .u8(VERSION)
            .bytes(&subject.serial)
            .bytes(&subject.clinic)
            .bytes(&issuer_id)
            .bytes(&subject.identifier.to_field())
            .u8(subject.role.to_byte())
            .bytes(subject.signing_key.group().id())
            .u64(subject.not_before.as_millis())
            .u64(subject.not_after.as_millis())
            .bytes(subject.signing_key.as_bytes())
            .bytes(encryption_key);
        let signature = issuer.sign(label::SIG_CERTIFICATE, &[signed.as_slice()], random);
        let bytes = signed.bytes(&signature).finish();
        Self::of(Certificate {
            fingerprint: fingerprint(&bytes),
            bytes: bytes.into(),
            issuer: issuer_id,
            subject,
        })
    }

    /// Accepts a root's certificate: the pinned one, role root, signed by
    /// itself.
    ///
    /// # Errors
    /// [`CertificateError`], saying which check failed.
    pub fn root(certificate: Certificate, pinned: &Fingerprint) -> Result<Self, CertificateError> {
        if certificate.fingerprint() != *pinned {
            return Err(CertificateError::WrongFingerprint);
        }
        if certificate.subject.role != Role::Root || certificate.issuer != certificate.key_id() {
            return Err(CertificateError::WrongLink);
        }
        certificate.check_signature(&certificate.subject.signing_key)?;
        Ok(Self::of(certificate))
    }

    /// Accepts a certificate this one issued: root to doctor or doctor to
    /// patient, same clinic, same group, signed. An assistant's or an auditor's
    /// is never accepted here, so that none passes where a doctor is demanded:
    /// see [`VerifiedCertificate::accept_staff`].
    ///
    /// # Errors
    /// [`CertificateError`], saying which check failed.
    pub fn accept_issued(&self, certificate: Certificate) -> Result<Self, CertificateError> {
        let allowed = matches!(
            (self.subject().role, certificate.subject.role),
            (Role::Root, Role::Doctor) | (Role::Doctor, Role::Patient)
        );
        self.accept_if(allowed, certificate)
    }

    /// Accepts a certificate of this role that this one, a root's, issued to
    /// somebody who works in its clinic: same clinic, same group, signed.
    ///
    /// # Errors
    /// [`CertificateError`], saying which check failed.
    pub fn accept_staff(
        &self,
        certificate: Certificate,
        role: Role,
    ) -> Result<Self, CertificateError> {
        let allowed = self.subject().role == Role::Root
            && role.is_staff()
            && certificate.subject.role == role;
        self.accept_if(allowed, certificate)
    }

    /// The same, whatever she is in the clinic.
    ///
    /// # Errors
    /// [`CertificateError`], saying which check failed.
    pub fn accept_member(&self, certificate: Certificate) -> Result<Self, CertificateError> {
        let role = certificate.subject.role;
        self.accept_staff(certificate, role)
    }

    fn accept_if(&self, allowed: bool, certificate: Certificate) -> Result<Self, CertificateError> {
        let linked = certificate.issuer == self.key_id()
            && certificate.subject.clinic == self.subject().clinic
            && certificate.group() == self.group();
        if !allowed || !linked {
            return Err(CertificateError::WrongLink);
        }
        certificate.check_signature(&self.subject().signing_key)?;
        Ok(Self::of(certificate))
    }

    /// Accepts a certificate because this program's own table, which holds only
    /// what it issued or verified, names it by this fingerprint.
    ///
    /// # Errors
    /// [`CertificateError::WrongFingerprint`].
    pub fn known(certificate: Certificate, table: &Fingerprint) -> Result<Self, CertificateError> {
        if certificate.fingerprint() == *table {
            Ok(Self::of(certificate))
        } else {
            Err(CertificateError::WrongFingerprint)
        }
    }
}

impl Deref for VerifiedCertificate {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.0
    }
}

/// `FP`: SHA-512 of a whole certificate, its first 32 bytes.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> Fingerprint {
    kdf::hash32(&[certificate])
}

/// Names a signing key, 32 bytes.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> KeyId {
    kdf::hash32(&[&label::KEY_ID.encoded(), key.as_bytes()])
}
