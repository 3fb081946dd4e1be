//! The list of revoked doctors: signed by the root, with a number that only
//! rises. It has no expiry, or a practice whose root lies in a drawer would
//! lock itself out.
//!
//! ```text
//! version 1 ‖ clinic 16 ‖ number 8 ‖ TS 8 ‖ LP16(serials, 16 each, ascending) ‖ signature 2L
//! ```

use std::collections::BTreeSet;
use std::fmt;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::SignSecret;
use crate::identity::certificate::{ClinicId, Serial, VerifiedCertificate};
use crate::kdf::{self, label};
use crate::random::Random;

/// Version of the format.
const VERSION: u8 = 1;
/// The most serials a list may hold.
pub const MAX_SERIALS: usize = 128;

/// Why a list is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevocationError {
    /// It is no such list.
    Malformed,
    /// It is another clinic's, or the root did not sign it.
    NotOfThisClinic,
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the list of revoked doctors is malformed",
            Self::NotOfThisClinic => "the list of revoked doctors is not this clinic's",
        })
    }
}

impl std::error::Error for RevocationError {}

impl From<DecodeError> for RevocationError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// A list of revoked doctors whose signature by the root was checked.
#[derive(Clone, Debug)]
pub struct RevokedDoctors {
    bytes: Vec<u8>,
    number: u64,
    serials: Vec<Serial>,
}

impl RevokedDoctors {
    /// The list made together with the root: number 0, nobody revoked.
    #[must_use]
    pub fn first(
        root: &SignSecret,
        clinic: &ClinicId,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        Self::sign(root, clinic, (0, Vec::new()), now, random)
    }

    /// The next list, with one more doctor's certificate; nothing if there is no
    /// room for it. One that is in it already is so still.
    #[must_use]
    pub fn extend(
        &self,
        root: &SignSecret,
        clinic: &ClinicId,
        serial: &Serial,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Option<Self> {
        self.extend_by(root, clinic, &[*serial], now, random)
    }

    /// The same with several certificates more.
    #[must_use]
    pub fn extend_by(
        &self,
        root: &SignSecret,
        clinic: &ClinicId,
        more: &[Serial],
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Option<Self> {
        self.follow(root, clinic, (more, &BTreeSet::new()), now, random)
    }

    /// The same without those that are over: nobody goes by them any more.
    #[must_use]
    pub fn follow(
        &self,
        root: &SignSecret,
        clinic: &ClinicId,
        (more, over): (&[Serial], &BTreeSet<Serial>),
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Option<Self> {
        // After a restored backup a count would begin again below lists that
        // patients have seen: the time does not.
        let seconds = now.as_millis() / 1_000;
        let number = self.number.checked_add(1)?.max(seconds);
        let mut serials = self.serials.clone();
        serials.extend_from_slice(more);
        serials.retain(|serial| !over.contains(serial));
        serials.sort_unstable();
        serials.dedup();
        let fits = serials.len() <= MAX_SERIALS;
        fits.then(|| Self::sign(root, clinic, (number, serials), now, random))
    }

    fn sign(
        root: &SignSecret,
        clinic: &ClinicId,
        (number, serials): (u64, Vec<Serial>),
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        let signed = Writer::new()
            .u8(VERSION)
            .bytes(clinic)
            .u64(number)
            .u64(now.as_millis())
            .lp16(serials.as_flattened());
        let signature = root.sign(label::SIG_REVOKED, &[signed.as_slice()], random);
        Self {
            bytes: signed.bytes(&signature).finish(),
            number,
            serials,
        }
    }

    /// Accepts a list of the clinic whose root is `root`.
    ///
    /// # Errors
    /// [`RevocationError`], saying which check failed.
    pub fn accept(bytes: &[u8], root: &VerifiedCertificate) -> Result<Self, RevocationError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(RevocationError::Malformed);
        }
        if reader.array::<16>()? != root.subject().clinic {
            return Err(RevocationError::NotOfThisClinic);
        }
        let number = reader.u64()?;
        let _made = reader.u64()?;
        let (serials, rest) = reader.lp16()?.as_chunks::<16>();
        let ascending = serials.is_sorted_by(|a, b| a < b);
        if !rest.is_empty() || !ascending || serials.len() > MAX_SERIALS {
            return Err(RevocationError::Malformed);
        }
        let signature = reader.take(2 * root.group().element_len())?;
        reader.finish()?;
        let signed = &bytes[..bytes.len() - signature.len()];
        root.subject()
            .signing_key
            .verify(label::SIG_REVOKED, &[signed], signature)
            .map_err(|_| RevocationError::NotOfThisClinic)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            number,
            serials: serials.to_vec(),
        })
    }

    /// The whole list with its signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The list's number; a higher one replaces a lower one, never the reverse.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The serials of the revoked certificates, ascending.
    #[must_use]
    pub fn serials(&self) -> &[Serial] {
        &self.serials
    }

    /// Whether this list may be taken where `known` was seen before: it is the
    /// same, or a later one.
    #[must_use]
    pub fn may_follow(&self, known: &Self) -> bool {
        self.number > known.number || self.bytes == known.bytes
    }

    /// Whether nobody has been let off who is in `known`, but for those that are
    /// over.
    #[must_use]
    pub fn holds_all_of(&self, known: &Self, over: &BTreeSet<Serial>) -> bool {
        let mut lacks = self.lacks(known).into_iter();
        lacks.all(|serial| over.contains(&serial))
    }

    /// Those who are in `known` and not in this list.
    #[must_use]
    pub fn lacks(&self, known: &Self) -> Vec<Serial> {
        let serials = known.serials.iter().copied();
        serials.filter(|serial| !self.contains(serial)).collect()
    }

    /// Whether the doctor's certificate with this serial is revoked.
    #[must_use]
    pub fn contains(&self, serial: &Serial) -> bool {
        self.serials.binary_search(serial).is_ok()
    }

    /// SHA-512 of the whole list, 64 bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 64] {
        kdf::hash(&[&self.bytes])
    }
}
