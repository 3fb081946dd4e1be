//! Copying a key file to another disk.

use std::path::Path;

use super::write::save_bytes;
use super::{KeyFileError, KeyFileFault, check_owner, decode, open, read_bounded};
use crate::secret::{SecretBytes, ct_eq};

/// Copies a key file byte for byte, and reads the copy back, which is on its
/// disk when this returns. A copy that is not the same is removed.
///
/// # Errors
/// If the file is no whole key file of this user's alone, if there is something
/// under the new name already (it is left alone), if the copy cannot be
/// written, or if others can read it there.
pub fn copy(from: &Path, to: &Path) -> Result<(), KeyFileError> {
    let bytes = read(from).map_err(|fault| KeyFileError::new(from, fault))?;
    save_bytes(to, bytes.expose())?;
    let compared = read(to).and_then(|copied| match ct_eq(copied.expose(), bytes.expose()) {
        true => Ok(()),
        false => Err(KeyFileFault::Damaged),
    });
    compared.map_err(|fault| {
        // What is wrong with it is told; nothing better can be done.
        let _ = super::remove(to);
        KeyFileError::new(to, fault)
    })
}

fn read(path: &Path) -> Result<SecretBytes, KeyFileFault> {
    let file = open(path)?;
    check_owner(&file)?;
    let bytes = read_bounded(file).map_err(KeyFileFault::read)?;
    // Whether it is sealed makes no difference to a copy.
    Ok(decode(bytes)?.bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::identity::key_file::{KeyFile, KeyKind, load, save};

    #[test]
    fn a_copy_is_the_same_and_takes_nothings_place() {
        let base = TempDir::new().unwrap();
        let [from, to] = ["a.key", "b.key"].map(|name| base.path().join(name));
        let key = KeyFile {
            kind: KeyKind::RootSigning,
            group: [3; 32],
            secret: SecretBytes::copy_of(&[7; 40]),
        };
        save(&from, &key).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap());
        assert_eq!(load(&to, KeyKind::RootSigning).unwrap().0, [3; 32]);
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let error = copy(&from, &to).unwrap_err();
        assert!(matches!(error.fault(), KeyFileFault::Exists), "{error}");
        fs::write(&to, b"mine").unwrap();
        copy(&from, &to).unwrap_err();
        assert_eq!(fs::read(&to).unwrap(), b"mine");
        let nowhere = base.path().join("nowhere/root.key");
        copy(&from, &nowhere).unwrap_err();
        assert!(from.exists());
    }

    #[test]
    fn what_is_damaged_is_not_copied() {
        let base = TempDir::new().unwrap();
        let [from, to] = ["a.key", "b.key"].map(|name| base.path().join(name));
        let key = KeyFile {
            kind: KeyKind::RootSigning,
            group: [3; 32],
            secret: SecretBytes::copy_of(&[7; 40]),
        };
        save(&from, &key).unwrap();
        let mut bytes = fs::read(&from).unwrap();
        bytes[60] ^= 1;
        fs::write(&from, bytes).unwrap();
        let error = copy(&from, &to).unwrap_err();
        assert!(matches!(error.fault(), KeyFileFault::Damaged), "{error}");
        assert!(!to.exists());
    }
}
