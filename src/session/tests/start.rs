//! The first record, and what may come after it.

use std::time::Duration;

use crate::framing::Frame;
use crate::protocol::opcode;
use crate::protocol::record::{GroupKey, SessionToken};
use crate::random::OsRandom;
use crate::secret::Secret;
use crate::session::channel::Sealer;
use crate::session::doctor::SessionError;
use crate::session::patient::AwaitToken;
use crate::session::{Direction, SessionKey};
use crate::testing::{NOW, Node, Pair, clinic, handshaken_pair};

/// The two keys of a session before its first record.
fn keys() -> (SessionKey, SessionKey) {
    let (doctor, patient) = Node::new().admit(&clinic().patients[0]);
    (doctor.session, patient.session)
}

fn token() -> SessionToken {
    SessionToken {
        token: [7; 32],
        lifetime: Duration::from_secs(3_600),
        conference: [0xcc; 16],
        at: NOW,
    }
}

#[test]
fn a_patient_accepts_nothing_before_the_session_token() {
    for opcode in 0..=u8::MAX {
        let (doctor, patient) = keys_once();
        let mut sealer = Sealer::new(&doctor, Direction::DoctorToPatient);
        let record = sealer.seal(opcode, &token().encode(), &mut OsRandom);
        let result = AwaitToken::new(patient).on_frame(&record);
        assert_eq!(result.is_ok(), opcode == opcode::SESSION_TOKEN);
    }
}

/// Keys of the same kind without the handshake.
fn keys_once() -> (SessionKey, SessionKey) {
    let key = || SessionKey::new(crate::kdf::extract(b"salt", &[b"secret"]), [1; 64]);
    (key(), key())
}

#[test]
fn a_token_that_is_not_the_doctors_first_record_is_refused() {
    let first =
        |sealer: &mut Sealer, body: &[u8]| sealer.seal(opcode::SESSION_TOKEN, body, &mut OsRandom);
    let refused = |patient, frame: &Frame| {
        let error = AwaitToken::new(patient).on_frame(frame).unwrap_err();
        assert_eq!(error, SessionError::Unreadable);
    };
    let body = token().encode();
    // The patient's own direction.
    let (doctor, patient) = keys();
    let mut sealer = Sealer::new(&doctor, Direction::PatientToDoctor);
    refused(patient, &first(&mut sealer, &body));
    // The second record.
    let (doctor, patient) = keys();
    let mut sealer = Sealer::new(&doctor, Direction::DoctorToPatient);
    first(&mut sealer, &body);
    refused(patient, &first(&mut sealer, &body));
    // Another session's.
    let ((doctor, _), (_, patient)) = (keys(), keys());
    let mut sealer = Sealer::new(&doctor, Direction::DoctorToPatient);
    refused(patient, &first(&mut sealer, &body));
    // The doctor's, but not a token: there is no session yet in which to say so.
    for wrong in [&body[1..], &[&body[..], &[0]].concat()] {
        let (doctor, patient) = keys();
        let mut sealer = Sealer::new(&doctor, Direction::DoctorToPatient);
        refused(patient, &first(&mut sealer, wrong));
    }
}

#[test]
fn a_second_session_token_is_refused() {
    let mut pair = handshaken_pair();
    let body = pair.token.encode();
    let error = pair.tell_patient(opcode::SESSION_TOKEN, &body).unwrap_err();
    assert_eq!(error, SessionError::Unreadable);
}

#[test]
fn each_side_takes_only_the_other_sides_records() {
    use opcode::{
        ACK, DEC_MSG, DIRECT, DISCONNECT, ENC_MSG, GROUP_KEY, HEARTBEAT, PRIVATE, RECEIPT,
    };
    let from_doctor = [
        GROUP_KEY, ENC_MSG, DIRECT, DISCONNECT, PRIVATE, RECEIPT, HEARTBEAT,
    ];
    let from_patient = [DEC_MSG, ACK, DISCONNECT, PRIVATE, RECEIPT, HEARTBEAT];
    let mut pair = handshaken_pair();
    for opcode in 0..=u8::MAX {
        // Refused before it is opened, so that numbers do not go on.
        if !from_doctor.contains(&opcode) {
            let record = Sealer::new(&pair.doctor_key, Direction::DoctorToPatient).seal(
                opcode,
                b"",
                &mut OsRandom,
            );
            let error = pair.patient.on_frame(&record).unwrap_err();
            assert_eq!(error, SessionError::Unreadable, "{opcode} to the patient");
        }
        if !from_patient.contains(&opcode) {
            let record = pair.seal_once_to_doctor(opcode);
            let error = pair.doctor.on_record(&record).unwrap_err();
            assert_eq!(error, SessionError::Unreadable, "{opcode} to the doctor");
        }
    }
    assert_eq!(pair.patient.records_received(), 1);
    assert_eq!(pair.doctor.records_received(), 0);
}

impl Pair {
    /// A record with the right number that is not counted.
    fn seal_once_to_doctor(&self, opcode: u8) -> Frame {
        Sealer::new(&self.patient_key, Direction::PatientToDoctor).seal(opcode, b"", &mut OsRandom)
    }
}

#[test]
fn a_record_that_opens_and_says_nonsense_is_not_taken_for_a_bad_record() {
    for opcode in [30, 41, 60, 70, 71] {
        let error = handshaken_pair().tell_patient(opcode, b"nonsense");
        assert_eq!(error.unwrap_err(), SessionError::Nonsense, "{opcode}");
    }
    for opcode in [50, 51, 60, 70, 71] {
        let error = handshaken_pair().tell_doctor(opcode, b"nonsense");
        assert_eq!(error.unwrap_err(), SessionError::Nonsense, "{opcode}");
    }
    for wrong in [&b"1234567"[..], b"123456789"] {
        let mut pair = handshaken_pair();
        let error = pair.tell_patient(opcode::HEARTBEAT, wrong).unwrap_err();
        assert_eq!(error, SessionError::Nonsense);
        let error = pair.tell_doctor(opcode::HEARTBEAT, wrong).unwrap_err();
        assert_eq!(error, SessionError::Nonsense);
    }
}

#[test]
fn a_renewed_session_goes_on_under_new_keys_only() {
    let mut pair = handshaken_pair();
    let group = GroupKey {
        conference: pair.token.conference,
        epoch: 3,
        next_mid: 8,
        members: 1,
        key: Secret::zero(),
    };
    pair.tell_patient(opcode::GROUP_KEY, &group.encode())
        .unwrap();
    let old_to_patient = pair.seal_to_patient(opcode::HEARTBEAT, &7_u64.to_be_bytes());
    let old_to_doctor = pair.seal_to_doctor(opcode::HEARTBEAT, &7_u64.to_be_bytes());

    let renewed = handshaken_pair();
    pair.doctor.renew(&renewed.doctor_key);
    let mut to_patient = Sealer::new(&renewed.doctor_key, Direction::DoctorToPatient);
    let record = to_patient.seal(opcode::SESSION_TOKEN, &pair.token.encode(), &mut OsRandom);
    let (token, key, opener) = AwaitToken::new(renewed.patient_key)
        .on_frame(&record)
        .unwrap();
    pair.patient.renew(&key, opener, &token).unwrap();
    assert!(pair.patient.on_frame(&old_to_patient).is_err());
    assert!(pair.doctor.on_record(&old_to_doctor).is_err());
    // Numbers of broadcasts go on; those of records begin anew.
    assert_eq!(pair.patient.last_mid(), 7);
    pair.to_patient = to_patient;
    pair.to_doctor = Sealer::new(&key, Direction::PatientToDoctor);
    pair.tell_patient(opcode::HEARTBEAT, &7_u64.to_be_bytes())
        .unwrap();
    pair.tell_doctor(opcode::HEARTBEAT, &7_u64.to_be_bytes())
        .unwrap();
}

#[test]
fn a_renewal_into_another_conference_is_refused() {
    let mut pair = handshaken_pair();
    let other = Pair::new(0, [1; 16], None);
    let opener =
        crate::session::channel::Opener::new(&other.patient_key, Direction::DoctorToPatient);
    let error = pair
        .patient
        .renew(&other.patient_key, opener, &other.token)
        .unwrap_err();
    assert_eq!(error, SessionError::Nonsense);
}
