//! The copy of the database that a backup is made from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::BackupFailure;
use crate::doctor::practice::Practice;
use crate::identity::data_dir::DataDir;
use crate::random::{self, OsRandom};

const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".db";

/// A copy of the database in the data directory, which goes with this value.
pub(super) struct Snapshot(PathBuf);

impl Snapshot {
    pub(super) fn take(
        practice: &Practice,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Self, BackupFailure> {
        let unique = u64::from_be_bytes(random::array(&mut OsRandom));
        let name = format!("{PREFIX}{unique:016x}{SUFFIX}");
        let snapshot = Self(practice.directory.path(&name));
        match practice.store.snapshot(&snapshot.0, go_on)? {
            true => Ok(snapshot),
            false => Err(BackupFailure::Stopped),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // Where this fails, the next start does it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes copies that a program which was killed has left.
///
/// # Errors
/// If the directory cannot be read, or a copy not removed.
pub fn sweep(directory: &DataDir) -> io::Result<()> {
    for entry in fs::read_dir(directory.path(""))? {
        let entry = entry?;
        let name = entry.file_name();
        let unique = name.to_str().and_then(|name| {
            let unique = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
            Some(unique.len() == 16 && unique.bytes().all(|byte| byte.is_ascii_hexdigit()))
        });
        if unique == Some(true) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
