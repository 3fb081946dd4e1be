//! What somebody may try who answers a patient in the doctor's place.

use std::time::Duration;

use super::forge::{self, C1_AT, Opened, SecondMessage};
use crate::clock::Timestamp;
use crate::codec::Reader;
use crate::elgamal::{Element, KemSecret, SignSecret};
use crate::framing::Frame;
use crate::handshake::patient::{self, AwaitAnswer, HandshakeError, Step};
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::CertificateError;
use crate::identity::known_doctor::{KnownDoctor, TrustError};
use crate::identity::patient_identity::PatientIdentity;
use crate::identity::prekey::PrekeyError;
use crate::identity::revocation::RevocationError;
use crate::random::OsRandom;
use crate::testing::{
    NOW, Node, Recorded, answered, at, clinic, copy_of, copy_of_kem, known, patient_of, prefix,
    prekey_with,
};

const YEAR: Duration = Duration::from_secs(366 * 24 * 3_600);

fn patient() -> &'static PatientIdentity {
    &clinic().patients[0]
}

fn begin(known: &KnownDoctor, now: Timestamp) -> (Frame, Opened, AwaitAnswer) {
    let (m1, state) = patient::begin(patient(), known, now, &mut OsRandom);
    let opened = forge::open(&clinic().doctor, &m1);
    (m1, opened, state)
}

/// What the patient says to an M2 that was changed before it was sealed.
fn judge(
    known: &KnownDoctor,
    now: Timestamp,
    change: impl FnOnce(&mut SecondMessage<'_>),
) -> Result<Step, HandshakeError> {
    let (m1, opened, state) = begin(known, now);
    let mut m2 = SecondMessage::new(patient(), &clinic().doctor);
    change(&mut m2);
    let m2 = m2.seal(&m1, &opened);
    state.on_frame(patient(), known, &m2, now, &mut OsRandom)
}

fn refused(change: impl FnOnce(&mut SecondMessage<'_>)) -> HandshakeError {
    judge(&clinic().known(), NOW, change).unwrap_err()
}

fn distrusted(change: impl FnOnce(&mut SecondMessage<'_>)) -> TrustError {
    match refused(change) {
        HandshakeError::Trust(error) => error,
        other => panic!("refused, but not for a lack of trust: {other:?}"),
    }
}

fn newest(doctor: &DoctorIdentity) -> Vec<u8> {
    doctor
        .newest_prekey(NOW)
        .unwrap()
        .prekey
        .as_bytes()
        .to_vec()
}

#[test]
fn the_forge_forges_well() {
    let step = judge(&clinic().known(), NOW, |_| ()).unwrap();
    assert!(matches!(step, Step::Answered { .. }));
}

#[test]
fn another_doctor_of_the_clinic_does_not_answer_for_this_one() {
    let mallory = clinic().other_doctor("Mallory");
    let error = distrusted(|m2| {
        m2.certificate = mallory.certificate.as_bytes().to_vec();
        m2.prekey = newest(&mallory);
        m2.signed_doctor = mallory.certificate.fingerprint();
    });
    assert!(matches!(error, TrustError::OtherDoctor { .. }), "{error:?}");
}

#[test]
fn a_doctor_of_the_same_name_with_another_key_is_a_changed_key() {
    let other = clinic().other_doctor("D1");
    let error = distrusted(|m2| {
        m2.certificate = other.certificate.as_bytes().to_vec();
        m2.prekey = newest(&other);
        m2.signed_doctor = other.certificate.fingerprint();
    });
    let expected = TrustError::ChangedKey {
        known: clinic().doctor.certificate.key_id(),
        found: other.certificate.key_id(),
    };
    assert_eq!(error, expected);
}

#[test]
fn a_renewed_certificate_of_the_same_key_is_accepted_and_learned() {
    let signing = copy_of(&clinic().doctor.signing);
    let renewed = clinic().doctor_with("D1", signing, Vec::new());
    let mut known = clinic().known();
    let step = judge(&known, NOW, |m2| {
        m2.certificate = renewed.certificate.as_bytes().to_vec();
        m2.signed_doctor = renewed.certificate.fingerprint();
    });
    let Step::Answered { news, .. } = step.unwrap() else {
        panic!("no session");
    };
    known.learn(*news, NOW);
    assert_eq!(
        known.certificate().as_bytes(),
        renewed.certificate.as_bytes()
    );
}

#[test]
fn every_part_of_the_doctors_signature_counts() {
    let stranger = SignSecret::generate(clinic().doctor.group(), &mut OsRandom);
    let other_patient = clinic().patients[1].certificate().fingerprint();
    let is_refused = |error| assert_eq!(error, HandshakeError::NotTheDoctor);
    let known = clinic().known();
    let (m1, opened, state) = begin(&known, NOW);
    let m2 = SecondMessage {
        signer: &stranger,
        ..SecondMessage::new(patient(), &clinic().doctor)
    };
    let m2 = m2.seal(&m1, &opened);
    is_refused(
        state
            .on_frame(patient(), &known, &m2, NOW, &mut OsRandom)
            .unwrap_err(),
    );
    is_refused(refused(|m2| m2.signed_patient = other_patient));
    is_refused(refused(|m2| m2.signed_doctor = [1; 32]));
    is_refused(refused(|m2| m2.signed_transcript = Some([1; 64])));
}

#[test]
fn papers_are_covered_by_the_doctors_signature() {
    // Other papers that are genuine themselves, put into the box afterwards.
    let doctor = &clinic().doctor;
    let secret = KemSecret::generate(doctor.group(), &mut OsRandom);
    let other_prekey = prekey_with(&doctor.signing, &secret, NOW);
    let list = clinic().revoked(7, &[]);
    let known = clinic().known();
    for prekey_is_other in [true, false] {
        let (m1, opened, state) = begin(&known, NOW);
        let honest = SecondMessage::new(patient(), doctor);
        let mut swapped = SecondMessage::new(patient(), doctor);
        if prekey_is_other {
            swapped.prekey = other_prekey.prekey.as_bytes().to_vec();
        } else {
            swapped.revoked = list.as_bytes().to_vec();
        }
        // What an honest doctor signed is for the honest papers.
        let m2 = swapped.seal_signed_as(honest, &m1, &opened);
        let step = state.on_frame(patient(), &known, &m2, NOW, &mut OsRandom);
        assert_eq!(step.unwrap_err(), HandshakeError::NotTheDoctor);
    }
}

#[test]
fn a_prekey_of_another_doctor_or_time_is_refused() {
    let mallory = clinic().other_doctor("Mallory");
    let error = distrusted(|m2| m2.prekey = newest(&mallory));
    assert_eq!(error, TrustError::Prekey(PrekeyError::NotOfThisDoctor));
    let doctor = &clinic().doctor;
    let secret = &doctor.prekeys[0].secret;
    let month = crate::identity::prekey::MAX_LIFETIME;
    let one = Duration::from_millis(1);
    for begin in [NOW.plus(one), NOW.minus(month + one)] {
        let prekey = prekey_with(&doctor.signing, secret, begin).prekey;
        let error = distrusted(|m2| m2.prekey = prekey.as_bytes().to_vec());
        assert_eq!(error, TrustError::PrekeyDates);
    }
}

#[test]
fn the_list_of_revoked_doctors_is_never_rolled_back() {
    let mut known = clinic().known();
    let list = clinic().revoked(5, &[[9; 16]]);
    let step = judge(&known, NOW, |m2| m2.revoked = list.as_bytes().to_vec());
    let Step::Answered { news, .. } = step.unwrap() else {
        panic!("no session");
    };
    known.learn(*news, NOW);
    assert_eq!(known.revoked().number(), 5);
    for number in [0, 4, 5] {
        let older = clinic().revoked_bytes(number, &[]);
        let error = judge(&known, NOW, |m2| m2.revoked = older).unwrap_err();
        assert_eq!(error, TrustError::OlderRevocation.into());
    }
    let newer = clinic().revoked_bytes(6, &[]);
    assert!(judge(&known, NOW, |m2| m2.revoked = newer).is_ok());
}

#[test]
fn a_revoked_doctor_is_refused() {
    let serial = clinic().doctor.certificate.subject().serial;
    let list = clinic().revoked_bytes(1, &[serial]);
    assert_eq!(distrusted(|m2| m2.revoked = list), TrustError::Revoked);
    let foreign = crate::testing::Clinic::new();
    let list = foreign.revoked_bytes(9, &[]);
    assert_eq!(
        distrusted(|m2| m2.revoked = list),
        TrustError::Revocation(RevocationError::NotOfThisClinic)
    );
}

#[test]
fn a_prekey_is_never_replaced_by_one_that_begins_earlier() {
    let doctor = &clinic().doctor;
    let secret = &doctor.prekeys[0].secret;
    let mut known = clinic().known();
    let before = known.prekey().id();
    let earlier = NOW.minus(Duration::from_secs(2 * 24 * 3_600));
    for (begin, is_taken) in [(earlier, false), (NOW, true)] {
        let prekey = prekey_with(&doctor.signing, secret, begin).prekey;
        let step = judge(&known, NOW, |m2| m2.prekey = prekey.as_bytes().to_vec());
        let Step::Answered { news, .. } = step.unwrap() else {
            panic!("no session");
        };
        known.learn(*news, NOW);
        assert_eq!(known.prekey().id() != before, is_taken);
    }
}

#[test]
fn a_session_that_the_patients_certified_key_is_not_part_of_is_refused() {
    let other = clinic().patients[1].encryption().public().clone();
    let error = refused(|m2| m2.encryption_key = other);
    assert_eq!(error, HandshakeError::NotTheDoctor);
}

#[test]
fn numbers_that_are_no_group_elements_are_refused() {
    let len = clinic().doctor.group().element_len();
    for bad in [
        vec![0; len],
        [vec![0; len - 1], vec![1]].concat(),
        vec![0xff; len],
    ] {
        let error = refused(|m2| m2.c2 = Some(bad));
        assert_eq!(error, HandshakeError::NotTheDoctor);
    }
}

#[test]
fn who_knows_all_the_patient_drew_but_not_her_key_is_not_the_patient() {
    let node = Node::new();
    let known = clinic().known();
    let group = known.group();
    let mut drawn = Recorded::default();
    let (m1, _) = patient::begin(patient(), &known, NOW, &mut drawn);
    let kem = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[0] |= 0x80;
        KemSecret::from_bytes(group, &bytes).unwrap()
    };
    let (a, ephemeral) = (kem(&drawn.0[0]), kem(&drawn.0[1]));
    let len = group.element_len();
    assert_eq!(m1.body()[C1_AT..C1_AT + len], *a.public().as_bytes());

    let (m2, _) = answered(node.first(&m1).unwrap());
    let binding = schedule::binding(
        prefix(&m1, C1_AT + len),
        &known.certificate().fingerprint(),
        &known.prekey().hash(),
    );
    let early = EarlySecret::new(group, &a.agree(known.prekey().key()), &binding);
    let mut reader = Reader::new(&m2.body()[40..]);
    let c2 = Element::from_bytes(group, reader.take(len).unwrap()).unwrap();
    let sealed = reader.lp16().unwrap();
    let th2 = schedule::transcript_2(&m1, prefix(&m2, 40 + len));
    let opens = |key: &KemSecret| {
        let secret = early.handshake(&ephemeral.agree(&c2), &key.agree(&c2));
        secret.second_box_key(&th2).open(&[&th2], sealed).is_ok()
    };
    let guess = KemSecret::generate(group, &mut OsRandom);
    for other in [&a, &ephemeral, &guess] {
        assert!(!opens(other));
    }
    assert!(opens(patient().encryption()), "the attacker is no fool");
}

#[test]
fn an_answer_to_another_first_message_is_refused() {
    let known = clinic().known();
    let (m1, opened, _) = begin(&known, NOW);
    let m2 = SecondMessage::new(patient(), &clinic().doctor).seal(&m1, &opened);
    let (_, _, state) = begin(&known, NOW);
    let step = state.on_frame(patient(), &known, &m2, NOW, &mut OsRandom);
    assert_eq!(step.unwrap_err(), HandshakeError::NotTheDoctor);
}

#[test]
fn a_wrong_own_clock_is_named_once_the_doctor_is_proved() {
    let known = clinic().known();
    let years_ahead = NOW.plus(YEAR * 2);
    let error = judge(&known, years_ahead, |_| ()).unwrap_err();
    assert_eq!(error, TrustError::OwnClock(NOW).into());
    let years_behind = NOW.minus(YEAR * 2);
    let error = judge(&known, years_behind, |_| ()).unwrap_err();
    assert_eq!(error, TrustError::OwnClock(NOW).into());
    // Not on the word of somebody who cannot sign for her.
    let error = judge(&known, years_ahead, |m2| {
        m2.signed_transcript = Some([1; 64])
    });
    assert_eq!(error.unwrap_err(), HandshakeError::NotTheDoctor);
    // And not when her dates do not pass by her own clock either.
    let error = judge(&known, years_ahead, |m2| m2.time = years_ahead);
    let ended = clinic().doctor.certificate.subject().not_after;
    assert_eq!(
        error.unwrap_err(),
        TrustError::Doctor(CertificateError::Ended(ended)).into()
    );
}

#[test]
fn a_clock_difference_is_told_from_what_the_doctor_signed() {
    let later = at(420);
    let step = judge(&clinic().known(), later, |_| ()).unwrap();
    let Step::Answered { agreed, .. } = step else {
        panic!("no session");
    };
    assert_eq!(agreed.clock_difference, Duration::from_secs(420));
    assert_eq!(agreed.their_time, NOW);
}

#[test]
fn a_doctor_who_shows_the_patients_own_name_or_key_is_refused() {
    // The patient's encryption key as the doctor's prekey.
    let doctor = &clinic().doctor;
    let mirrored = prekey_with(&doctor.signing, &copy_of_kem(patient().encryption()), NOW);
    let error = distrusted(|m2| m2.prekey = mirrored.prekey.as_bytes().to_vec());
    assert_eq!(error, TrustError::OwnKey);
    // A patient of the doctor's own name.
    let namesake = patient_of(doctor, "D1");
    let known = known(doctor);
    let papers = |own| {
        known.check_news(
            doctor.certificate.as_bytes(),
            &newest(doctor),
            doctor.revoked.as_bytes(),
            own,
            NOW,
        )
    };
    assert!(papers(patient().own()).is_ok());
    assert_eq!(papers(namesake.own()).unwrap_err(), TrustError::OwnKey);
    // A patient who has the doctor's signing key.
    let mut own = patient().own();
    own.signing_key = doctor.signing.verifying_key();
    assert_eq!(papers(own).unwrap_err(), TrustError::OwnKey);
}
