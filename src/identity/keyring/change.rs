//! Sealing the keys of a directory, changing their passphrase, and taking the
//! protection off.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{Keyring, PASSPHRASE_KEY, Sealing, pending};
use crate::identity::key_file::{
    self, Closed, Cost, KeyFile, KeyFileError, KeyFileFault, Passphrase, PassphraseKey, Protection,
    WrappingKey, encode, encode_sealed,
};
use crate::new_file::directory_of;
use crate::random::{OsRandom, Random};
use crate::secret::SecretBytes;

/// A key file that was opened.
struct Opened {
    path: PathBuf,
    protection: Protection,
    key: KeyFile,
}

impl Opened {
    fn replace(&self, bytes: &SecretBytes) -> Result<(), KeyFileError> {
        key_file::replace(&self.path, bytes.expose())
    }

    fn is_self_contained(&self) -> bool {
        matches!(self.protection, Protection::Passphrase { .. })
    }
}

impl Keyring {
    /// Seals the keys in a directory under a passphrase, or, if this keyring has
    /// them sealed already, under another one; gives their keyring from then on.
    /// A key that is sealed by itself may have one of the passphrases `own`.
    /// Nobody else may use the directory meanwhile.
    ///
    /// # Errors
    /// [`KeyFileFault::Locked`] if they are sealed and this keyring is not theirs;
    /// [`KeyFileError`]. Each key is there as it was or as it is to be then.
    pub fn seal(
        &self,
        directory: &Path,
        passphrase: &Passphrase,
        cost: Cost,
        own: &[&Passphrase],
        random: &mut dyn Random,
    ) -> Result<Self, KeyFileError> {
        self.check_unlocked(directory)?;
        key_file::sweep(directory)?;
        self.settle(directory)?;
        // All of them are opened before the first one is written.
        let keys = self.open_all(directory, &[&[passphrase], own].concat())?;
        let path = directory.join(PASSPHRASE_KEY);
        let wrapping = match &self.sealing {
            Some(Sealing { wrapping, .. }) => wrapping.duplicate(),
            None => WrappingKey::generate(random),
        };
        let file = wrapping.to_key();
        let sealed = Self::sealed(passphrase, cost, wrapping, random)
            .map_err(|fault| KeyFileError::new(&path, fault))?;
        for key in keys.iter().filter(|key| key.is_self_contained()) {
            let bytes = sealed.encode(&key.key);
            key_file::replace(&pending::next(&key.path), bytes.expose())?;
        }
        // From here on it is the new passphrase that opens the directory.
        key_file::replace(&path, sealed.encode(&file).expose())?;
        sealed.settle(directory)?;
        for key in keys
            .iter()
            .filter(|key| key.protection == Protection::Plain)
        {
            key.replace(&sealed.encode(&key.key))?;
        }
        Ok(sealed)
    }

    /// Takes the protection off the keys in a directory, those with one of the
    /// passphrases `own`, too. Nobody else may use the directory meanwhile.
    ///
    /// # Errors
    /// [`KeyFileFault::Locked`] if they are sealed and this keyring is not theirs;
    /// [`KeyFileError`]. Each key is there as it was or as it is to be then.
    pub fn unseal(&self, directory: &Path, own: &[&Passphrase]) -> Result<Self, KeyFileError> {
        self.check_unlocked(directory)?;
        key_file::sweep(directory)?;
        self.settle(directory)?;
        let keys = self.open_all(directory, own)?;
        for key in keys
            .iter()
            .filter(|key| key.protection != Protection::Plain)
        {
            key.replace(&encode(&key.key))?;
        }
        // The last one: it opens what is still sealed.
        key_file::remove(&directory.join(PASSPHRASE_KEY))?;
        Ok(Self::plain())
    }

    fn check_unlocked(&self, directory: &Path) -> Result<(), KeyFileError> {
        if self.sealing.is_none() && Self::is_sealed(directory) {
            let path = directory.join(PASSPHRASE_KEY);
            return Err(KeyFileError::new(&path, KeyFileFault::Locked));
        }
        Ok(())
    }

    /// Opens all keys of a directory but the wrapping key, and finds out whether
    /// all can be replaced. One that is sealed by itself may be so under one of
    /// the passphrases `own`.
    fn open_all(&self, directory: &Path, own: &[&Passphrase]) -> Result<Vec<Opened>, KeyFileError> {
        let mut opened = Vec::new();
        for path in key_files(directory)? {
            key_file::check_no_link(&path).map_err(|fault| KeyFileError::new(&path, fault))?;
            if path.ends_with(PASSPHRASE_KEY) {
                continue;
            }
            let closed = Closed::read(&path)?;
            let protection = closed.protection;
            let mut key = self.open_in(&path, &closed);
            if matches!(protection, Protection::Passphrase { .. }) {
                for own in own {
                    if let Err(KeyFileFault::WrongPassphrase | KeyFileFault::Locked) = key {
                        key = closed.open_with_passphrase(own);
                    }
                }
            }
            let key = key.map_err(|fault| KeyFileError::new(&path, fault))?;
            opened.push(Opened {
                path,
                protection,
                key,
            });
        }
        Ok(opened)
    }
}

/// The key files in a directory, sorted.
///
/// # Errors
/// If it cannot be read.
pub fn key_files(directory: &Path) -> Result<Vec<PathBuf>, KeyFileError> {
    let unreadable = |error| KeyFileError::new(directory, KeyFileFault::Read(error));
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|end| end == "key") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Seals a single key file by itself under `new`, or leaves it plain where there
/// is none. `old` opens it if it is sealed. What an earlier change that was cut
/// short has left beside it is removed.
///
/// # Errors
/// [`KeyFileError`]; the file is as it was then. A link is refused, and so is a
/// plain key on a file system without modes.
pub fn reseal(
    path: &Path,
    old: Option<&Passphrase>,
    new: Option<(&Passphrase, Cost)>,
    random: &mut dyn Random,
) -> Result<(), KeyFileError> {
    let closed = Closed::read(path)?;
    let mut bytes = || -> Result<SecretBytes, KeyFileFault> {
        let key = match old {
            Some(old) => closed.open_with_passphrase(old)?,
            None => closed.plain()?,
        };
        Ok(match new {
            Some((passphrase, cost)) => {
                let under = PassphraseKey::generate(passphrase, cost, random)?;
                SecretBytes::new(encode_sealed(&key, &under, &mut OsRandom))
            }
            None => encode(&key),
        })
    };
    let bytes = bytes().map_err(|fault| KeyFileError::new(path, fault))?;
    let _lock = lock_directory_of(path)?;
    key_file::sweep_of(path)?;
    key_file::replace_guarded(path, bytes.expose(), closed.kind, new.is_some())
}

/// A directory that is no identity's, such as that of a stick, has no file that
/// could be locked: the directory itself is, as long as what this gives lives.
fn lock_directory_of(path: &Path) -> Result<File, KeyFileError> {
    let failed = |error| KeyFileError::new(path, KeyFileFault::Write(error));
    let directory = File::open(directory_of(path)).map_err(failed)?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(TryLockError::WouldBlock) => Err(failed(io::Error::other(
            "another program changes a key in this directory",
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
