//! Who has only the key to the contact part, and records from before there was
//! one.

use super::super::content::Field;
use super::super::encoding::{encode_contact, encode_old};
use super::*;
use crate::doctor::patients::{Answer, Request, answer};
use crate::store::AuditStore;
use crate::vault::{ColumnError, Vault};

/// Parts of what only a doctor may read.
const MEDICAL: [&str; 4] = ["peanuts", "Migr", "asthmatic", "sleepless"];

impl Books {
    /// Goes on as somebody who has only the keys of these columns.
    fn with_keys(&mut self, columns: &[crate::vault::Column]) {
        let whole = &self.practice.vault;
        let keys = whole.column_keys(columns).unwrap();
        self.practice.vault = Arc::new(Vault::of_columns(whole.id(), keys));
    }

    /// Adds a record as an earlier version did.
    fn add_old(&self, patient: &str, content: &Content) {
        let mut row = RecordRow {
            patient: patient.to_owned(),
            created: NOW,
            changed: NOW,
            archived: None,
            version: 3,
            sealed: Vec::new(),
            contact: None,
        };
        let encoded = encode_old(content);
        let name = row.row_name();
        let vault = &self.practice.vault;
        let sealed = vault.seal(column::RECORD, &name, encoded.expose(), &mut OsRandom);
        row.sealed = sealed.unwrap();
        self.store.add_record(&row, &[]).unwrap();
    }

    fn split(&self) -> Result<(), StoreError> {
        split_old(&*self.store, &self.practice.vault, &Still)
    }

    fn unsplit(&self) -> usize {
        self.store.unsplit_records("", 10_000).unwrap().len()
    }
}

fn whole() -> Content {
    ada().apply(&Content::default(), day(NOW)).unwrap().0
}

fn everything_asked(books: &Books) -> Vec<Answer> {
    let patient = || "P1".to_owned();
    let texts = ["P", "ada", "peanuts", "asthmatic", "sleepless"];
    let mut requests = vec![
        Request::Show { patient: patient() },
        Request::Archive { patient: patient() },
        Request::Unarchive { patient: patient() },
        Request::Add {
            patient: "P9".to_owned(),
            change: Box::new(named("Eve")),
        },
        Request::Edit {
            patient: patient(),
            base: None,
            change: Box::new(with_phone("0999")),
        },
        Request::Note {
            patient: patient(),
            begun: None,
            ended: None,
            text: "x".into(),
        },
    ];
    for archived in [false, true] {
        requests.push(Request::List {
            archived,
            tag: None,
        });
    }
    requests.extend(texts.map(|text| Request::Search { text: text.into() }));
    let asked = requests.into_iter();
    asked
        .map(|request| answer(&books.practice, request))
        .collect()
}

#[test]
fn with_the_key_to_the_contact_part_names_are_seen_and_nothing_else() {
    let mut books = Books::new();
    books.add("P1", &ada());
    write_note(&books, "P1", "Complains of sleeplessness.").unwrap();
    books.with_keys(&[column::CONTACT]);
    let practice = &books.practice;
    let record = show(practice, &id("P1")).unwrap().record.unwrap();
    assert!(record.contact_only && record.consultations.is_empty());
    for field in Field::CONTACT {
        assert_eq!(record.content.text(field), whole().text(field), "{field}");
    }
    assert!(record.content.notes.is_empty() && record.content.tags.is_empty());
    let last = books.logged().pop().unwrap();
    assert_eq!(last, ["record read", "P1", "contact"]);
    let listed = list(practice, false, None).unwrap().remove(0);
    assert!(listed.contact_only && !listed.damaged && !listed.unsplit);
    assert_eq!(listed.record.unwrap().name, "Ada Lovelace".into());
    let phone = phone_of(practice, "P1").unwrap();
    assert_eq!(phone, Some("+44 20 71234567".into()));

    let found = |text: &str| search(practice, text).unwrap();
    assert_eq!(found("ADA")[0].fields, ["name", "email"]);
    for medical in MEDICAL {
        assert!(found(medical).is_empty(), "{medical}");
    }
    for answer in everything_asked(&books) {
        let said = serde_json::to_string(&answer).unwrap();
        assert!(MEDICAL.iter().all(|part| !said.contains(part)), "{said}");
    }
    // Nor in what lies in the database, with all the keys there are.
    let row = books.store.record("P1").unwrap().unwrap();
    let sealed = practice
        .vault
        .open(column::RECORD, &row.row_name(), &row.sealed);
    assert_eq!(sealed.unwrap_err(), ColumnError::NoKey(column::RECORD));
    let contact = row.contact.as_ref().unwrap();
    let contact = practice
        .vault
        .open(column::CONTACT, &row.row_name(), contact)
        .unwrap();
    for medical in MEDICAL {
        assert!(!stands_in(contact.expose(), medical.as_bytes()));
    }
}

#[test]
fn without_the_key_to_notes_nothing_is_written_and_nobody_chosen_by_tag() {
    let mut books = Books::new();
    books.add("P1", &ada());
    let (row, logged) = (books.store.record("P1").unwrap(), books.logged().len());
    books.with_keys(&[column::CONTACT]);
    let (practice, p1) = (&books.practice, &id("P1"));
    for refused in [
        add(practice, &id("P2"), &named("Eve")),
        edit(practice, p1, None, &with_phone("0999")).map(drop),
        archive(practice, p1, true).map(drop),
        archive(practice, p1, false).map(drop),
        write_note(&books, "P1", "x"),
        list(practice, false, Some("asthmatic")).map(drop),
        list(practice, true, Some("nothing")).map(drop),
        patients_with_tag(practice, "asthmatic").map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, RecordError::DoctorsOnly(_)), "{error}");
        assert!(error.to_string().contains("for the clinic's doctors"));
    }
    assert_eq!(books.store.record("P1").unwrap(), row);
    assert_eq!(books.store.records().unwrap().len(), 1);
    assert_eq!(books.logged().len(), logged);
}

#[test]
fn with_no_key_to_records_nothing_of_them_is_given() {
    let mut books = Books::new();
    books.add("P1", &ada());
    books.with_keys(&[column::MESSAGE]);
    let practice = &books.practice;
    assert!(phones(practice, &["P1"]).unwrap().is_empty());
    for answer in everything_asked(&books) {
        let Answer::Failed(sentence) = answer else {
            panic!("{answer:?}");
        };
        assert!(sentence.contains("\"contact\""), "{sentence}");
    }
}

#[test]
fn a_contact_part_that_no_doctor_wrote_is_noticed() {
    let books = Books::new();
    books.add("P1", &ada());
    let row = books.store.record("P1").unwrap().unwrap();
    let forged = Content {
        phone: "0666".into(),
        ..whole()
    };
    let keys = books.practice.vault.column_keys(&[column::CONTACT]);
    let partial = Vault::of_columns(books.practice.vault.id(), keys.unwrap());
    let encoded = encode_contact(&forged);
    let sealed = partial
        .seal(
            column::CONTACT,
            &row.row_name(),
            encoded.expose(),
            &mut OsRandom,
        )
        .unwrap();
    let connection = Connection::open(books.store.path()).unwrap();
    let put = "UPDATE record SET contact = ?1";
    connection.execute(put, [&sealed]).unwrap();
    let refused = show(&books.practice, &id("P1")).unwrap_err();
    assert!(matches!(refused, RecordError::Damaged(_)), "{refused}");
    // Taken away, it is no record of an older version either.
    let take = "UPDATE record SET contact = NULL";
    connection.execute(take, []).unwrap();
    let refused = show(&books.practice, &id("P1")).unwrap_err();
    assert!(matches!(refused, RecordError::Damaged(_)), "{refused}");
    books.split().unwrap();
    assert_eq!(books.unsplit(), 1);
}

#[test]
fn of_a_record_in_one_piece_a_doctor_sees_all_and_others_why_they_do_not() {
    let mut books = Books::new();
    books.add_old("P1", &whole());
    assert_eq!(books.content("P1"), whole());
    assert_eq!(
        names(&list(&books.practice, false, Some("asthmatic")).unwrap()),
        ["P1"]
    );
    books.with_keys(&[column::CONTACT]);
    books.split().unwrap();
    let practice = &books.practice;
    let listed = list(practice, false, None).unwrap().remove(0);
    assert!(listed.unsplit && !listed.damaged && listed.record.is_none());
    let error = show(practice, &id("P1")).unwrap_err();
    assert!(error.to_string().contains("older version"), "{error}");
    let found = search(practice, "ada").unwrap().remove(0);
    assert!(found.patient.unsplit && found.fields.is_empty());
    assert!(phones(practice, &["P1"]).unwrap().is_empty());
    for answer in everything_asked(&books) {
        let said = serde_json::to_string(&answer).unwrap();
        for part in MEDICAL.iter().chain(&["Lovelace"]) {
            assert!(!said.contains(part), "{said}");
        }
    }
    assert_eq!(books.unsplit(), 1);
}

#[test]
fn opening_the_practice_splits_what_is_in_one_piece() {
    let books = Books::new();
    books.add_old("P1", &whole());
    books.add_old("P2", &Content::default());
    books.add("P3", &named("Bob"));
    let (kept, logged) = (books.store.record("P3").unwrap(), books.logged().len());
    let Books {
        practice,
        store,
        base,
    } = books;
    drop((practice, store));
    let store = SqliteStore::open(&base.path().join("telemed.db")).unwrap();
    let mut books = Books::with(base, store);
    assert_eq!(books.unsplit(), 0);
    assert_eq!(books.store.record("P3").unwrap(), kept);
    let row = books.store.record("P1").unwrap().unwrap();
    assert_eq!((row.version, row.changed), (3, NOW));
    assert_eq!(unopened(&books), 0);
    let entries = books.store.audit(1, 100).unwrap();
    let said = entries[logged..].iter();
    let said: Vec<_> = said
        .map(|row| [&*row.actor, &*row.action, &*row.detail])
        .collect();
    assert_eq!(said, [["server", "records split", "2 records"]]);
    books.split().unwrap();
    assert_eq!(books.store.audit(1, 100).unwrap().len(), entries.len());
    let p1 = &id("P1");
    assert_eq!(
        show(&books.practice, p1).unwrap().record.unwrap().content,
        whole()
    );
    assert_eq!(
        edit(&books.practice, p1, Some(3), &with_phone("0999"))
            .unwrap()
            .0,
        4
    );
    books.with_keys(&[column::CONTACT]);
    let record = show(&books.practice, p1).unwrap().record.unwrap();
    assert_eq!(record.content.name, "Ada Lovelace".into());
    assert_eq!(record.content.phone, "0999".into());
}

#[test]
fn splitting_that_is_cut_short_loses_nothing_and_goes_on() {
    let books = Books::new();
    for number in 0..1_100 {
        books.add_old(&format!("P{number:04}"), &whole());
    }
    let connection = Connection::open(books.store.path()).unwrap();
    let trap = "CREATE TRIGGER trap BEFORE UPDATE ON record WHEN old.patient = 'P0700'
                BEGIN SELECT raise(ABORT, 'cut short'); END";
    connection.execute_batch(trap).unwrap();
    assert!(books.split().is_err());
    // The batch that was cut short is as it was, the one before it is done.
    assert_eq!(books.unsplit(), 600);
    assert_eq!(
        list(&books.practice, false, Some("asthmatic"))
            .unwrap()
            .len(),
        1_100
    );
    assert_eq!(unopened(&books), 0);
    for patient in ["P0000", "P0600", "P0700", "P1099"] {
        assert_eq!(books.content(patient), whole(), "{patient}");
    }
    connection.execute_batch("DROP TRIGGER trap").unwrap();
    // One that does not open is left alone and keeps nobody back.
    let damage = "UPDATE record SET sealed = x'00' WHERE patient = 'P0800'";
    connection.execute(damage, []).unwrap();
    books.split().unwrap();
    assert_eq!(books.unsplit(), 1);
    let listed = list(&books.practice, false, None).unwrap();
    let damaged = listed.iter().filter(|listed| listed.damaged);
    assert_eq!(damaged.count(), 1);
    let rows = books.store.audit(1, 10_000).unwrap();
    let split = rows.iter().filter(|row| row.action == "records split");
    let split: Vec<_> = split.map(|row| &*row.detail).collect();
    assert_eq!(split, ["500 records", "499 records", "100 records"]);
}
