//! Why a key file could not be used, in words for its user.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileSystem, KeyKind};

/// A key file could not be read or written.
#[derive(Debug)]
pub struct KeyFileError {
    path: PathBuf,
    fault: KeyFileFault,
}

/// What is wrong with a key file.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFileFault {
    /// There is none.
    Missing,
    /// There is one already, which is not overwritten.
    Exists,
    /// It is a directory, a pipe or a device.
    NotAFile,
    /// It belongs to another user.
    OtherOwner {
        /// The number of the user it belongs to.
        owner: u32,
        /// The number of the user this program runs as.
        user: u32,
    },
    /// Other users can read or change it.
    Open {
        /// Its permissions.
        mode: u32,
    },
    /// Others can read it, since its file system keeps no modes, and it is no
    /// root key sealed under a passphrase.
    Unguarded {
        /// The file system.
        file_system: FileSystem,
    },
    /// It is a link, and only the file itself could be changed.
    Link {
        /// Where the file itself lies.
        to: PathBuf,
    },
    /// It does not begin like a key file.
    NotAKeyFile,
    /// It ends too early.
    Cut,
    /// It is too long, or has changed since it was written.
    Damaged,
    /// It was written by a version of this program that is not known here.
    UnknownVersion(u8),
    /// It is sealed under a passphrase, and none was given.
    Locked,
    /// It is sealed under the wrapping key of its directory, whose file is missing.
    NoWrappingKey,
    /// It is sealed under another passphrase.
    WrongPassphrase,
    /// It is sealed under the wrapping key of another directory.
    OtherWrappingKey,
    /// What trying a passphrase would cost is out of bounds.
    Cost,
    /// There is not enough memory to try a passphrase.
    Memory {
        /// How much it takes, in MiB.
        mebibytes: u32,
    },
    /// It holds another kind of key.
    WrongKind {
        /// The kind it holds.
        found: KeyKind,
        /// The kind that was asked for.
        wanted: KeyKind,
    },
    /// A secret that was to be saved is empty or too long; in bytes.
    SecretLength(usize),
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written or removed.
    Write(io::Error),
}

impl KeyFileFault {
    pub(super) fn read(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Read(error),
        }
    }

    pub(super) fn write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists,
            _ => Self::Write(error),
        }
    }
}

impl KeyFileError {
    /// This is wrong with this file.
    #[must_use]
    pub fn new(path: &Path, fault: KeyFileFault) -> Self {
        let path = path.to_owned();
        Self { path, fault }
    }

    /// It is missing, or cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::new(path, KeyFileFault::read(error))
    }

    /// The same, said of the file of this name.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        Self::new(path, self.fault)
    }

    /// The key file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &KeyFileFault {
        &self.fault
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            KeyFileFault::Missing => {
                write!(f, "there is no key file '{path}'; restore it from a backup")
            }
            KeyFileFault::Exists => write!(
                f,
                "the key file '{path}' exists already and is not overwritten; \
                 move it away if a new one is to take its place"
            ),
            KeyFileFault::NotAFile => {
                write!(f, "'{path}' is not a file; put the key file in its place")
            }
            KeyFileFault::OtherOwner { owner, user } => write!(
                f,
                "the key file '{path}' belongs to user {owner} and this program runs as user \
                 {user}; run it as the user who owns the file"
            ),
            KeyFileFault::Open { mode } => write!(
                f,
                "the key file '{path}' is open to other users (mode {mode:04o}); \
                 close it with: chmod 600 {}",
                quoted(&self.path)
            ),
            KeyFileFault::Unguarded { file_system } => write!(
                f,
                "'{path}' lies on {file_system}; only a root key sealed under a passphrase may \
                 lie there"
            ),
            KeyFileFault::Link { to } => write!(
                f,
                "'{path}' is a link to '{}', which would stay as it is; put the file itself in \
                 the place of the link, or remove the link",
                to.display()
            ),
            KeyFileFault::NotAKeyFile => write!(
                f,
                "the file '{path}' is not a key file; restore the key file from a backup"
            ),
            KeyFileFault::Cut => write!(
                f,
                "the key file '{path}' is cut short; restore it from a backup"
            ),
            KeyFileFault::Damaged => write!(
                f,
                "the key file '{path}' is damaged; restore it from a backup"
            ),
            KeyFileFault::UnknownVersion(version) => write!(
                f,
                "the key file '{path}' has version {version}, which is not supported by this \
                 version of the program; use the version that wrote it"
            ),
            KeyFileFault::Locked => write!(
                f,
                "the key file '{path}' is sealed under a passphrase, and none was given; name a \
                 file that holds it with --passphrase-file FILE, or run this at a terminal"
            ),
            KeyFileFault::NoWrappingKey => write!(
                f,
                "the key file '{path}' is sealed under the file passphrase.key, which is missing \
                 beside it, so that no passphrase opens it; put passphrase.key back from a copy of \
                 the directory, or restore a backup"
            ),
            KeyFileFault::WrongPassphrase => {
                write!(f, "the passphrase is wrong: it does not open '{path}'")
            }
            KeyFileFault::OtherWrappingKey => write!(
                f,
                "the key file '{path}' is sealed under another directory's passphrase.key; put \
                 the two that belong together back in one place, or restore a backup"
            ),
            KeyFileFault::Cost => write!(
                f,
                "the key file '{path}' asks for more memory or time, or for less, than this \
                 version of the program spends on a passphrase; restore it from a backup"
            ),
            KeyFileFault::Memory { mebibytes } => write!(
                f,
                "there is not enough memory to try the passphrase of '{path}': it takes \
                 {mebibytes} MiB; end other programs and try again"
            ),
            KeyFileFault::WrongKind { found, wanted } => write!(
                f,
                "the key file '{path}' holds {found}, not {wanted}; put the right file in its \
                 place"
            ),
            KeyFileFault::SecretLength(len) => write!(
                f,
                "the key file '{path}' cannot hold a secret of {len} bytes; nothing was written"
            ),
            KeyFileFault::Read(error) => {
                write!(f, "cannot read the key file '{path}': {error}")
            }
            KeyFileFault::Write(error) => write!(
                f,
                "cannot write the key file '{path}': {error}; check its directory and try again"
            ),
        }
    }
}

impl std::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            KeyFileFault::Read(error) | KeyFileFault::Write(error) => Some(error),
            _ => None,
        }
    }
}

/// A path as a shell takes it, whatever characters it has.
pub(in crate::identity) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
