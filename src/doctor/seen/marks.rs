//! How far a clinic's database was when it was last seen: which one it is, and the
//! last numbers in it. One that is behind them is an older copy, in whose place
//! whatever was written since would be lost without a word.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Seen, SeenError, check_stored_root, failed, read, write};
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::doctor::practice::SERVER;
use crate::doctor::setup::SetupError;
use crate::hex;
use crate::store::{Store, StoreError};

/// What is noted of the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// Which database it is.
    pub database: [u8; 16],
    /// The last entry of her own audit log.
    pub audit: u64,
    /// The last message that a doctor or an assistant wrote; 0 for who may not
    /// read that.
    pub message: u64,
}

/// The same in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarksLine {
    id: String,
    audit: u64,
    message: u64,
}

impl MarksLine {
    pub(super) fn of(marks: Marks) -> Self {
        Self {
            id: hex::encode(&marks.database),
            audit: marks.audit,
            message: marks.message,
        }
    }

    pub(super) fn marks(&self) -> Option<Marks> {
        Some(Marks {
            database: hex::decode(&self.id)?.try_into().ok()?,
            audit: self.audit,
            message: self.message,
        })
    }
}

impl Marks {
    /// As the database is now; none where a practice lies in a file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let Some(nodes) = store.nodes() else {
            return Ok(None);
        };
        let (database, message) = nodes.state()?;
        let audit = store.audit_head()?.map_or(0, |(number, _)| number);
        Ok(Some(Self {
            database,
            audit,
            message,
        }))
    }

    /// Holds the database to what was noted of it.
    fn check(self, found: Self) -> Result<(), SeenError> {
        if found.database != self.database {
            return Err(SeenError::OtherDatabase);
        }
        match found.audit < self.audit || found.message < self.message {
            true => Err(SeenError::OlderDatabase { found, seen: self }),
            false => Ok(()),
        }
    }
}

/// What an older copy lacks.
pub(super) struct Missing {
    pub(super) found: Marks,
    pub(super) seen: Marks,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, seen } = self;
        let mut between = "";
        if found.audit < seen.audit {
            write!(
                f,
                "the audit log of this name ends at entry {} there, and entry {} was seen",
                found.audit, seen.audit
            )?;
            between = "; ";
        }
        if found.message < seen.message {
            write!(
                f,
                "{between}its newest message is number {}, and number {} was seen",
                found.message, seen.message
            )?;
        }
        Ok(())
    }
}

/// Holds the database to what was noted of it, if something was; gives how far it
/// is now.
pub(super) fn check(
    directory: &Path,
    store: &dyn Store,
    seen: &Seen,
) -> Result<Option<Marks>, SetupError> {
    let found = Marks::of(store)?;
    if let (Some(seen), Some(found)) = (seen.marks, found) {
        seen.check(found)
            .map_err(|error| failed(directory, error))?;
    }
    Ok(found)
}

/// Notes how far the database of a running server is, if that is farther.
///
/// # Errors
/// [`SetupError::Seen`] if it is another or an older one: nothing is noted then.
pub fn note_progress(directory: &Path, store: &dyn Store) -> Result<(), SetupError> {
    let Some(seen) = read(directory)? else {
        return Ok(());
    };
    let found = check(directory, store, &seen)?;
    if found.is_none() || found == seen.marks {
        return Ok(());
    }
    // What a command has noted meanwhile is not overwritten.
    match read(directory)? {
        Some(seen) => write(
            directory,
            &Seen {
                marks: found,
                ..seen
            },
        ),
        None => Ok(()),
    }
}

/// Goes on with the database as it is, though it is another or an older one than
/// was seen: logs that, and notes it. Gives what was wrong; none if nothing was.
///
/// # Errors
/// [`SetupError`].
pub fn accept_older(
    directory: &Path,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Option<SeenError>, SetupError> {
    let Some(seen) = read(directory)? else {
        return Ok(None);
    };
    let (Some(noted), Some(found)) = (seen.marks, Marks::of(store)?) else {
        return Ok(None);
    };
    let Err(error) = noted.check(found) else {
        return Ok(None);
    };
    // Nothing is written into another clinic's, nor is that noted.
    check_stored_root(directory, store)?;
    let detail = match &error {
        SeenError::OlderDatabase { found, seen } => {
            let (found, seen) = (*found, *seen);
            Missing { found, seen }.to_string()
        }
        error => error.to_string(),
    };
    let name = store.nodes().map_or("", |nodes| nodes.doctor());
    let entry = Entry::new(now, SERVER, Action::OlderDatabase, name, &detail);
    store.append_audit(&[entry])?;
    let marks = Marks::of(store)?;
    write(directory, &Seen { marks, ..seen })?;
    Ok(Some(error))
}

/// Forgets which database it was: the practice was moved to another.
///
/// # Errors
/// [`SetupError::Seen`].
pub fn forget_database(directory: &Path) -> Result<(), SetupError> {
    match read(directory)? {
        Some(seen) if seen.marks.is_some() => {
            let marks = None;
            write(directory, &Seen { marks, ..seen })
        }
        _ => Ok(()),
    }
}
