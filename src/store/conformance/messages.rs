//! The doctor's messages.

use super::{at, certificate};
use crate::audit::{Action, Entry};
use crate::protocol::message::{MessageId, Place};
use crate::store::messages::{
    BoundaryMark, Change, DeliveryCounts, Device, IncomingRow, Kind, MessageRow, Outcome, Work,
};
use crate::store::{CertificateRow, CertificateState, Store, StoreFault};

const ALL: u64 = u64::MAX;

fn message(id: u8, kind: Kind) -> MessageRow {
    MessageRow {
        number: 0,
        id: [id; 16],
        kind,
        patient: (kind == Kind::Private).then(|| "P1".to_owned()),
        boundary: None,
        urgent: false,
        written: at(1_000),
        expires: None,
        sealed: vec![id; 300],
    }
}

fn urgent(id: u8) -> MessageRow {
    let urgent = true;
    MessageRow {
        urgent,
        ..message(id, Kind::Broadcast)
    }
}

/// Devices 1 and 2 are P1's, device 3 is P2's.
fn devices(store: &dyn Store) -> Vec<(Device, String)> {
    for serial in [1, 2, 3] {
        enrol(store, serial, if serial == 3 { "P2" } else { "P1" });
    }
    store.active_devices(None, at(1_000)).unwrap()
}

fn enrol(store: &dyn Store, serial: u8, patient: &str) {
    store
        .add_certificate(&CertificateRow {
            subject: patient.to_owned(),
            state: CertificateState::Active,
            ..certificate(serial)
        })
        .unwrap();
}

fn entry(subject: &str) -> Entry {
    Entry::new(at(5), "D1", Action::Broadcast, subject, "")
}

fn one(store: &dyn Store, work: Work) -> Outcome {
    store.commit(&[Change::unlogged(work)]).unwrap()[0]
}

fn sent(store: &dyn Store, message: u64, device: u8, millis: u64) -> Outcome {
    let (devices, at) = (vec![[device; 32]], at(millis));
    one(
        store,
        Work::Sent {
            message,
            devices,
            at,
        },
    )
}

fn delivered(store: &dyn Store, message: u64, device: u8, millis: u64) -> Outcome {
    let (device, at) = ([device; 32], at(millis));
    one(
        store,
        Work::Delivered {
            message,
            device,
            at,
            sent: None,
        },
    )
}

fn confirmed(store: &dyn Store, message: u64, device: u8, millis: u64) -> Outcome {
    one(
        store,
        Work::Confirmed {
            message,
            device: [device; 32],
            at: at(millis),
            confirmation: vec![device, 42],
        },
    )
}

fn pending(store: &dyn Store, device: u8) -> Vec<u64> {
    let rows = store.pending(&[device; 32], 0, ALL, at(1_500), 100);
    rows.unwrap().iter().map(|row| row.number).collect()
}

fn missing(store: &dyn Store, message: Option<u64>) -> Vec<(u64, u8)> {
    let rows = store.missing(message, 100).unwrap();
    rows.iter()
        .map(|row| (row.message, row.device[0]))
        .collect()
}

pub(in crate::store) fn a_message_is_queued_for_each_of_its_recipients(store: &dyn Store) {
    let devices = devices(store);
    assert_eq!(store.newest_message().unwrap(), 0);
    let written = message(1, Kind::Broadcast);
    let number = store.add_message(&written, &devices, &[entry("")]).unwrap();
    assert_eq!((number, store.newest_message().unwrap()), (1, 1));
    assert_eq!(store.audit_head().unwrap().unwrap().0, 1);
    let kept = MessageRow { number, ..written };
    assert_eq!(store.message(number).unwrap().unwrap(), kept);
    let rows = store.deliveries(number).unwrap();
    let patients: Vec<_> = rows.iter().map(|row| row.patient.as_str()).collect();
    assert_eq!(patients, ["P1", "P1", "P2"]);
    assert!(rows.iter().all(|row| row.state() == ("queued", at(1_000))));
    let (found, delivery) = store.message_for(&[3; 32], &[1; 16]).unwrap().unwrap();
    assert_eq!((found, delivery), (kept, rows[2].clone()));
    assert_eq!(store.message_for(&[9; 32], &[1; 16]).unwrap(), None);
    assert_eq!(store.message(2).unwrap(), None);
    assert_eq!(store.message(u64::MAX).unwrap(), None);
}

pub(in crate::store) fn a_message_of_the_same_id_is_refused_whole(store: &dyn Store) {
    let devices = devices(store);
    let first = message(1, Kind::Broadcast);
    store.add_message(&first, &devices, &[]).unwrap();
    let error = store
        .add_message(&first, &devices, &[entry("")])
        .unwrap_err();
    assert!(matches!(error.fault(), StoreFault::Duplicate), "{error}");
    // Nor is anything left of one whose recipients cannot all be added.
    let twice = [devices[0].clone(), devices[0].clone()];
    let second = message(2, Kind::Chosen);
    assert!(store.add_message(&second, &twice, &[entry("")]).is_err());
    assert_eq!(store.newest_message().unwrap(), 1);
    assert_eq!(store.audit_head().unwrap(), None);
}

pub(in crate::store) fn each_state_has_its_time_and_the_first_one_stays(store: &dyn Store) {
    let devices = devices(store);
    let number = store.add_message(&urgent(1), &devices, &[]).unwrap();
    for millis in [2_000, 3_000] {
        let expected = match millis {
            2_000 => Outcome::New,
            _ => Outcome::Known,
        };
        assert_eq!(sent(store, number, 1, millis), expected);
        assert_eq!(delivered(store, number, 1, millis + 1), expected);
        assert_eq!(confirmed(store, number, 1, millis + 2), expected);
    }
    // No state implies another.
    assert_eq!(delivered(store, number, 2, 2_000), Outcome::New);
    assert_eq!(sent(store, 99, 1, 1), Outcome::Known, "no such message");
    assert_eq!(delivered(store, number, 9, 1), Outcome::Known, "no such");
    let rows = store.deliveries(number).unwrap();
    let times = |row: usize| (rows[row].sent, rows[row].delivered, rows[row].confirmed);
    assert_eq!(
        times(0),
        (Some(at(2_000)), Some(at(2_001)), Some(at(2_002)))
    );
    assert_eq!(times(1), (None, Some(at(2_000)), None));
    assert_eq!(times(2), (None, None, None));
    let counts = DeliveryCounts {
        queued: 1,
        sent: 0,
        delivered: 1,
        confirmed: 1,
    };
    assert_eq!(store.delivery_counts(number).unwrap(), counts);
}

pub(in crate::store) fn what_is_open_is_given_until_it_has_arrived(store: &dyn Store) {
    let devices = devices(store);
    for id in 1..=5 {
        let message = message(id, Kind::Broadcast);
        store.add_message(&message, &devices, &[]).unwrap();
    }
    assert_eq!(pending(store, 1), [1, 2, 3, 4, 5]);
    sent(store, 1, 1, 2_000);
    delivered(store, 2, 1, 2_000);
    // A person's word is no proof of the device's.
    confirmed(store, 3, 1, 2_000);
    assert_eq!(pending(store, 1), [1, 3, 4, 5]);
    delivered(store, 3, 1, 2_000);
    assert_eq!(pending(store, 1), [1, 4, 5]);
    assert_eq!(pending(store, 2), [1, 2, 3, 4, 5]);
    let some = store.pending(&[2; 32], 1, 4, at(1_500), 2).unwrap();
    let numbers: Vec<_> = some.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [2, 3]);
    assert!(pending(store, 9).is_empty());
}

pub(in crate::store) fn what_is_urgent_is_given_until_the_patient_has_confirmed(store: &dyn Store) {
    let devices = devices(store);
    store.add_message(&urgent(1), &devices, &[]).unwrap();
    for device in [1, 3] {
        delivered(store, 1, device, 2_000);
    }
    assert_eq!([1, 2, 3].map(|device| pending(store, device).len()), [1; 3]);
    confirmed(store, 1, 1, 2_000);
    // Device 2 has not got it yet; P2 has not confirmed.
    assert_eq!(
        [1, 2, 3].map(|device| pending(store, device).len()),
        [0, 1, 1]
    );
    delivered(store, 1, 2, 2_000);
    assert_eq!(
        [1, 2, 3].map(|device| pending(store, device).len()),
        [0, 0, 1]
    );
}

pub(in crate::store) fn what_has_ended_is_given_to_nobody(store: &dyn Store) {
    let devices = devices(store);
    let ending = |id, expires| MessageRow {
        expires: Some(at(expires)),
        ..urgent(id)
    };
    store.add_message(&ending(1, 1_500), &devices, &[]).unwrap();
    store.add_message(&ending(2, 1_501), &devices, &[]).unwrap();
    assert_eq!(pending(store, 1), [2]);
    assert_eq!(store.end_expired(at(1_500)).unwrap(), 1);
    assert_eq!(store.end_expired(at(1_500)).unwrap(), 0);
    assert_eq!(pending(store, 1), [2]);
    let earlier = store.pending(&[1; 32], 0, ALL, at(0), 10).unwrap();
    assert_eq!(earlier.len(), 1, "ended once, it stays so");
    // Whoever had it may still say so.
    assert_eq!(delivered(store, 1, 1, 1_600), Outcome::New);
    assert_eq!(confirmed(store, 1, 1, 1_600), Outcome::New);
    assert_eq!(pending(store, 1), [2]);
}

pub(in crate::store) fn a_new_device_gets_what_no_other_of_its_patient_has_got(store: &dyn Store) {
    let devices = devices(store);
    for id in 1..=3 {
        let message = message(id, Kind::Broadcast);
        store.add_message(&message, &devices, &[]).unwrap();
    }
    let ended = MessageRow {
        expires: Some(at(1_200)),
        ..urgent(4)
    };
    store.add_message(&ended, &devices, &[]).unwrap();
    // What one device of P1 has is not given to a third.
    delivered(store, 1, 1, 1_100);
    delivered(store, 2, 2, 1_100);
    enrol(store, 4, "P1");
    assert_eq!(store.welcome(&[4; 32], "P1", at(1_500)).unwrap(), 1);
    assert_eq!(pending(store, 4), [3]);
    assert_eq!(store.deliveries(3).unwrap()[2].queued, at(1_500));
    assert_eq!(store.welcome(&[4; 32], "P1", at(1_600)).unwrap(), 0);
    // Once welcomed, a device has its own deliveries.
    assert_eq!(store.welcome(&[1; 32], "P1", at(1_500)).unwrap(), 0);
    assert_eq!(pending(store, 1), [2, 3]);
    enrol(store, 5, "P9");
    assert_eq!(store.welcome(&[5; 32], "P9", at(1_500)).unwrap(), 0);
    assert!(pending(store, 5).is_empty());
}

pub(in crate::store) fn what_is_missing_at_one_device_only_is_not_missing(store: &dyn Store) {
    let devices = devices(store);
    for id in [1, 2] {
        let message = message(id, Kind::Broadcast);
        store.add_message(&message, &devices, &[]).unwrap();
    }
    let all = [(2, 1), (2, 2), (2, 3), (1, 1), (1, 2), (1, 3)];
    assert_eq!(missing(store, None), all);
    sent(store, 1, 3, 2_000);
    delivered(store, 1, 1, 2_000);
    assert_eq!(missing(store, Some(1)), [(1, 3)]);
    confirmed(store, 2, 3, 2_000);
    assert_eq!(missing(store, None), [(2, 1), (2, 2), (1, 3)]);
    // What does not fit into a list is counted all the same.
    assert_eq!(store.missing(None, 1).unwrap().len(), 1);
    let counts = store.missing_counts(None).unwrap();
    let counts = counts.iter().map(|(n, c)| (*n, c.queued, c.sent));
    assert_eq!(counts.collect::<Vec<_>>(), [(2, 2, 0), (1, 0, 1)]);
    assert_eq!(store.missing_counts(Some(1)).unwrap().len(), 1);
    assert!(missing(store, Some(3)).is_empty());
}

pub(in crate::store) fn a_confirmation_is_kept_as_it_came(store: &dyn Store) {
    let devices = devices(store);
    store.add_message(&urgent(1), &devices, &[]).unwrap();
    assert_eq!(store.confirmation(1, &[1; 32]).unwrap(), None);
    confirmed(store, 1, 1, 2_000);
    let again = Work::Confirmed {
        message: 1,
        device: [1; 32],
        at: at(3_000),
        confirmation: vec![7],
    };
    assert_eq!(one(store, again), Outcome::Known);
    let kept = store.confirmation(1, &[1; 32]).unwrap();
    assert_eq!(kept.unwrap(), [1, 42]);
    assert_eq!(store.confirmation(1, &[9; 32]).unwrap(), None);
}

pub(in crate::store) fn messages_are_found_by_number_prefix_and_patient(store: &dyn Store) {
    let devices = devices(store);
    let mut similar = message(1, Kind::Private);
    similar.id[15] = 0;
    for row in [
        message(1, Kind::Broadcast),
        similar,
        message(2, Kind::Chosen),
    ] {
        let to = match row.kind {
            Kind::Broadcast => &devices[..],
            Kind::Private => &devices[..2],
            Kind::Chosen => &devices[2..],
        };
        store.add_message(&row, to, &[]).unwrap();
    }
    let numbers = |rows: Vec<MessageRow>| rows.iter().map(|row| row.number).collect::<Vec<_>>();
    let newest = store.messages_before(ALL, 2).unwrap();
    assert_eq!(numbers(newest), [3, 2]);
    assert_eq!(numbers(store.messages_before(2, 9).unwrap()), [1]);
    let like = |prefix: &[u8]| numbers(store.messages_with_prefix(prefix, 9).unwrap());
    assert_eq!(like(&[1, 1, 1]), [2, 1]);
    assert_eq!(like(&[1; 16]), [1]);
    assert_eq!(like(&[3]), Vec::<u64>::new());
    let to = |patient: &str, limit| {
        let rows = store.messages_to(patient, limit).unwrap();
        rows.iter()
            .map(|(row, deliveries)| (row.number, deliveries.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(to("P1", 9), [(2, 2), (1, 2)]);
    assert_eq!(to("P2", 9), [(3, 1), (1, 1)]);
    assert_eq!(to("P1", 1), [(2, 2)]);
    assert!(to("P9", 9).is_empty());
    // What is not open any more is found like what is.
    delivered(store, 1, 1, 2_000);
    assert_eq!(to("P1", 9), [(2, 2), (1, 2)]);
    one(store, Work::Incoming(incoming(1, 1)));
    let counts = ["P1", "P2", "P9"].map(|name| store.count_messages(name).unwrap());
    assert_eq!(counts, [3, 2, 0]);
}

fn incoming(device: u8, id: u8) -> IncomingRow {
    IncomingRow {
        number: 0,
        device: [device; 32],
        patient: if device == 3 { "P2" } else { "P1" }.to_owned(),
        id: [id; 16],
        boundary: None,
        written: at(900),
        received: at(1_000),
        shown: None,
        sealed: vec![id; 300],
    }
}

pub(in crate::store) fn a_patients_message_is_kept_once_for_each_device(store: &dyn Store) {
    let rows = [(1, 1), (1, 2), (2, 1), (3, 1)].map(|(device, id)| incoming(device, id));
    for row in &rows {
        assert_eq!(one(store, Work::Incoming(row.clone())), Outcome::New);
    }
    let other_bytes = IncomingRow {
        sealed: vec![9; 9],
        ..rows[0].clone()
    };
    assert_eq!(one(store, Work::Incoming(other_bytes)), Outcome::Known);
    let number = 1;
    let first = IncomingRow {
        number,
        ..rows[0].clone()
    };
    let found = store.incoming_with_id(&[1; 32], &[1; 16]).unwrap();
    assert_eq!(found, Some(first));
    assert_eq!(store.incoming_with_id(&[3; 32], &[2; 16]).unwrap(), None);
    let numbers = |patient, limit| {
        let rows = store.incoming(patient, limit).unwrap();
        rows.iter().map(|row| row.sealed[0]).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 9), [1, 1, 2, 1]);
    assert_eq!(numbers(Some("P1"), 2), [1, 2]);
    assert_eq!(numbers(Some("P2"), 9), [1]);
}

pub(in crate::store) fn a_patients_message_is_unread_until_it_was_shown(store: &dyn Store) {
    for id in 1..=3 {
        one(store, Work::Incoming(incoming(1, id)));
    }
    assert_eq!(store.unread_count().unwrap(), 3);
    let unread = store.incoming_unread(2).unwrap();
    let numbers: Vec<u64> = unread.iter().map(|row| row.number).collect();
    store
        .mark_shown(&numbers, at(2_000), &[entry("P1")])
        .unwrap();
    store.mark_shown(&numbers, at(3_000), &[]).unwrap();
    assert_eq!(store.unread_count().unwrap(), 1);
    let shown = store.incoming_with_id(&[1; 32], &[1; 16]).unwrap();
    assert_eq!(shown.unwrap().shown, Some(at(2_000)), "the first time");
    assert_eq!(store.incoming_unread(9).unwrap()[0].id, [3; 16]);
    assert_eq!(store.audit_head().unwrap().unwrap().0, 1);
}

pub(in crate::store) fn a_consultations_last_word_is_found(store: &dyn Store) {
    let devices = devices(store);
    assert!(store.boundaries("P1").unwrap().is_empty());
    let opens = MessageRow {
        boundary: Some(BoundaryMark::Opens),
        ..message(1, Kind::Private)
    };
    store.add_message(&opens, &devices[..2], &[]).unwrap();
    let plain = message(2, Kind::Private);
    store.add_message(&plain, &devices[..2], &[]).unwrap();
    let closes = IncomingRow {
        boundary: Some(BoundaryMark::Closes),
        ..incoming(1, 7)
    };
    one(store, Work::Incoming(closes.clone()));
    one(store, Work::Incoming(incoming(1, 8)));
    let place = |id, written, came| Place {
        at: at(came),
        written: at(written),
        id: MessageId([id; 16]),
    };
    assert_eq!(
        store.boundaries("P1").unwrap(),
        [
            (BoundaryMark::Opens, place(1, 1_000, 1_000)),
            (BoundaryMark::Closes, closes.place()),
        ]
    );
    assert!(store.boundaries("P2").unwrap().is_empty());
    let (to, from) = store.consultation_words("P1").unwrap();
    assert_eq!((to[0].id, from[0].id), ([1; 16], [7; 16]));
    assert_eq!((to.len(), from.len()), (1, 1));
    // It counts when a message came, whatever it says of itself; what came at
    // the same moment, in the order in which it was written.
    let word = |id, mark, written, received| IncomingRow {
        boundary: Some(mark),
        written: at(written),
        received: at(received),
        ..incoming(1, id)
    };
    let last = || store.boundaries("P1").unwrap()[1];
    let (opens, closes) = (BoundaryMark::Opens, BoundaryMark::Closes);
    one(store, Work::Incoming(word(9, opens, 2_000_000, 1_200)));
    assert_eq!(last(), (opens, place(9, 2_000_000, 1_200)));
    one(store, Work::Incoming(word(10, closes, 50, 1_300)));
    assert_eq!(last(), (closes, place(10, 50, 1_300)));
    one(store, Work::Incoming(word(2, opens, 60, 1_300)));
    assert_eq!(last(), (opens, place(2, 60, 1_300)));
    one(store, Work::Incoming(word(11, closes, 55, 1_300)));
    assert_eq!(last(), (opens, place(2, 60, 1_300)));
}

pub(in crate::store) fn changes_are_committed_and_logged_together(store: &dyn Store) {
    let devices = devices(store);
    store.add_message(&urgent(1), &devices, &[]).unwrap();
    let change = |device, subject| Change {
        work: Work::Delivered {
            message: 1,
            device: [device; 32],
            at: at(2_000),
            sent: None,
        },
        audit: vec![entry(subject)],
    };
    let changes = [
        change(1, "first"),
        change(1, "again"),
        Change::audit(vec![entry("alone")]),
        change(2, "other"),
    ];
    let outcomes = store.commit(&changes).unwrap();
    assert_eq!(
        outcomes,
        [Outcome::New, Outcome::Known, Outcome::New, Outcome::New]
    );
    let rows = store.audit(1, 10).unwrap();
    let subjects: Vec<_> = rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["first", "alone", "other"]);
    assert!(store.commit(&[]).unwrap().is_empty());
}

pub(in crate::store) fn only_active_devices_are_recipients(store: &dyn Store) {
    let devices = devices(store);
    let names: Vec<_> = devices.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["P1", "P1", "P2"]);
    store.add_certificate(&certificate(4)).unwrap();
    let revoked = CertificateState::Revoked;
    store.set_certificate_state(&[1; 16], revoked).unwrap();
    let active = |patient, millis| {
        let devices = store.active_devices(patient, at(millis)).unwrap();
        devices
            .iter()
            .map(|(device, _)| device[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(active(None, 9_000), [2, 3]);
    assert_eq!(active(None, 9_001), Vec::<u8>::new(), "ended");
    assert_eq!(active(Some("P1"), 1_000), [2]);
    assert_eq!(active(Some("P4"), 1_000), Vec::<u8>::new(), "inactive");
}

pub(in crate::store) fn who_has_no_active_device_is_found_with_the_reason(store: &dyn Store) {
    use CertificateState::{Active, Frozen, Inactive, Revoked};
    for (serial, patient, state, created) in [
        (1, "P1", Active, 10),
        (2, "P1", Revoked, 20),
        (3, "P2", Revoked, 20),
        (4, "P2", Frozen, 30),
        (5, "P2", Inactive, 10),
        (6, "P3", Active, 10),
    ] {
        let row = CertificateRow {
            subject: patient.to_owned(),
            state,
            created: at(created),
            not_after: at(if serial == 6 { 5_000 } else { 9_000 }),
            ..certificate(serial)
        };
        store.add_certificate(&row).unwrap();
    }
    let closed = |patient, millis| {
        let devices = store.closed_devices(patient, at(millis)).unwrap();
        let short = devices.into_iter().map(|row| (row.device[0], row.state));
        short.collect::<Vec<_>>()
    };
    let second = [(5, Inactive), (3, Revoked), (4, Frozen)];
    assert_eq!(closed(None, 5_000), second, "of the others one is active");
    assert_eq!(closed(Some("P2"), 5_000), second);
    assert_eq!(closed(Some("P1"), 5_000), []);
    assert_eq!(closed(Some("P3"), 5_001), [(6, Active)], "ended");
    assert_eq!(closed(None, 9_001).len(), 6);
    assert_eq!(closed(Some("P4"), 9_001), []);
}
