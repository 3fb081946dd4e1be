//! What the root says of a signing key that is no doctor's any more: exactly these of
//! the patients' certificates that it has signed are good. Whoever has the key could
//! go on signing others, and whoever can write to the database could put them there.
//!
//! ```text
//! statement: version 1 ‖ clinic 16 ‖ number 8 ‖ TS 8 ‖ key 32 ‖ count 4 ‖ hash 64 ‖ signature 2L
//! all:       (LP16(statement) ‖ LP32(fingerprints, 32 each, ascending))*
//! ```
//!
//! The hash is SHA-512 of the fingerprints. The number is that of the list of revoked
//! doctors which came with it; a higher one replaces a lower one of the same key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::SignSecret;
use crate::identity::certificate::{ClinicId, Fingerprint, KeyId, VerifiedCertificate};
use crate::kdf::{self, label};
use crate::random::Random;

/// Version of the format.
const VERSION: u8 = 1;
/// The longest that all statements with what they list may be, bytes: some 260,000
/// certificates.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Why a statement is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClosingError {
    /// It is no such statement.
    Malformed,
    /// It is another clinic's, or the root did not sign it.
    NotOfThisClinic,
}

impl fmt::Display for ClosingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the closing statement of a key is malformed",
            Self::NotOfThisClinic => "the closing statement of a key is not this clinic's",
        })
    }
}

impl std::error::Error for ClosingError {}

impl From<DecodeError> for ClosingError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// A statement whose signature by the root was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    bytes: Vec<u8>,
    number: u64,
    key: KeyId,
    count: u32,
    hash: [u8; 64],
}

fn hash_of(devices: &BTreeSet<Fingerprint>) -> [u8; 64] {
    let all: Vec<&[u8]> = devices.iter().map(|each| &each[..]).collect();
    kdf::hash(&all)
}

impl Closing {
    /// Says that of the certificates that `key` has signed these are good.
    /// `number` is that of the list of revoked doctors that comes with it.
    #[must_use]
    pub fn sign(
        root: &SignSecret,
        clinic: &ClinicId,
        (key, number): (KeyId, u64),
        devices: &BTreeSet<Fingerprint>,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Self {
        let count = u32::try_from(devices.len()).unwrap_or(u32::MAX);
        let hash = hash_of(devices);
        let signed = Writer::new()
            .u8(VERSION)
            .bytes(clinic)
            .u64(number)
            .u64(now.as_millis())
            .bytes(&key)
            .u32(count)
            .bytes(&hash);
        let signature = root.sign(label::SIG_CLOSING, &[signed.as_slice()], random);
        Self {
            bytes: signed.bytes(&signature).finish(),
            number,
            key,
            count,
            hash,
        }
    }

    /// Accepts a statement of the clinic whose root is `root`.
    ///
    /// # Errors
    /// [`ClosingError`], saying which check failed.
    pub fn accept(bytes: &[u8], root: &VerifiedCertificate) -> Result<Self, ClosingError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(ClosingError::Malformed);
        }
        if reader.array::<16>()? != root.subject().clinic {
            return Err(ClosingError::NotOfThisClinic);
        }
        let number = reader.u64()?;
        let _made = reader.u64()?;
        let (key, count, hash) = (reader.array()?, reader.u32()?, reader.array()?);
        let signature = reader.take(2 * root.group().element_len())?;
        reader.finish()?;
        let signed = &bytes[..bytes.len() - signature.len()];
        root.subject()
            .signing_key
            .verify(label::SIG_CLOSING, &[signed], signature)
            .map_err(|_| ClosingError::NotOfThisClinic)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            number,
            key,
            count,
            hash,
        })
    }

    /// The whole statement with its signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Name of the key that it closes.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// Number of the list of revoked doctors that came with it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether these are the certificates that are good.
    #[must_use]
    pub fn speaks_of(&self, devices: &BTreeSet<Fingerprint>) -> bool {
        hash_of(devices) == self.hash
    }

    /// So many certificates of that key are good.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }
}

/// A key that is closed.
#[derive(Clone, Debug)]
struct Closed {
    closing: Closing,
    /// The certificates that are good; none if what lies beside the statement is not
    /// what it speaks of.
    good: Option<BTreeSet<Fingerprint>>,
}

/// The keys of the clinic's former doctors, and which of the certificates that they
/// have signed are good.
#[derive(Clone, Default, Debug)]
pub struct ClosedKeys(BTreeMap<KeyId, Closed>);

impl ClosedKeys {
    /// Reads all of them. What the root has not signed does not count, nor what comes
    /// behind something malformed.
    #[must_use]
    pub fn read(bytes: &[u8], root: &VerifiedCertificate) -> Self {
        let mut all = Self::default();
        let mut reader = Reader::new(bytes);
        while let (Ok(statement), Ok(devices)) = (reader.lp16(), reader.lp32()) {
            if let Ok(closing) = Closing::accept(statement, root) {
                let (devices, rest) = devices.as_chunks::<32>();
                let devices = rest.is_empty().then(|| devices.iter().copied().collect());
                all.add(closing, devices);
            }
        }
        all
    }

    /// All of them as they lie in the database; none if that is more than
    /// [`MAX_BYTES`].
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let all = self.0.values().fold(Writer::new(), |writer, closed| {
            let good = closed.good.iter().flatten();
            let good: Vec<u8> = good.flatten().copied().collect();
            writer.lp16(&closed.closing.bytes).lp32(&good)
        });
        Some(all.finish()).filter(|bytes| bytes.len() <= MAX_BYTES)
    }

    /// Adds a statement, with the certificates that it speaks of if they are known,
    /// unless there is a later one of this key.
    pub fn add(&mut self, closing: Closing, devices: Option<BTreeSet<Fingerprint>>) {
        let good = devices.filter(|devices| closing.speaks_of(devices));
        // None at all is known without being said.
        let good = good.or_else(|| (closing.count == 0).then(BTreeSet::new));
        let is_better = self.0.get(&closing.key).is_none_or(|known| {
            let is_same = known.closing == closing;
            closing.number > known.closing.number
                || (is_same && known.good.is_none() && good.is_some())
        });
        if is_better {
            self.0.insert(closing.key, Closed { closing, good });
        }
    }

    /// Adds all of these.
    pub fn merge(&mut self, others: &Self) {
        for closed in others.0.values() {
            self.add(closed.closing.clone(), closed.good.clone());
        }
    }

    /// Whether this key is closed.
    #[must_use]
    pub fn contains(&self, key: &KeyId) -> bool {
        self.0.contains_key(key)
    }

    /// Whether a certificate that this key has signed is not good any more. Where it
    /// is not known which are, none is.
    #[must_use]
    pub fn refuses(&self, key: &KeyId, certificate: &Fingerprint) -> bool {
        let closed = self.0.get(key);
        closed.is_some_and(|closed| {
            let mut good = closed.good.iter();
            !good.any(|good| good.contains(certificate))
        })
    }

    /// The statements, in order of their keys.
    pub fn statements(&self) -> impl Iterator<Item = &Closing> {
        self.0.values().map(|closed| &closed.closing)
    }

    /// The statements of keys of which it is not known which certificates are good.
    pub fn without_list(&self) -> impl Iterator<Item = &Closing> {
        let without = self.0.values().filter(|closed| closed.good.is_none());
        without.map(|closed| &closed.closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;
    use crate::testing::{Clinic, NOW, clinic};

    const KEY: KeyId = [1; 32];

    fn devices(numbers: &[u8]) -> BTreeSet<Fingerprint> {
        numbers.iter().map(|number| [*number; 32]).collect()
    }

    fn closing(number: u64, good: &[u8]) -> Closing {
        let clinic = clinic();
        let id = clinic.doctor.root.subject().clinic;
        let (root, good) = (&clinic.root, devices(good));
        Closing::sign(root, &id, (KEY, number), &good, NOW, &mut OsRandom)
    }

    fn closed(of: &[(&Closing, &[u8])]) -> ClosedKeys {
        let mut keys = ClosedKeys::default();
        for (closing, good) in of {
            keys.add((*closing).clone(), Some(devices(good)));
        }
        keys
    }

    #[test]
    fn of_a_closed_key_exactly_what_is_listed_is_good() {
        let keys = closed(&[(&closing(7, &[3, 5]), &[3, 5])]);
        let read = ClosedKeys::read(&keys.to_bytes().unwrap(), &clinic().doctor.root);
        for keys in [&keys, &read] {
            assert!(!keys.refuses(&KEY, &[3; 32]) && !keys.refuses(&KEY, &[5; 32]));
            assert!(keys.refuses(&KEY, &[4; 32]));
            assert!(!keys.refuses(&[2; 32], &[4; 32]), "another key is open");
            assert_eq!(keys.without_list().count(), 0);
        }
    }

    #[test]
    fn a_list_that_is_not_the_one_of_the_statement_lets_nobody_in() {
        let statement = closing(7, &[3, 5]);
        for forged in [&[3, 4, 5][..], &[3], &[]] {
            let keys = closed(&[(&statement, forged)]);
            assert!(keys.refuses(&KEY, &[3; 32]));
            assert_eq!(keys.without_list().count(), 1);
        }
        // With none there is nothing to be listed.
        let keys = closed(&[(&closing(7, &[]), &[9])]);
        assert!(keys.refuses(&KEY, &[9; 32]));
        assert_eq!(keys.without_list().count(), 0);
    }

    #[test]
    fn a_later_statement_is_not_taken_back_by_an_earlier_one() {
        let (first, second) = (closing(7, &[3, 5]), closing(8, &[3]));
        for order in [
            [(&first, &[3, 5][..]), (&second, &[3])],
            [(&second, &[3]), (&first, &[3, 5])],
        ] {
            let keys = closed(&order);
            assert!(keys.refuses(&KEY, &[5; 32]) && !keys.refuses(&KEY, &[3; 32]));
        }
        // The list may be found later.
        let mut keys = ClosedKeys::default();
        keys.add(second.clone(), None);
        assert!(keys.refuses(&KEY, &[3; 32]));
        keys.add(second, Some(devices(&[3])));
        assert!(!keys.refuses(&KEY, &[3; 32]));
    }

    #[test]
    fn every_byte_of_a_statement_is_signed_by_this_clinics_root() {
        let bytes = closing(7, &[3]).as_bytes().to_vec();
        let root = &clinic().doctor.root;
        assert!(Closing::accept(&bytes, root).is_ok());
        // In each field, and in the signature.
        for place in [0, 1, 20, 30, 40, 68, 70, 140, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(Closing::accept(&changed, root).is_err(), "{place}");
        }
        for cut in [0, 1, 100, bytes.len() - 1] {
            let short = Closing::accept(&bytes[..cut], root);
            assert_eq!(short.unwrap_err(), ClosingError::Malformed);
        }
        let foreign = Closing::accept(&bytes, &Clinic::new().doctor.root);
        assert_eq!(foreign.unwrap_err(), ClosingError::NotOfThisClinic);
        assert!(ClosedKeys::read(&bytes, root).0.is_empty());
    }
}
