//! Copying a key file to another disk.

use std::fs::File;
use std::path::Path;

use super::write::save_checked;
use super::{Closed, Guard, KeyFileError, KeyFileFault};
use crate::secret::ct_eq;

/// Copies a key file byte for byte, and reads the copy back, which is on its
/// disk when this returns. A copy that is not the same is removed.
///
/// # Errors
/// If the file is no whole key file of this user's alone, if there is something
/// under the new name already (it is left alone), if the copy cannot be
/// written, or if it lies on a file system without modes, or others can read it
/// there, and it is not a root key that is sealed under a passphrase.
pub fn copy(from: &Path, to: &Path) -> Result<(), KeyFileError> {
    copy_guarded(from, to, Guard::of_new)
}

/// The same with something that says what keeps the copy from others.
fn copy_guarded(
    from: &Path,
    to: &Path,
    guard: impl FnOnce(&File) -> Result<Guard, KeyFileFault>,
) -> Result<(), KeyFileError> {
    let original = Closed::read(from)?;
    let bytes = original.bytes.expose();
    save_checked(to, bytes, |file| {
        guard(file)?.check(original.kind, original.has_own_passphrase())
    })?;
    let compared = Closed::read(to).and_then(|copied| match ct_eq(copied.bytes.expose(), bytes) {
        true => Ok(()),
        false => Err(KeyFileError::new(to, KeyFileFault::Damaged)),
    });
    // What is wrong with it is told; nothing better can be done.
    compared.inspect_err(|_| drop(super::remove(to)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::identity::key_file::{
        Cost, FileSystem, KeyFile, KeyKind, Passphrase, PassphraseKey, check_owner_on,
        encode_sealed, load, save, save_bytes,
    };
    use crate::random::OsRandom;
    use crate::secret::SecretBytes;

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

    #[test]
    fn only_a_sealed_root_key_is_copied_to_where_nothing_keeps_others_out() {
        let base = TempDir::new().unwrap();
        let [plain, sealed, wrapping, to] =
            ["a.key", "b.key", "c.key", "stick.key"].map(|name| base.path().join(name));
        let key = |kind| KeyFile {
            kind,
            group: [3; 32],
            secret: SecretBytes::copy_of(&[7; 40]),
        };
        let passphrase = Passphrase::new(SecretBytes::copy_of(b"of the drawer")).unwrap();
        let mut random = OsRandom;
        let made = PassphraseKey::generate(&passphrase, Cost::LEAST, &mut random).unwrap();
        save(&plain, &key(KeyKind::RootSigning)).unwrap();
        for (path, kind) in [
            (&sealed, KeyKind::RootSigning),
            (&wrapping, KeyKind::Wrapping),
        ] {
            let bytes = encode_sealed(&key(kind), &made, &mut random);
            save_bytes(path, &bytes).unwrap();
        }
        for from in [&plain, &wrapping] {
            let error = copy_guarded(from, &to, |_| Ok(Guard::None(FileSystem::Modeless("FAT"))))
                .unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains("lies on FAT, which keeps no file from"),
                "{said}"
            );
            assert!(!to.exists());
        }
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 3);
        copy_guarded(&sealed, &to, |_| {
            Ok(Guard::None(FileSystem::Modeless("FAT")))
        })
        .unwrap();
        assert_eq!(fs::read(&sealed).unwrap(), fs::read(&to).unwrap());

        // An open mode is no matter of the file system elsewhere.
        fs::set_permissions(&sealed, fs::Permissions::from_mode(0o644)).unwrap();
        let file = File::open(&sealed).unwrap();
        let exfat = FileSystem::Modeless("exFAT");
        let guard = check_owner_on(&file, |_| Some(exfat)).unwrap();
        assert_eq!(guard, Guard::None(exfat));
        let error = check_owner_on(&file, |_| None).unwrap_err();
        assert!(matches!(error, KeyFileFault::Open { mode: 0o644 }));
    }

    #[test]
    fn a_mount_that_shows_closed_modes_is_no_place_for_a_plain_key_either() {
        let base = TempDir::new().unwrap();
        let path = base.path().join("a.key");
        let key = KeyFile {
            kind: KeyKind::RootSigning,
            group: [3; 32],
            secret: SecretBytes::copy_of(&[7; 40]),
        };
        save(&path, &key).unwrap();
        let file = File::open(&path).unwrap();
        for file_system in [FileSystem::Modeless("FAT"), FileSystem::FuseDisk] {
            let guard = Guard::of_new_on(&file, |_| Some(file_system)).unwrap();
            assert_eq!(guard, Guard::None(file_system));
            guard.check(key.kind, true).unwrap();
            guard.check(key.kind, false).unwrap_err();
        }
        let guard = Guard::of_new_on(&file, |_| None).unwrap();
        assert_eq!(guard, Guard::Mode);
        assert_eq!(Guard::of_new(&file).unwrap(), Guard::Mode);
        // What lies there all the same is read, as long as the mount keeps it
        // from others.
        let guard = check_owner_on(&file, |_| Some(FileSystem::FuseDisk)).unwrap();
        assert_eq!(guard, Guard::Mode);
    }
}
