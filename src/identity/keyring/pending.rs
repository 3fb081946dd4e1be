//! A change of the passphrase that touches two files is one change.
//!
//! A key that is sealed by itself, the root's, is first written beside its place
//! as `.root.key.next`, under the new passphrase. Then passphrase.key is
//! replaced: from this moment on the new passphrase is good, before it the old
//! one. Then what waits takes its place. Both were sealed with the same salt,
//! which tells whether the change was made: where it was, whoever opens the
//! directory next does the last step; where it was not, what waits is removed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Keyring, PASSPHRASE_KEY, parent};
use crate::identity::key_file::{self, Closed, KeyFileError, KeyFileFault, Protection};
use crate::identity::keyring::change::key_files;

/// The end of the name of a key that waits.
const NEXT: &str = ".next";

/// How far a change of the passphrase has come that was cut short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pending {
    /// Not so far that it was made: the old passphrase is good.
    NotMade,
    /// The new passphrase is good; whoever opens the directory next completes it.
    Made,
}

/// Where a key waits until the passphrase has changed.
pub(super) fn next(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(NEXT);
    path.with_file_name(name)
}

/// How the wrapping key beside this key is protected, if there is one.
fn of_directory(path: &Path) -> Option<Protection> {
    let wrapping = Closed::read(&parent(path).join(PASSPHRASE_KEY)).ok()?;
    Some(wrapping.protection)
}

/// Whether a change of the passphrase was cut short that this key takes part in.
#[must_use]
pub fn pending(path: &Path) -> Option<Pending> {
    let waiting = Closed::read(&next(path)).ok()?;
    Some(match of_directory(path) {
        Some(protection) if protection == waiting.protection => Pending::Made,
        _ => Pending::NotMade,
    })
}

/// The file that holds this key as it is to be: the one that waits for its place,
/// if the change of the passphrase was made.
#[must_use]
pub fn current(path: &Path) -> PathBuf {
    match pending(path) {
        Some(Pending::Made) => next(path),
        _ => path.to_owned(),
    }
}

/// Removes a key, also where a change of its passphrase was cut short.
///
/// # Errors
/// As [`key_file::remove`].
pub fn remove(path: &Path) -> Result<(), KeyFileError> {
    // The other way round it would take the place of the one that is gone.
    key_file::remove(&next(path))?;
    key_file::remove(path)
}

/// The key files in a directory that are sealed by themselves under another
/// passphrase than that of the directory, or with another salt.
///
/// # Errors
/// If the directory cannot be read.
pub fn own_passphrases(directory: &Path) -> Result<Vec<PathBuf>, KeyFileError> {
    let mut own = key_files(directory)?;
    own.retain(|path| {
        let closed = Closed::read(&current(path)).ok();
        closed.is_some_and(|closed| {
            matches!(closed.protection, Protection::Passphrase { .. })
                && of_directory(path) != Some(closed.protection)
        })
    });
    Ok(own)
}

impl Keyring {
    /// Completes a change of the passphrase of this keyring's directory that was
    /// cut short, or takes it back if it was not made. Nobody else may use the
    /// directory meanwhile.
    ///
    /// # Errors
    /// If the directory cannot be read, or a file cannot be moved or removed.
    pub fn settle(&self, directory: &Path) -> Result<(), KeyFileError> {
        if Self::is_sealed(directory) != self.is_unlocked() {
            return Ok(());
        }
        for (waiting, path) in waiting(directory)? {
            let Ok(closed) = Closed::read(&waiting) else {
                // It helps nobody: the key itself is there.
                continue;
            };
            let is_ours = self
                .sealing
                .as_ref()
                .is_some_and(|sealing| sealing.passphrase.fits(&closed.protection));
            match self.open(&closed) {
                Ok(_) if is_ours => key_file::take_place(&waiting, &path)?,
                // It has this passphrase and does not open: nothing is lost by
                // leaving it.
                Err(_) if is_ours => {}
                _ if path.exists() => key_file::remove(&waiting)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The keys in a directory that wait, and their places.
fn waiting(directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>, KeyFileError> {
    let unreadable = |error| KeyFileError::new(directory, KeyFileFault::Read(error));
    let mut waiting = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string()
            && let Some(place) = name.strip_prefix('.')
            && let Some(place) = place.strip_suffix(NEXT)
            && place.ends_with(".key")
        {
            waiting.push((entry.path(), directory.join(place)));
        }
    }
    Ok(waiting)
}
