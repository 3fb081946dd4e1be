//! Data directories made by each released schema, kept for ever: every later
//! version opens them and finds everything in its place.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use telemed::clock::Timestamp;
use telemed::doctor::setup;
use telemed::identity::data_dir::DataDir;
use telemed::patient::files::{Files, Name};
use telemed::random::OsRandom;
use telemed::store::{CertificateState, MailCounts, TicketState};
use tempfile::TempDir;

/// 2026-11-23 12:00 UTC: the day the first of them was made.
const THAT_DAY: Timestamp = Timestamp::from_millis(1_795_435_200_000);

fn released(schema: &str) -> TempDir {
    let copy = TempDir::new().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/released")
        .join(schema);
    copy_private(&kept, copy.path());
    copy
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

#[test]
fn a_doctors_directory_of_schema_1_opens() {
    let base = released("schema-1");
    let directory = DataDir::open_existing(&base.path().join("doctor"), "D1").unwrap();
    let store = setup::open_store(&directory).unwrap();
    let identity = setup::load(&directory, &store, THAT_DAY, &mut OsRandom).unwrap();
    assert_eq!(identity.identifier().as_str(), "D1");
    assert_eq!(identity.prekeys.len(), 1);
    let store: &dyn telemed::store::Store = &store;
    let certificates = store.certificates().unwrap();
    assert_eq!(certificates.len(), 1);
    assert_eq!(certificates[0].subject, "P1");
    assert_eq!(certificates[0].state, CertificateState::Active);
    let tickets = store.tickets().unwrap();
    let states: Vec<_> = tickets.iter().map(|ticket| ticket.state).collect();
    assert_eq!(states, [TicketState::Used, TicketState::Open]);
}

#[test]
fn a_patients_directory_of_schema_1_opens() {
    let base = released("schema-1");
    let name: Name = "P1@D1".parse().unwrap();
    let files = Files::open_existing(&base.path().join("patient"), &name).unwrap();
    let patient = files.load(&mut OsRandom).unwrap();
    assert_eq!(patient.address, "127.0.0.1:7461");
    assert!(files.enrolled_with().unwrap().is_some());
    // It has got what schema 1 had not: a key for messages, and none of them.
    let key = base.path().join("patient/P1@D1/data.key");
    assert!(key.is_file());
    assert_eq!(files.mail_counts().unwrap(), MailCounts::default());
    let made = fs::read(&key).unwrap();
    drop(files);
    Files::open_existing(&base.path().join("patient"), &name).unwrap();
    assert_eq!(fs::read(&key).unwrap(), made);
}
