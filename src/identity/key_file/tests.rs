//! Key files that are as they should be, and every way they are not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

mod sealed;

fn key() -> KeyFile {
    KeyFile {
        kind: KeyKind::PatientSigning,
        group: [7; 32],
        secret: SecretBytes::copy_of(&[171; 384]),
    }
}

fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("signing.key");
    (directory, path)
}

fn saved() -> (TempDir, PathBuf) {
    let (directory, path) = directory();
    save(&path, &key()).unwrap();
    (directory, path)
}

/// The refusal's sentence names the file.
fn refusal(path: &Path) -> KeyFileError {
    let error = load(path, KeyKind::PatientSigning).unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");
    error
}

/// Puts content in the place of a key file, with a fresh checksum.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(bytes.len() - CHECKSUM_LEN);
    change(&mut bytes);
    let checksum = hash32(&[&bytes]);
    bytes.extend_from_slice(&checksum);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_saved_is_loaded() {
    let (_directory, path) = saved();
    let (group, secret) = load(&path, KeyKind::PatientSigning).unwrap();
    assert_eq!(group, [7; 32]);
    assert_eq!(secret.expose(), [171; 384]);
}

#[test]
fn the_file_is_as_the_specification_draws_it() {
    let (_directory, path) = saved();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[..15], b"telemed-key\n\x01\x00\x04");
    assert_eq!(bytes[15..47], [7; 32]);
    assert_eq!(bytes[47..49], [1, 128]);
    assert_eq!(bytes[49..433], [171; 384]);
    assert_eq!(bytes[433..], hash32(&[&bytes[..433]]));
}

#[test]
fn only_the_owner_can_read_it_and_nothing_else_is_left() {
    let (directory, path) = saved();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let (directory, path) = saved();
    let before = fs::read(&path).unwrap();
    let other = KeyFile {
        secret: SecretBytes::copy_of(&[1; 384]),
        ..key()
    };
    let error = save(&path, &other).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::Exists), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn of_two_who_save_one_wins() {
    for _ in 0..20 {
        let (directory, path) = directory();
        let won = std::thread::scope(|scope| {
            let racers = [(); 2].map(|()| scope.spawn(|| save(&path, &key()).is_ok()));
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(won[0] != won[1], "{won:?}");
        load(&path, KeyKind::PatientSigning).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_link_to_nowhere_is_not_written_through() {
    let (directory, path) = directory();
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    let error = save(&path, &key()).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::Exists), "{error}");
    assert!(!directory.path().join("elsewhere").exists());
}

#[test]
fn a_secret_of_no_or_too_many_bytes_is_not_saved() {
    for len in [0, MAX_SECRET_LEN + 1] {
        let (_directory, path) = directory();
        let key = KeyFile {
            secret: SecretBytes::copy_of(&vec![1; len]),
            ..key()
        };
        let error = save(&path, &key).unwrap_err();
        assert!(matches!(error.fault(), KeyFileFault::SecretLength(_)));
        assert!(!path.exists());
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let (directory, _) = directory();
    let error = save(&directory.path().join("missing/a.key"), &key()).unwrap_err();
    assert!(error.to_string().contains("missing/a.key"));
    assert!(matches!(error.fault(), KeyFileFault::Write(_)), "{error}");
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let (_directory, path) = directory();
    assert!(matches!(refusal(&path).fault(), KeyFileFault::Missing));
}

#[test]
fn a_file_open_to_others_is_refused_with_the_command_that_closes_it() {
    let (_directory, path) = saved();
    for mode in [0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = load(&path, KeyKind::PatientSigning).unwrap_err();
        let command = format!("chmod 600 '{}'", path.display());
        assert!(error.to_string().contains(&command), "{error}");
        assert!(error.to_string().contains(&format!("mode {mode:04o}")));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    load(&path, KeyKind::PatientSigning).unwrap();
}

#[test]
fn the_command_is_one_a_shell_understands() {
    assert_eq!(error::quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
}

#[test]
fn a_file_of_another_user_is_refused() {
    let (_directory, path) = saved();
    // Only root can give a file away.
    if chown(&path, Some(12_345), None).is_ok() {
        assert!(matches!(
            refusal(&path).fault(),
            KeyFileFault::OtherOwner { owner: 12_345, .. }
        ));
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let (_directory, path) = saved();
    let error = load(&path, KeyKind::RootSigning).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a patient's signing key, not the root's signing key"),
        "{error}"
    );
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let (_directory, path) = saved();
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let error = refusal(&path);
        assert!(matches!(error.fault(), KeyFileFault::Cut), "{len}: {error}");
    }
}

#[test]
fn a_flipped_bit_is_refused() {
    let (_directory, path) = saved();
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = refusal(&path);
        let right = match position {
            0..=11 => matches!(error.fault(), KeyFileFault::NotAKeyFile),
            // By what it says of itself now, it is longer than it is.
            13 | 48 => matches!(error.fault(), KeyFileFault::Cut),
            _ => matches!(error.fault(), KeyFileFault::Damaged),
        };
        assert!(right, "{position}: {error}");
    }
}

#[test]
fn a_longer_file_is_refused() {
    let (_directory, path) = saved();
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refusal(&path).fault(), KeyFileFault::Damaged));
    rewrite(&path, |bytes| bytes.push(0));
    assert!(matches!(refusal(&path).fault(), KeyFileFault::Damaged));
    rewrite(&path, |bytes| bytes.resize(1 << 20, 0));
    assert!(matches!(refusal(&path).fault(), KeyFileFault::Damaged));
}

#[test]
fn what_a_later_version_writes_is_not_called_damaged() {
    let (_directory, path) = saved();
    rewrite(&path, |bytes| bytes[12] = 2);
    assert!(matches!(
        refusal(&path).fault(),
        KeyFileFault::UnknownVersion(2)
    ));
}

#[test]
fn what_is_not_a_file_is_refused_at_once() {
    let (directory, path) = directory();
    assert!(matches!(
        refusal(directory.path()).fault(),
        KeyFileFault::NotAFile
    ));
    let pipe = rustix::fs::FileType::Fifo;
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, mode, 0).unwrap();
    assert!(matches!(refusal(&path).fault(), KeyFileFault::NotAFile));
}

#[test]
fn a_removed_file_is_gone_and_its_content_overwritten() {
    let (_directory, path) = saved();
    let mut open = File::open(&path).unwrap();
    remove(&path).unwrap();
    assert!(!path.exists());
    let mut left = Vec::new();
    open.read_to_end(&mut left).unwrap();
    assert!(left.len() == 465 && left.iter().all(|byte| *byte == 0));
    remove(&path).unwrap();
}

#[test]
fn removing_a_link_leaves_what_it_leads_to() {
    let (directory, path) = saved();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    remove(&link).unwrap();
    assert!(fs::symlink_metadata(&link).is_err());
    load(&path, KeyKind::PatientSigning).unwrap();
}

#[test]
fn debug_shows_no_byte() {
    assert!(!format!("{:?}", key()).contains("171"));
}
