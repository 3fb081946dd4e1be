//! Records in a practice with a real database.

mod contact;
mod sealed;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
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

fn stands_in(file: &[u8], bytes: &[u8]) -> bool {
    file.windows(bytes.len()).any(|window| window == bytes)
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
