//! Prekeys: the doctor's encryption key, which she signs herself and replaces
//! at least every 30 days, so that what was recorded longer ago stays closed.
//!
//! ```text
//! version 1 ‖ key id of the doctor 32 ‖ not_before 8 ‖ not_after 8 ‖ y_e L ‖ signature 2L
//! ```

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, KemSecret, SignSecret};
use crate::identity::certificate::{self, VerifiedCertificate};
use crate::kdf::{self, label};
use crate::random::Random;

/// Version of the format.
const VERSION: u8 = 1;
/// The longest validity a prekey may claim.
pub const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A new prekey is made when none that is valid has this much left.
pub const RENEWAL_MARGIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Names a prekey, 8 bytes: enough to pick one of the doctor's few.
pub type PrekeyId = [u8; 8];

/// Why a prekey is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrekeyError {
    /// It is no prekey of this group, or claims more than 30 days.
    Malformed,
    /// It belongs to another doctor or her signature is wrong.
    NotOfThisDoctor,
}

impl fmt::Display for PrekeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the doctor's prekey is malformed",
            Self::NotOfThisDoctor => "the prekey is not signed by this doctor",
        })
    }
}

impl std::error::Error for PrekeyError {}

impl From<DecodeError> for PrekeyError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// A prekey whose signature by its doctor was checked. Its dates are looked at
/// whenever it is used.
#[derive(Clone)]
pub struct VerifiedPrekey {
    bytes: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    key: Element,
}

impl VerifiedPrekey {
    /// Signs `key` as the doctor's prekey for [`MAX_LIFETIME`] from
    /// `not_before` on.
    #[must_use]
    pub fn issue(
        doctor: &SignSecret,
        key: &KemSecret,
        not_before: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        let not_after = not_before.plus(MAX_LIFETIME);
        let signed = Writer::new()
            .u8(VERSION)
            .bytes(&certificate::key_id(doctor.verifying_key()))
            .u64(not_before.as_millis())
            .u64(not_after.as_millis())
            .bytes(key.public().as_bytes());
        let signature = doctor.sign(label::SIG_PREKEY, &[signed.as_slice()], random);
        Self {
            bytes: signed.bytes(&signature).finish(),
            not_before,
            not_after,
            key: key.public().clone(),
        }
    }

    /// Accepts a prekey of the doctor who holds `doctor`.
    ///
    /// # Errors
    /// [`PrekeyError`], saying which check failed.
    pub fn accept(bytes: &[u8], doctor: &VerifiedCertificate) -> Result<Self, PrekeyError> {
        let group = doctor.group();
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(PrekeyError::Malformed);
        }
        if reader.array::<32>()? != doctor.key_id() {
            return Err(PrekeyError::NotOfThisDoctor);
        }
        let not_before = Timestamp::from_millis(reader.u64()?);
        let not_after = Timestamp::from_millis(reader.u64()?);
        let key = Element::from_bytes(group, reader.take(group.element_len())?)
            .map_err(|_| PrekeyError::Malformed)?;
        let signature = reader.take(2 * group.element_len())?;
        reader.finish()?;
        if not_after < not_before || not_after.since(not_before) > MAX_LIFETIME {
            return Err(PrekeyError::Malformed);
        }
        let signed = &bytes[..bytes.len() - signature.len()];
        doctor
            .subject()
            .signing_key
            .verify(label::SIG_PREKEY, &[signed], signature)
            .map_err(|_| PrekeyError::NotOfThisDoctor)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            not_before,
            not_after,
            key,
        })
    }

    /// The whole prekey with its signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encryption key itself.
    #[must_use]
    pub const fn key(&self) -> &Element {
        &self.key
    }

    /// First instant of its validity.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last instant of its validity.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether `now` lies within its validity.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// `kid`: names the prekey, 8 bytes.
    #[must_use]
    pub fn id(&self) -> PrekeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.hash()[..8]);
        id
    }

    /// SHA-512 of the whole prekey, 64 bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 64] {
        kdf::hash(&[&self.bytes])
    }
}

impl fmt::Debug for VerifiedPrekey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VerifiedPrekey({} to {})",
            self.not_before, self.not_after
        )
    }
}
