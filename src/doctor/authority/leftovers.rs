//! Keys in the doctor's directory that belong to nothing.

use std::fs;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::Timestamp;
use crate::doctor::authority::key::{NEXT_KEY, NEXT_PREKEY};
use crate::doctor::backup::kind_of;
use crate::doctor::setup::{SIGNING_KEY, SetupError, prekey_file};
use crate::identity::data_dir::DataDir;
use crate::identity::key_file::{self, KeyKind};
use crate::identity::prekey::MAX_LIFETIME;
use crate::store::{Store, fact};

/// Removes what came to nothing: halves of files, and the signing key and the
/// prekey that a replacement had written which was cut short. Gives their names.
/// It is called when the doctor's keys have been loaded, so that the key her
/// certificate names is known to be in its place.
///
/// # Errors
/// [`SetupError`].
pub fn remove_leftovers(directory: &DataDir, store: &dyn Store) -> Result<Vec<String>, SetupError> {
    let mut removed = key_file::sweep(&directory.path(""))?;
    directory.keyring().settle(&directory.path(""))?;
    let is_settled = store.fact(fact::SIGNING_KEY_CHANGE)?.is_none();
    if is_settled && directory.path(SIGNING_KEY).exists() {
        for name in [NEXT_KEY, NEXT_PREKEY] {
            if directory.path(name).exists() {
                key_file::remove(&directory.path(name))?;
                removed.push(name.to_owned());
            }
        }
    }
    removed.sort();
    Ok(removed)
}

/// Removes the prekeys that are not in the database and whose time is over
/// whatever database they were in: their files were written longer ago than a
/// prekey lives. The others stay: a database that is put back may name them.
/// Gives their names. It is called when the certificate is valid by this clock,
/// which is not wrong by years then.
///
/// # Errors
/// [`SetupError`].
pub fn remove_ended_prekeys(
    directory: &DataDir,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Vec<String>, SetupError> {
    let mut removed = Vec::new();
    for name in unused_prekeys(directory, store)? {
        let path = directory.path(&name);
        let written = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
        let written = written.map_err(|error| SetupError::Io(path.clone(), error))?;
        let written = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        if Duration::from_millis(now.as_millis()).saturating_sub(written) > MAX_LIFETIME {
            key_file::remove(&path)?;
            removed.push(name);
        }
    }
    removed.sort();
    Ok(removed)
}

/// The files of prekeys that the database does not have: those of an older
/// signing key, or of a database that another one took the place of.
pub(super) fn unused_prekeys(
    directory: &DataDir,
    store: &dyn Store,
) -> Result<Vec<String>, SetupError> {
    let rows = store.prekeys()?;
    let known: Vec<String> = rows.iter().map(|row| prekey_file(&row.kid)).collect();
    let path = directory.path("");
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&path)? {
            if let Ok(name) = entry?.file_name().into_string()
                && kind_of(&name) == Some(KeyKind::Prekey)
                && !known.contains(&name)
            {
                names.push(name);
            }
        }
        Ok(names)
    };
    list().map_err(|error| SetupError::Io(path.clone(), error))
}
