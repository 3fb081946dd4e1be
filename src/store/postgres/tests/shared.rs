//! What the doctors of a clinic share, and what not.

use std::thread;

use super::{Schema, temporary};
use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::store::conformance::{certificate, prekey, ticket};
use crate::store::messages::{Change, IncomingRow, Kind, MessageRow, MessageStore, Work};
use crate::store::nodes::NodeStore;
use crate::store::{
    AuditStore, BackupStore, CertificateState, ConsultationRow, FactStore, KeyChange, RecordRow,
    RecordStore, TrustStore, fact,
};

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn entry(actor: &str) -> Entry {
    Entry::new(at(5), actor, Action::Broadcast, "", "")
}

pub(super) fn message(id: u16) -> MessageRow {
    let mut row = MessageRow {
        number: 0,
        id: [0; 16],
        kind: Kind::Broadcast,
        patient: None,
        boundary: None,
        urgent: true,
        written: at(1_000),
        expires: None,
        sealed: vec![7; 300],
    };
    row.id[..2].copy_from_slice(&id.to_be_bytes());
    row
}

pub(super) fn incoming(device: u8, id: u16) -> IncomingRow {
    let mut row = IncomingRow {
        number: 0,
        device: [device; 32],
        patient: "P1".to_owned(),
        id: [0; 16],
        boundary: None,
        written: at(900),
        received: at(1_000),
        shown: None,
        sealed: vec![7; 300],
    };
    row.id[..2].copy_from_slice(&id.to_be_bytes());
    row
}

#[test]
fn doctors_share_patients_but_no_audit_log_and_no_prekeys() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    first.add_certificate(&certificate(1)).unwrap();
    assert_eq!(second.certificates().unwrap(), [certificate(1)]);
    assert!(first.advance_timestamp(&[1; 16], at(7)).unwrap());
    assert!(!second.advance_timestamp(&[1; 16], at(7)).unwrap());
    first.append_audit(&[entry("D1"), entry("D1")]).unwrap();
    second.append_audit(&[entry("D2")]).unwrap();
    assert_eq!(first.audit_head().unwrap().unwrap().0, 2);
    assert_eq!(second.audit_head().unwrap().unwrap().0, 1);
    assert_eq!(second.audit(1, 9).unwrap()[0].actor, "D2");
    assert_eq!(second.inventory().unwrap().audit, 1);
    for store in [&first, &second] {
        store.add_prekey(&prekey(1), &[]).unwrap();
    }
    assert!(first.remove_prekey(&[1; 8], &[]).unwrap());
    assert_eq!(second.prekeys().unwrap(), [prekey(1)]);
    for name in fact::SHARED {
        first.set_facts(&[(name, name.as_bytes())]).unwrap();
        assert_eq!(second.fact(name).unwrap().unwrap(), name.as_bytes());
    }
    first.set_facts(&[(fact::ADDRESS, b"here")]).unwrap();
    assert_eq!(second.fact(fact::ADDRESS).unwrap(), None);
}

#[test]
fn a_new_key_of_one_doctor_revokes_what_she_issued() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    first.add_certificate(&certificate(1)).unwrap();
    second.add_certificate(&certificate(2)).unwrap();
    second.add_ticket(&ticket(2), &[]).unwrap();
    let next = prekey(2);
    first.set_facts(&[(fact::REVOKED_DOCTORS, b"one")]).unwrap();
    let change = KeyChange {
        known: b"one",
        list: b"two",
        facts: &[],
        prekey: &next,
        signed: &[],
        audit: &[entry("D1")],
        revoked: &|_| entry("D1"),
    };
    let mut sign = |number, link| crate::audit::head::Head {
        number,
        link,
        at: at(5),
        certificate: [9; 32],
        signature: vec![1; 512],
    };
    let revoked = first.change_key(&change, b"certificate", &mut sign);
    let revoked = revoked.unwrap().unwrap();
    let whose: Vec<_> = revoked.iter().map(|it| &*it.patient).collect();
    assert_eq!(whose, ["P1"]);
    assert_eq!(first.audit(1, 9).unwrap().len(), 2);
    let state = |serial: u8| second.certificate(&[serial; 16]).unwrap().unwrap().state;
    assert_eq!(state(1), CertificateState::Revoked);
    assert_eq!(state(2), CertificateState::Inactive);
    assert_eq!(second.tickets().unwrap()[0].state.word(), "open");
    assert!(second.signing_certificates().unwrap().is_empty());
}

#[test]
fn numbers_are_given_in_order_and_without_gaps() {
    let Some(schema) = Schema::new() else { return };
    let stores = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    thread::scope(|scope| {
        for (racer, store) in (0_u16..).zip(&stores) {
            for half in [0, 1] {
                scope.spawn(move || {
                    for round in 0..20 {
                        let id = (racer * 2 + half) * 100 + round;
                        let number = store.add_message(&message(id), &[], &[]).unwrap();
                        // None that is smaller comes after it.
                        let before = store.messages_before(number, 1_000).unwrap();
                        assert_eq!(before.len() as u64, number - 1);
                        // One that is refused takes no number.
                        store.add_message(&message(id), &[], &[]).unwrap_err();
                        let came = [id, id].map(|id| {
                            let work = Work::Incoming(incoming(1, id));
                            let audit = vec![entry("P1")];
                            Change { work, audit }
                        });
                        store.commit(&came).unwrap();
                    }
                });
            }
        }
    });
    let [store, other] = &stores;
    assert_eq!(store.newest_message().unwrap(), 80);
    let numbers = store.incoming(None, 1_000).unwrap();
    let numbers = numbers.iter().map(|row| row.number).rev();
    assert!(numbers.eq(1..=80));
    let logged = [store, other].map(|store| store.audit(1, 1_000).unwrap().len());
    assert_eq!(logged, [40, 40]);
    store.check().unwrap();
}

#[test]
fn one_doctors_programs_write_one_chain() {
    let Some(schema) = Schema::new() else { return };
    let stores = [(); 2].map(|()| schema.open("D1").unwrap());
    thread::scope(|scope| {
        for store in &stores {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        store.append_audit(&[entry("D1"), entry("D1")]).unwrap();
                    }
                });
            }
        }
    });
    let rows = stores[0].audit(1, 1_000).unwrap();
    let mut before = crate::audit::START;
    for (number, row) in (1..).zip(&rows) {
        before = crate::audit::link(&before, number, row.at, row.words());
        assert_eq!((row.number, row.link), (number, before));
    }
    assert_eq!(rows.len(), 160);
}

/// Each of two nodes writes half of what closes an urgent message.
#[test]
fn what_two_nodes_write_at_once_closes_a_message() {
    let Some(schema) = Schema::new() else { return };
    let stores = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    let devices: Vec<_> = [1, 2].map(|device| ([device; 32], "P1".to_owned())).into();
    for serial in [1, 2] {
        let mut row = certificate(serial);
        row.subject = "P1".to_owned();
        stores[0].add_certificate(&row).unwrap();
    }
    for round in 1..=30 {
        let number = stores[0]
            .add_message(&message(round), &devices, &[])
            .unwrap();
        let delivered = |device: u8| Work::Delivered {
            message: number,
            device: [device; 32],
            at: at(2_000),
            sent: None,
        };
        let confirmed = Work::Confirmed {
            message: number,
            device: [2; 32],
            at: at(2_000),
            confirmation: vec![42],
        };
        let halves = [vec![delivered(1)], vec![confirmed, delivered(2)]];
        thread::scope(|scope| {
            for (store, works) in stores.iter().zip(halves) {
                scope.spawn(|| {
                    let changes: Vec<_> = works.into_iter().map(Change::unlogged).collect();
                    store.commit(&changes).unwrap();
                });
            }
        });
        for (device, _) in &devices {
            let open = stores[0]
                .pending(device, 0, u64::MAX, at(3_000), 9)
                .unwrap();
            assert!(open.is_empty(), "round {round}, device {}", device[0]);
        }
    }
}

#[test]
fn a_sealed_value_is_shown_with_the_name_it_was_sealed_to() {
    let Some(store) = temporary() else { return };
    let record = RecordRow {
        patient: "P1".to_owned(),
        created: at(100),
        changed: at(200),
        archived: Some(at(300)),
        version: 1,
        sealed: vec![1],
        contact: Some(vec![3]),
    };
    let consultation = |id: u8, ended| ConsultationRow {
        id: [id; 16],
        patient: "P1".to_owned(),
        written: at(500),
        begun: at(400),
        ended,
        sealed: vec![2],
    };
    let notes = [consultation(1, None), consultation(2, Some(at(450)))];
    store.add_record(&record, &[]).unwrap();
    for note in &notes {
        store.add_consultation(note, &[]).unwrap();
    }
    let devices = [([1; 32], "P1".to_owned())];
    store.add_message(&message(3), &devices, &[]).unwrap();
    let confirmed = Work::Confirmed {
        message: 1,
        device: [1; 32],
        at: at(2_000),
        confirmation: vec![42],
    };
    let came = Work::Incoming(incoming(1, 4));
    store
        .commit(&[Change::unlogged(confirmed), Change::unlogged(came)])
        .unwrap();
    store.add_ticket(&ticket(5), &[]).unwrap();
    let mut rows = Vec::new();
    store
        .each_sealed(&mut |value| rows.push((value.table, value.row.to_vec())))
        .unwrap();
    let expected = [
        ("ticket", vec![5; 16]),
        ("message", message(3).id.to_vec()),
        ("delivery", [&message(3).id[..], &[1; 32]].concat()),
        ("incoming", [&[1; 32][..], &incoming(1, 4).id].concat()),
        ("record", record.row_name()),
        ("record", record.row_name()),
        ("consultation", notes[0].row_name()),
        ("consultation", notes[1].row_name()),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_character_that_the_database_cannot_hold_does_not_keep_an_entry_out() {
    let Some(store) = temporary() else { return };
    let entry = Entry::new(at(5), "stranger", Action::Refused, "a\0b", "");
    store.append_audit(&[entry]).unwrap();
    assert_eq!(store.audit(1, 1).unwrap()[0].subject, "a\u{fffd}b");
}

#[test]
fn five_thousand_receipts_are_one_commit() {
    let Some(store) = temporary() else { return };
    let name = |number: u16| {
        let mut device = [7; 32];
        device[..2].copy_from_slice(&number.to_be_bytes());
        device
    };
    // As many certificates, so that looking for a patient's devices is not free.
    let sql = "INSERT INTO certificate
        (serial, fingerprint, doctor, subject, bytes, state, created, not_after)
        SELECT substring(device FOR 16), device, 'D1', 'P' || n, '', 'active', n, 9000
        FROM unnest($1::bytea[]) WITH ORDINALITY AS given (device, n)";
    let devices: Vec<_> = (0..5_000).map(name).collect();
    let fingerprints: Vec<&[u8]> = devices.iter().map(|device| &device[..]).collect();
    let mut admin = store.schema.admin();
    admin.execute(sql, &[&fingerprints]).unwrap();
    let recipients = (1..).zip(&devices);
    let recipients: Vec<_> = recipients
        .map(|(n, device)| (*device, format!("P{n}")))
        .collect();
    for id in 1..=3 {
        let number = store.add_message(&message(id), &recipients, &[]).unwrap();
        let receipts = devices.iter().map(|device| Work::Delivered {
            message: number,
            device: *device,
            at: at(2_000),
            sent: None,
        });
        let receipts: Vec<_> = receipts.map(Change::unlogged).collect();
        let began = std::time::Instant::now();
        let outcomes = store.commit(&receipts).unwrap();
        let took = began.elapsed();
        eprintln!("5,000 receipts: {took:?}");
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == crate::store::messages::Outcome::New)
        );
        // One trip to the server for each would take longer.
        assert!(took < std::time::Duration::from_secs(2), "{took:?}");
        assert_eq!(store.delivery_counts(number).unwrap().delivered, 5_000);
    }
}

/// Whoever can write to the database may have put rows under the next numbers.
#[test]
fn rows_under_numbers_to_come_are_passed_over() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open("D1").unwrap();
    let put = |id| store.add_message(&message(id), &[], &[]).unwrap();
    let write = |ids: std::ops::Range<u16>| {
        let change = |id| Change::unlogged(Work::Incoming(incoming(1, id)));
        let changes: Vec<_> = ids.map(change).collect();
        store.commit(&changes).unwrap();
        store.newest_incoming().unwrap()
    };
    assert_eq!((put(1), write(1..2)), (1, 1));
    let mut admin = schema.admin();
    for number in [2, 3, 5, 7, 9_000_000_000_000_000_000_i64] {
        let forge = format!(
            "INSERT INTO message (number, id, doctor, kind, urgent, written, sealed)
             SELECT {number}, substring(sha256('{number}') FOR 16), doctor, kind, urgent, written,
                    sealed FROM message WHERE number = 1;
             INSERT INTO incoming (number, doctor, device, patient, id, written, received, sealed)
             SELECT {number}, doctor, device, patient, substring(sha256('{number}') FOR 16),
                    written, received, sealed FROM incoming WHERE number = 1"
        );
        admin.batch_execute(&forge).unwrap();
    }
    assert_eq!([put(2), put(3), put(4)], [4, 6, 8]);
    // Two together.
    assert_eq!([write(2..4), write(4..6)], [9, 11]);
}
