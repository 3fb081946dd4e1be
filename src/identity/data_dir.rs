//! The directory of one identity: `<base>/<name>/`, its owner's alone, used by
//! one running program at a time.
//!
//! ```text
//! telemed.db    what must survive a restart; its presence makes the directory
//!               an identity's
//! lock          empty; locked while a program uses the directory
//! *.key         secret exponents and keys, see keyring.rs
//! ```

mod error;

#[cfg(test)]
mod tests;

pub use error::{DataDirError, DataDirFault};

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::process::geteuid;

use crate::identity::id::Identifier;
use crate::identity::key_file::{Cost, KeyFileError, Passphrase};
use crate::identity::keyring::Keyring;
use crate::new_file::directory_of;
use crate::random::OsRandom;

/// The name of the database in an identity's directory.
pub const DATABASE: &str = "telemed.db";
/// The name of a doctor's key, which is there also where the database is on a
/// server.
pub const SIGNING_KEY: &str = "signing.key";
const LOCK: &str = "lock";

/// The directory of one identity, locked for this program until it is dropped
/// or the program ends, however that comes.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    keyring: Keyring,
    /// Closing it ends the lock.
    lock: File,
    /// Whether this program has made it.
    is_made: bool,
}

impl Drop for DataDir {
    /// A directory that was made for an identity that came to nothing goes again.
    fn drop(&mut self) {
        if self.is_made && holds_the_lock_only(&self.path) {
            // What stays is empty, and harms nobody.
            let _ = fs::remove_file(self.path.join(LOCK));
            let _ = fs::remove_dir(&self.path);
        }
    }
}

impl DataDir {
    /// Opens the directory of the identity `name`, or makes it, with all above
    /// it, mode 0700.
    ///
    /// # Errors
    /// If it cannot be made, belongs to another user, is open to others,
    /// cannot be written or is in use by another running program.
    pub fn create_or_open(base: &Path, name: &str) -> Result<Self, DataDirError> {
        let path = location(base, name)?;
        let is_made = create(base, &path)
            .map_err(|error| DataDirError::new(&path, DataDirFault::Create(error)))?;
        let mut directory = Self::open(path)?;
        directory.is_made = is_made;
        Ok(directory)
    }

    /// Opens the directory of the identity `name`, which must be there.
    ///
    /// # Errors
    /// If it is not there, and as [`DataDir::create_or_open`].
    pub fn open_existing(base: &Path, name: &str) -> Result<Self, DataDirError> {
        let path = location(base, name)?;
        if is_identity(&path) {
            return Self::open(path);
        }
        // Not there, or not allowed to be looked at: the check tells which.
        let fault = match check(&path) {
            Ok(()) => DataDirFault::Missing,
            Err(fault) => fault,
        };
        Err(DataDirError::new(&path, fault))
    }

    fn open(path: PathBuf) -> Result<Self, DataDirError> {
        match check(&path).and_then(|()| lock(&path)) {
            Ok(lock) => Ok(Self {
                path,
                keyring: Keyring::plain(),
                lock,
                is_made: false,
            }),
            Err(fault) => Err(DataDirError::new(&path, fault)),
        }
    }

    /// Lets other programs use the directory: for one that has read its keys, and
    /// changes nothing here from then on.
    pub fn release(&self) {
        // Where that fails the others wait until this program ends.
        let _ = self.lock.unlock();
    }

    /// The path of a file in the directory.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Whether the keys here are sealed under a passphrase.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        Keyring::is_sealed(&self.path)
    }

    /// Opens and makes the key files here. Those that are sealed it opens only
    /// after [`DataDir::unlock`].
    #[must_use]
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Unlocks the keys here with their passphrase, and completes a change of it
    /// that was cut short.
    ///
    /// # Errors
    /// As [`Keyring::unlock`] and [`Keyring::settle`].
    pub fn unlock(&mut self, passphrase: &Passphrase) -> Result<(), KeyFileError> {
        let keyring = Keyring::unlock(&self.path, passphrase)?;
        keyring.settle(&self.path)?;
        self.keyring = keyring;
        Ok(())
    }

    /// Seals the keys here, and those that are made from now on, under a
    /// passphrase. If they are sealed already, they must be unlocked.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub fn seal_keys(&mut self, passphrase: &Passphrase, cost: Cost) -> Result<(), KeyFileError> {
        self.change_keys(Some((passphrase, cost)), &[])
    }

    /// Takes the protection off the keys here, which must be unlocked.
    ///
    /// # Errors
    /// As [`Keyring::unseal`].
    pub fn unseal_keys(&mut self) -> Result<(), KeyFileError> {
        self.change_keys(None, &[])
    }

    /// Seals the keys here, or, with nothing, takes the protection off. A key
    /// that is sealed by itself may have one of the passphrases `own`.
    ///
    /// # Errors
    /// As [`Keyring::seal`] and [`Keyring::unseal`].
    pub fn change_keys(
        &mut self,
        to: Option<(&Passphrase, Cost)>,
        own: &[&Passphrase],
    ) -> Result<(), KeyFileError> {
        let path = &self.path;
        self.keyring = match to {
            Some((new, cost)) => self.keyring.seal(path, new, cost, own, &mut OsRandom)?,
            None => self.keyring.unseal(path, own)?,
        };
        Ok(())
    }
}

/// Locks the identity's directory in which a file lies, until what this gives is
/// dropped; gives nothing if it lies in none.
///
/// # Errors
/// If another running program uses the directory, or it cannot be locked.
pub fn lock_around(file: &Path) -> Result<Option<File>, DataDirError> {
    let directory = directory_of(file);
    if !is_identity(directory) {
        return Ok(None);
    }
    let locked = lock(directory).map_err(|fault| DataDirError::new(directory, fault))?;
    Ok(Some(locked))
}

/// Where the identity `name` lies, whether there is one or not: for talking to
/// the program that has locked the directory.
///
/// # Errors
/// If `name` is neither an identifier (1 to 32 of A-Z a-z 0-9 . _ -, not
/// beginning with a dash) nor two with an @ between (a patient at a doctor's),
/// or if it is `.` or `..`, which would be another directory.
pub fn location(base: &Path, name: &str) -> Result<PathBuf, DataDirError> {
    if is_name(name) {
        Ok(base.join(name))
    } else {
        Err(DataDirError::new(base, DataDirFault::Name(name.to_owned())))
    }
}

/// The names of all identities in `base`, sorted; none if there is no `base`.
///
/// # Errors
/// If `base` is there and cannot be read.
pub fn list(base: &Path) -> Result<Vec<String>, DataDirError> {
    let unreadable = |error| DataDirError::new(base, DataDirFault::Read(error));
    let entries = match fs::read_dir(base) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string()
            && is_name(&name)
            && is_identity(&entry.path())
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Where the identities of a role (`doctor`, `patient`) lie if nothing else is
/// said: `$XDG_DATA_HOME/telemed/<role>`, or else
/// `$HOME/.local/share/telemed/<role>`.
///
/// # Errors
/// If neither variable is set to an absolute path.
pub fn default_base(role: &str) -> Result<PathBuf, DataDirError> {
    base_in(env::var_os("XDG_DATA_HOME"), env::var_os("HOME"), role)
}

fn base_in(
    data: Option<OsString>,
    home: Option<OsString>,
    role: &str,
) -> Result<PathBuf, DataDirError> {
    // The XDG base directory specification: a relative path is ignored.
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|p| p.is_absolute());
    absolute(data)
        .or_else(|| absolute(home).map(|home| home.join(".local/share")))
        .map(|share| share.join("telemed").join(role))
        .ok_or_else(|| DataDirError::new(Path::new(""), DataDirFault::NoHome))
}

/// Whether an identity lies there.
fn is_identity(path: &Path) -> bool {
    [DATABASE, SIGNING_KEY]
        .iter()
        .any(|file| path.join(file).is_file())
}

fn is_name(name: &str) -> bool {
    let mut parts = name.splitn(2, '@');
    parts.all(|part| part.parse::<Identifier>().is_ok()) && name != "." && name != ".."
}

/// Makes it if it is not there, and says whether it was made.
fn create(base: &Path, path: &Path) -> io::Result<bool> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700).recursive(true).create(base)?;
    match builder.recursive(false).create(path) {
        Ok(()) => File::open(base)?.sync_all().map(|()| true),
        // Whatever is there, `check` judges it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn holds_the_lock_only(path: &Path) -> bool {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .all(|name| matches!(name, Ok(name) if name == LOCK))
}

fn check(path: &Path) -> Result<(), DataDirFault> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DataDirFault::Missing,
        _ => DataDirFault::Read(error),
    })?;
    if !metadata.is_dir() {
        return Err(DataDirFault::NotADirectory);
    }
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(DataDirFault::OtherOwner {
            owner: metadata.uid(),
            user,
        });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(DataDirFault::Open {
            mode: metadata.mode() & 0o777,
        });
    }
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::access(path, all).map_err(|error| DataDirFault::Write(error.into()))
}

/// The lock belongs to the open file, so it ends with the program even if that
/// is killed; the file itself stays.
fn lock(path: &Path) -> Result<File, DataDirFault> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))
        .map_err(DataDirFault::Write)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirFault::InUse),
        Err(TryLockError::Error(error)) => Err(DataDirFault::Write(error)),
    }
}
