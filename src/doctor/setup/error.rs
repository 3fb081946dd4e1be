//! Why a data directory cannot be used, in words for its user.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::doctor::seen::SeenError;
use crate::identity::certificate::CertificateError;
use crate::identity::id::Identifier;
use crate::identity::key_file::KeyFileError;
use crate::store::StoreError;

/// Why a data directory cannot be used.
#[derive(Debug)]
pub enum SetupError {
    /// The database.
    Store(StoreError),
    /// A key file.
    KeyFile(KeyFileError),
    /// A file that was to be moved out of the way.
    Io(PathBuf, io::Error),
    /// There are keys of an earlier start, but no database to them.
    NoDatabase(PathBuf),
    /// The clinic's database knows nobody of this name.
    NotJoined,
    /// The practice was moved out of the file in this directory.
    Moved {
        /// Where the file is.
        directory: PathBuf,
        /// Where the practice is now, as `--store` takes it.
        to: String,
    },
    /// The store is a copy that is not complete.
    Copying(PathBuf),
    /// The database on the server holds no practice, and there are keys of one.
    NotThere {
        /// The database.
        place: String,
        /// Where the keys are.
        directory: PathBuf,
    },
    /// The clinic has revoked the certificate of the keys here, which are this
    /// member's.
    Dismissed(Identifier),
    /// Her certificate is not valid now.
    Dates(Identifier, CertificateError),
    /// The papers in the database are not what this file says was seen before.
    Seen(PathBuf, SeenError),
    /// What is stored does not fit together: names the part.
    Inconsistent(&'static str),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::KeyFile(error) => write!(f, "{error}"),
            Self::Io(path, error) => write!(f, "cannot move '{}': {error}", path.display()),
            Self::NoDatabase(path) => write!(
                f,
                "the database '{}' is missing, but the keys beside it are there; restore it \
                 from a backup, name with --store where the practice is, or, to begin anew with a new clinic, move the whole directory away",
                path.display()
            ),
            Self::NotJoined => f.write_str(
                "nobody of this name has joined the clinic in this database: check --id and \
                 --store; to join it, a doctor of the clinic makes a ticket with 'doctor \
                 enrol-doctor NAME', and 'doctor enrol TICKET' takes it",
            ),
            Self::Moved { directory, to } => write!(
                f,
                "the practice in '{}' was moved: name where it is now, with --store {to}",
                directory.display()
            ),
            Self::Copying(directory) => write!(
                f,
                "the practice of '{}' is being moved to this store, and that was not completed: \
                 complete it with the same 'doctor store copy --from ... --to ...'",
                directory.display()
            ),
            Self::NotThere { place, directory } => write!(
                f,
                "the database '{place}' holds no practice, but the keys of one lie in '{}'; move \
                 it there with 'doctor store copy --from sqlite --to postgres://...', or, to \
                 begin anew with a new clinic, move the whole directory away",
                directory.display()
            ),
            Self::Dismissed(name) => write!(
                f,
                "the clinic has revoked the certificate of {name}: the keys here are good for \
                 nothing any more"
            ),
            Self::Dates(name, error) => write!(
                f,
                "{name} cannot work in the clinic: {error}; check this machine's date and time; if \
                 they are right, {name} joins anew: a doctor says 'doctor authority revoke-doctor \
                 {name}' and 'doctor enrol-doctor {name}'"
            ),
            Self::Seen(path, error) => write!(
                f,
                "'{}' notes what was seen of the clinic: {error}",
                path.display()
            ),
            Self::Inconsistent(what) => write!(
                f,
                "the database is damaged: {what} does not fit the rest; restore a copy of the \
                 data directory"
            ),
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::KeyFile(error) => Some(error),
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for SetupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyFileError> for SetupError {
    fn from(error: KeyFileError) -> Self {
        Self::KeyFile(error)
    }
}
