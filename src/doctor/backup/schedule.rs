//! Backups at regular times, of which the newest are kept.
//!
//! The file names are the whole memory: when the next one is due follows from
//! the newest there is, also after a restart.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{BackupFailure, make};
use crate::clock::Timestamp;
use crate::doctor::event::Event;
use crate::doctor::practice::{Practice, SERVER};
use crate::doctor::shared::Shared;
use crate::identity::id::Identifier;

/// How often it is looked whether the server stops.
const TICK: Duration = Duration::from_millis(50);
/// After a failure it is tried again so much later, or when the next one is
/// due, whichever comes first.
const RETRY: Duration = Duration::from_secs(15 * 60);
/// How the time stands in a file's name, in UTC.
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";

/// Where and how often backups are made, and how many are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupSchedule {
    /// Where they go; must be there, so that a disk that is missing is noticed.
    pub directory: PathBuf,
    /// From one to the next.
    pub every: Duration,
    /// How many of the newest are kept; older ones are deleted.
    pub keep: NonZeroU32,
}

/// Makes backups until the server stops.
pub(in crate::doctor) fn run(shared: &Arc<Shared>, schedule: BackupSchedule) {
    let mut keeper = Keeper::new(schedule);
    let mut look_at = Instant::now();
    while !shared.is_stopping() {
        if Instant::now() >= look_at {
            look_at = Instant::now() + shared.settings.timing.dates;
            match keeper.look(&shared.practice, &|| !shared.is_stopping()) {
                Ok(_) | Err(BackupFailure::Stopped) => {}
                Err(failure @ BackupFailure::MayNotLast(..)) => {
                    shared.tell(Event::Trouble(failure.to_string()));
                }
                Err(failure) => shared.tell(Event::Trouble(format!(
                    "no backup was made as planned: {failure}"
                ))),
            }
        }
        thread::park_timeout(TICK);
    }
}

struct Keeper {
    schedule: BackupSchedule,
    failed: Option<Timestamp>,
}

impl Keeper {
    const fn new(schedule: BackupSchedule) -> Self {
        Self {
            schedule,
            failed: None,
        }
    }

    /// Makes a backup if one is due, and then deletes those that are too many;
    /// says whether one was made.
    fn look(
        &mut self,
        practice: &Practice,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool, BackupFailure> {
        let now = practice.now();
        let retry = self.schedule.every.min(RETRY);
        if self.failed.is_some_and(|at| now.distance(at) < retry) {
            return Ok(false);
        }
        let result = self.make_if_due(practice, now, go_on);
        self.failed = result.is_err().then_some(now);
        result
    }

    fn make_if_due(
        &self,
        practice: &Practice,
        now: Timestamp,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool, BackupFailure> {
        let BackupSchedule {
            directory,
            every,
            keep,
        } = &self.schedule;
        let keep = usize::try_from(keep.get()).unwrap_or(usize::MAX);
        let identity = practice.identity();
        let doctor = identity.identifier();
        let unreadable = |error| BackupFailure::Directory(directory.clone(), error);
        let made = list(directory, doctor, now).map_err(unreadable)?;
        if made
            .last()
            .is_some_and(|newest| now.since(*newest) < *every)
        {
            return Ok(false);
        }
        remove_halves(directory, doctor).map_err(unreadable)?;
        let file = directory.join(name(doctor, now));
        make(practice, &file, SERVER, go_on)?;
        let made = list(directory, doctor, now).map_err(unreadable)?;
        for old in made.iter().rev().skip(keep) {
            let file = directory.join(name(doctor, *old));
            fs::remove_file(&file).map_err(|error| BackupFailure::Old(file, error))?;
        }
        Ok(true)
    }
}

fn name(doctor: &Identifier, at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("telemed-{doctor}-{}.backup", at.strftime(STAMP))
}

/// The times of the backups of this doctor in a directory, ascending. Whatever
/// is called otherwise, or claims to be from the future (made while the clock
/// was ahead), is none of them.
fn list(directory: &Path, doctor: &Identifier, now: Timestamp) -> io::Result<Vec<Timestamp>> {
    let mut times = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.file_name().into_string().ok();
        let time = found.and_then(|found| time(&found, doctor));
        if let Some(time) = time.filter(|time| *time <= now)
            && entry.file_type()?.is_file()
        {
            times.push(time);
        }
    }
    times.sort();
    Ok(times)
}

/// Removes what a program that was killed has half written. Only this thread
/// writes files of these names, and now it does not.
fn remove_halves(directory: &Path, doctor: &Identifier) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.file_name().into_string().unwrap_or_default();
        let whole = found.strip_prefix('.').and_then(|found| {
            let (whole, unique) = found.strip_suffix(".new")?.rsplit_once('.')?;
            (unique.len() == 16).then_some(whole)
        });
        if whole.is_some_and(|whole| time(whole, doctor).is_some()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// When the backup of this name was made, if it is one of this doctor.
fn time(found: &str, doctor: &Identifier) -> Option<Timestamp> {
    let stamp = found
        .strip_prefix(&format!("telemed-{doctor}-"))?
        .strip_suffix(".backup")?;
    let at = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let at = Timestamp::from_millis(u64::try_from(at.as_millisecond()).ok()?);
    // Only as this program writes it: not with a digit less.
    (name(doctor, at) == found).then_some(at)
}

#[cfg(test)]
mod tests;
