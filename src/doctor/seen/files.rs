//! Files of bytes beside `clinic.json`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::doctor::setup::SetupError;
use crate::new_file::{NewFile, PublishError};

/// What is in a file; nothing if there is none.
pub(super) fn read(directory: &Path, name: &str) -> Result<Vec<u8>, SetupError> {
    let path = directory.join(name);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| SetupError::Io(path, error)),
    }
}

/// Writes a file in the place of the one that is there.
pub(super) fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), SetupError> {
    let path = directory.join(name);
    let write = || -> io::Result<()> {
        let file = NewFile::in_place_of(&path)?;
        file.file().write_all(bytes)?;
        file.replace().map_err(|error| match error {
            PublishError::NotThere(error) | PublishError::MayNotLast(error) => error,
        })
    };
    write().map_err(|error| SetupError::Io(path.clone(), error))
}
