//! Directories that are as they should be, and every way they are not.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};

use tempfile::TempDir;

use super::*;

/// A base whose identity D1 is complete and not in use.
fn with_identity() -> (TempDir, PathBuf) {
    let base = TempDir::new().unwrap();
    let data = DataDir::create_or_open(base.path(), "D1").unwrap();
    fs::write(data.path(DATABASE), b"").unwrap();
    let path = base.path().join("D1");
    (base, path)
}

/// Both ways to open it refuse; the sentence names the directory.
fn refusal(base: &Path) -> DataDirError {
    let error = DataDir::create_or_open(base, "D1").unwrap_err();
    let existing = DataDir::open_existing(base, "D1").unwrap_err();
    assert_eq!(error.to_string(), existing.to_string());
    let path = base.join("D1");
    assert!(error.to_string().contains(path.to_str().unwrap()));
    error
}

#[test]
fn what_is_missing_is_made_for_the_owner_alone() {
    let base = TempDir::new().unwrap();
    let deep = base.path().join("a/b");
    let data = DataDir::create_or_open(&deep, "D1").unwrap();
    assert_eq!(data.path("x.key"), deep.join("D1/x.key"));
    for path in ["a", "a/b", "a/b/D1"] {
        let metadata = fs::metadata(base.path().join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o700, "{path}");
    }
    let lock = fs::metadata(data.path(LOCK)).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_there_is_opened_again() {
    let (base, path) = with_identity();
    let data = DataDir::open_existing(base.path(), "D1").unwrap();
    assert_eq!(data.path(DATABASE), path.join("telemed.db"));
    drop(data);
    DataDir::create_or_open(base.path(), "D1").unwrap();
}

#[test]
fn an_identity_that_is_not_there_is_not_made_by_opening() {
    let base = TempDir::new().unwrap();
    let error = DataDir::open_existing(base.path(), "D1").unwrap_err();
    assert!(matches!(error.fault(), DataDirFault::Missing), "{error}");
    assert!(!base.path().join("D1").exists());
    drop(DataDir::create_or_open(base.path(), "D1").unwrap());
    let error = DataDir::open_existing(base.path(), "D1").unwrap_err();
    assert!(
        matches!(error.fault(), DataDirFault::Missing),
        "no database"
    );
}

#[test]
fn a_second_program_is_refused_until_the_first_ends() {
    let (base, _path) = with_identity();
    let first = DataDir::open_existing(base.path(), "D1").unwrap();
    let error = refusal(base.path());
    assert!(matches!(error.fault(), DataDirFault::InUse), "{error}");
    assert!(
        error
            .to_string()
            .contains("is in use by another running program")
    );
    DataDir::create_or_open(base.path(), "D2").unwrap();
    drop(first);
    DataDir::open_existing(base.path(), "D1").unwrap();
}

#[test]
fn a_directory_open_to_others_is_refused_with_the_command_that_closes_it() {
    let (base, path) = with_identity();
    for mode in [0o750, 0o705, 0o720, 0o701] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let sentence = refusal(base.path()).to_string();
        let command = format!("chmod 700 '{}'", path.display());
        assert!(sentence.contains(&command), "{sentence}");
        assert!(sentence.contains(&format!("mode {mode:04o}")), "{sentence}");
    }
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let (base, path) = with_identity();
    // Only root can give a directory away.
    if chown(&path, Some(12_345), None).is_ok() {
        let error = refusal(base.path());
        assert!(
            matches!(
                error.fault(),
                DataDirFault::OtherOwner { owner: 12_345, .. }
            ),
            "{error}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let (base, path) = with_identity();
    fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
    // Root may write everywhere.
    if !geteuid().is_root() {
        let error = refusal(base.path());
        assert!(matches!(error.fault(), DataDirFault::Write(_)), "{error}");
    }
}

#[test]
fn a_lock_that_cannot_be_made_is_refused() {
    let (base, path) = with_identity();
    fs::remove_file(path.join(LOCK)).unwrap();
    fs::create_dir(path.join(LOCK)).unwrap();
    let error = refusal(base.path());
    assert!(matches!(error.fault(), DataDirFault::Write(_)), "{error}");
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let base = TempDir::new().unwrap();
    fs::write(base.path().join("D1"), b"").unwrap();
    let error = refusal(base.path());
    assert!(
        matches!(error.fault(), DataDirFault::NotADirectory),
        "{error}"
    );
    let error = DataDir::create_or_open(&base.path().join("D1"), "D2").unwrap_err();
    assert!(matches!(error.fault(), DataDirFault::Create(_)), "{error}");
}

#[test]
fn a_name_never_leads_elsewhere() {
    let base = TempDir::new().unwrap();
    let long = "x".repeat(33);
    for name in [
        "", ".", "..", "-x", "a/b", "/", "a b", "ä", "a\0", "@", "a@", "@a", "a@b@c", "a@/", &long,
    ] {
        let error = DataDir::create_or_open(base.path(), name).unwrap_err();
        assert!(matches!(error.fault(), DataDirFault::Name(_)), "{error}");
    }
    for name in ["D1", "a.b_c-d", "...", ".x", "P1@D1", "..@..", &long[..32]] {
        assert_eq!(location(base.path(), name).unwrap(), base.path().join(name));
    }
}

#[test]
fn identities_are_the_directories_with_a_database() {
    let (base, _path) = with_identity();
    drop(DataDir::create_or_open(base.path(), "unfinished").unwrap());
    let data = DataDir::create_or_open(base.path(), "A2").unwrap();
    fs::write(data.path(DATABASE), b"").unwrap();
    fs::write(base.path().join("file"), b"").unwrap();
    assert_eq!(list(base.path()).unwrap(), ["A2", "D1"]);
    assert!(list(&base.path().join("missing")).unwrap().is_empty());
    list(&base.path().join("file")).unwrap_err();
}

#[test]
fn the_base_follows_the_environment() {
    let base = |data: Option<&str>, home: Option<&str>| {
        let os = |text: &str| OsString::from(text);
        base_in(data.map(os), home.map(os), "doctor").map(|path| path.display().to_string())
    };
    let by_data = base(Some("/data"), Some("/home/d")).unwrap();
    assert_eq!(by_data, "/data/telemed/doctor");
    for data in [None, Some(""), Some("relative")] {
        let by_home = base(data, Some("/home/d")).unwrap();
        assert_eq!(by_home, "/home/d/.local/share/telemed/doctor");
        let error = base(data, None).unwrap_err();
        assert!(error.to_string().contains("--data"), "{error}");
    }
}

#[test]
fn the_directory_that_a_file_lies_in_is_locked_around_it() {
    let (base, path) = with_identity();
    assert!(
        lock_around(&base.path().join("root.key"))
            .unwrap()
            .is_none()
    );
    let held = lock_around(&path.join("root.key")).unwrap().unwrap();
    let error = lock_around(&path.join("root.key")).unwrap_err();
    assert!(matches!(error.fault(), DataDirFault::InUse), "{error}");
    DataDir::open_existing(base.path(), "D1").unwrap_err();
    drop(held);
    DataDir::open_existing(base.path(), "D1").unwrap();
}

#[test]
fn a_directory_that_was_made_for_nothing_goes_again() {
    let base = TempDir::new().unwrap();
    let path = base.path().join("D1");
    drop(DataDir::create_or_open(base.path(), "D1").unwrap());
    assert!(!path.exists());
    // What holds something stays, and what was there before.
    let data = DataDir::create_or_open(base.path(), "D1").unwrap();
    fs::write(data.path("join.key"), b"x").unwrap();
    drop(data);
    assert!(path.join("join.key").exists());
    fs::remove_file(path.join("join.key")).unwrap();
    drop(DataDir::create_or_open(base.path(), "D1").unwrap());
    assert!(path.join(LOCK).exists());
}
