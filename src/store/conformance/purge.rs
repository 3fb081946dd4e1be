//! Deleting for good keeps what somebody waits for.

use super::{at, certificate};
use crate::audit::{Action, Entry};
use crate::store::messages::{BoundaryMark, Change, IncomingRow, Kind, MessageRow, Work};
use crate::store::{
    CertificateRow, CertificateState, ConsultationRow, Purgeable, RecordRow, Store,
};

const NOW: u64 = 8_000;

fn enrol(store: &dyn Store, serial: u8, patient: &str, state: CertificateState) {
    let row = CertificateRow {
        subject: patient.to_owned(),
        state,
        ..certificate(serial)
    };
    store.add_certificate(&row).unwrap();
}

fn message(id: u8, written: u64) -> MessageRow {
    MessageRow {
        number: 0,
        id: [id; 16],
        kind: Kind::Private,
        patient: Some("P1".to_owned()),
        boundary: None,
        urgent: false,
        written: at(written),
        expires: None,
        sealed: vec![id; 30],
    }
}

fn add(store: &dyn Store, message: &MessageRow, devices: &[(u8, &str)]) -> u64 {
    let devices = devices.iter();
    let devices: Vec<_> = devices
        .map(|(device, patient)| ([*device; 32], (*patient).to_owned()))
        .collect();
    store.add_message(message, &devices, &[]).unwrap()
}

fn delivered(store: &dyn Store, message: u64, device: u8) {
    let work = Work::Delivered {
        message,
        device: [device; 32],
        at: at(2_000),
        sent: None,
    };
    store.commit(&[Change::unlogged(work)]).unwrap();
}

fn confirmed(store: &dyn Store, message: u64, device: u8) {
    let work = Work::Confirmed {
        message,
        device: [device; 32],
        at: at(2_000),
        confirmation: vec![42],
    };
    store.commit(&[Change::unlogged(work)]).unwrap();
}

fn came(store: &dyn Store, id: u8, received: u64, boundary: Option<BoundaryMark>, shown: bool) {
    let row = IncomingRow {
        number: 0,
        device: [1; 32],
        patient: "P1".to_owned(),
        id: [id; 16],
        boundary,
        written: at(received),
        received: at(received),
        shown: shown.then_some(at(received)),
        sealed: vec![id; 30],
    };
    let work = Work::Incoming(row);
    store.commit(&[Change::unlogged(work)]).unwrap();
}

fn note(store: &dyn Store, id: u8, written: u64) {
    let row = ConsultationRow {
        id: [id; 16],
        patient: "P1".to_owned(),
        written: at(written),
        begun: at(written),
        ended: None,
        sealed: vec![id; 30],
    };
    store.add_consultation(&row, &[]).unwrap();
}

fn record(store: &dyn Store, patient: &str, archived: bool) {
    let row = RecordRow {
        patient: patient.to_owned(),
        created: at(1),
        changed: at(6_000),
        archived: archived.then_some(at(6_000)),
        version: 1,
        sealed: vec![7; 30],
        contact: Some(vec![8; 30]),
    };
    store.add_record(&row, &[]).unwrap();
}

/// Purges all from before 5000, one at a time; gives the numbers of the messages
/// and of the patients' messages that went, and of notes the first byte.
fn purge(store: &dyn Store) -> [Vec<u64>; 3] {
    let tombstone = |_: &Purgeable| Entry::new(at(NOW), "D1", Action::Purged, "", "");
    let [messages, incoming, notes, _] = store.count_purgeable(at(5_000), at(NOW)).unwrap();
    let kept = store.count_kept(at(5_000), at(NOW)).unwrap();
    let mut went = [vec![], vec![], vec![]];
    loop {
        let gone = store.purge(at(5_000), at(NOW), 1, &tombstone).unwrap();
        if gone.is_empty() {
            break;
        }
        for one in gone {
            match one {
                Purgeable::Message { number, .. } => went[0].push(number),
                Purgeable::Incoming { number, .. } => went[1].push(number),
                Purgeable::Consultation { id, .. } => went[2].push(u64::from(id[0])),
                Purgeable::Record { .. } => panic!("no record is so old"),
            }
        }
    }
    let counts = went.each_ref().map(|numbers| numbers.len() as u64);
    assert_eq!(counts, [messages, incoming, notes], "what was foretold");
    assert_eq!(store.count_kept(at(5_000), at(NOW)).unwrap(), kept);
    went.each_mut().map(|numbers| {
        numbers.sort_unstable();
        std::mem::take(numbers)
    })
}

pub(in crate::store) fn what_a_patient_waits_for_outlives_the_purge(store: &dyn Store) {
    enrol(store, 1, "P1", CertificateState::Active);
    enrol(store, 2, "P1", CertificateState::Revoked);
    enrol(store, 3, "P3", CertificateState::Revoked);
    enrol(store, 4, "P4", CertificateState::Revoked);
    record(store, "P4", true);
    let urgent = |id| MessageRow {
        urgent: true,
        ..message(id, 1_000)
    };
    let ending = |id, expires| MessageRow {
        expires: Some(at(expires)),
        ..message(id, 1_000)
    };
    let one = [(1, "P1")];
    let waits = add(store, &message(1, 1_000), &one);
    let arrived = add(store, &message(2, 1_000), &one);
    delivered(store, arrived, 1);
    let unconfirmed = add(store, &urgent(3), &one);
    delivered(store, unconfirmed, 1);
    let is_confirmed = add(store, &urgent(4), &one);
    delivered(store, is_confirmed, 1);
    confirmed(store, is_confirmed, 1);
    let over = add(store, &ending(5, NOW), &one);
    let lasting = add(store, &ending(6, NOW + 1), &one);
    // A device that never returns: her other one has got it.
    let elsewhere = add(store, &message(7, 1_000), &[(1, "P1"), (2, "P1")]);
    delivered(store, elsewhere, 1);
    // Her next device gets it; but not one of a patient who has left.
    let lost = add(store, &message(8, 1_000), &[(3, "P3")]);
    let left = add(store, &message(9, 1_000), &[(4, "P4")]);
    let nobody = add(store, &message(10, 1_000), &[]);
    let young = add(store, &message(11, 5_000), &one);
    delivered(store, young, 1);
    assert_eq!(store.count_kept(at(5_000), at(NOW)).unwrap(), 4);
    let [messages, ..] = purge(store);
    assert_eq!(
        messages,
        [arrived, is_confirmed, over, elsewhere, left, nobody]
    );
    for number in [waits, unconfirmed, lasting, lost, young] {
        assert!(store.message(number).unwrap().is_some(), "{number}");
    }
    delivered(store, waits, 1);
    assert_eq!(purge(store)[0], [waits], "once it has arrived");
}

pub(in crate::store) fn what_the_doctor_has_not_read_outlives_the_purge(store: &dyn Store) {
    came(store, 1, 1_000, None, false);
    came(store, 2, 1_000, None, true);
    assert_eq!(store.count_kept(at(5_000), at(NOW)).unwrap(), 1);
    assert_eq!(purge(store)[1], [2]);
    assert_eq!(store.unread_count().unwrap(), 1);
    store.mark_shown(&[1], at(7_000), &[]).unwrap();
    assert_eq!(purge(store)[1], [1], "once it was read");
}

pub(in crate::store) fn an_open_consultation_outlives_the_purge_from_its_opening_on(
    store: &dyn Store,
) {
    let word = |id, written, boundary| MessageRow {
        boundary: Some(boundary),
        ..message(id, written)
    };
    let (opens, closes) = (BoundaryMark::Opens, BoundaryMark::Closes);
    record(store, "P1", true);
    add(store, &word(1, 1_000, opens), &[]);
    came(store, 1, 1_100, Some(closes), true);
    add(store, &message(2, 1_200), &[]);
    note(store, 1, 1_250);
    came(store, 2, 1_300, Some(opens), true);
    add(store, &word(3, 1_400, opens), &[]);
    add(store, &message(4, 1_500), &[]);
    came(store, 3, 1_600, None, true);
    note(store, 2, 1_700);
    // One with somebody else has ended.
    let other = MessageRow {
        patient: Some("P2".to_owned()),
        ..message(5, 1_800)
    };
    add(store, &other, &[]);
    assert_eq!(store.count_kept(at(5_000), at(NOW)).unwrap(), 5);
    assert_eq!(purge(store), [vec![1, 2, 5], vec![1], vec![1]]);
    add(store, &word(6, 6_000, closes), &[]);
    assert_eq!(purge(store), [vec![3, 4], vec![2, 3], vec![2]]);
}

pub(in crate::store) fn no_purge_opens_a_consultation_that_has_ended(store: &dyn Store) {
    enrol(store, 1, "P1", CertificateState::Active);
    let closes = MessageRow {
        boundary: Some(BoundaryMark::Closes),
        ..message(1, 2_000)
    };
    // Its beginning was not read: its end is kept, too.
    came(store, 1, 1_000, Some(BoundaryMark::Opens), false);
    let end = add(store, &closes, &[(1, "P1")]);
    delivered(store, end, 1);
    let nothing: [Vec<u64>; 3] = Default::default();
    assert_eq!(purge(store), nothing);
    assert_eq!(store.count_kept(at(5_000), at(NOW)).unwrap(), 2);
    // Read, both go, one at a time.
    store.mark_shown(&[1], at(7_000), &[]).unwrap();
    assert_eq!(purge(store), [vec![1], vec![1], vec![]]);
}
