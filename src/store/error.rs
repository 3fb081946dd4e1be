//! Why the store could not do what was asked, in words for its user.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::clock::Timestamp;
use crate::vault::ColumnError;

/// The store cannot be read or written. Nothing was changed, unless the fault
/// is [`StoreFault::Unknown`].
#[derive(Debug)]
pub struct StoreError {
    place: Place,
    fault: StoreFault,
}

/// Where a store is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In a database on a server: `HOST:PORT/DATABASE`, without any secret.
    Server(String),
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(address) => f.write_str(address),
        }
    }
}

/// What is wrong with the store.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreFault {
    /// The file cannot be made or opened.
    Open(io::Error),
    /// The file is not a `SQLite` database.
    NotADatabase,
    /// The file is a database of some other program.
    Foreign,
    /// The file was written by a newer version of this program.
    Newer {
        /// The number of its schema.
        found: i64,
        /// The newest one this program knows.
        known: i64,
    },
    /// The file was written by an older version of this program, and may not be
    /// changed now.
    Older {
        /// The number of its schema.
        found: i64,
        /// The one that is needed.
        needed: i64,
    },
    /// The database's pages or rows contradict each other; with the first
    /// finding.
    Damaged(String),
    /// There is no space left.
    Full,
    /// The file or its directory cannot be written.
    ReadOnly,
    /// Another program has held the database for too long.
    Busy,
    /// What was deleted is still in the write-ahead log, because somebody reads.
    LogHeld,
    /// There is such a row already.
    Duplicate,
    /// The row refers to another that is not there.
    Dangling,
    /// What was asked for may only be given once the audit log says so, and it
    /// cannot be written, for this reason.
    NotLogged(Box<StoreFault>),
    /// A thread of this program failed in the middle of a change.
    Poisoned,
    /// The server does not answer.
    Away {
        /// Since when it has not, as far as was noticed.
        since: Timestamp,
        /// Why.
        reason: String,
    },
    /// The server is there and will not have us, or we will not have it: for
    /// this reason, which a person must see to.
    Refused(String),
    /// The connection broke while a change was committed, and could not be made
    /// again: whether the change was made is not known.
    Unknown,
    /// Another process serves this doctor.
    SeatTaken {
        /// Whom it serves.
        doctor: String,
        /// Since when, by the server's clock.
        since: Option<Timestamp>,
        /// The address from which it is connected to the server, if that is told.
        at: Option<String>,
    },
    /// What was to be written or read is sealed, and the key is not here.
    Sealed(ColumnError),
    /// Anything else.
    Failed(Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// `fault`, found with the store at this place.
    pub(super) fn new(place: impl Into<Place>, fault: StoreFault) -> Self {
        let place = place.into();
        Self { place, fault }
    }

    /// The same where a look into the books is refused because it could not be
    /// logged.
    #[must_use]
    pub fn not_logged(self) -> Self {
        let fault = StoreFault::NotLogged(Box::new(self.fault));
        Self { fault, ..self }
    }

    /// The file or server concerned.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &StoreFault {
        &self.fault
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.describe(&self.place, f)
    }
}

impl StoreFault {
    fn describe(&self, place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_file = matches!(place, Place::File(_));
        match self {
            Self::Open(error) => write!(f, "cannot open the database '{place}': {error}"),
            Self::NotADatabase => write!(
                f,
                "the file '{place}' is not a database; keep it and restore a backup"
            ),
            Self::Foreign if is_file => write!(
                f,
                "the database '{place}' belongs to another program; choose another data directory"
            ),
            Self::Foreign => write!(
                f,
                "the database '{place}' holds tables of another program; make a database for \
                 this one alone, as with 'createdb'"
            ),
            Self::Newer { found, known } => write!(
                f,
                "the database '{place}' was written by a newer version of this program \
                 (schema {found}, known up to {known}); use that version"
            ),
            Self::Older { found, needed } => write!(
                f,
                "the database '{place}' was written by an older version of this program \
                 (schema {found}, needed {needed}); start the doctor's server on it once"
            ),
            Self::Damaged(finding) => {
                write!(f, "the database '{place}' is damaged ({finding}); ")?;
                f.write_str(match is_file {
                    true => "keep the file and restore a backup",
                    false => "keep a copy of the server's files and restore a backup",
                })
            }
            Self::Full => write!(
                f,
                "there is no space left for the database '{place}'; nothing was changed, \
                 free some space and try again"
            ),
            Self::ReadOnly if is_file => write!(
                f,
                "the database '{place}' cannot be written; check the permissions of the file \
                 and of its directory"
            ),
            Self::ReadOnly => write!(
                f,
                "the database '{place}' cannot be written; check whether the server is a \
                 standby and whether its user may write"
            ),
            Self::Busy if is_file => write!(
                f,
                "the database '{place}' is held by another program; end that program and try again"
            ),
            Self::Busy => write!(
                f,
                "the database '{place}' is busy with the work of another program; try again"
            ),
            Self::NotLogged(fault) => {
                f.write_str("this is not shown, because the audit log cannot be written: ")?;
                match &**fault {
                    Self::Full => {
                        write!(f, "the disk is full at '{place}'; free space and try again")
                    }
                    fault => fault.describe(place, f),
                }
            }
            Self::LogHeld => write!(
                f,
                "a backup or a check of '{place}' is running, or another program reads it: what \
                 was deleted is still in the write-ahead log; run purge again when it has ended"
            ),
            Self::Duplicate => write!(
                f,
                "the database '{place}' holds such an entry already; nothing was changed"
            ),
            Self::Dangling => write!(
                f,
                "the database '{place}' does not hold what a new entry refers to; \
                 nothing was changed"
            ),
            Self::Poisoned => write!(
                f,
                "the database '{place}' is closed because a part of this program failed; \
                 start the program again"
            ),
            Self::Away { since, reason } => write!(
                f,
                "the database '{place}' does not answer since {since} ({reason}); see that its \
                 server runs and can be reached, nothing was changed"
            ),
            Self::Refused(reason) => write!(f, "cannot use the database '{place}': {reason}"),
            Self::Unknown => write!(
                f,
                "the connection to the database '{place}' broke at the moment of a change and \
                 cannot be made again; whether the change was made is not known: look when the \
                 server is back, before you try again"
            ),
            Self::SeatTaken { doctor, since, at } => {
                describe_who_serves(doctor, *since, at.as_deref(), f)?;
                write!(
                    f,
                    " on the database '{place}'; stop that one, or if its machine is gone wait 45 \
                     seconds and try again"
                )
            }
            Self::Sealed(error) => write!(f, "{error}"),
            Self::Failed(error) => {
                write!(f, "the database '{place}' does not work: {error}")
            }
        }
    }
}

fn describe_who_serves(
    doctor: &str,
    since: Option<Timestamp>,
    at: Option<&str>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "doctor {doctor} is being served already")?;
    if let Some(since) = since {
        write!(f, ", since {since}")?;
    }
    match at {
        Some(at) => write!(f, ", by a program at {at}"),
        None => f.write_str(", by another program"),
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            StoreFault::Open(error) => Some(error),
            StoreFault::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<ColumnError> for StoreError {
    fn from(error: ColumnError) -> Self {
        Self::new(Path::new(""), StoreFault::Sealed(error))
    }
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi::{
            SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE,
        };

        let Some(inner) = error.sqlite_error() else {
            // A value that is there and is not what it should be.
            return match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => Self::Damaged(error.to_string()),
                _ => Self::Failed(error.into()),
            };
        };
        match (inner.code, inner.extended_code) {
            (_, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE) => Self::Duplicate,
            (_, SQLITE_CONSTRAINT_FOREIGNKEY) => Self::Dangling,
            (ErrorCode::NotADatabase, _) => Self::NotADatabase,
            (ErrorCode::DatabaseCorrupt, _) => Self::Damaged(error.to_string()),
            (ErrorCode::DiskFull, _) => Self::Full,
            (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => Self::ReadOnly,
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Busy,
            _ => Self::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_sentences_are_local_as_everywhere() {
        let since = Timestamp::from_millis(1_772_370_309_000);
        let (doctor, reason) = ("D1".to_owned(), "timed out".into());
        for fault in [
            StoreFault::Away { since, reason },
            StoreFault::SeatTaken {
                doctor,
                since: Some(since),
                at: None,
            },
        ] {
            let error = StoreError::new(Place::Server("db/clinic".to_owned()), fault);
            let said = error.to_string();
            assert!(said.contains(&format!("since {since}")), "{said}");
            assert!(!said.contains(&since.to_rfc3339()), "{said}");
        }
    }
}
