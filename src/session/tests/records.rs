//! Records: each opens once, in order, in its direction and session.

use proptest::prelude::*;

use crate::framing::Frame;
use crate::kdf;
use crate::protocol::opcode::{HEARTBEAT, PRIVATE};
use crate::random::OsRandom;
use crate::session::channel::{BadRecord, Opener, Sealer};
use crate::session::{Direction, SessionKey};
use crate::testing::{Repeating, damaged, with_body};

const TO_DOCTOR: Direction = Direction::PatientToDoctor;
const TO_PATIENT: Direction = Direction::DoctorToPatient;

fn session(secret: &[u8]) -> SessionKey {
    SessionKey::new(kdf::extract(b"salt", &[secret]), [1; 64])
}

fn ends(direction: Direction) -> (Sealer, Opener) {
    let key = session(b"secret");
    (Sealer::new(&key, direction), Opener::new(&key, direction))
}

fn seal(sealer: &mut Sealer, body: &[u8]) -> Frame {
    sealer.seal(PRIVATE, body, &mut OsRandom)
}

#[test]
fn records_arrive_in_order_in_both_directions() {
    for direction in [TO_DOCTOR, TO_PATIENT] {
        let (mut sealer, mut opener) = ends(direction);
        for body in [&b"first"[..], b"", &[0x80, 0, 0], &[7; 20_000]] {
            let record = seal(&mut sealer, body);
            assert_eq!(opener.open(&record).unwrap().expose(), body);
        }
        assert_eq!((sealer.count(), opener.count()), (4, 4));
    }
}

/// Refused, and the record that should have come is still taken.
fn refused(opener: &mut Opener, bad: &Frame, right: &Frame) {
    assert_eq!(opener.open(bad).unwrap_err(), BadRecord);
    opener.open(right).unwrap();
}

#[test]
fn a_replayed_record_is_refused() {
    let (mut sealer, mut opener) = ends(TO_DOCTOR);
    let (first, second) = (seal(&mut sealer, b"1"), seal(&mut sealer, b"2"));
    opener.open(&first).unwrap();
    refused(&mut opener, &first, &second);
}

#[test]
fn a_dropped_record_stops_all_that_follow() {
    let (mut sealer, mut opener) = ends(TO_DOCTOR);
    let records = [b"1", b"2", b"3"].map(|body| seal(&mut sealer, body));
    assert_eq!(opener.open(&records[2]).unwrap_err(), BadRecord);
    refused(&mut opener, &records[1], &records[0]);
}

#[test]
fn a_record_sent_back_to_its_sender_is_refused() {
    let key = session(b"secret");
    let mut sealer = Sealer::new(&key, TO_DOCTOR);
    let mut own = Opener::new(&key, TO_PATIENT);
    let record = seal(&mut sealer, b"mirror");
    assert_eq!(own.open(&record).unwrap_err(), BadRecord);
}

#[test]
fn a_record_of_another_session_is_refused() {
    let (mut sealer, mut opener) = ends(TO_DOCTOR);
    let spliced = seal(&mut Sealer::new(&session(b"other"), TO_DOCTOR), b"1");
    refused(&mut opener, &spliced, &seal(&mut sealer, b"1"));
}

#[test]
fn a_record_under_another_opcode_or_sub_code_is_refused() {
    let (mut sealer, mut opener) = ends(TO_DOCTOR);
    let record = seal(&mut sealer, b"1");
    for frame in [
        Frame::new(HEARTBEAT, 0, record.body()),
        Frame::new(PRIVATE, 1, record.body()),
    ] {
        assert_eq!(opener.open(&frame).unwrap_err(), BadRecord);
    }
    opener.open(&record).unwrap();
}

#[test]
fn a_record_with_another_number_is_refused() {
    let (mut sealer, mut opener) = ends(TO_DOCTOR);
    seal(&mut sealer, b"skipped");
    let second = seal(&mut sealer, b"second");
    let mut body = second.body().to_vec();
    body[..8].fill(0);
    let renumbered = with_body(&second, &body);
    assert_eq!(opener.open(&renumbered).unwrap_err(), BadRecord);
}

#[test]
fn every_damage_is_one_and_the_same_error() {
    let (mut sealer, mut opener) = ends(TO_PATIENT);
    let record = seal(&mut sealer, b"a record");
    for frame in damaged(&record, 1) {
        assert_eq!(opener.open(&frame).unwrap_err(), BadRecord, "{frame:?}");
    }
    for len in 0..record.body().len() {
        let cut = with_body(&record, &record.body()[..len]);
        assert_eq!(opener.open(&cut).unwrap_err(), BadRecord);
    }
    opener.open(&record).unwrap();
}

#[test]
fn lengths_tell_the_bucket_only() {
    let (mut sealer, _) = ends(TO_PATIENT);
    let mut len = |body: usize| seal(&mut sealer, &vec![b'x'; body]).as_bytes().len();
    assert_eq!(len(0), len(255));
    assert_eq!(len(256), len(511));
    assert!(len(255) < len(256));
}

#[test]
fn the_same_random_bytes_do_not_give_an_initialisation_vector_twice() {
    let (mut sealer, _) = ends(TO_PATIENT);
    let mut iv = |body: &[u8]| {
        let record = sealer.seal(PRIVATE, body, &mut Repeating(5));
        record.body()[8..24].to_vec()
    };
    let (first, second) = (iv(b"same"), iv(b"same"));
    assert_ne!(first, second, "the number is part of it");
    // A machine set back to an earlier state says something else.
    let (mut restored, _) = ends(TO_PATIENT);
    let other = restored.seal(PRIVATE, b"other", &mut Repeating(5));
    assert_ne!(first, other.body()[8..24], "the text is part of it");
}

proptest! {
    #[test]
    fn random_bytes_are_no_record(
        opcode: u8,
        sub: u8,
        body in proptest::collection::vec(any::<u8>(), 0..700),
    ) {
        let (_, mut opener) = ends(TO_DOCTOR);
        prop_assert!(opener.open(&Frame::new(opcode, sub, &body)).is_err());
        let numbered = [&[0; 8][..], &body].concat();
        prop_assert!(opener.open(&Frame::new(opcode, 0, &numbered)).is_err());
    }
}
