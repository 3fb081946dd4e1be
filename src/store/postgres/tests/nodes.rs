//! What the nodes of a clinic tell each other.

use std::thread;
use std::time::{Duration, Instant};

use super::Schema;
use super::faults::wait_until;
use super::shared::{at, incoming, message};
use crate::store::conformance::certificate;
use crate::store::messages::{Change, MessageStore, Work};
use crate::store::nodes::{Answered, Claim, News, NodeStore};
use crate::store::{CertificateState, ClinicStore, FactStore, PostgresStore, TrustStore, fact};

const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(100);

fn claim(device: u8, session: u8, seconds: u64) -> Claim {
    Claim {
        device: [device; 32],
        session: [session; 16],
        answered: Answered::Here(Instant::now() - Duration::from_secs(seconds)),
    }
}

#[test]
fn a_device_is_where_it_was_answered_last() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    for serial in [1, 2] {
        first.add_certificate(&certificate(serial)).unwrap();
    }
    let _seat = first.take_seat(Instant::now(), &[]).unwrap();
    let seat = second.take_seat(Instant::now(), &[]).unwrap();
    let (old, new) = (claim(1, 1, 60), claim(1, 2, 5));
    assert!(first.claim(&old).unwrap().is_some());
    assert!(first.unclaimed(&[old]).unwrap().is_empty());
    assert!(second.claim(&new).unwrap().is_some());
    // Late, as when somebody held it back.
    assert!(first.claim(&old).unwrap().is_none());
    assert_eq!(first.unclaimed(&[old]).unwrap(), [old.session]);
    assert!(second.unclaimed(&[new]).unwrap().is_empty());
    let present = first.present().unwrap();
    assert_eq!(present.len(), 1);
    assert_eq!((&*present[0].doctor, present[0].device), ("D2", [1; 32]));
    assert_eq!(present[0].patient, certificate(1).subject);
    // The end of the old one does not end the new one.
    first.release(&[([1; 32], old.session)]).unwrap();
    assert!(second.unclaimed(&[new]).unwrap().is_empty());
    second.release(&[([1; 32], new.session)]).unwrap();
    assert!(first.present().unwrap().is_empty());
    // What was forgotten is known as such, and claimed again.
    let more = claim(2, 3, 1);
    let unclaimed = second.unclaimed(&[new, more]).unwrap();
    assert_eq!(unclaimed.len(), 2);
    for claim in [new, more] {
        assert!(second.claim(&claim).unwrap().is_some());
    }
    assert_eq!(first.present().unwrap().len(), 2);
    // A node that was killed starts without sessions, one that ends leaves none.
    drop(seat);
    let seat = second.take_seat(Instant::now(), &[more.session]).unwrap();
    let present = first.present().unwrap();
    assert_eq!(present.len(), 1, "what it says it holds");
    assert_eq!(present[0].device, more.device);
    assert!(second.claim(&new).unwrap().is_some());
    seat.leave().unwrap();
    assert!(first.present().unwrap().is_empty());
    let nodes = first.running().unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].doctor, "D1");
    assert!(nodes[0].silent < PATIENCE);
}

#[test]
fn a_claim_that_had_to_wait_makes_its_session_no_newer() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    first.add_certificate(&certificate(1)).unwrap();
    let _seat = second.take_seat(Instant::now(), &[]).unwrap();
    let (old, new) = (claim(1, 1, 2), claim(1, 2, 1));
    assert!(second.claim(&new).unwrap().is_some());
    let mut admin = schema.admin();
    let mut lock = admin.transaction().unwrap();
    lock.batch_execute("LOCK TABLE presence IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    thread::scope(|scope| {
        let late = scope.spawn(|| first.claim(&old));
        let waiting = "SELECT count(*) FROM pg_locks
                       WHERE relation = 'presence'::regclass AND NOT granted
                         AND waitstart < clock_timestamp() - interval '1.5 seconds'";
        wait_until("the claim has waited", || {
            lock.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0
        });
        lock.commit().unwrap();
        assert!(late.join().unwrap().unwrap().is_none());
    });
    assert!(second.unclaimed(&[new]).unwrap().is_empty());
}

/// As after a sleep of the machine, during which its clock stood still.
#[test]
fn a_session_that_is_claimed_again_is_as_old_as_it_was() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    let _seat = second.take_seat(Instant::now(), &[]).unwrap();
    let (old, new) = (claim(1, 1, 60), claim(1, 2, 30));
    let stamp = first.claim(&old).unwrap().unwrap();
    assert!(second.claim(&new).unwrap().is_some());
    let again = Claim {
        answered: Answered::Stored(stamp),
        ..old
    };
    assert!(first.claim(&again).unwrap().is_none());
    // To the microsecond.
    second.release(&[(new.device, new.session)]).unwrap();
    assert_eq!(first.claim(&again).unwrap(), Some(stamp));
    assert_eq!(first.claim(&again).unwrap(), Some(stamp));
}

#[test]
fn what_bears_a_time_to_come_keeps_nobody_out() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    let _seat = second.take_seat(Instant::now(), &[]).unwrap();
    assert!(first.claim(&claim(1, 1, 60)).unwrap().is_some());
    let forge = "UPDATE presence SET answered = clock_timestamp() + interval '1 year'";
    schema.admin().batch_execute(forge).unwrap();
    let real = claim(1, 2, 5);
    assert!(second.claim(&real).unwrap().is_some());
    assert!(first.claim(&claim(1, 1, 60)).unwrap().is_none());
    assert!(second.unclaimed(&[real]).unwrap().is_empty());
}

#[test]
fn a_row_of_a_doctor_who_has_no_seat_keeps_nobody_out() {
    let Some(schema) = Schema::new() else { return };
    let first = schema.open("D1").unwrap();
    let session = claim(1, 1, 60);
    assert!(first.claim(&session).unwrap().is_some());
    let forge = "UPDATE presence SET doctor = 'D2', session = substring(sha256('x') FOR 16),
                     answered = clock_timestamp()";
    schema.admin().batch_execute(forge).unwrap();
    assert_eq!(first.unclaimed(&[session]).unwrap(), [session.session]);
    assert!(first.claim(&session).unwrap().is_some());
    assert!(first.unclaimed(&[session]).unwrap().is_empty());
}

#[test]
fn what_one_node_changes_the_others_hear() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    first.add_certificate(&certificate(1)).unwrap();
    let mut watch = second.take_seat(Instant::now(), &[]).unwrap();
    assert!(watch.wait(MOMENT).unwrap().is_none());
    first.add_message(&message(1), &[], &[]).unwrap();
    let messages = News {
        messages: true,
        ..News::default()
    };
    assert_eq!(watch.wait(PATIENCE).unwrap(), messages);
    first
        .set_certificate_state(&[1; 16], CertificateState::Frozen)
        .unwrap();
    let certificates = News {
        certificates: true,
        ..News::default()
    };
    assert_eq!(watch.wait(PATIENCE).unwrap(), certificates);
    let papers = News {
        papers: true,
        ..News::default()
    };
    first.put_roster_entry(b"D1 is here").unwrap();
    assert_eq!(watch.wait(PATIENCE).unwrap(), papers);
    assert_eq!(
        second.roster().unwrap(),
        [("D1".to_owned(), b"D1 is here".to_vec())]
    );
    first.set_facts(&[(fact::REVOKED_DOCTORS, b"2")]).unwrap();
    assert_eq!(watch.wait(PATIENCE).unwrap(), papers);
    // Whoever comes for the first time concerns nobody, whoever moves does.
    second.claim(&claim(1, 1, 9)).unwrap();
    let mut other = first.take_seat(Instant::now(), &[]).unwrap();
    other.beat().unwrap();
    assert!(watch.wait(MOMENT).unwrap().is_none());
    first.claim(&claim(1, 2, 1)).unwrap();
    let claims = News {
        claims: true,
        ..News::default()
    };
    assert_eq!(watch.wait(PATIENCE).unwrap(), claims);
    // What came meanwhile is told at once.
    first.add_message(&message(2), &[], &[]).unwrap();
    first.put_roster_entry(b"or there").unwrap();
    let mut news = watch.wait(PATIENCE).unwrap();
    while news != messages.and(papers) {
        news = news.and(watch.wait(PATIENCE).unwrap());
    }
}

#[test]
fn a_seat_that_is_cut_off_says_so_and_is_taken_again() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(&schema.name).unwrap();
    let mut seat = store.take_seat(Instant::now(), &[]).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = $1";
    let name = format!("telemed {}", schema.name);
    schema.admin().execute(cut, &[&name]).unwrap();
    seat.wait(PATIENCE).unwrap_err();
    let mut seat = store.take_seat(Instant::now(), &[]).unwrap();
    assert!(seat.wait(MOMENT).unwrap().is_none());
}

#[test]
fn what_is_open_is_given_up_to_where_each_device_is() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open("D1").unwrap();
    let devices: Vec<_> = [1, 2]
        .map(|device| ([device; 32], format!("P{device}")))
        .into();
    for (serial, (_, patient)) in (1..).zip(&devices) {
        let mut row = certificate(serial);
        row.subject.clone_from(patient);
        store.add_certificate(&row).unwrap();
    }
    for id in 1..=3 {
        store.add_message(&message(id), &devices, &[]).unwrap();
    }
    let mut ending = message(4);
    ending.expires = Some(at(5_000));
    store.add_message(&ending, &devices[..1], &[]).unwrap();
    let open = |given: &[(u8, u64)], up_to, now| {
        let given: Vec<_> = given
            .iter()
            .map(|(it, after)| ([*it; 32], *after))
            .collect();
        let (open, all_up_to) = store.open_for(&given, up_to, at(now)).unwrap();
        assert_eq!(all_up_to, up_to);
        let short = |(number, devices): (u64, Vec<[u8; 32]>)| {
            let mut devices: Vec<_> = devices.iter().map(|device| device[0]).collect();
            devices.sort_unstable();
            (number, devices)
        };
        open.into_iter().map(short).collect::<Vec<_>>()
    };
    let all = [(1, 0), (2, 2)];
    let expected = [(1, vec![1]), (2, vec![1]), (3, vec![1, 2]), (4, vec![1])];
    assert_eq!(open(&all, 9, 2_000), expected);
    assert_eq!(open(&all, 2, 2_000), expected[..2]);
    assert_eq!(open(&all, 9, 5_000), expected[..3]);
    let delivered = Work::Delivered {
        message: 2,
        device: [1; 32],
        at: at(2_000),
        sent: None,
    };
    let confirmed = Work::Confirmed {
        message: 2,
        device: [1; 32],
        at: at(2_000),
        confirmation: vec![42],
    };
    let changes = [delivered, confirmed].map(Change::unlogged);
    store.commit(&changes).unwrap();
    let numbers: Vec<_> = open(&[(1, 0)], 9, 2_000).iter().map(|it| it.0).collect();
    assert_eq!(numbers, [1, 3, 4]);
}

#[test]
fn only_active_certificates_are_not_stopped() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open("D1").unwrap();
    let device = |serial: u8| certificate(serial).fingerprint;
    for (serial, state) in [
        (1, CertificateState::Active),
        (2, CertificateState::Frozen),
        (3, CertificateState::Revoked),
    ] {
        store.add_certificate(&certificate(serial)).unwrap();
        store.set_certificate_state(&[serial; 16], state).unwrap();
    }
    let stopped = store.stopped(&[1, 2, 3, 4].map(device)).unwrap();
    assert_eq!(stopped, [2, 3, 4].map(device));
}

#[test]
fn an_inbox_has_the_doctors_patients_and_what_came_to_her() {
    let Some(schema) = Schema::new() else { return };
    let [first, second, third] = ["D1", "D2", "D3"].map(|doctor| schema.open(doctor).unwrap());
    first.assign_if_new("P1", "D1").unwrap();
    let from = |device: u8, patient: &str| {
        let mut row = incoming(device, 1);
        row.patient = patient.to_owned();
        [Change::unlogged(Work::Incoming(row))]
    };
    second.commit(&from(1, "P1")).unwrap();
    second.commit(&from(2, "nobody's")).unwrap();
    let unread = |store: &PostgresStore| {
        let rows = store.incoming_unread(9).unwrap();
        assert_eq!(store.unread_count().unwrap(), rows.len() as u64);
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    assert_eq!(unread(&first), [1, 2], "her own patient's");
    assert_eq!(unread(&second), [1, 2], "they came to her");
    assert_eq!(unread(&third), [2]);
    // What one has shown is shown.
    second.mark_shown(&[1], at(5_000), &[]).unwrap();
    assert_eq!(unread(&first), [2]);
    assert_eq!(first.incoming(None, 9).unwrap().len(), 2);
}

#[test]
fn what_a_doctors_patients_write_to_others_is_heard_of_and_found() {
    let Some(schema) = Schema::new() else { return };
    let [first, second] = ["D1", "D2"].map(|doctor| schema.open(doctor).unwrap());
    first.assign_if_new("P1", "D1").unwrap();
    first.assign_if_new("P2", "D2").unwrap();
    let write = |device: u8, patient: &str| {
        let mut row = incoming(device, 1);
        row.patient = patient.to_owned();
        second
            .commit(&[Change::unlogged(Work::Incoming(row))])
            .unwrap();
    };
    let mut watch = first.take_seat(Instant::now(), &[]).unwrap();
    let time = PATIENCE;
    // Her own patient, which concerns nobody else, and one who is not.
    write(2, "P2");
    write(1, "P1");
    assert!(watch.wait(time).unwrap().letters);
    assert!(!watch.wait(MOMENT).unwrap().letters);
    assert_eq!(first.newest_incoming().unwrap(), 2);
    let came = |store: &PostgresStore, after| -> Vec<_> {
        let came = store.came_elsewhere(after, 2, 9).unwrap().into_iter();
        came.map(|(doctor, row)| (doctor, row.patient, row.number))
            .collect()
    };
    assert_eq!(came(&first, 0), [("D2".to_owned(), "P1".to_owned(), 2)]);
    assert!(came(&first, 2).is_empty() && came(&second, 0).is_empty());
    assert!(first.came_elsewhere(0, 1, 9).unwrap().is_empty());
}
