//! Why a patient's files could not be used, in words for their owner.

use std::fmt;
use std::path::PathBuf;

use crate::identity::data_dir::DataDirError;
use crate::identity::key_file::KeyFileError;
use crate::patient::damaged::Damaged;
use crate::store::StoreError;
use crate::vault::VaultError;

/// A patient's files cannot be used.
#[derive(Debug)]
pub enum FilesError {
    /// The directory.
    Directory(DataDirError),
    /// The database.
    Store(StoreError),
    /// A key file.
    Key(KeyFileError),
    /// The key that opens the messages.
    Vault(VaultError),
    /// Something that belongs into the database is not there.
    Missing {
        /// The database.
        path: PathBuf,
        /// What is missing.
        name: &'static str,
    },
    /// A message does not open.
    Message(Damaged),
    /// Something is not what it was when it was written.
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is damaged.
        name: &'static str,
        /// How that shows.
        reason: String,
    },
}

impl fmt::Display for FilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Key(error) => write!(f, "{error}"),
            Self::Vault(error) => write!(f, "{error}"),
            Self::Message(damaged) => write!(f, "{damaged}"),
            Self::Missing { path, name } => write!(
                f,
                "the database '{}' lacks the entry \"{name}\"; move the directory away and \
                 enrol with a new ticket",
                path.display()
            ),
            Self::Damaged { path, name, reason } => write!(
                f,
                "in '{}' the entry \"{name}\" is damaged ({reason}); move the directory \
                 away and enrol with a new ticket",
                path.display()
            ),
        }
    }
}

impl std::error::Error for FilesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::Vault(error) => Some(error),
            Self::Missing { .. } | Self::Message(_) | Self::Damaged { .. } => None,
        }
    }
}

impl From<Damaged> for FilesError {
    fn from(damaged: Damaged) -> Self {
        Self::Message(damaged)
    }
}

impl From<DataDirError> for FilesError {
    fn from(error: DataDirError) -> Self {
        Self::Directory(error)
    }
}

impl From<StoreError> for FilesError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyFileError> for FilesError {
    fn from(error: KeyFileError) -> Self {
        Self::Key(error)
    }
}

impl From<VaultError> for FilesError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}
