//! Key files that are sealed: under a key from a passphrase, or under the
//! wrapping key of their directory.

use super::{
    CHECKSUM_LEN, Closed, HEADER_LEN, KeyFile, KeyFileFault, KeyKind, MAGIC, PassphraseKey,
    Protection, SEALED, VERSION, WRAPPED,
};
use crate::aes::{OpenError, SealingKey, sealed_len};
use crate::kdf::{self, Label, Prk, hash32, label};
use crate::random::{self, Random};
use crate::secret::{Secret, SecretBytes};

/// Names a wrapping key: 16 bytes that say nothing about it.
pub type WrappingKeyId = [u8; 16];

/// Belongs to no group.
const NO_GROUP: [u8; 32] = [0; 32];

/// Seals what a key file holds.
#[derive(Debug)]
pub(super) struct ContentKey(SealingKey);

impl ContentKey {
    pub(super) fn new(prk: &Prk, label: Label) -> Self {
        Self(SealingKey::new(prk.expand(label, &[])))
    }

    pub(super) fn open(&self, header: &[u8], content: &[u8]) -> Result<SecretBytes, OpenError> {
        self.0.open(&[header], content)
    }
}

/// Seals the keys of one directory, so that its passphrase is stretched once a
/// start, and so that changing the passphrase leaves them alone. Wiped on drop.
#[derive(Debug)]
pub struct WrappingKey {
    id: WrappingKeyId,
    secret: Secret<32>,
    key: ContentKey,
}

impl WrappingKey {
    /// A new one.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::new(random::secret(random))
    }

    fn new(secret: Secret<32>) -> Self {
        let prk = kdf::extract(&[], &[secret.expose()]);
        let id: Secret<16> = prk.expand(label::WRAPPING_KEY_ID, &[]);
        Self {
            id: *id.expose(),
            secret,
            key: ContentKey::new(&prk, label::KEY_WRAP),
        }
    }

    /// A second copy. Named, so that copies of secrets can be searched for.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::new(self.secret.duplicate())
    }

    /// The one in an open key file; nothing if that holds none.
    #[must_use]
    pub fn from_key(key: &KeyFile) -> Option<Self> {
        let secret = Secret::from_slice(key.secret.expose())?;
        (key.kind == KeyKind::Wrapping).then(|| Self::new(secret))
    }

    /// The same as a key file has it.
    #[must_use]
    pub fn to_key(&self) -> KeyFile {
        KeyFile {
            kind: KeyKind::Wrapping,
            group: NO_GROUP,
            secret: SecretBytes::copy_of(self.secret.expose()),
        }
    }
}

impl Closed {
    /// The key, with the wrapping key of its directory.
    ///
    /// # Errors
    /// [`KeyFileFault::OtherWrappingKey`]; [`KeyFileFault::Damaged`] if it is
    /// this one and does not open.
    pub fn unwrap(&self, key: &WrappingKey) -> Result<KeyFile, KeyFileFault> {
        match self.protection {
            Protection::Wrapped(id) if id == key.id => {
                let opened = key.key.open(self.header(), self.content());
                self.opened(opened.map_err(|_| KeyFileFault::Damaged)?)
            }
            Protection::Wrapped(_) => Err(KeyFileFault::OtherWrappingKey),
            _ => Err(KeyFileFault::Locked),
        }
    }
}

/// A key file's bytes, sealed under a passphrase; it needs nothing else to be
/// opened.
#[must_use]
pub fn encode_sealed(key: &KeyFile, under: &PassphraseKey, random: &mut dyn Random) -> Vec<u8> {
    let cost = under.cost.encode();
    sealed(key, SEALED, &[&cost, &under.salt], &under.key, random)
}

/// A key file's bytes, sealed under its directory's wrapping key.
#[must_use]
pub fn encode_wrapped(key: &KeyFile, under: &WrappingKey, random: &mut dyn Random) -> Vec<u8> {
    sealed(key, WRAPPED, &[&under.id], &under.key, random)
}

fn sealed(
    key: &KeyFile,
    protection: u8,
    parameters: &[&[u8]],
    under: &ContentKey,
    random: &mut dyn Random,
) -> Vec<u8> {
    let secret = key.secret.expose();
    let len = sealed_len(secret.len());
    let mut bytes = Vec::with_capacity(HEADER_LEN + len + CHECKSUM_LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, protection, key.kind as u8]);
    bytes.extend_from_slice(&key.group);
    for parameter in parameters {
        bytes.extend_from_slice(parameter);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a secret of MAX_SECRET_LEN, sealed"
    )]
    bytes.extend_from_slice(&(len as u16).to_be_bytes());
    let content = under.0.seal(0, &[&bytes], secret, random);
    bytes.extend_from_slice(&content);
    let checksum = hash32(&[&bytes]);
    bytes.extend_from_slice(&checksum);
    bytes
}
