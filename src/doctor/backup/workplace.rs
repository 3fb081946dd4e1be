//! A directory beside the doctors' own, in which a backup is taken apart. Its
//! name is none that a doctor can have, so nothing starts from it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::random::{self, OsRandom};

/// No identifier has a tilde.
const PREFIX: &str = "backup~";
const LOCK: &str = "lock";

/// The directory, its owner's alone. It goes with this value; what a program
/// that was killed has left goes when the next one is made.
#[derive(Debug)]
pub(super) struct Workplace {
    path: PathBuf,
    /// Shows others that the directory is in use.
    _lock: File,
}

impl Workplace {
    /// Makes one in `base`, which is made too if it is not there.
    pub(super) fn new(base: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(base)?;
        sweep(base);
        let unique = u64::from_be_bytes(random::array(&mut OsRandom));
        let path = base.join(format!("{PREFIX}{unique:016x}"));
        builder.recursive(false).create(&path)?;
        match lock(&path) {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // Where this fails, the next one does it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))?;
    file.try_lock()?;
    Ok(file)
}

/// Removes what is in use by nobody; best effort, since it does no harm.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_ours && let Ok(_lock) = lock(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_goes_and_what_is_in_use_stays() {
        let base = tempfile::tempdir().unwrap();
        let left = base.path().join("backup~0123456789abcdef");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("telemed.db"), "x").unwrap();
        fs::create_dir(base.path().join("D1")).unwrap();
        let first = Workplace::new(base.path()).unwrap();
        let second = Workplace::new(base.path()).unwrap();
        assert!(first.path().is_dir() && second.path().is_dir());
        assert!(!left.exists());
        drop((first, second));
        let names: Vec<_> = fs::read_dir(base.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].file_name(), "D1");
    }
}
