//! What every back end must do with patients' records.

use std::thread;

use super::{at, certificate};
use crate::audit::{Action, Entry};
use crate::store::{CertificateState, ConsultationRow, DeviceRow, RecordRow, Store, StoreFault};

fn record(number: u8) -> RecordRow {
    RecordRow {
        patient: format!("P{number}"),
        created: at(100),
        changed: at(100),
        archived: None,
        version: 1,
        sealed: vec![number; 500],
        contact: Some(vec![number ^ 0xff; 300]),
    }
}

fn consultation(id: u8, patient: u8, begun: u64) -> ConsultationRow {
    ConsultationRow {
        id: [id; 16],
        patient: format!("P{patient}"),
        written: at(500),
        begun: at(begun),
        ended: id.is_multiple_of(2).then_some(at(begun + 1)),
        sealed: vec![id; 300],
    }
}

fn entry(subject: &str) -> Entry {
    Entry::new(at(5), "D1", Action::RecordChanged, subject, "")
}

fn logged(store: &dyn Store) -> usize {
    store.audit(1, 100).unwrap().len()
}

pub(in crate::store) fn a_record_comes_back_whole(store: &dyn Store) {
    assert_eq!(store.record("P1").unwrap(), None);
    let archived = RecordRow {
        archived: Some(at(300)),
        ..record(1)
    };
    for row in [&record(2), &archived] {
        store.add_record(row, &[entry(&row.patient)]).unwrap();
    }
    assert_eq!(store.record("P1").unwrap(), Some(archived.clone()));
    assert_eq!(store.record("p1").unwrap(), None);
    assert_eq!(store.records().unwrap(), [archived, record(2)]);
    assert_eq!(logged(store), 2);
}

pub(in crate::store) fn a_patient_has_one_record(store: &dyn Store) {
    store.add_record(&record(1), &[entry("P1")]).unwrap();
    let other = RecordRow {
        sealed: vec![9; 10],
        ..record(1)
    };
    let error = store.add_record(&other, &[entry("P1")]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    assert_eq!(store.records().unwrap(), [record(1)]);
    assert_eq!(logged(store), 1, "what was not done is not logged");
}

pub(in crate::store) fn a_change_counts_the_record_up(store: &dyn Store) {
    store.add_record(&record(1), &[]).unwrap();
    store.add_record(&record(2), &[]).unwrap();
    let change = RecordRow {
        created: at(999),
        changed: at(200),
        archived: Some(at(200)),
        sealed: vec![8; 40],
        contact: Some(vec![9; 40]),
        ..record(1)
    };
    assert!(store.change_record(&change, &[entry("P1")]).unwrap());
    let changed = RecordRow {
        created: at(100),
        version: 2,
        ..change
    };
    assert_eq!(store.records().unwrap(), [changed, record(2)]);
    assert_eq!(logged(store), 1);
    assert!(!store.change_record(&record(7), &[entry("P7")]).unwrap());
    assert_eq!(logged(store), 1);
}

pub(in crate::store) fn of_two_changes_of_one_version_one_wins(store: &dyn Store) {
    store.add_record(&record(1), &[]).unwrap();
    for version in 1..=20 {
        let won = thread::scope(|scope| {
            let racers = [1, 2].map(|racer: u8| {
                scope.spawn(move || {
                    let change = RecordRow {
                        version,
                        sealed: vec![racer; 10],
                        contact: Some(vec![racer; 9]),
                        ..record(1)
                    };
                    store.change_record(&change, &[entry("P1")]).unwrap()
                })
            });
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(won[0] != won[1], "{won:?}");
        let kept = store.record("P1").unwrap().unwrap();
        let winner = if won[0] { 1 } else { 2 };
        assert_eq!((kept.version, kept.sealed), (version + 1, vec![winner; 10]));
        assert_eq!(kept.contact, Some(vec![winner; 9]));
    }
    assert_eq!(logged(store), 20);
}

pub(in crate::store) fn a_record_in_one_piece_is_split_once(store: &dyn Store) {
    let old = |number| RecordRow {
        contact: None,
        ..record(number)
    };
    for row in [old(1), record(2), old(3), old(4), old(5)] {
        store.add_record(&row, &[]).unwrap();
    }
    let unsplit = |after, limit| store.unsplit_records(after, limit).unwrap();
    assert_eq!(unsplit("", 2), [old(1), old(3)]);
    assert_eq!(unsplit("P3", 100), [old(4), old(5)]);
    let split = |row: &RecordRow| RecordRow {
        sealed: vec![77; 20],
        contact: Some(vec![78; 20]),
        ..row.clone()
    };
    let parts = [1, 2, 3, 4, 9].map(|number| split(&record(number)));
    // In between somebody changes two of them, one in the old way.
    assert!(store.change_record(&record(3), &[]).unwrap());
    assert!(store.change_record(&old(4), &[]).unwrap());
    let entry = |count: u64| {
        let detail = format!("{count} records");
        Entry::new(at(5), "server", Action::RecordsSplit, "", &detail)
    };
    assert_eq!(store.split_records(&parts, &entry).unwrap(), 1);
    let changed = |row: RecordRow| RecordRow { version: 2, ..row };
    let expected = [
        split(&record(1)),
        record(2),
        changed(record(3)),
        changed(old(4)),
        old(5),
    ];
    assert_eq!(store.records().unwrap(), expected);
    assert_eq!(unsplit("", 100), [changed(old(4)), old(5)]);
    assert_eq!(store.split_records(&parts, &entry).unwrap(), 0);
    let logged = store.audit(1, 100).unwrap();
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0].detail, "1 records");
}

pub(in crate::store) fn two_who_split_the_same_records_do_it_once(store: &dyn Store) {
    let old = |number| RecordRow {
        contact: None,
        ..record(number)
    };
    for number in 1..=60 {
        store.add_record(&old(number), &[]).unwrap();
    }
    let entry = |_| entry("");
    let split: u64 = thread::scope(|scope| {
        let racers = [true, false].map(|forwards| {
            scope.spawn(move || {
                let mut rows: Vec<_> = (1..=60).map(record).collect();
                if !forwards {
                    rows.reverse();
                }
                let batches = rows.chunks(10);
                let split = batches.map(|batch| store.split_records(batch, &entry).unwrap());
                split.sum::<u64>()
            })
        });
        racers.map(|racer| racer.join().unwrap()).iter().sum()
    });
    assert_eq!(split, 60);
    assert!(store.unsplit_records("", 1).unwrap().is_empty());
}

pub(in crate::store) fn consultations_are_listed_by_their_beginning(store: &dyn Store) {
    for patient in [1, 2] {
        store.add_record(&record(patient), &[]).unwrap();
    }
    let rows = [(1, 1, 30), (2, 2, 20), (3, 1, 10)];
    let rows = rows.map(|(id, patient, begun)| consultation(id, patient, begun));
    for row in &rows {
        store.add_consultation(row, &[entry(&row.patient)]).unwrap();
    }
    let [later, other, earlier] = rows;
    let of_first = [earlier.clone(), later.clone()];
    assert_eq!(store.consultations("P1").unwrap(), of_first);
    assert_eq!(store.consultations("P9").unwrap(), []);
    assert_eq!(store.all_consultations().unwrap(), [earlier, later, other]);
    assert_eq!(store.record("P1").unwrap(), Some(record(1)));
    assert_eq!(logged(store), 3);
}

pub(in crate::store) fn a_consultation_needs_a_record(store: &dyn Store) {
    let row = consultation(1, 1, 10);
    let error = store.add_consultation(&row, &[entry("P1")]).unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Dangling), "{error}");
    assert_eq!(store.all_consultations().unwrap(), []);
    assert_eq!(logged(store), 0);
}

pub(in crate::store) fn devices_are_listed_with_when_they_were_seen(store: &dyn Store) {
    assert_eq!(store.devices().unwrap(), []);
    for serial in [1, 2] {
        store.add_certificate(&certificate(serial)).unwrap();
    }
    assert!(store.activate_certificate(&[2; 16], &[]).unwrap());
    assert!(store.advance_timestamp(&[2; 16], at(77)).unwrap());
    assert!(store.advance_timestamp(&[9; 16], at(78)).unwrap());
    let device = |patient: &str, state, last_seen| DeviceRow {
        patient: patient.to_owned(),
        state,
        last_seen,
    };
    let expected = [
        device("P1", CertificateState::Inactive, None),
        device("P2", CertificateState::Active, Some(at(77))),
    ];
    assert_eq!(store.devices().unwrap(), expected);
}
