//! When backups are made by themselves.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::configuration::Configuration;
use super::super::exit::Failure;
use super::super::normalise::usage;
use super::value::{count, path, period};
use crate::doctor::backup::BackupSchedule;

/// How often a backup is made where nothing else is said: once a day.
const DEFAULT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many are kept where nothing else is said.
const DEFAULT_KEEP: u32 = 7;

/// What the table `backup` says, if it says where.
pub(super) fn schedule(said: &Configuration) -> Result<Option<BackupSchedule>, Failure> {
    let directory = said.option("backup.directory", None, path)?;
    let every = said.option("backup.every", None, period)?;
    let keep = said.option("backup.keep", None, count)?;
    let Some(directory) = directory else {
        return match (every, keep) {
            (None, None) => Ok(None),
            _ => Err(usage(
                "backup.every or backup.keep is set, but not backup.directory: no backup \
                 would be made",
            )),
        };
    };
    Ok(Some(BackupSchedule {
        directory,
        every: every.unwrap_or(DEFAULT_EVERY),
        keep: keep
            .or(NonZeroU32::new(DEFAULT_KEEP))
            .unwrap_or(NonZeroU32::MIN),
    }))
}
