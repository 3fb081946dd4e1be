//! The clinic's root, as this directory has seen it at first. Others can write to
//! a database that several share: one that names another root is not believed, or
//! whoever that root has certified would be let in.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::SetupError;
use crate::hex;
use crate::identity::certificate::Fingerprint;
use crate::identity::data_dir::DataDir;
use crate::new_file::{NewFile, PublishError};

/// The file with the root's fingerprint, in hexadecimal digits.
const ROOT_PIN: &str = "root.pin";

/// Refuses another root than the one that was here first, which is noted.
///
/// # Errors
/// [`SetupError::OtherRoot`], [`SetupError::Pin`].
pub(super) fn check(directory: &DataDir, root: &Fingerprint) -> Result<(), SetupError> {
    let path = directory.path(ROOT_PIN);
    let expected = hex::encode(root);
    match fs::read(&path) {
        Ok(bytes) if bytes.trim_ascii() == expected.as_bytes() => Ok(()),
        Ok(_) => Err(SetupError::OtherRoot(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(&path, &expected).map_err(|error| SetupError::Pin(path, error))
        }
        Err(error) => Err(SetupError::Pin(path, error)),
    }
}

fn write(path: &Path, fingerprint: &str) -> io::Result<()> {
    let file = NewFile::in_place_of(path)?;
    writeln!(file.file(), "{fingerprint}")?;
    match file.replace() {
        Ok(()) => Ok(()),
        Err(PublishError::NotThere(error) | PublishError::MayNotLast(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_root_that_was_there_first_is_the_only_one() {
        let base = TempDir::new().unwrap();
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        for _ in 0..2 {
            check(&directory, &[1; 32]).unwrap();
        }
        let error = check(&directory, &[2; 32]).unwrap_err();
        assert!(matches!(error, SetupError::OtherRoot(_)), "{error}");
        check(&directory, &[1; 32]).unwrap();
    }
}
