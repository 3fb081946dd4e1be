//! What `tests/released` keeps for ever.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use telemed::doctor::practice::Practice;
use telemed::doctor::{correspondence, patients};
use tempfile::TempDir;

/// A copy of one of its directories, private as a data directory is.
pub fn released(schema: &str) -> TempDir {
    let copy = TempDir::new().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/released")
        .join(schema);
    copy_private(&kept, copy.path());
    copy
}

/// What the doctors and P1 said, the newest last.
pub fn said(practice: &Practice) -> Vec<String> {
    let request = correspondence::Request::History {
        patient: "P1".to_owned(),
        last: None,
    };
    let answer = correspondence::answer(practice, &request).unwrap();
    let correspondence::Answer::History { letters, .. } = answer else {
        panic!("no history");
    };
    letters
        .into_iter()
        .filter_map(|letter| letter.text)
        .collect()
}

/// What is shown of P1's record.
pub fn record(practice: &Practice) -> String {
    let request = patients::Request::Show {
        patient: "P1".to_owned(),
    };
    serde_json::to_string(&patients::answer(practice, request)).unwrap()
}

/// A repository keeps no permissions: here they are the owner's alone again.
fn copy_private(from: &Path, to: &Path) {
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_private(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        }
    }
}
