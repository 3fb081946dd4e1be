//! Records in a practice with a real database.

mod contact;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::doctor::tickets;
use crate::identity::data_dir::DataDir;
use crate::store::{
    BackupStore, CertificateRow, CertificateState, RecordStore, SealedValue, SqliteStore, Store,
};
use crate::testing::{NOW, clinic};

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Books {
    practice: Practice,
    store: Arc<SqliteStore>,
    base: TempDir,
}

impl Books {
    fn new() -> Self {
        let base = TempDir::new().unwrap();
        let store = SqliteStore::open(&base.path().join("telemed.db")).unwrap();
        Self::with(base, store)
    }

    fn in_memory() -> Self {
        Self::with(TempDir::new().unwrap(), SqliteStore::in_memory().unwrap())
    }

    fn with(base: TempDir, store: SqliteStore) -> Self {
        let store = Arc::new(store);
        let directory = DataDir::create_or_open(base.path(), "D1").unwrap();
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let doctor = clinic().same_doctor();
        let practice =
            Practice::open(Arc::new(directory), shared, doctor, Arc::new(Still)).unwrap();
        Self {
            practice,
            store,
            base,
        }
    }

    fn add(&self, patient: &str, change: &Change) {
        add(&self.practice, &id(patient), change).unwrap();
    }

    fn content(&self, patient: &str) -> Content {
        let shown = show(&self.practice, &id(patient)).unwrap();
        shown.record.unwrap().content
    }

    /// Action, subject and detail of every entry of the audit log.
    fn logged(&self) -> Vec<[String; 3]> {
        let rows = self.practice.store.audit(1, 10_000).unwrap();
        rows.into_iter()
            .map(|row| {
                assert_eq!(row.actor, "D1");
                [row.action, row.subject, row.detail]
            })
            .collect()
    }

    /// How often the store is asked while `work` is done.
    fn asked(&self, work: impl FnOnce(&Practice)) -> u64 {
        let before = self.store.asked.load(Ordering::Relaxed);
        work(&self.practice);
        self.store.asked.load(Ordering::Relaxed) - before
    }
}

fn id(text: &str) -> Identifier {
    text.parse().unwrap()
}

fn certificate(serial: u8) -> CertificateRow {
    CertificateRow {
        serial: [serial; 16],
        fingerprint: [serial; 32],
        subject: format!("P{serial}"),
        bytes: vec![serial; 100],
        state: CertificateState::Inactive,
        ticket: None,
        created: NOW,
        not_after: NOW,
    }
}

fn named(name: &str) -> Change {
    Change {
        name: Some(name.into()),
        ..Change::default()
    }
}

fn with_phone(phone: &str) -> Change {
    Change {
        phone: Some(phone.into()),
        ..Change::default()
    }
}

fn ada() -> Change {
    Change {
        name: Some("Ada Lovelace".into()),
        born: Some("1980-02-29".into()),
        sex: Some("female".into()),
        phone: Some("+44 20 71234567".into()),
        email: Some("ada@example.org".into()),
        address: Some("12 Square\nLondon".into()),
        notes: Some("Allergic to peanuts – früher Migräne.".into()),
        tags: Some(vec!["asthmatic".into(), "Größe".into()]),
        ..Change::default()
    }
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|listed| &*listed.patient).collect()
}

fn write_note(books: &Books, patient: &str, text: &str) -> Result<(), RecordError> {
    let written = Note {
        begun: NOW,
        ended: None,
        text,
    };
    note(&books.practice, &id(patient), &written)
}

#[test]
fn a_record_is_added_changed_shown_and_put_away() {
    let books = Books::new();
    let (practice, p1) = (&books.practice, &id("P1"));
    books.add("P1", &ada());
    assert_eq!(books.content("P1").phone, "+44 20 71234567".into());
    let edited = edit(practice, p1, None, &with_phone("+44 20 999")).unwrap();
    assert_eq!(edited, (2, vec![Field::Phone]));
    let again = edit(practice, p1, None, &with_phone("+44 20 999")).unwrap();
    assert_eq!(again, (2, vec![]));
    write_note(&books, "P1", "Better today.").unwrap();
    let record = show(practice, p1).unwrap().record.unwrap();
    assert_eq!((record.version, record.created), (2, NOW));
    assert_eq!(record.content.phone, "+44 20 999".into());
    assert_eq!(record.content.name, "Ada Lovelace".into());
    assert_eq!(record.consultations[0].note, "Better today.".into());

    assert!(archive(practice, p1, true).unwrap());
    assert!(!archive(practice, p1, true).unwrap());
    for refused in [
        edit(practice, p1, None, &with_phone("")).map(drop),
        write_note(&books, "P1", "x"),
    ] {
        let sentence = refused.unwrap_err().to_string();
        assert!(
            sentence.contains("doctor patients unarchive P1"),
            "{sentence}"
        );
    }
    assert_eq!(names(&list(practice, false, None).unwrap()), [""; 0]);
    assert_eq!(names(&list(practice, true, None).unwrap()), ["P1"]);
    assert!(archive(practice, p1, false).unwrap());
    assert_eq!(names(&list(practice, false, None).unwrap()), ["P1"]);
}

#[test]
fn what_is_done_is_logged_without_what_it_says() {
    let books = Books::new();
    let (practice, p1) = (&books.practice, &id("P1"));
    books.add("P1", &ada());
    edit(practice, p1, None, &with_phone("0999")).unwrap();
    edit(practice, p1, None, &with_phone("0999")).unwrap();
    show(practice, p1).unwrap();
    write_note(&books, "P1", "Better.").unwrap();
    list(practice, false, Some("asthmatic")).unwrap();
    search(practice, "peanuts").unwrap();
    archive(practice, p1, true).unwrap();
    archive(practice, p1, false).unwrap();
    phone_of(practice, "P1").unwrap();
    let expected = [
        ["record added", "P1", "version 1"],
        ["record changed", "P1", "version 2: phone"],
        ["record read", "P1", ""],
        ["record changed", "P1", "consultation noted"],
        ["records listed", "", "1 patients by tag"],
        ["records listed", "", "searched, 1 patients"],
        ["record archived", "P1", "version 3"],
        ["record archived", "P1", "version 4: taken out again"],
        ["record read", "P1", "phone"],
    ];
    assert_eq!(
        books.logged(),
        expected.map(|entry| entry.map(str::to_owned))
    );
}

#[test]
fn what_is_refused_changes_nothing_and_says_what_to_do() {
    let books = Books::new();
    let practice = &books.practice;
    books.add("P1", &named("Ada"));
    let future = Change {
        born: Some("2999-01-01".into()),
        ..named("Ada")
    };
    for (refused, part) in [
        (
            add(practice, &id("P1"), &named("Eve")),
            "doctor patients edit P1",
        ),
        (
            add(practice, &id("P2"), &Change::default()),
            "at least a name",
        ),
        (add(practice, &id("P2"), &future), "still to come"),
        (add(practice, &id("D1"), &named("Eve")), "the doctor's own"),
        (
            edit(practice, &id("P2"), None, &named("Eve")).map(drop),
            "doctor patients add P2",
        ),
        (
            archive(practice, &id("P2"), true).map(drop),
            "doctor patients add P2",
        ),
        (show(practice, &id("P2")).map(drop), "doctor patients list"),
        (search(practice, " \u{301}").map(drop), "what to look for"),
        (write_note(&books, "P2", "x"), "doctor patients add P2"),
        (write_note(&books, "P1", " "), "the note is empty"),
    ] {
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains(part), "{sentence} lacks {part}");
    }
    let earlier = Timestamp::from_millis(1);
    for (begun, ended) in [
        (NOW.plus(std::time::Duration::from_secs(1)), None),
        (NOW, Some(earlier)),
    ] {
        let text = "x";
        let wrong = Note { begun, ended, text };
        assert!(note(practice, &id("P1"), &wrong).is_err());
    }
    assert_eq!(books.logged().len(), 1);
    assert_eq!(names(&list(practice, false, None).unwrap()), ["P1"]);
}

#[test]
fn of_two_editors_neither_overwrites_the_other_unseen() {
    let books = Books::new();
    let (practice, p1) = (&books.practice, &id("P1"));
    books.add("P1", &ada());
    let seen = show(practice, p1).unwrap().record.unwrap().version;
    let first = with_phone("0111");
    assert_eq!(edit(practice, p1, Some(seen), &first).unwrap().0, seen + 1);
    let error = edit(practice, p1, Some(seen), &with_phone("0222")).unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("version 2") && sentence.contains("version 1"),
        "{sentence}"
    );
    assert_eq!(books.content("P1").phone, "0111".into());

    // Who names no version changes only what is named, on what is there.
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let tag = format!("t{number}");
                let change = Change {
                    add_tags: vec![tag.into()],
                    ..Change::default()
                };
                edit(practice, p1, None, &change).unwrap();
            });
        }
    });
    assert_eq!(books.content("P1").tags.len(), 2 + 8);
    assert_eq!(show(practice, p1).unwrap().record.unwrap().version, 10);
}

/// A text as it may lie in a file: UTF-8 and both orders of UTF-16.
fn spellings(text: &str) -> [Vec<u8>; 3] {
    let units: Vec<u16> = text.encode_utf16().collect();
    [
        text.as_bytes().to_vec(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ]
}

fn stands_in(file: &[u8], bytes: &[u8]) -> bool {
    file.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn the_database_file_shows_who_has_a_record_and_nothing_it_says() {
    let books = Books::new();
    let (practice, p7) = (&books.practice, &id("Patient-77"));
    books.add("Patient-77", &ada());
    let change = Change {
        notes: Some("Now pregnant.".into()),
        add_tags: vec!["pregnancy".into()],
        ..with_phone("0555 4242")
    };
    edit(practice, p7, None, &change).unwrap();
    write_note(&books, "Patient-77", "Complains of sleeplessness.").unwrap();
    search(practice, "pregnan").unwrap();
    list(practice, false, Some("pregnancy")).unwrap();
    archive(practice, p7, true).unwrap();
    let address = "192.0.2.1:7461";
    let ticket = tickets::make(practice, p7, address, tickets::LIFETIME, &mut OsRandom).unwrap();

    let base = books.base.path();
    let wal = fs::read(base.join("telemed.db-wal")).unwrap();
    assert!(stands_in(&wal, b"Patient-77"), "that is in clear");
    let while_running = [fs::read(base.join("telemed.db")).unwrap(), wal].concat();
    let path = base.join("telemed.db");
    Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let settled = fs::read(path).unwrap();
    for file in [while_running, settled] {
        assert!(stands_in(&file, b"Patient-77"), "that is in clear");
        assert!(stands_in(&file, &ticket.id), "that is in clear");
        assert!(!stands_in(&file, ticket.secret.expose()), "a ticket");
        // None is so short that chance could put it there.
        for secret in [
            "Lovelace",
            "1980-02-29",
            "female",
            "71234567",
            "example.org",
            "Square",
            "peanuts",
            "Migräne",
            "asthmatic",
            "Größe",
            "pregnan",
            "0555 4242",
            "sleepless",
        ] {
            for spelling in spellings(secret) {
                assert!(!stands_in(&file, &spelling), "{secret}");
            }
        }
    }
}

#[test]
fn a_record_opens_in_its_own_row_only() {
    let books = Books::new();
    for patient in ["P1", "P2"] {
        books.add(patient, &named(patient));
        write_note(&books, patient, "x").unwrap();
    }
    let connection = Connection::open(books.store.path()).unwrap();
    let swap = |table: &str| {
        let sql = format!(
            "UPDATE {table} SET sealed = (SELECT sealed FROM {table} WHERE patient = 'P2')
             WHERE patient = 'P1'"
        );
        connection.execute(&sql, []).unwrap();
    };
    swap("consultation");
    let refused = show(&books.practice, &id("P1")).unwrap_err();
    assert!(matches!(refused, RecordError::Damaged(patient) if patient == "P1"));
    assert!(list(&books.practice, false, None).is_ok());
    swap("record");
    let refused = show(&books.practice, &id("P1")).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the record of P1 does not open")
    );
    books.add("P3", &named("P3"));
    let sql = "UPDATE record SET contact = (SELECT contact FROM record WHERE patient = 'P2')
               WHERE patient = 'P3'";
    connection.execute(sql, []).unwrap();
    let refused = show(&books.practice, &id("P3")).unwrap_err();
    assert!(matches!(refused, RecordError::Damaged(patient) if patient == "P3"));
    assert!(show(&books.practice, &id("P2")).is_ok());
}

/// How many sealed values a backup would find that do not open.
fn unopened(books: &Books) -> usize {
    let mut count = 0;
    let vault = &books.practice.vault;
    let mut look = |value: SealedValue<'_>| {
        let opened = vault.open(value.column, value.row, value.sealed);
        count += usize::from(opened.is_err());
    };
    books.store.each_sealed(&mut look).unwrap();
    count
}

#[test]
fn an_older_content_does_not_open_under_a_newer_version_and_no_time_can_be_moved() {
    let books = Books::new();
    let (practice, p1) = (&books.practice, &id("P1"));
    books.add("P1", &ada());
    write_note(&books, "P1", "Better.").unwrap();
    let connection = Connection::open(books.store.path()).unwrap();
    let old = "SELECT sealed FROM record";
    let old: Vec<u8> = connection.query_row(old, [], |row| row.get(0)).unwrap();
    edit(practice, p1, None, &with_phone("0999")).unwrap();
    assert!(archive(practice, p1, true).unwrap());
    assert!(archive(practice, p1, false).unwrap());
    assert!(show(practice, p1).is_ok());
    assert_eq!(unopened(&books), 0);
    for (damage, values) in [
        ("UPDATE record SET sealed = ?1", 1),
        ("UPDATE record SET version = 1 WHERE ?1 IS NOT NULL", 2),
        (
            "UPDATE record SET created = created - 1 WHERE ?1 IS NOT NULL",
            2,
        ),
        (
            "UPDATE record SET changed = changed + 1 WHERE ?1 IS NOT NULL",
            2,
        ),
        ("UPDATE record SET archived = 5 WHERE ?1 IS NOT NULL", 2),
        (
            "UPDATE consultation SET written = written - 1 WHERE ?1 IS NOT NULL",
            1,
        ),
        (
            "UPDATE consultation SET begun = begun - 1 WHERE ?1 IS NOT NULL",
            1,
        ),
        (
            "UPDATE consultation SET ended = begun WHERE ?1 IS NOT NULL",
            1,
        ),
    ] {
        let kept = books.store.record("P1").unwrap().unwrap();
        let noted = books.store.consultations("P1").unwrap().remove(0);
        assert_eq!(connection.execute(damage, [&old]).unwrap(), 1);
        let refused = show(practice, p1).unwrap_err();
        assert!(matches!(refused, RecordError::Damaged(_)), "{damage}");
        assert_eq!(unopened(&books), values, "{damage}");
        let mend = "UPDATE record SET sealed = ?1, version = ?2, created = ?3, changed = ?4,
                    archived = NULL";
        let values = (&kept.sealed, kept.version, kept.created, kept.changed);
        connection.execute(mend, values).unwrap();
        let mend = "UPDATE consultation SET written = ?1, begun = ?2, ended = NULL";
        let values = (noted.written, noted.begun);
        connection.execute(mend, values).unwrap();
        assert!(show(practice, p1).is_ok(), "{damage}");
    }
}

#[test]
fn a_damaged_record_keeps_nobody_elses_back() {
    let books = Books::new();
    let practice = &books.practice;
    for patient in ["P1", "P2", "P3"] {
        books.add(patient, &ada());
    }
    write_note(&books, "P3", "x").unwrap();
    let connection = Connection::open(books.store.path()).unwrap();
    for damage in [
        "UPDATE record SET sealed = x'00' WHERE patient = 'P1'",
        "UPDATE consultation SET sealed = x'00'",
    ] {
        assert_eq!(connection.execute(damage, []).unwrap(), 1);
    }
    let damaged = |listed: &[Listed]| listed.iter().map(|one| one.damaged).collect::<Vec<_>>();
    for tag in [None, Some("asthmatic")] {
        let listed = list(practice, false, tag).unwrap();
        assert_eq!(names(&listed), ["P1", "P2", "P3"]);
        assert_eq!(damaged(&listed), [true, false, false]);
        assert!(listed[0].record.is_none() && listed[1].record.is_some());
    }
    let found = search(practice, "lovelace").unwrap().into_iter();
    let found: Vec<Listed> = found.map(|found| found.patient).collect();
    assert_eq!(names(&found), ["P1", "P2", "P3"]);
    assert_eq!(damaged(&found), [true, false, true]);
    assert_eq!(
        patients_with_tag(practice, "asthmatic").unwrap(),
        ["P2", "P3"]
    );
    let all = phones(practice, &["P1", "P2", "P3"]).unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["P2", "P3"]);
}

#[test]
fn who_is_enrolled_is_listed_with_and_without_a_record() {
    let books = Books::new();
    let (practice, store) = (&books.practice, &books.practice.store);
    for serial in [1, 2] {
        store.add_certificate(&certificate(serial)).unwrap();
    }
    assert!(store.activate_certificate(&[2; 16], &[]).unwrap());
    assert!(store.advance_timestamp(&[2; 16], NOW).unwrap());
    for patient in ["P10", "P2"] {
        books.add(patient, &named(patient));
    }
    let listed = list(practice, false, None).unwrap();
    assert_eq!(names(&listed), ["P1", "P2", "P10"]);
    assert_eq!(
        (&listed[0].record, listed[0].device.as_deref()),
        (&None, Some("inactive"))
    );
    assert_eq!(listed[1].device.as_deref(), Some("active"));
    assert_eq!(listed[1].last_seen, Some(NOW));
    assert!(listed[1].record.is_some());
    assert_eq!(listed[2].device, None);
    let shown = show(practice, &id("P1")).unwrap();
    assert_eq!((shown.record, shown.devices.len()), (None, 1));
    assert_eq!(search(practice, "p1").unwrap().len(), 2);
}

#[test]
fn a_search_says_where_it_stands() {
    let books = Books::new();
    let practice = &books.practice;
    books.add("P1", &ada());
    books.add("P2", &named("Bob Migraine"));
    write_note(&books, "P2", "Peanuts again: MIGRÄNE!").unwrap();
    archive(practice, &id("P2"), true).unwrap();
    let hits = |text: &str| -> Vec<(String, String)> {
        let found = search(practice, text).unwrap().into_iter();
        found
            .map(|found| (found.patient.patient, found.fields.join(" ")))
            .collect()
    };
    let found = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(patient, fields): &(&str, &str)| ((*patient).into(), (*fields).into());
        pairs.iter().map(owned).collect()
    };
    assert_eq!(
        hits("migrane"),
        found(&[("P1", "notes"), ("P2", "consultation")])
    );
    assert_eq!(hits("ADA"), found(&[("P1", "name email")]));
    assert_eq!(hits("grosse"), found(&[("P1", "tags")]));
    assert_eq!(hits("2071"), found(&[("P1", "phone")]));
    assert_eq!(hits("1980-02"), found(&[("P1", "born")]));
    assert_eq!(hits("london"), found(&[("P1", "address")]));
    assert_eq!(hits("p2"), found(&[("P2", "id")]));
    assert_eq!(hits("nobody"), []);
}

#[test]
fn patients_are_chosen_by_tag_and_called_by_phone() {
    let books = Books::new();
    let practice = &books.practice;
    books.add("P1", &ada());
    books.add(
        "P2",
        &Change {
            tags: Some(vec!["grosse".into()]),
            ..named("Bob")
        },
    );
    books.add("P3", &ada());
    archive(practice, &id("P3"), true).unwrap();
    assert_eq!(patients_with_tag(practice, "GRÖSSE").unwrap(), ["P1", "P2"]);
    assert_eq!(patients_with_tag(practice, "gro").unwrap(), [""; 0]);
    let phone = phone_of(practice, "P1").unwrap();
    assert_eq!(phone, Some("+44 20 71234567".into()));
    assert_eq!(phone_of(practice, "P2").unwrap(), None);
    assert_eq!(phone_of(practice, "P9").unwrap(), None);
    let all = phones(practice, &["P1", "P2", "P3", "P9"]).unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["P1", "P3"]);
    let last = books.logged().pop().unwrap();
    assert_eq!(last, ["records listed", "", "phone numbers of 2 patients"]);
}

#[test]
fn a_thousand_records_are_listed_and_searched_in_a_few_questions_to_the_store() {
    let books = Books::in_memory();
    for number in 0..1_000 {
        let patient = format!("P{number}");
        books.add(&patient, &named(&format!("Ada {number}")));
    }
    let logged = books.logged().len();
    let few = books.asked(|practice| {
        assert_eq!(list(practice, false, None).unwrap().len(), 1_000);
    });
    assert!(few <= 3, "{few}");
    let few = books.asked(|practice| {
        let found = search(practice, "ada 99").unwrap();
        assert_eq!(found.len(), 11);
    });
    assert!(few <= 4, "{few}");
    assert_eq!(books.logged().len(), logged + 2);
}
