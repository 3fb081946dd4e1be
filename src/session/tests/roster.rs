//! The record that names the clinic's doctors.

use proptest::prelude::*;

use crate::codec::Writer;
use crate::protocol::opcode::ROSTER;
use crate::protocol::record::Roster;
use crate::session::doctor::SessionError;
use crate::session::patient::FromDoctor;
use crate::testing::handshaken_pair;

fn entries(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| vec![1; 1 + n]).collect()
}

#[test]
fn doctors_of_the_clinic_arrive_in_records_of_a_few() {
    let mut pair = handshaken_pair();
    let sent = entries(2 * Roster::MAX_ENTRIES + 1);
    let records: Vec<_> = Roster::records(&sent).collect();
    assert_eq!(records.len(), 3);
    let mut received = Vec::new();
    for record in records {
        let told = pair.tell_patient(ROSTER, &record.encode()).unwrap();
        let FromDoctor::Roster(Roster(some)) = told else {
            panic!("{told:?}");
        };
        received.extend(some);
    }
    assert_eq!(received, sent);
}

#[test]
fn a_clinic_of_one_doctor_tells_nothing() {
    assert_eq!(Roster::records(&[]).count(), 0);
    // Nor is what cannot be an entry.
    let too_long = vec![1; Roster::MAX_ENTRY + 1];
    let records: Vec<_> = Roster::records(&[too_long, vec![7]]).collect();
    assert_eq!(records, [Roster(vec![vec![7]])]);
}

#[test]
fn a_record_of_doctors_that_is_empty_or_too_long_is_nonsense() {
    let too_many = Roster(entries(Roster::MAX_ENTRIES + 1)).encode();
    let too_long = Writer::new().lp16(&vec![1; Roster::MAX_ENTRY + 1]).finish();
    let cut = &Roster(entries(3)).encode()[..5];
    for body in [&[][..], &[0], &[0, 1], cut, &too_many, &too_long] {
        let error = handshaken_pair().tell_patient(ROSTER, body).unwrap_err();
        assert_eq!(error, SessionError::Nonsense);
    }
}

#[test]
fn a_patient_may_not_name_the_clinics_doctors() {
    let body = Roster(entries(1)).encode();
    let error = handshaken_pair().tell_doctor(ROSTER, &body).unwrap_err();
    assert_eq!(error, SessionError::Unreadable);
}

proptest! {
    #[test]
    fn what_is_decoded_is_what_was_encoded(
        entries in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..40), 1..=Roster::MAX_ENTRIES),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let record = Roster(entries);
        prop_assert_eq!(Roster::decode(&record.encode()).unwrap(), record);
        if let Ok(record) = Roster::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }
}
