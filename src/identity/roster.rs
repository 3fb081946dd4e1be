//! Where the clinic's doctors are reached: each says it of herself, signed, so
//! that whichever of them hands it on cannot change it.
//!
//! ```text
//! version 1 ‖ clinic 16 ‖ TS 8 ‖ LP8(host:port) ‖ LP16(cert_D) ‖ signature 2L
//! ```

use std::fmt;

use crate::address::Address;
use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{Certificate, CertificateError, Role, VerifiedCertificate};
use crate::identity::id::Identifier;
use crate::identity::revocation::RevokedDoctors;
use crate::kdf::label;
use crate::random::Random;

/// Version of the format.
const VERSION: u8 = 1;

/// Why an entry is not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RosterError {
    /// It is no entry, or its address is none that can be reached.
    Malformed,
    /// It is another clinic's.
    OtherClinic,
    /// The doctor's certificate does not pass.
    Doctor(CertificateError),
    /// The doctor has not signed it.
    BadSignature,
    /// The clinic has revoked the doctor's certificate.
    Revoked,
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is malformed"),
            Self::OtherClinic => f.write_str("it is another clinic's"),
            Self::Doctor(error) => write!(f, "{error}"),
            Self::BadSignature => f.write_str("the doctor named in it has not signed it"),
            Self::Revoked => f.write_str("the clinic has revoked this doctor's certificate"),
        }
    }
}

impl std::error::Error for RosterError {}

impl From<DecodeError> for RosterError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// A doctor of the clinic and where she is reached, checked back to the root.
/// Her certificate's dates are looked at whenever it is used.
#[derive(Clone, Debug)]
pub struct RosterEntry {
    bytes: Vec<u8>,
    made: Timestamp,
    address: Address,
    certificate: VerifiedCertificate,
}

impl RosterEntry {
    /// What a doctor says of herself at `now`: that she is reached at
    /// `address`. Nothing if nobody can be reached there.
    #[must_use]
    pub fn make(
        doctor: &DoctorIdentity,
        address: &Address,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Option<Self> {
        let text = address.to_string();
        let address = reachable(text.as_bytes()).ok()?;
        let signed = Writer::new()
            .u8(VERSION)
            .bytes(&doctor.root.subject().clinic)
            .u64(now.as_millis())
            .lp8(text.as_bytes())
            .lp16(doctor.certificate.as_bytes());
        let signature = doctor
            .signing
            .sign(label::SIG_ROSTER, &[signed.as_slice()], random);
        Some(Self {
            bytes: signed.bytes(&signature).finish(),
            made: now,
            address,
            certificate: doctor.certificate.clone(),
        })
    }

    /// Accepts an entry of the clinic whose root is `root`, of a doctor who is
    /// not in the clinic's list of revoked ones.
    ///
    /// # Errors
    /// [`RosterError`], saying which check failed.
    pub fn accept(
        bytes: &[u8],
        root: &VerifiedCertificate,
        revoked: &RevokedDoctors,
    ) -> Result<Self, RosterError> {
        let entry = Self::verify(bytes, root)?;
        if entry.is_revoked(revoked) {
            return Err(RosterError::Revoked);
        }
        Ok(entry)
    }

    /// The same without a look at the list: for what was accepted before, when
    /// the list may have been shorter.
    ///
    /// # Errors
    /// [`RosterError`], saying which check failed.
    pub fn verify(bytes: &[u8], root: &VerifiedCertificate) -> Result<Self, RosterError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(RosterError::Malformed);
        }
        if reader.array::<16>()? != root.subject().clinic {
            return Err(RosterError::OtherClinic);
        }
        let made = Timestamp::from_millis(reader.u64()?);
        let address = reachable(reader.lp8()?)?;
        let certificate = reader.lp16()?;
        let signature = reader.take(2 * root.group().element_len())?;
        reader.finish()?;
        let certificate = Certificate::decode(certificate, root.group())
            .and_then(|certificate| root.accept_issued(certificate))
            .map_err(RosterError::Doctor)?;
        if certificate.subject().role != Role::Doctor {
            return Err(RosterError::Doctor(CertificateError::WrongLink));
        }
        let signed = &bytes[..bytes.len() - signature.len()];
        certificate
            .subject()
            .signing_key
            .verify(label::SIG_ROSTER, &[signed], signature)
            .map_err(|_| RosterError::BadSignature)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            made,
            address,
            certificate,
        })
    }

    /// The doctor that an entry claims to be of, before anything is checked:
    /// looked up by place, to say whose entry it is.
    #[must_use]
    pub fn doctor_in(bytes: &[u8]) -> Option<Identifier> {
        const BEFORE: usize = 1 + 16 + 16 + 32;
        let field = Self::certificate_in(bytes)?.get(BEFORE..)?.first_chunk()?;
        Identifier::from_field(field).ok()
    }

    /// The bytes of the certificate in an entry, before anything is checked: looked
    /// up by place.
    #[must_use]
    pub fn certificate_in(bytes: &[u8]) -> Option<&[u8]> {
        let mut reader = Reader::new(bytes.get(1 + 16 + 8..)?);
        reader.lp8().ok()?;
        reader.lp16().ok()
    }

    /// The whole entry with its signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When the doctor made it, by her clock; a later one replaces an earlier
    /// one, never the reverse.
    #[must_use]
    pub const fn made(&self) -> Timestamp {
        self.made
    }

    /// Where she is reached.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Her certificate.
    #[must_use]
    pub const fn certificate(&self) -> &VerifiedCertificate {
        &self.certificate
    }

    /// Her name.
    #[must_use]
    pub fn doctor(&self) -> &Identifier {
        &self.certificate.subject().identifier
    }

    /// Whether the clinic has revoked the certificate in it.
    #[must_use]
    pub fn is_revoked(&self, revoked: &RevokedDoctors) -> bool {
        revoked.contains(&self.certificate.subject().serial)
    }
}

/// An address at which somebody can be reached, in the one way to write it.
fn reachable(bytes: &[u8]) -> Result<Address, RosterError> {
    let text = str::from_utf8(bytes).map_err(|_| RosterError::Malformed)?;
    let address: Address = text.parse().map_err(|_| RosterError::Malformed)?;
    let is_reachable = address.port != 0 && !address.is_unspecified();
    if is_reachable && address.to_string() == text && text.len() <= usize::from(u8::MAX) {
        Ok(address)
    } else {
        Err(RosterError::Malformed)
    }
}
