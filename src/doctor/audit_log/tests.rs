use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::heads::Judge;
use super::*;
use crate::audit::heads_file;
use crate::audit::verify::{Finding, HeadsFiles, verify};
use crate::clock::{Clock, SystemClock};
use crate::doctor::setup;
use crate::elgamal::Group;
use crate::identity::data_dir::{DATABASE, DataDir};
use crate::random::OsRandom;

fn practice(base: &Path) -> Practice {
    let directory = DataDir::create_or_open(base, "D1").unwrap();
    let store = setup::open_store(&directory).unwrap();
    let (doctor, group) = ("D1".parse().unwrap(), Group::ffdhe2048());
    let now = SystemClock.now();
    let identity = setup::found(&directory, &store, &group, &doctor, now, &mut OsRandom).unwrap();
    let (directory, store) = (Arc::new(directory), Arc::new(store));
    Practice::open(directory, store, identity, Arc::new(SystemClock)).unwrap()
}

fn start(practice: &Practice, settings: &Settings) -> Keeper {
    let address = "127.0.0.1:7400".parse().unwrap();
    Keeper::start(practice, settings, address).unwrap().0
}

fn happen(practice: &Practice, count: u64) {
    let entry = practice.by_doctor(Action::RecordRead, "P1", "");
    let entries: Vec<_> = (0..count).map(|_| entry.clone()).collect();
    practice.store.append_audit(&entries).unwrap();
}

#[test]
fn a_head_is_signed_every_hour_if_anything_happened_and_every_thousand_entries() {
    let base = TempDir::new().unwrap();
    let practice = practice(base.path());
    let mut keeper = start(&practice, &Settings::default());
    let begin = keeper.signed.0;
    let mut newest_after = |minutes: u64| {
        let now = begin + Duration::from_secs(60 * minutes);
        keeper.look_after(&practice, now).unwrap();
        // As if the head had been signed at that time.
        if keeper.signed.0 != begin {
            keeper.signed.0 = begin.max(now);
        }
        let head = practice.store.newest_signed_head().unwrap().unwrap();
        head.number
    };
    // Each head is that of the entry that tells of it.
    assert_eq!(newest_after(90), 2);
    happen(&practice, 1);
    assert_eq!(newest_after(59), 2);
    assert_eq!(newest_after(91), 4);
    happen(&practice, 999);
    assert_eq!(newest_after(92), 4);
    happen(&practice, 1);
    assert_eq!(newest_after(93), 1_005);
}

#[test]
fn a_file_that_fails_is_caught_up_with_later() {
    let base = TempDir::new().unwrap();
    let practice = practice(base.path());
    let disk = base.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let settings = Settings {
        audit_heads: Some(disk.join("heads.jsonl")),
        ..Settings::default()
    };
    let mut keeper = start(&practice, &settings);
    let gone = base.path().join("gone");
    fs::rename(&disk, &gone).unwrap();
    let mut now = Instant::now();
    for _ in 0..2 {
        happen(&practice, HEAD_AFTER);
        now += Duration::from_secs(1);
        let error = keeper.look_after(&practice, now).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
    fs::rename(&gone, &disk).unwrap();
    now += settings.timing.dates;
    keeper.look_after(&practice, now).unwrap();
    let copied = heads_file::read(&disk.join("heads.jsonl")).unwrap();
    let kept = practice.store.signed_heads(0, 10).unwrap();
    assert_eq!((copied.heads, kept.len()), (kept.clone(), 3));
}

/// What somebody does to the database who has not got the key.
fn put(practice: &Practice, sql: &str) {
    let connection = Connection::open(practice.directory.path(DATABASE)).unwrap();
    let sql = format!("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {sql}");
    connection.execute_batch(&sql).unwrap();
}

#[test]
fn a_head_that_nobody_signed_is_told_and_neither_stops_the_signing_nor_is_copied() {
    for number in [3, 4, 50, i64::MAX] {
        let base = TempDir::new().unwrap();
        let practice = practice(base.path());
        let settings = Settings {
            audit_heads: Some(base.path().join("heads.jsonl")),
            ..Settings::default()
        };
        let mut keeper = start(&practice, &settings);
        assert_eq!(heads::doubt(&practice, None).unwrap(), None);
        happen(&practice, 1);
        put(
            &practice,
            &format!(
                "INSERT INTO audit_head SELECT {number}, link, at, certificate, signature
                 FROM audit_head"
            ),
        );
        let sentence = heads::doubt(&practice, None).unwrap().unwrap();
        assert!(sentence.contains("doctor audit verify"), "{sentence}");
        let head = sign_head(&practice).unwrap().unwrap();
        assert_eq!(practice.store.audit_head().unwrap().unwrap().0, 4);
        assert_eq!(head.number, 4);
        assert!(
            Judge::new(&practice)
                .unwrap()
                .is_good(&practice, &head)
                .unwrap()
        );
        keeper.copy(&practice).unwrap();
        let copied = heads_file::read(&base.path().join("heads.jsonl")).unwrap();
        let numbers: Vec<_> = copied.heads.iter().map(|head| head.number).collect();
        assert_eq!(numbers, [2, 4], "{number}");
        // And after a start the same.
        let mut keeper = start(&practice, &settings);
        keeper.copy(&practice).unwrap();
        let copied = heads_file::read(&base.path().join("heads.jsonl")).unwrap();
        assert_eq!(copied.heads.last().unwrap().number, 6);
    }
}

#[test]
fn an_entry_with_an_impossible_number_is_told_and_the_log_goes_on() {
    let base = TempDir::new().unwrap();
    let practice = practice(base.path());
    drop(start(&practice, &Settings::default()));
    put(
        &practice,
        &format!(
            "INSERT INTO audit_entry SELECT {}, at, actor, action, subject, detail, link
             FROM audit_entry WHERE number = 1",
            i64::MAX
        ),
    );
    let sentence = heads::doubt(&practice, None).unwrap().unwrap();
    assert!(sentence.contains("impossible numbers"), "{sentence}");
    let keeper = start(&practice, &Settings::default());
    assert_eq!(keeper.signed.1, 4);
}

#[test]
fn entries_that_leave_no_room_for_more_are_found_and_do_not_stop_the_log() {
    let base = TempDir::new().unwrap();
    let practice = practice(base.path());
    drop(start(&practice, &Settings::default()));
    let highest = [62, 52].map(|bits| (1_u64 << bits) - 1);
    for number in highest.iter().flat_map(|top| [*top, top - 5]) {
        put(
            &practice,
            &format!(
                "INSERT INTO audit_entry SELECT {number}, at, actor, action, subject,
                 detail, link FROM audit_entry WHERE number = 1"
            ),
        );
        happen(&practice, 10);
    }
    let head = sign_head(&practice).unwrap().unwrap();
    assert_eq!(head.number, 2 + 40 + 1);
    assert_eq!(practice.store.audit_head().unwrap().unwrap().0, 43);
    let root = practice.identity().root.fingerprint();
    let papers = Papers::of(&practice.identity());
    let files = HeadsFiles::default();
    let report = verify(&*practice.store, papers, &files, &root, &mut OsRandom).unwrap();
    let missing = Finding::Missing {
        first: 44,
        last: highest[1] - 6,
    };
    assert_eq!(report.findings[0], missing);
    // Who goes on until there is no room at all is told so.
    put(
        &practice,
        &format!(
            "INSERT INTO audit_entry SELECT {}, at, actor, action, subject, detail, link
             FROM audit_entry WHERE number = 1",
            (1_u64 << 42) - 1
        ),
    );
    let error = sign_head(&practice).unwrap_err();
    assert!(error.to_string().contains("audit log"), "{error}");
}
