//! Why the store could not do what was asked, in words for its user.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The store cannot be read or written. Nothing was changed.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    fault: StoreFault,
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
    /// Anything else.
    Failed(rusqlite::Error),
}

impl StoreError {
    /// `fault`, found with the store in the file `path`.
    pub(super) fn new(path: &Path, fault: StoreFault) -> Self {
        let path = path.to_owned();
        Self { path, fault }
    }

    /// The same where a look into the books is refused because it could not be
    /// logged.
    #[must_use]
    pub fn not_logged(self) -> Self {
        let fault = StoreFault::NotLogged(Box::new(self.fault));
        Self { fault, ..self }
    }

    /// The file concerned.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &StoreFault {
        &self.fault
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.describe(&self.path, f)
    }
}

impl StoreFault {
    fn describe(&self, at: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = at.display();
        match self {
            Self::Open(error) => write!(f, "cannot open the database '{path}': {error}"),
            Self::NotADatabase => write!(
                f,
                "the file '{path}' is not a database; keep it and restore a backup"
            ),
            Self::Foreign => write!(
                f,
                "the database '{path}' belongs to another program; choose another data directory"
            ),
            Self::Newer { found, known } => write!(
                f,
                "the database '{path}' was written by a newer version of this program \
                 (schema {found}, known up to {known}); use that version"
            ),
            Self::Older { found, needed } => write!(
                f,
                "the database '{path}' was written by an older version of this program \
                 (schema {found}, needed {needed}); start the doctor's server on it once"
            ),
            Self::Damaged(finding) => write!(
                f,
                "the database '{path}' is damaged ({finding}); \
                 keep the file and restore a backup"
            ),
            Self::Full => write!(
                f,
                "there is no space left for the database '{path}'; nothing was changed, \
                 free some space and try again"
            ),
            Self::ReadOnly => write!(
                f,
                "the database '{path}' cannot be written; check the permissions of the file \
                 and of its directory"
            ),
            Self::Busy => write!(
                f,
                "the database '{path}' is held by another program; end that program and try again"
            ),
            Self::NotLogged(fault) => {
                f.write_str("this is not shown, because the audit log cannot be written: ")?;
                match &**fault {
                    Self::Full => {
                        write!(f, "the disk is full at '{path}'; free space and try again")
                    }
                    fault => fault.describe(at, f),
                }
            }
            Self::LogHeld => write!(
                f,
                "a backup or a check of '{path}' is running, or another program reads it: what \
                 was deleted is still in the write-ahead log; run purge again when it has ended"
            ),
            Self::Duplicate => write!(
                f,
                "the database '{path}' holds such an entry already; nothing was changed"
            ),
            Self::Dangling => write!(
                f,
                "the database '{path}' does not hold what a new entry refers to; nothing was changed"
            ),
            Self::Poisoned => write!(
                f,
                "the database '{path}' is closed because a part of this program failed; \
                 start the program again"
            ),
            Self::Failed(error) => {
                write!(f, "the database '{path}' does not work: {error}")
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            StoreFault::Open(error) => Some(error),
            StoreFault::Failed(error) => Some(error),
            _ => None,
        }
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
                _ => Self::Failed(error),
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
            _ => Self::Failed(error),
        }
    }
}
