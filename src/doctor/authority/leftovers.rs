//! What a command that was cut short leaves in the doctor's directory.

use std::fs;
use std::io;

use crate::doctor::authority::key::NEXT_KEY;
use crate::doctor::backup::kind_of;
use crate::doctor::setup::{SIGNING_KEY, SetupError, prekey_file};
use crate::identity::data_dir::DataDir;
use crate::identity::key_file::{self, KeyKind};
use crate::store::{Store, fact};

/// Removes the keys that belong to nothing: halves of files, a signing key that
/// was to be the next one and never became it, and prekeys that are not in the
/// database. Gives their names. It is called when the doctor's keys have been
/// loaded, so that the key her certificate names is known to be in its place.
///
/// # Errors
/// [`SetupError`].
pub fn remove_leftovers(directory: &DataDir, store: &dyn Store) -> Result<Vec<String>, SetupError> {
    let mut removed = key_file::sweep(&directory.path(""))?;
    directory.keyring().settle(&directory.path(""))?;
    let mut unused = unused_prekeys(directory, store)?;
    let is_settled = store.fact(fact::SIGNING_KEY_CHANGE)?.is_none();
    if is_settled && directory.path(SIGNING_KEY).exists() && directory.path(NEXT_KEY).exists() {
        unused.push(NEXT_KEY.to_owned());
    }
    for name in unused {
        key_file::remove(&directory.path(&name))?;
        removed.push(name);
    }
    removed.sort();
    Ok(removed)
}

/// The files of prekeys that the database does not have: nobody was ever told
/// of them, or they went with an older signing key.
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
