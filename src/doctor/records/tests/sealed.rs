//! What the database shows of records, and what becomes of one that was changed
//! there.

use std::fs;

use rusqlite::Connection;

use super::*;
use crate::doctor::tickets;
use crate::store::RecordStore;

/// A text as it may lie in a file: UTF-8 and both orders of UTF-16.
fn spellings(text: &str) -> [Vec<u8>; 3] {
    let units: Vec<u16> = text.encode_utf16().collect();
    [
        text.as_bytes().to_vec(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ]
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
