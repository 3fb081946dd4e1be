//! Why no backup was made, in words for the doctor.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::audit::heads_file::HeadsFileError;
use crate::audit::verify::VerifyError;
use crate::backup::BackupError;
use crate::doctor::setup::SetupError;
use crate::identity::data_dir::DataDirError;
use crate::identity::key_file::KeyFileError;
use crate::store::StoreError;

/// No backup was made, and nothing is left of it; unless it says otherwise.
#[derive(Debug)]
pub enum BackupFailure {
    /// Something has the name already.
    Exists(PathBuf),
    /// It would lie where it is lost together with the practice.
    OwnDirectory(PathBuf),
    /// The backup is there and whole, but its directory cannot be synced.
    MayNotLast(PathBuf, io::Error),
    /// The file itself.
    File(PathBuf, BackupError),
    /// A directory cannot be read.
    Directory(PathBuf, io::Error),
    /// An older backup cannot be deleted.
    Old(PathBuf, io::Error),
    /// The database.
    Store(StoreError),
    /// A key file.
    KeyFile(KeyFileError),
    /// Nobody could open the backup where the machine is gone.
    NoRecoveryCode,
    /// It was not to go on.
    Stopped,
}

impl fmt::Display for BackupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(file) => write!(
                f,
                "there is a file '{}' already, which is not replaced; choose another name",
                file.display()
            ),
            Self::OwnDirectory(file) => write!(
                f,
                "'{}' is in the practice's own data directory, and would be lost together with \
                 it; name a file on another disk",
                file.display()
            ),
            Self::MayNotLast(file, error) => write!(
                f,
                "the backup '{}' is there and whole, but may not survive a power cut: its \
                 directory cannot be written to the disk: {error}",
                file.display()
            ),
            Self::File(file, error) => write!(f, "'{}': {error}", file.display()),
            Self::Directory(directory, error) => write!(
                f,
                "cannot read the directory '{}': {error}",
                directory.display()
            ),
            Self::Old(file, error) => write!(
                f,
                "the older backup '{}' cannot be deleted: {error}",
                file.display()
            ),
            Self::Store(error) => write!(f, "no backup was made: {error}"),
            Self::KeyFile(error) => write!(f, "no backup was made: {error}"),
            Self::NoRecoveryCode => f.write_str(
                "there is no recovery code yet, and nothing else opens a backup; make one first \
                 with: doctor recovery-code",
            ),
            Self::Stopped => f.write_str("the backup was given up because the server stops"),
        }
    }
}

impl std::error::Error for BackupFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for BackupFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A backup cannot be used, and nothing is left of it.
#[derive(Debug)]
pub enum RestoreFailure {
    /// The backup itself.
    Backup(BackupError),
    /// Its database.
    Store(StoreError),
    /// Its keys and papers do not fit together.
    Setup(SetupError),
    /// There is something where the practice is to be.
    NotEmpty(PathBuf),
    /// The directory where the practice is to be.
    Directory(DataDirError),
    /// The file of heads.
    Heads(HeadsFileError),
    /// This cannot be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for RestoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "in the backup: {error}"),
            Self::Setup(error) => write!(f, "in the backup: {error}"),
            Self::NotEmpty(path) => write!(
                f,
                "'{}' is not empty, and a backup is restored to an empty machine only; move that \
                 directory away, or name another place with --data DIR",
                path.display()
            ),
            Self::Directory(error) => write!(f, "{error}"),
            Self::Heads(error) => write!(f, "{error}"),
            Self::Write(path, error) if error.kind() == io::ErrorKind::StorageFull => write!(
                f,
                "there is no space left for '{}'; nothing was left behind",
                path.display()
            ),
            Self::Write(path, error) => {
                write!(f, "cannot write '{}': {error}", path.display())
            }
        }
    }
}

impl std::error::Error for RestoreFailure {}

impl From<BackupError> for RestoreFailure {
    fn from(error: BackupError) -> Self {
        Self::Backup(error)
    }
}

impl From<StoreError> for RestoreFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SetupError> for RestoreFailure {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<KeyFileError> for RestoreFailure {
    fn from(error: KeyFileError) -> Self {
        Self::Setup(SetupError::KeyFile(error))
    }
}

impl From<HeadsFileError> for RestoreFailure {
    fn from(error: HeadsFileError) -> Self {
        Self::Heads(error)
    }
}

impl From<VerifyError> for RestoreFailure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => Self::Store(error),
            VerifyError::HeadsFile(error) => Self::Heads(error),
        }
    }
}

impl From<DataDirError> for RestoreFailure {
    fn from(error: DataDirError) -> Self {
        Self::Directory(error)
    }
}
