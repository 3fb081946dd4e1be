//! Why a backup cannot be read or written.

use std::fmt;
use std::io;

use crate::vault::ColumnError;

/// A backup cannot be read or written.
#[derive(Debug)]
pub enum BackupError {
    /// The file is something else.
    NotABackup,
    /// It has a version that is not known here.
    Version(u8),
    /// It was changed, cut, or put together from several; found at the piece
    /// that begins at this byte.
    Damaged {
        /// Bytes before that piece.
        at: u64,
    },
    /// Its content is whole, but not what a backup holds.
    Malformed,
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
    /// What was to go in cannot be read.
    Source(io::Error),
    /// The key that seals it is not here.
    NoKey(ColumnError),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABackup => f.write_str("this is no backup of telemed"),
            Self::Version(version) => write!(
                f,
                "this backup is damaged, or was made by a newer version of this program (format \
                 {version}, known is {})",
                super::VERSION
            ),
            Self::Damaged { at } => write!(
                f,
                "this backup is damaged or cut short (from byte {at} on); use another one"
            ),
            Self::Malformed => f.write_str("this backup does not hold what a backup holds"),
            Self::Read(error) => write!(f, "the backup cannot be read: {error}"),
            Self::Write(error) if error.kind() == io::ErrorKind::StorageFull => f.write_str(
                "there is no space left for the backup; nothing was left behind, free some space \
                 or choose another place",
            ),
            Self::Write(error) => write!(f, "the backup cannot be written: {error}"),
            Self::Source(error) => write!(f, "what is to be backed up cannot be read: {error}"),
            Self::NoKey(error) => write!(f, "{error}"),
        }
    }
}

impl From<ColumnError> for BackupError {
    fn from(error: ColumnError) -> Self {
        Self::NoKey(error)
    }
}

impl std::error::Error for BackupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) | Self::Write(error) | Self::Source(error) => Some(error),
            _ => None,
        }
    }
}
