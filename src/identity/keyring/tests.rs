//! Directories whose keys are plain, sealed, and in between.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::identity::data_dir::DataDir;

const KINDS: [(&str, KeyKind); 4] = [
    ("data.key", KeyKind::Data),
    ("prekey-00.key", KeyKind::Prekey),
    ("root.key", KeyKind::RootSigning),
    ("signing.key", KeyKind::DoctorSigning),
];

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(SecretBytes::copy_of(text.as_bytes())).unwrap()
}

fn key(kind: KeyKind) -> KeyFile {
    KeyFile {
        kind,
        group: [7; 32],
        secret: SecretBytes::copy_of(&[160 + kind as u8; 32]),
    }
}

/// A directory with a key of each kind.
fn filled() -> (TempDir, DataDir) {
    let base = TempDir::new().unwrap();
    let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
    for (name, kind) in KINDS {
        directory
            .keyring()
            .save(&directory.path(name), &key(kind))
            .unwrap();
    }
    (base, directory)
}

fn check(directory: &DataDir) {
    for (name, kind) in KINDS {
        let (group, secret) = directory
            .keyring()
            .load(&directory.path(name), kind)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(group, [7; 32]);
        assert_eq!(secret.expose(), [160 + kind as u8; 32]);
    }
}

fn again(base: &TempDir, directory: DataDir) -> DataDir {
    drop(directory);
    DataDir::create_or_open(base.path(), "D1").unwrap()
}

/// The key files and what they hold.
fn files(directory: &DataDir) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = key_files(&directory.path("")).unwrap();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Whether any of the secrets lies open.
fn lies_open(directory: &DataDir) -> bool {
    let files = files(directory);
    KINDS.iter().any(|(_, kind)| {
        let secret = [160 + *kind as u8; 32];
        let mut bytes = files.iter().map(|(_, bytes)| bytes);
        bytes.any(|bytes| bytes.windows(32).any(|window| window == secret))
    })
}

#[test]
fn sealed_keys_open_with_the_passphrase_and_only_so() {
    let (base, mut directory) = filled();
    assert!(lies_open(&directory) && !directory.is_sealed());
    directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap();
    check(&directory);
    assert!(!lies_open(&directory));

    let mut directory = again(&base, directory);
    assert!(directory.is_sealed());
    let path = directory.path("signing.key");
    let error = directory.keyring().load(&path, KeyKind::DoctorSigning);
    assert!(matches!(error.unwrap_err().fault(), KeyFileFault::Locked));
    let error = directory.unlock(&passphrase("battery staple")).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::WrongPassphrase));
    assert!(error.to_string().contains(PASSPHRASE_KEY), "{error}");
    directory.unlock(&passphrase("correct horse")).unwrap();
    check(&directory);
}

#[test]
fn a_key_made_later_is_sealed_too() {
    let (base, mut directory) = filled();
    directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap();
    let mut directory = again(&base, directory);
    directory.unlock(&passphrase("correct horse")).unwrap();
    let path = directory.path("prekey-01.key");
    let new = key(KeyKind::Prekey);
    directory.keyring().save(&path, &new).unwrap();
    assert!(!lies_open(&directory));
    let (_, secret) = directory.keyring().load(&path, KeyKind::Prekey).unwrap();
    assert_eq!(secret.expose(), new.secret.expose());
    let error = directory.keyring().save(&path, &new).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::Exists));
}

#[test]
fn another_passphrase_changes_two_files_and_voids_the_older_one() {
    let (base, mut directory) = filled();
    directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap();
    let before = files(&directory);
    directory
        .seal_keys(&passphrase("battery staple"), Cost::LEAST)
        .unwrap();
    let changed: Vec<_> = files(&directory)
        .into_iter()
        .zip(before)
        .filter(|(now, before)| now != before)
        .map(|((path, _), _)| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(changed, ["passphrase.key", "root.key"]);
    check(&directory);
    let mut directory = again(&base, directory);
    assert!(directory.unlock(&passphrase("correct horse")).is_err());
    directory.unlock(&passphrase("battery staple")).unwrap();
    check(&directory);
}

#[test]
fn the_roots_key_opens_by_itself_in_a_drawer() {
    let (base, mut directory) = filled();
    directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap();
    let drawer = base.path().join("drawer.key");
    fs::rename(directory.path("root.key"), &drawer).unwrap();
    let open = |text: &str| {
        let opened = key_file::load_sealed(&drawer, KeyKind::RootSigning, &passphrase(text));
        opened.map(|(_, secret)| secret)
    };
    let right = key(KeyKind::RootSigning).secret;
    assert_eq!(open("correct horse").unwrap().expose(), right.expose());
    assert!(open("battery staple").is_err());
    let (old, new) = (passphrase("correct horse"), passphrase("battery staple"));
    let to = Some((&new, Cost::LEAST));
    assert!(reseal(&drawer, None, to, &mut OsRandom).is_err());
    assert!(reseal(&drawer, Some(&new), to, &mut OsRandom).is_err());
    reseal(&drawer, Some(&old), to, &mut OsRandom).unwrap();
    assert_eq!(open("battery staple").unwrap().expose(), right.expose());
    assert!(open("correct horse").is_err());
    reseal(&drawer, Some(&new), None, &mut OsRandom).unwrap();
    let (_, secret) = key_file::load(&drawer, KeyKind::RootSigning).unwrap();
    assert_eq!(secret.expose(), right.expose());
}

#[test]
fn the_protection_comes_off_again() {
    let (base, mut directory) = filled();
    let before = files(&directory);
    directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap();
    let mut directory = again(&base, directory);
    let error = directory.unseal_keys().unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::Locked), "{error}");
    let error = directory
        .seal_keys(&passphrase("battery staple"), Cost::LEAST)
        .unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::Locked), "{error}");
    directory.unlock(&passphrase("correct horse")).unwrap();
    directory.unseal_keys().unwrap();
    check(&directory);
    assert!(files(&directory) == before);
}

/// Every state that a change can be cut short in: some files as they were, the
/// rest as they were to be, in the order they are written.
fn cut_short(
    before: &[(PathBuf, Vec<u8>)],
    after: &[(PathBuf, Vec<u8>)],
    order: &[&str],
) -> Vec<Vec<(PathBuf, Vec<u8>)>> {
    let at = |files: &[(PathBuf, Vec<u8>)], name: &str| {
        files.iter().find(|(path, _)| path.ends_with(name)).cloned()
    };
    let state = |done: usize| {
        let written = order.iter().enumerate();
        let written = written.filter_map(|(place, name)| match place < done {
            true => at(after, name),
            false => at(before, name),
        });
        let mut state: Vec<_> = written.collect();
        state.sort();
        state
    };
    (0..=order.len()).map(state).collect()
}

fn lay(directory: &DataDir, state: &[(PathBuf, Vec<u8>)]) {
    for (path, _) in files(directory) {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in state {
        key_file::save_bytes(path, bytes).unwrap();
    }
}

#[test]
fn sealing_that_was_cut_short_anywhere_opens_and_is_completed() {
    let (base, mut directory) = filled();
    let before = files(&directory);
    let right = passphrase("correct horse");
    directory.seal_keys(&right, Cost::LEAST).unwrap();
    let order = [
        "passphrase.key",
        "data.key",
        "prekey-00.key",
        "root.key",
        "signing.key",
    ];
    for state in cut_short(&before, &files(&directory), &order) {
        lay(&directory, &state);
        directory = again(&base, directory);
        if directory.is_sealed() {
            directory.unlock(&right).unwrap();
        }
        check(&directory);
        directory.seal_keys(&right, Cost::LEAST).unwrap();
        check(&directory);
        assert!(!lies_open(&directory));
    }
}

#[test]
fn unsealing_that_was_cut_short_anywhere_opens_and_is_completed() {
    let (base, mut directory) = filled();
    let after = files(&directory);
    let right = passphrase("correct horse");
    directory.seal_keys(&right, Cost::LEAST).unwrap();
    let order = [
        "data.key",
        "prekey-00.key",
        "root.key",
        "signing.key",
        "passphrase.key",
    ];
    for state in cut_short(&files(&directory), &after, &order) {
        lay(&directory, &state);
        directory = again(&base, directory);
        if directory.is_sealed() {
            directory.unlock(&right).unwrap();
        }
        check(&directory);
        directory.unseal_keys().unwrap();
        check(&directory);
        assert!(files(&directory) == after);
    }
}

/// The states that a change of the passphrase can be cut short in: before it was
/// made, and after.
fn changed_half(directory: &mut DataDir, new: &Passphrase) -> [Vec<(PathBuf, Vec<u8>)>; 2] {
    let before = files(directory);
    directory.seal_keys(new, Cost::LEAST).unwrap();
    let after = files(directory);
    let at = |files: &[(PathBuf, Vec<u8>)], name: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(name));
        found.unwrap().1.clone()
    };
    let waiting = (directory.path(".root.key.next"), at(&after, "root.key"));
    let mut not_made = before;
    not_made.push(waiting);
    let mut made = not_made.clone();
    for (path, bytes) in &mut made {
        if path.ends_with(PASSPHRASE_KEY) {
            *bytes = at(&after, PASSPHRASE_KEY);
        }
    }
    [not_made, made]
}

#[test]
fn a_change_of_passphrase_that_was_cut_short_was_made_for_all_keys_or_for_none() {
    let (base, mut directory) = filled();
    let (old, new) = (passphrase("correct horse"), passphrase("battery staple"));
    directory.seal_keys(&old, Cost::LEAST).unwrap();
    let states = changed_half(&mut directory, &new);
    let (root, waiting) = (directory.path("root.key"), directory.path(".root.key.next"));
    for (state, how, good, bad) in [
        (&states[0], Pending::NotMade, &old, &new),
        (&states[1], Pending::Made, &new, &old),
    ] {
        lay(&directory, state);
        assert_eq!(pending(&root), Some(how));
        assert!(own_passphrases(&directory.path("")).unwrap().is_empty());
        // Who reads the root's key beside a running program needs the same one.
        let by_itself = |with| key_file::load_sealed(&current(&root), KeyKind::RootSigning, with);
        assert!(by_itself(good).is_ok() && by_itself(bad).is_err());
        directory = again(&base, directory);
        assert!(directory.unlock(bad).is_err());
        assert!(
            waiting.exists(),
            "nothing is settled with a wrong passphrase"
        );
        directory.unlock(good).unwrap();
        check(&directory);
        assert!(!waiting.exists() && pending(&root).is_none());
        assert!(key_file::load_sealed(&root, KeyKind::RootSigning, good).is_ok());
        directory.seal_keys(&new, Cost::LEAST).unwrap();
        check(&directory);
    }
}

#[test]
fn a_root_key_with_a_passphrase_of_its_own_is_found_and_brought_back() {
    let (base, mut directory) = filled();
    let [old, new, own] = ["correct horse", "battery staple", "in the drawer"].map(passphrase);
    directory.seal_keys(&old, Cost::LEAST).unwrap();
    let root = directory.path("root.key");
    let to = Some((&own, Cost::LEAST));
    reseal(&root, Some(&old), to, &mut OsRandom).unwrap();
    assert_eq!(
        own_passphrases(&directory.path("")).unwrap(),
        [root.as_path()]
    );
    let mut directory = again(&base, directory);
    directory.unlock(&old).unwrap();
    let before = files(&directory);
    let error = directory.seal_keys(&new, Cost::LEAST).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::WrongPassphrase));
    assert!(error.to_string().contains("root.key"), "{error}");
    assert!(files(&directory) == before);
    directory
        .change_keys(Some((&new, Cost::LEAST)), &[&own])
        .unwrap();
    check(&directory);
    assert!(own_passphrases(&directory.path("")).unwrap().is_empty());
    reseal(&root, Some(&new), to, &mut OsRandom).unwrap();
    directory.change_keys(None, &[&own]).unwrap();
    assert!(!directory.is_sealed());
    check(&directory);
}

#[test]
fn a_missing_passphrase_key_is_not_called_a_missing_passphrase() {
    let (base, mut directory) = filled();
    let right = passphrase("correct horse");
    directory.seal_keys(&right, Cost::LEAST).unwrap();
    fs::remove_file(directory.path(PASSPHRASE_KEY)).unwrap();
    let mut directory = again(&base, directory);
    let path = directory.path("signing.key");
    let error = directory.keyring().load(&path, KeyKind::DoctorSigning);
    let error = error.unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::NoWrappingKey));
    assert!(error.to_string().contains("passphrase.key"), "{error}");
    let error = directory.seal_keys(&right, Cost::LEAST).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::NoWrappingKey));
}

#[test]
fn nothing_is_changed_if_one_of_the_keys_cannot_be_used() {
    let (_base, mut directory) = filled();
    let path = directory.path("prekey-00.key");
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = files(&directory);
    let error = directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap_err();
    assert!(error.to_string().contains("prekey-00.key"), "{error}");
    assert!(files(&directory) == before);
    assert!(!directory.is_sealed());
}

#[test]
fn what_a_crash_has_left_of_a_plain_key_does_not_stay() {
    let (_base, mut directory) = filled();
    let left = directory.path(".signing.key.0123456789abcdef.new");
    fs::copy(directory.path("signing.key"), &left).unwrap();
    directory
        .seal_keys(&passphrase("correct horse"), Cost::LEAST)
        .unwrap();
    assert!(!left.exists());
}

#[test]
fn keys_of_another_directory_are_named() {
    let (_base, mut directory) = filled();
    let (_other_base, mut other) = filled();
    let right = passphrase("correct horse");
    directory.seal_keys(&right, Cost::LEAST).unwrap();
    other.seal_keys(&right, Cost::LEAST).unwrap();
    fs::copy(other.path("signing.key"), directory.path("signing.key")).unwrap();
    let path = directory.path("signing.key");
    let error = directory.keyring().load(&path, KeyKind::DoctorSigning);
    assert!(matches!(
        error.unwrap_err().fault(),
        KeyFileFault::OtherWrappingKey
    ));
    let file = key(KeyKind::Wrapping);
    fs::remove_file(directory.path(PASSPHRASE_KEY)).unwrap();
    key_file::save(&directory.path(PASSPHRASE_KEY), &file).unwrap();
    let error = directory.unlock(&right).unwrap_err();
    assert!(matches!(error.fault(), KeyFileFault::Damaged), "{error}");
}

#[test]
fn a_leftover_that_is_another_name_of_a_key_is_removed_and_the_key_is_not_harmed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("data.key");
    let saved = key(KeyKind::Data);
    key_file::save(&path, &saved).unwrap();
    let leftover = directory.path().join(".data.key.0123456789abcdef.new");
    fs::hard_link(&path, &leftover).unwrap();
    key_file::sweep(directory.path()).unwrap();
    assert!(!leftover.exists());
    let (_, secret) = key_file::load(&path, KeyKind::Data).unwrap();
    assert_eq!(secret.expose(), saved.secret.expose());
}

#[test]
fn a_link_is_refused_with_the_name_of_what_it_leads_to_and_nothing_is_changed() {
    let (base, mut directory) = filled();
    let (link, real) = (directory.path("root.key"), base.path().join("drawer.key"));
    fs::rename(&link, &real).unwrap();
    symlink(&real, &link).unwrap();
    let before = files(&directory);
    let right = passphrase("correct horse");
    let to = Some((&right, Cost::LEAST));
    let error = directory.seal_keys(&right, Cost::LEAST).unwrap_err();
    for error in [error, reseal(&link, None, to, &mut OsRandom).unwrap_err()] {
        assert!(
            matches!(error.fault(), KeyFileFault::Link { .. }),
            "{error}"
        );
        let names = [&link, &real].map(|path| path.to_str().unwrap().to_owned());
        assert!(
            names.iter().all(|name| error.to_string().contains(name)),
            "{error}"
        );
    }
    assert!(files(&directory) == before && fs::read_link(&link).unwrap() == real);
    assert!(!directory.is_sealed());
}

#[test]
fn what_a_crash_has_left_of_a_key_in_a_drawer_goes_with_its_next_change() {
    let drawer = TempDir::new().unwrap();
    let path = drawer.path().join("root.key");
    key_file::save(&path, &key(KeyKind::RootSigning)).unwrap();
    let lay = |name: &str| {
        let left = drawer.path().join(name);
        fs::copy(&path, &left).unwrap();
        left
    };
    let left = lay(".root.key.0123456789abcdef.new");
    let others = [
        ".other.key.0123456789abcdef.new",
        ".root.key.mine.new",
        "root.key.new",
    ];
    let others = others.map(lay);
    let right = passphrase("correct horse");
    let held = fs::File::open(drawer.path()).unwrap();
    held.lock().unwrap();
    let to = Some((&right, Cost::LEAST));
    let error = reseal(&path, None, to, &mut OsRandom).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert!(left.exists(), "it may be that program's");
    drop(held);
    reseal(&path, None, to, &mut OsRandom).unwrap();
    assert!(!left.exists());
    assert!(others.iter().all(|other| other.exists()));
}
