//! What was purged is in none of the database's files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::store::messages::{Change, IncomingRow, Kind, MessageRow, Work};
use crate::store::{
    CertificateRow, CertificateState, ConsultationRow, PurgeStore, Purgeable, RecordRow,
    RecordStore, SqliteStore, Store, StoreFault,
};

use super::{certificate, in_directory};

const OLD: Timestamp = Timestamp::from_millis(1_000);
const LINE: Timestamp = Timestamp::from_millis(5_000);
const YOUNG: Timestamp = Timestamp::from_millis(9_000);

/// Long enough to need pages of its own, and found by its first bytes.
fn content(mark: &str) -> Vec<u8> {
    mark.bytes().cycle().take(20_000).collect()
}

fn is_in_the_files(database: &Path, mark: &str) -> bool {
    let mark = mark.repeat(3);
    let mut files = fs::read_dir(database.parent().unwrap()).unwrap();
    files.any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes
            .windows(mark.len())
            .any(|part| part == mark.as_bytes())
    })
}

fn message(store: &dyn Store, id: u8, written: Timestamp, mark: &str) -> u64 {
    let row = MessageRow {
        number: 0,
        id: [id; 16],
        kind: Kind::Private,
        patient: Some("P1".to_owned()),
        boundary: None,
        urgent: false,
        written,
        expires: None,
        sealed: content(mark),
    };
    let devices = store.active_devices(None, Timestamp::default()).unwrap();
    store.add_message(&row, &devices, &[]).unwrap()
}

fn incoming(store: &dyn Store, id: u8, received: Timestamp, mark: &str) {
    let row = IncomingRow {
        number: 0,
        device: [1; 32],
        patient: "P1".to_owned(),
        id: [id; 16],
        boundary: None,
        written: received,
        received,
        shown: Some(received),
        sealed: content(mark),
    };
    store
        .commit(&[Change::unlogged(Work::Incoming(row))])
        .unwrap();
}

fn record(store: &dyn Store, patient: &str, changed: Timestamp, archived: bool, mark: &str) {
    let row = RecordRow {
        patient: patient.to_owned(),
        created: OLD,
        changed,
        archived: archived.then_some(changed),
        version: 1,
        sealed: content(mark),
        contact: Some(content(mark)),
    };
    store.add_record(&row, &[]).unwrap();
}

fn note(store: &dyn Store, id: u8, patient: &str, written: Timestamp, mark: &str) {
    let row = ConsultationRow {
        id: [id; 16],
        patient: patient.to_owned(),
        written,
        begun: written,
        ended: None,
        sealed: content(mark),
    };
    store.add_consultation(&row, &[]).unwrap();
}

fn fill(store: &dyn Store) {
    store
        .add_certificate(&CertificateRow {
            subject: "P1".to_owned(),
            state: CertificateState::Active,
            ..certificate(1)
        })
        .unwrap();
    let number = message(store, 1, OLD, "old message ");
    let (device, at) = ([1; 32], OLD);
    let confirmed = Work::Confirmed {
        message: number,
        device,
        at,
        confirmation: content("old confirmation "),
    };
    let given = Work::Sent {
        message: number,
        devices: vec![device],
        at,
    };
    let delivered = Work::Delivered {
        message: number,
        device,
        at,
        sent: None,
    };
    let changes = [given, delivered, confirmed].map(Change::unlogged);
    store.commit(&changes).unwrap();
    message(store, 2, YOUNG, "young message ");
    incoming(store, 1, OLD, "old answer ");
    incoming(store, 2, YOUNG, "young answer ");
    record(store, "P1", OLD, false, "kept record ");
    note(store, 1, "P1", OLD, "old note ");
    note(store, 2, "P1", YOUNG, "young note ");
    record(store, "P2", OLD, true, "old record ");
    note(store, 3, "P2", OLD, "older note ");
    record(store, "P3", YOUNG, true, "young record ");
}

#[test]
fn what_was_purged_is_gone_from_the_file_its_log_and_free_pages() {
    let (_directory, path) = in_directory();
    let store = SqliteStore::open(&path).unwrap();
    let store: &dyn Store = &store;
    fill(store);
    let old = [
        "old message ",
        "old confirmation ",
        "old answer ",
        "old note ",
        "older note ",
        "old record ",
    ];
    let young = [
        "young message ",
        "young answer ",
        "young note ",
        "kept record ",
        "young record ",
    ];
    for mark in old.iter().chain(&young) {
        assert!(is_in_the_files(&path, mark), "{mark}");
    }
    assert_eq!(store.count_purgeable(LINE, YOUNG).unwrap(), [1, 1, 2, 1]);
    let tombstone = Entry::new(YOUNG, "D1", Action::Purged, "P1", "message 1");
    // Two at a time: nothing may refer to what has gone.
    loop {
        let gone = store.purge(LINE, YOUNG, 2, &|_| tombstone.clone()).unwrap();
        if gone.is_empty() {
            break;
        }
    }
    store.scrub().unwrap();
    assert_eq!(store.count_purgeable(LINE, YOUNG).unwrap(), [0; 4]);
    assert_eq!(store.count_kept(LINE, YOUNG).unwrap(), 0);
    for mark in old {
        assert!(!is_in_the_files(&path, mark), "{mark}");
    }
    for mark in young {
        assert!(is_in_the_files(&path, mark), "{mark}");
    }
    let rows = store.audit(1, 10).unwrap();
    assert!(rows.iter().all(|row| row.action == "purged"));
    assert_eq!(rows.len(), 5, "one for each");
}

#[test]
fn a_record_outlives_its_younger_notes() {
    let store: &dyn Store = &SqliteStore::in_memory().unwrap();
    record(store, "P2", OLD, true, "old record ");
    note(store, 3, "P2", YOUNG, "young note ");
    let tombstone = |_: &Purgeable| Entry::new(YOUNG, "D1", Action::Purged, "P2", "");
    assert_eq!(store.purge(LINE, YOUNG, 10, &tombstone).unwrap(), []);
    assert!(store.audit(1, 10).unwrap().is_empty());
    let after = Timestamp::from_millis(10_000);
    let patient = "P2".to_owned();
    assert_eq!(
        store.purge(after, YOUNG, 10, &tombstone).unwrap(),
        [
            Purgeable::Consultation {
                id: [3; 16],
                patient: patient.clone()
            },
            Purgeable::Record { patient }
        ]
    );
}

#[test]
fn nobody_takes_a_record_out_again_between_its_being_found_and_deleted() {
    let (_directory, path) = in_directory();
    let store = SqliteStore::open(&path).unwrap();
    record(&store, "P2", OLD, true, "old record ");
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let tombstone = |_: &Purgeable| {
        let late = other.execute("UPDATE record SET archived = NULL", []);
        assert!(late.is_err(), "it was found already");
        Entry::new(YOUNG, "D1", Action::Purged, "P2", "record")
    };
    assert_eq!(store.purge(LINE, YOUNG, 10, &tombstone).unwrap().len(), 1);
    assert_eq!(store.record("P2").unwrap(), None);
}

#[test]
fn while_a_backup_reads_it_is_said_that_the_log_still_holds_what_was_deleted() {
    let (_directory, path) = in_directory();
    let store = SqliteStore::open(&path).unwrap();
    record(&store, "P2", OLD, true, "old record ");
    let reader = SqliteStore::open_read_only(&path).unwrap();
    reader.count_purgeable(LINE, YOUNG).unwrap();
    let tombstone = |_: &Purgeable| Entry::new(YOUNG, "D1", Action::Purged, "P2", "record");
    assert_eq!(store.purge(LINE, YOUNG, 10, &tombstone).unwrap().len(), 1);
    let short = store.with(|connection| Ok(connection.busy_timeout(Duration::from_millis(10))?));
    short.unwrap();
    let error = store.scrub().unwrap_err();
    assert!(matches!(error.fault(), StoreFault::LogHeld), "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains("run purge again"), "{sentence}");
    drop(reader);
    store.scrub().unwrap();
    assert!(!is_in_the_files(&path, "old record "));
}
