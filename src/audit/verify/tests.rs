//! Every way to tamper with the log, done to the real file.

mod heads;
mod pages;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;
use crate::audit::head::Head;
use crate::audit::heads_file::HeadsFile;
use crate::audit::{Action, Entry, Link, START, link};
use crate::clock::Timestamp;
use crate::identity::authority::DoctorIdentity;
use crate::random::OsRandom;
use crate::store::{FactStore, Store};
use crate::store::{SqliteStore, fact};
use crate::testing::{Clinic, NOW, clinic};

/// A log of twenty entries with heads after 8 and 16, in the database and in a
/// file beside it.
struct Log {
    directory: TempDir,
}

impl Log {
    fn new() -> Self {
        let log = Self {
            directory: TempDir::new().unwrap(),
        };
        let doctor = &clinic().doctor;
        let store = SqliteStore::open(&log.database()).unwrap();
        store
            .set_facts(&[
                (fact::GROUP, &[]),
                (fact::ROOT_CERTIFICATE, doctor.root.as_bytes()),
                (fact::DOCTOR_CERTIFICATE, doctor.certificate.as_bytes()),
            ])
            .unwrap();
        let (file, _) = HeadsFile::open(&log.heads(), Papers::of(doctor)).unwrap();
        for number in 1..=20 {
            if number % 8 == 0 {
                let at = entry(number).at;
                let entry = Entry::new(at, "server", Action::HeadSigned, "", "");
                let certificate = doctor.certificate.as_bytes();
                let mut sign = |number, link| Head::sign(doctor, (number, link), at, &mut OsRandom);
                let head = store.append_signed(&[entry], certificate, &mut sign);
                file.append(&[Record::Head(head.unwrap())]).unwrap();
            } else {
                store.append_audit(&[entry(number)]).unwrap();
            }
        }
        drop(store);
        let report = log.verify();
        assert_eq!(report.findings, []);
        assert_eq!((report.entries, report.last), (20, 20));
        assert_eq!((report.heads, report.vouched), (4, 16));
        log
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("telemed.db")
    }

    fn heads(&self) -> PathBuf {
        self.directory.path().join("heads.jsonl")
    }

    fn tamper(&self, sql: &str) -> &Self {
        let connection = Connection::open(self.database()).unwrap();
        connection
            .execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {sql}"))
            .unwrap();
        self
    }

    /// Numbers and links from `first` on are computed anew, by somebody without
    /// the doctor's key.
    fn recompute(&self, first: u64) -> &Self {
        let store = SqliteStore::open(&self.database()).unwrap();
        let rows = store.audit(1, 1_000).unwrap();
        drop(store);
        let connection = Connection::open(self.database()).unwrap();
        let mut before: Link = START;
        for (number, row) in (1..).zip(rows) {
            if number >= first {
                before = link(&before, number, row.at, row.words());
                connection
                    .execute(
                        "UPDATE audit_entry SET number = ?1, link = ?2 WHERE number = ?3",
                        params![number, before, row.number],
                    )
                    .unwrap();
            } else {
                before = row.link;
            }
        }
        self
    }

    /// The findings with the file of heads.
    fn verify(&self) -> Report {
        verify_file(&self.database(), &[self.heads()])
    }

    /// The findings without it.
    fn verify_alone(&self) -> Vec<Finding> {
        verify_file(&self.database(), &[]).findings
    }
}

fn verify_file(database: &Path, heads: &[PathBuf]) -> Report {
    let files = HeadsFiles::open(heads).unwrap();
    let store = SqliteStore::open_read_only(database).unwrap();
    let papers = Papers::stored(&store).unwrap();
    let root = clinic().doctor.root.fingerprint();
    verify(&store, papers, &files, &root, &mut OsRandom).unwrap()
}

fn entry(number: u64) -> Entry {
    let at = Timestamp::from_millis(1_000 * number);
    Entry::new(at, "D1", Action::TicketMade, &format!("P{number}"), "")
}

fn head_of(store: &dyn Store, doctor: &DoctorIdentity) -> Head {
    let last = store.audit_head().unwrap().unwrap();
    Head::sign(doctor, last, NOW, &mut OsRandom)
}

/// Numbers from `first` on are moved by one.
const SHIFT_DOWN: &str = "UPDATE audit_entry SET number = -number WHERE number > 5;
    UPDATE audit_entry SET number = -number - 1 WHERE number < 0;";
const SHIFT_UP: &str = "UPDATE audit_entry SET number = -number WHERE number >= 5;
    UPDATE audit_entry SET number = -number + 1 WHERE number < 0;";

const fn changed(number: u64) -> Finding {
    let (first, last) = (number, number);
    Finding::Changed { first, last }
}

#[test]
fn a_changed_entry_is_named_whatever_was_changed() {
    for (number, column) in [
        (1, "actor = 'D2'"),
        (5, "action = 'enrolled'"),
        (8, "subject = 'P1'"),
        (9, "detail = 'x'"),
        (16, "at = at + 1"),
        (17, "link = zeroblob(32)"),
        (20, "action = 'nonsense'"),
    ] {
        let log = Log::new();
        log.tamper(&format!(
            "UPDATE audit_entry SET {column} WHERE number = {number}"
        ));
        assert_eq!(log.verify_alone(), [changed(number)], "{column}");
        assert_eq!(log.verify().findings, [changed(number)], "{column}");
    }
}

#[test]
fn several_changed_entries_are_all_named() {
    let log = Log::new();
    log.tamper("UPDATE audit_entry SET detail = 'x' WHERE number IN (3, 4, 12)");
    let (first, last) = (3, 4);
    assert_eq!(
        log.verify_alone(),
        [Finding::Changed { first, last }, changed(12)]
    );
}

#[test]
fn a_missing_entry_is_named() {
    for (numbers, first, last) in [("1", 1, 1), ("5", 5, 5), ("5, 6, 7", 5, 7), ("16", 16, 16)] {
        let log = Log::new();
        log.tamper(&format!(
            "DELETE FROM audit_entry WHERE number IN ({numbers})"
        ));
        assert_eq!(log.verify_alone(), [Finding::Missing { first, last }]);
        assert_eq!(log.verify().findings, [Finding::Missing { first, last }]);
    }
}

#[test]
fn a_removed_entry_is_named_though_the_rest_was_numbered_anew() {
    let log = Log::new();
    log.tamper(&format!(
        "DELETE FROM audit_entry WHERE number = 5; {SHIFT_DOWN}"
    ));
    let removed = Finding::Removed { first: 5, count: 1 };
    assert_eq!(log.verify_alone(), [removed]);
}

#[test]
fn an_inserted_entry_is_named() {
    let log = Log::new();
    log.tamper(&format!(
        "{SHIFT_UP} INSERT INTO audit_entry
         SELECT 5, at, actor, action, 'P99', detail, link FROM audit_entry WHERE number = 4"
    ));
    assert_eq!(
        log.verify_alone(),
        [Finding::Inserted { first: 5, last: 5 }]
    );
}

#[test]
fn moved_entries_are_named() {
    let swap_numbers = |a: u64, b: u64| {
        format!(
            "UPDATE audit_entry SET number = -1 WHERE number = {a};
             UPDATE audit_entry SET number = {a} WHERE number = {b};
             UPDATE audit_entry SET number = {b} WHERE number = -1;"
        )
    };
    let log = Log::new();
    let adjacent = log.tamper(&swap_numbers(5, 6)).verify_alone();
    let (number, stands) = (5, 6);
    assert_eq!(adjacent, [Finding::Reordered { number, stands }]);

    let log = Log::new();
    let apart = log.tamper(&swap_numbers(5, 12)).verify_alone();
    let (number, stands) = (5, 12);
    assert_eq!(apart, [Finding::Reordered { number, stands }]);

    // The words only, under the old links.
    let log = Log::new();
    log.tamper(
        "UPDATE audit_entry SET subject = iif(number = 5, 'P12', 'P5'),
             at = iif(number = 5, 12000, 5000) WHERE number IN (5, 12)",
    );
    assert_eq!(log.verify_alone(), [Finding::Reordered { number, stands }]);

    // Behind everything else.
    let log = Log::new();
    log.tamper("UPDATE audit_entry SET number = 99 WHERE number = 5");
    let (number, stands) = (5, 99);
    assert_eq!(log.verify_alone(), [Finding::Reordered { number, stands }]);

    // From behind to the front, the rest numbered anew.
    let log = Log::new();
    log.tamper(
        "UPDATE audit_entry SET number = -1 WHERE number = 12;
         UPDATE audit_entry SET number = -number - 100 WHERE number BETWEEN 5 AND 11;
         UPDATE audit_entry SET number = -number - 99 WHERE number < -100;
         UPDATE audit_entry SET number = 5 WHERE number = -1;",
    );
    let (number, stands) = (5, 6);
    assert_eq!(log.verify_alone(), [Finding::Reordered { number, stands }]);
}

#[test]
fn an_entry_that_cannot_be_read_is_named() {
    for change in ["link = x'00'", "at = -1", "detail = CAST(x'ff' AS TEXT)"] {
        let log = Log::new();
        log.tamper(&format!("UPDATE audit_entry SET {change} WHERE number = 5"));
        let number = 5;
        assert_eq!(
            log.verify_alone(),
            [Finding::Unreadable { number }],
            "{change}"
        );
    }
}

#[test]
fn a_number_that_nothing_can_have_is_named() {
    let (first, end) = (1_u64 << 62, i64::MAX.unsigned_abs());
    for number in [first, end - 1, end] {
        for table in ["audit_entry", "audit_head"] {
            let log = Log::new();
            log.tamper(&format!(
                "UPDATE {table} SET number = {number} WHERE number = 16"
            ));
            let findings = log.verify_alone();
            let impossible = Finding::ImpossibleNumber { count: 1 };
            assert!(
                findings.contains(&impossible),
                "{table} {number} {findings:?}"
            );
        }
    }
}

#[test]
fn certificates_are_held_to_the_doctors_own_key() {
    let (own, foreign) = (&clinic().doctor, Clinic::new().doctor);
    let group = *own.group().id();
    let secret = own.signing.to_bytes();
    let mut papers = Papers::of(own);
    let other = clinic().other_doctor("D2");
    papers.doctors.push(other.certificate.as_bytes().to_vec());
    assert!(papers.hold_to((&group, &secret), &mut OsRandom));
    let trust = Trust::new(&own.root.fingerprint(), &[papers], &mut OsRandom).unwrap();
    let sign = |doctor| Head::sign(doctor, (1, [1; 32]), NOW, &mut OsRandom);
    assert!(trust.is_own(&sign(own)) && !trust.is_own(&sign(&other)));
    assert!(!Papers::of(&foreign).hold_to((&group, &secret), &mut OsRandom));
}

#[test]
fn a_database_of_another_clinic_proves_nothing() {
    let log = Log::new();
    let files = HeadsFiles::default();
    let store = SqliteStore::open_read_only(&log.database()).unwrap();
    let papers = Papers::stored(&store).unwrap();
    let report = verify(&store, papers, &files, &[7; 32], &mut OsRandom).unwrap();
    assert_eq!(report.findings, [Finding::OtherClinic]);
}

#[test]
fn looking_changes_nothing_and_sees_one_moment() {
    let log = Log::new();
    let store = SqliteStore::open(&log.database()).unwrap();
    let look = SqliteStore::open_read_only(&log.database()).unwrap();
    store.append_audit(&[entry(21)]).unwrap();
    assert_eq!(look.audit_head().unwrap().unwrap().0, 20);
    assert!(look.append_audit(&[entry(21)]).is_err());
    assert_eq!(store.audit_head().unwrap().unwrap().0, 21);
}

#[test]
fn too_many_findings_end_the_verification() {
    let log = Log::new();
    let store = SqliteStore::open(&log.database()).unwrap();
    let many: Vec<_> = (21..=400).map(entry).collect();
    store.append_audit(&many).unwrap();
    drop(store);
    log.tamper("DELETE FROM audit_entry WHERE number % 2 = 0");
    let report = log.verify();
    assert!(report.cut_short);
    assert_eq!(report.findings.len(), MAX_FINDINGS);
}
