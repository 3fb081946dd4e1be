//! Why an identity's directory could not be used, in words for its user.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::identity::key_file::quoted;

/// A directory of identities could not be used.
#[derive(Debug)]
pub struct DataDirError {
    path: PathBuf,
    fault: DataDirFault,
}

/// What is wrong with a directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum DataDirFault {
    /// Nothing says where the directory should be.
    NoHome,
    /// This cannot be the name of an identity.
    Name(String),
    /// There is no such identity.
    Missing,
    /// Something else has the directory's name.
    NotADirectory,
    /// It belongs to another user.
    OtherOwner {
        /// The number of the user it belongs to.
        owner: u32,
        /// The number of the user this program runs as.
        user: u32,
    },
    /// Other users can look into it or change it.
    Open {
        /// Its permissions.
        mode: u32,
    },
    /// Another running program has it.
    InUse,
    /// It cannot be made.
    Create(io::Error),
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
}

impl DataDirError {
    pub(super) fn new(path: &Path, fault: DataDirFault) -> Self {
        let path = path.to_owned();
        Self { path, fault }
    }

    /// The directory concerned; empty if none was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &DataDirFault {
        &self.fault
    }
}

impl fmt::Display for DataDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            DataDirFault::NoHome => write!(
                f,
                "neither XDG_DATA_HOME nor HOME is set to an absolute path; \
                 say where the data lies with --data DIR"
            ),
            DataDirFault::Name(name) => write!(
                f,
                "{name:?} cannot be the name of an identity; use 1 to 32 letters, digits, \
                 dots, underscores and dashes, not beginning with a dash and not \".\" or \"..\", \
                 or two such names with an @ between"
            ),
            DataDirFault::Missing => write!(f, "there is no identity in '{path}'"),
            DataDirFault::NotADirectory => write!(
                f,
                "'{path}' is not a directory; move it away, or choose another data directory"
            ),
            DataDirFault::OtherOwner { owner, user } => write!(
                f,
                "the directory '{path}' belongs to user {owner} and this program runs as user \
                 {user}; run it as the user who owns the directory, or choose another one"
            ),
            DataDirFault::Open { mode } => write!(
                f,
                "the directory '{path}' is open to other users (mode {mode:04o}); \
                 close it with: chmod 700 {}",
                quoted(&self.path)
            ),
            DataDirFault::InUse => write!(
                f,
                "the identity in '{path}' is in use by another running program; \
                 end that program first"
            ),
            DataDirFault::Create(error) => write!(
                f,
                "cannot make the directory '{path}': {error}; choose another data directory"
            ),
            DataDirFault::Read(error) => {
                write!(f, "cannot read the directory '{path}': {error}")
            }
            DataDirFault::Write(error) => write!(
                f,
                "cannot write in the directory '{path}': {error}; \
                 make it writable, or choose another one"
            ),
        }
    }
}

impl std::error::Error for DataDirError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            DataDirFault::Create(error)
            | DataDirFault::Read(error)
            | DataDirFault::Write(error) => Some(error),
            _ => None,
        }
    }
}
