//! The keys of one directory, plain or sealed under a passphrase.
//!
//! ```text
//! passphrase.key    the wrapping key, sealed under the passphrase; if it is not
//!                   there, the directory's keys lie plain
//! root.key          sealed under the passphrase by itself, with the same cost
//!                   and salt: it is made to be moved into a drawer
//! *.key             sealed under the wrapping key
//! ```
//!
//! So a start stretches the passphrase once, a key can be added while the
//! program runs, and another passphrase changes one file, or two while the
//! root's key lies here: pending.rs has how these change as one. Each file says
//! how it is protected: where the change from plain to sealed or back was cut
//! short, all of them still open, and the same command completes it.

mod change;
mod pending;

#[cfg(test)]
mod tests;

pub use change::{key_files, reseal};
pub use pending::{Pending, current, own_passphrases, pending, remove};

use std::fs;
use std::path::{Path, PathBuf};

use crate::identity::key_file::{
    self, Closed, Cost, KeyFile, KeyFileError, KeyFileFault, KeyKind, Passphrase, PassphraseKey,
    Protection, WrappingKey, encode, encode_sealed, encode_wrapped,
};
use crate::random::{OsRandom, Random};
use crate::secret::SecretBytes;

/// The file of a directory's wrapping key.
pub const PASSPHRASE_KEY: &str = "passphrase.key";

/// Opens and makes the key files of one directory.
#[derive(Debug, Default)]
pub struct Keyring {
    sealing: Option<Sealing>,
}

/// What seals a directory's keys.
#[derive(Debug)]
struct Sealing {
    passphrase: PassphraseKey,
    wrapping: WrappingKey,
}

impl Keyring {
    /// For keys that lie plain.
    #[must_use]
    pub const fn plain() -> Self {
        Self { sealing: None }
    }

    /// For keys that are to be sealed under a passphrase; nothing is written.
    fn sealed(
        passphrase: &Passphrase,
        cost: Cost,
        wrapping: WrappingKey,
        random: &mut dyn Random,
    ) -> Result<Self, KeyFileFault> {
        let passphrase = PassphraseKey::generate(passphrase, cost, random)?;
        Ok(Self {
            sealing: Some(Sealing {
                passphrase,
                wrapping,
            }),
        })
    }

    /// Whether the keys in a directory are sealed under a passphrase.
    #[must_use]
    pub fn is_sealed(directory: &Path) -> bool {
        fs::symlink_metadata(directory.join(PASSPHRASE_KEY)).is_ok()
    }

    /// Whether this one opens sealed keys.
    #[must_use]
    pub const fn is_unlocked(&self) -> bool {
        self.sealing.is_some()
    }

    /// The keyring of a directory whose keys are sealed.
    ///
    /// # Errors
    /// [`KeyFileFault::WrongPassphrase`], or what is wrong with the file.
    pub fn unlock(directory: &Path, passphrase: &Passphrase) -> Result<Self, KeyFileError> {
        let path = directory.join(PASSPHRASE_KEY);
        let closed = Closed::read(&path)?;
        let unlock = || -> Result<_, KeyFileFault> {
            let closed = closed.of_kind(KeyKind::Wrapping)?;
            let Protection::Passphrase { cost, salt } = closed.protection else {
                return Err(KeyFileFault::Damaged);
            };
            let passphrase = PassphraseKey::stretch(passphrase, cost, salt)?;
            let key = closed.open_with(&passphrase)?;
            let wrapping = WrappingKey::from_key(&key).ok_or(KeyFileFault::Damaged)?;
            Ok(Sealing {
                passphrase,
                wrapping,
            })
        };
        let sealing = unlock().map_err(|fault| KeyFileError::new(&path, fault))?;
        Ok(Self {
            sealing: Some(sealing),
        })
    }

    /// Reads the key file `path`, which must be of this kind: the name of the
    /// group and the secret.
    ///
    /// # Errors
    /// If there is no such file, if it is not this user's alone, if it is not a
    /// whole key file of this kind, or if this keyring does not open it.
    pub fn load(
        &self,
        path: &Path,
        kind: KeyKind,
    ) -> Result<([u8; 32], SecretBytes), KeyFileError> {
        let load = |closed: Closed| self.open_in(path, &closed.of_kind(kind)?);
        let key = load(Closed::read(path)?).map_err(|fault| KeyFileError::new(path, fault))?;
        Ok((key.group, key.secret))
    }

    /// Writes a new key file, as [`key_file::save`] does, sealed if this
    /// directory's keys are.
    ///
    /// # Errors
    /// As [`key_file::save`].
    pub fn save(&self, path: &Path, key: &KeyFile) -> Result<(), KeyFileError> {
        key_file::check_length(path, key)?;
        key_file::save_bytes(path, self.encode(key).expose())
    }

    fn open(&self, closed: &Closed) -> Result<KeyFile, KeyFileFault> {
        match (&closed.protection, &self.sealing) {
            (Protection::Plain, _) => closed.plain(),
            (_, None) => Err(KeyFileFault::Locked),
            (Protection::Wrapped(_), Some(sealing)) => closed.unwrap(&sealing.wrapping),
            (protection, Some(sealing)) if sealing.passphrase.fits(protection) => {
                closed.open_with(&sealing.passphrase)
            }
            _ => Err(KeyFileFault::WrongPassphrase),
        }
    }

    /// [`Self::open`], which tells keys that need a passphrase from those whose
    /// wrapping key is missing beside them.
    fn open_in(&self, path: &Path, closed: &Closed) -> Result<KeyFile, KeyFileFault> {
        let is_wrapped = matches!(closed.protection, Protection::Wrapped(_));
        match self.open(closed) {
            Err(KeyFileFault::Locked) if is_wrapped && !Self::is_sealed(&parent(path)) => {
                Err(KeyFileFault::NoWrappingKey)
            }
            other => other,
        }
    }

    fn encode(&self, key: &KeyFile) -> SecretBytes {
        match (&self.sealing, key.kind) {
            (None, _) => encode(key),
            (Some(sealing), KeyKind::RootSigning | KeyKind::Wrapping) => {
                SecretBytes::new(encode_sealed(key, &sealing.passphrase, &mut OsRandom))
            }
            (Some(sealing), _) => {
                SecretBytes::new(encode_wrapped(key, &sealing.wrapping, &mut OsRandom))
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
