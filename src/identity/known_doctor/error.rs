//! Why a doctor is not believed, in words for her patient.

use std::fmt;

use crate::clock::Timestamp;
use crate::codec::DecodeError;
use crate::identity::certificate::{CertificateError, Fingerprint, KeyId};
use crate::identity::id::Identifier;
use crate::identity::known_doctor::fingerprint_groups;
use crate::identity::prekey::PrekeyError;
use crate::identity::revocation::RevocationError;

/// Why what a server says of itself is not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrustError {
    /// It is not in the form the protocol wants.
    Malformed,
    /// The clinic's group is not one that keeps secrets.
    Group,
    /// The clinic's root certificate does not pass.
    Root(CertificateError),
    /// The doctor's certificate does not pass.
    Doctor(CertificateError),
    /// Somebody else answers.
    OtherDoctor {
        /// Who was asked for.
        wanted: Identifier,
        /// Who answered.
        found: Identifier,
    },
    /// The server belongs to another clinic than before.
    ChangedRoot {
        /// Fingerprint of the root certificate that is known.
        known: Fingerprint,
        /// Fingerprint of the one that was shown now.
        found: Fingerprint,
    },
    /// The doctor has another signing key than before.
    ChangedKey {
        /// Name of the key that was known.
        known: KeyId,
        /// Name of the key that was shown now.
        found: KeyId,
    },
    /// The prekey does not pass.
    Prekey(PrekeyError),
    /// The prekey is not valid now.
    PrekeyDates,
    /// The list of revoked doctors does not pass.
    Revocation(RevocationError),
    /// The list of revoked doctors is older than the one already seen.
    OlderRevocation,
    /// The doctor's certificate was revoked.
    Revoked,
    /// A name or key of the other side is this side's own.
    OwnKey,
    /// The doctor's dates pass by her clock, not by this device's.
    OwnClock(Timestamp),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the server's description of itself is malformed"),
            Self::Group => f.write_str("the server names a group that would not keep secrets"),
            Self::Root(CertificateError::WrongFingerprint) => {
                f.write_str("the server belongs to another clinic than the ticket says")
            }
            Self::Root(error) => write!(f, "the clinic's root is not accepted: {error}"),
            Self::Doctor(error) => write!(f, "the doctor is not accepted: {error}"),
            Self::OtherDoctor { wanted, found } => {
                write!(f, "the server is doctor {found}, not {wanted}")
            }
            Self::ChangedRoot { known, found } => write!(
                f,
                "the server belongs to another clinic: the fingerprint of the clinic's root was \
                 {}, now it is {}",
                fingerprint_groups(known),
                fingerprint_groups(found)
            ),
            Self::ChangedKey { known, found } => write!(
                f,
                "the doctor's key has changed: it was {}, now it is {}",
                fingerprint_groups(known),
                fingerprint_groups(found)
            ),
            Self::Prekey(error) => write!(f, "{error}"),
            Self::PrekeyDates => f.write_str("the doctor's prekey is not valid now"),
            Self::Revocation(error) => write!(f, "{error}"),
            Self::OlderRevocation => {
                f.write_str("the list of revoked doctors is older than one seen before")
            }
            Self::Revoked => f.write_str("the clinic has revoked this doctor's certificate"),
            Self::OwnKey => f.write_str("the server shows this device's own name or key"),
            Self::OwnClock(doctor) => write!(
                f,
                "this device's clock is wrong: by the doctor's clock it is {doctor}"
            ),
        }
    }
}

impl std::error::Error for TrustError {}

impl From<DecodeError> for TrustError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}
