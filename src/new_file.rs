//! A file that appears under its name complete, or not at all, or takes the
//! place of another one so.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::random::{self, OsRandom};

/// A new file, readable by its owner only. Until it is published it lies beside
/// its place under a name that begins with a dot and ends in `.new`, and goes
/// when this is dropped; only a crash leaves it behind, and it may be deleted.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    place: PathBuf,
    /// None once it is published.
    temporary: Option<PathBuf>,
}

impl NewFile {
    /// Begins a file for this place.
    ///
    /// # Errors
    /// If something has that name already, or if no file can be made there.
    pub fn beside(place: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(place).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Self::in_place_of(place)
    }

    /// Begins a file that is to take the place of the one there, if there is one.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn in_place_of(place: &Path) -> io::Result<Self> {
        let name = place.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let unique = u64::from_be_bytes(random::array(&mut OsRandom));
        let mut own = OsString::from(".");
        own.push(name);
        own.push(format!(".{unique:016x}.new"));
        let temporary = place.with_file_name(own);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        Ok(Self {
            file,
            place: place.to_owned(),
            temporary: Some(temporary),
        })
    }

    /// What is written goes here.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Makes what was written last, without giving it its name yet.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file its name. What has that name by now is not replaced.
    ///
    /// # Errors
    /// [`PublishError`], which says whether the file is there.
    pub fn publish(self) -> Result<(), PublishError> {
        self.publish_with(rename_to_new, sync_directory_of)
    }

    /// The same in the place of what has that name: it is the old file or the
    /// new one whenever the machine stops.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn replace(self) -> Result<(), PublishError> {
        self.publish_with(|from, to| fs::rename(from, to), sync_directory_of)
    }

    /// The same with something that gives the name, and makes it last.
    fn publish_with(
        mut self,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
        sync_name: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), PublishError> {
        self.sync().map_err(PublishError::NotThere)?;
        if let Some(temporary) = &self.temporary {
            rename(temporary, &self.place).map_err(PublishError::NotThere)?;
        }
        self.temporary = None;
        sync_name(&self.place).map_err(PublishError::MayNotLast)
    }
}

/// A file could not be published as it should be.
#[derive(Debug)]
pub enum PublishError {
    /// It has not got its name, and is gone.
    NotThere(io::Error),
    /// It has its name and is whole, but may lose the name in a power cut.
    MayNotLast(io::Error),
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nothing better can be done where this fails.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Renames and never replaces.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems of memory sticks do not know how: the look before
        // is the best there is.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => Ok(other?),
    }
}

/// Makes the appearance or disappearance of `path` last.
///
/// # Errors
/// If its directory cannot be synced.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// The directory in which `path` lies, as it is opened.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_file_appears_whole_or_not_at_all_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a.backup");
        let names = || fs::read_dir(directory.path()).unwrap().count();
        let file = NewFile::beside(&place).unwrap();
        io::Write::write_all(&mut file.file(), b"half").unwrap();
        assert!(!place.exists());
        drop(file);
        assert_eq!(names(), 0);

        let file = NewFile::beside(&place).unwrap();
        let late = NewFile::beside(&place).unwrap();
        io::Write::write_all(&mut file.file(), b"whole").unwrap();
        file.publish().unwrap();
        let mode = fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let PublishError::NotThere(refused) = late.publish().unwrap_err() else {
            panic!("it is not there");
        };
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        let refused = NewFile::beside(&place).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(names(), 1);
    }

    #[test]
    fn a_replaced_file_is_the_old_one_until_it_is_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a.key");
        fs::write(&place, b"old").unwrap();
        let begin = || {
            let file = NewFile::in_place_of(&place).unwrap();
            io::Write::write_all(&mut file.file(), b"new").unwrap();
            assert_eq!(fs::read(&place).unwrap(), b"old");
            file
        };
        drop(begin());
        assert_eq!(fs::read(&place).unwrap(), b"old");
        begin().replace().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_whose_directory_cannot_be_synced_is_there_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a.backup");
        let file = NewFile::beside(&place).unwrap();
        io::Write::write_all(&mut file.file(), b"whole").unwrap();
        let failed = file.publish_with(rename_to_new, |_| {
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert!(matches!(failed, Err(PublishError::MayNotLast(_))));
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
