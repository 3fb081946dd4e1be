//! What somebody may try with a first message, one's own or a recorded one.

use std::time::Duration;

use super::forge::{self, FirstMessage};
use crate::elgamal::{KemSecret, SignSecret};
use crate::framing::Frame;
use crate::handshake::doctor::{ExpectFirst, Refusal, RefusalReason, Step};
use crate::handshake::patient::{self, Step as PatientStep};
use crate::handshake::registry::Standing;
use crate::identity::authority::{DoctorIdentity, OwnPrekey};
use crate::identity::certificate::{Role, VerifiedCertificate};
use crate::protocol::sub;
use crate::random::{self, OsRandom};
use crate::testing::{
    NOW, Node, TOLERANCE, answered, at, clinic, copy_of, copy_of_kem, known, patient_of,
    patient_subject, patient_with, prekey_with, reply,
};

/// Closed without a word, for this reason.
fn silently(refusal: Result<Step, Refusal>, reason: &RefusalReason) {
    let refusal = refusal.unwrap_err();
    assert!(refusal.answer.is_none(), "told something: {refusal:?}");
    assert_eq!(&refusal.reason, reason);
}

fn is_retry(step: Result<Step, Refusal>) -> ExpectFirst {
    let (frame, next) = reply(step.unwrap());
    assert_eq!(frame.sub(), sub::RETRY);
    next
}

fn genuine() -> FirstMessage<'static> {
    FirstMessage::new(&clinic().patients[0], &clinic().known())
}

#[test]
fn the_forge_forges_well() {
    answered(Node::new().first(&genuine().seal()).unwrap());
}

#[test]
fn first_message_for_another_doctor_is_refused() {
    // Mallory, a doctor of the same clinic, has Dora's encryption key copied
    // into her own prekey and lets a patient who means Mallory talk to Dora.
    let dora = &clinic().doctor;
    let signing = SignSecret::generate(dora.group(), &mut OsRandom);
    let copied = prekey_with(&signing, &dora.prekeys[0].secret, NOW);
    let mallory = clinic().doctor_with("Mallory", signing, vec![copied]);
    let patient = &clinic().patients[0];
    let (m1, _) = patient::begin(patient, &known(&mallory), NOW, &mut OsRandom);
    let refusal = Node::new().first(&m1).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::UnknownPrekey);

    // Even if she finds a prekey that Dora takes for her own.
    let mut confused = clinic().same_doctor();
    confused.prekeys = vec![OwnPrekey {
        prekey: mallory.prekeys[0].prekey.clone(),
        secret: copy_of_kem(&dora.prekeys[0].secret),
    }];
    let node = Node::of(&confused);
    node.registry.admit(patient.certificate(), Standing::Active);
    silently(node.first(&m1), &RefusalReason::CannotBeOpened);
}

#[test]
fn a_signature_made_for_another_doctor_is_not_passed_on() {
    // Mallory was really meant, opened the message, and seals what was in it
    // once more, for Dora.
    let mallory = clinic().other_doctor("Mallory");
    let patient = &clinic().patients[0];
    let (m1, _) = patient::begin(patient, &known(&mallory), NOW, &mut OsRandom);
    let opened = forge::open(&mallory, &m1);
    let stolen = FirstMessage {
        certificate: opened.certificate,
        ephemeral: opened.ephemeral.as_bytes().to_vec(),
        signature: Some(opened.signature),
        ..genuine()
    };
    silently(
        Node::new().first(&stolen.seal()),
        &RefusalReason::BadSignature,
    );
}

#[test]
fn a_prekey_is_bound_by_its_whole_hash() {
    let wrong_hash = FirstMessage {
        prekey_hash: [1; 64],
        ..genuine()
    };
    silently(
        Node::new().first(&wrong_hash.seal()),
        &RefusalReason::CannotBeOpened,
    );
    let wrong_doctor = FirstMessage {
        doctor: [1; 32],
        ..genuine()
    };
    silently(
        Node::new().first(&wrong_doctor.seal()),
        &RefusalReason::CannotBeOpened,
    );
}

#[test]
fn every_part_of_the_patients_signature_counts() {
    let stranger = SignSecret::generate(clinic().doctor.group(), &mut OsRandom);
    let another_ephemeral = KemSecret::generate(clinic().doctor.group(), &mut OsRandom);
    let (m1, _) = Node::new().m1(&clinic().patients[0]);
    let opened = forge::open(&clinic().doctor, &m1);
    let wrong: [(&str, FirstMessage<'_>); 4] = [
        (
            "somebody else's key",
            FirstMessage {
                signer: &stranger,
                ..genuine()
            },
        ),
        (
            "another certificate",
            FirstMessage {
                signed_certificate: clinic().patients[1].certificate().fingerprint(),
                ..genuine()
            },
        ),
        (
            "another message",
            FirstMessage {
                signed_binding: Some([1; 64]),
                ..genuine()
            },
        ),
        (
            "another ephemeral key, signature of an earlier message",
            FirstMessage {
                ephemeral: another_ephemeral.public().as_bytes().to_vec(),
                signature: Some(opened.signature),
                ..genuine()
            },
        ),
    ];
    for (what, message) in wrong {
        let refusal = Node::new().first(&message.seal()).unwrap_err();
        assert!(refusal.answer.is_none(), "{what}");
        assert_eq!(refusal.reason, RefusalReason::BadSignature, "{what}");
    }
}

#[test]
fn numbers_that_are_no_group_elements_are_refused() {
    let len = clinic().doctor.group().element_len();
    let one = [vec![0; len - 1], vec![1]].concat();
    let all_ones = vec![0xff; len];
    for bad in [vec![0; len], one, all_ones] {
        let c1 = FirstMessage {
            c1: Some(bad.clone()),
            ..genuine()
        };
        silently(
            Node::new().first(&c1.seal()),
            &RefusalReason::CannotBeOpened,
        );
        let ephemeral = FirstMessage {
            ephemeral: bad,
            ..genuine()
        };
        silently(
            Node::new().first(&ephemeral.seal()),
            &RefusalReason::BadSignature,
        );
    }
}

#[test]
fn another_suite_is_refused_without_an_offer_of_an_older_one() {
    for suite in [0, 2, u16::MAX] {
        let message = FirstMessage { suite, ..genuine() };
        silently(
            Node::new().first(&message.seal()),
            &RefusalReason::Unexpected,
        );
    }
}

#[test]
fn a_recorded_first_message_opens_nothing() {
    let node = Node::new();
    let (m1, _) = node.m1(&clinic().patients[0]);
    let (_, proof) = answered(node.first(&m1).unwrap());
    // On a new connection the thief is asked for a nonce, which needs the
    // patient's key.
    let asked = is_retry(node.first(&m1));
    silently(node.next(asked, &m1), &RefusalReason::Unexpected);
    // On the same connection there is no second first message at all.
    let refusal = proof.on_frame(&m1).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Unexpected);
    assert!(refusal.answer.is_none());
}

#[test]
fn a_recorded_first_message_takes_no_handshake_from_the_patient() {
    let node = Node::new();
    let (m1, _) = node.m1(&clinic().patients[0]);
    answered(node.first(&m1).unwrap());
    assert_eq!(node.registry.lock().begun, 1);
    is_retry(node.first(&m1));
    assert_eq!(node.registry.lock().begun, 1);
}

#[test]
fn a_certificate_that_is_shown_too_often_is_refused_without_a_word() {
    for is_before_the_proof in [true, false] {
        let node = Node::new();
        let identity = &clinic().patients[0];
        let (m1, _) = node.m1(identity);
        let mut tables = node.registry.lock();
        tables.is_tried_too_often = is_before_the_proof;
        tables.is_begun_too_often = !is_before_the_proof;
        drop(tables);
        let name = identity.certificate().subject().identifier.clone();
        silently(node.first(&m1), &RefusalReason::TooOften(name));
        let begun = u32::from(!is_before_the_proof);
        assert_eq!(node.registry.lock().begun, begun);
    }
}

#[test]
fn an_older_first_message_that_never_arrived_opens_nothing() {
    let mut node = Node::new();
    let identity = &clinic().patients[0];
    let (held_back, _) = node.m1(identity);
    node.now = at(1);
    let (m1, _) = node.m1(identity);
    answered(node.first(&m1).unwrap());
    is_retry(node.first(&held_back));
    let last = node
        .registry
        .last_timestamp(&identity.certificate().subject().serial);
    assert_eq!(last, Some(at(1)));
}

#[test]
fn a_recorded_first_message_opens_nothing_after_a_restart() {
    let mut node = Node::new();
    let (m1, _) = node.m1(&clinic().patients[0]);
    // The table is lost too.
    node.registry.lock().last_timestamps.clear();
    node.started = NOW.minus(TOLERANCE * 2).plus(Duration::from_millis(1));
    is_retry(node.first(&m1));
    // A clock that was set back does not shorten that time.
    node.started = at(3_600);
    is_retry(node.first(&m1));
    node.started = NOW.minus(TOLERANCE * 2);
    answered(node.first(&m1).unwrap());
}

#[test]
fn timestamps_count_up_to_the_tolerance() {
    let one = Duration::from_millis(1);
    let cases = [
        (NOW.plus(TOLERANCE), true),
        (NOW.minus(TOLERANCE), true),
        (NOW.plus(TOLERANCE + one), false),
        (NOW.minus(TOLERANCE + one), false),
        (crate::clock::Timestamp::from_millis(0), false),
        (crate::clock::Timestamp::from_millis(u64::MAX), false),
    ];
    for (time, fits) in cases {
        let message = FirstMessage { time, ..genuine() }.seal();
        let node = Node::new();
        if fits {
            answered(node.first(&message).unwrap());
        } else {
            is_retry(node.first(&message));
            assert!(node.registry.lock().last_timestamps.is_empty());
        }
    }
}

#[test]
fn an_unreadable_last_timestamp_costs_a_retry() {
    let node = Node::new();
    node.registry.lock().timestamps_are_unreadable = true;
    let identity = &clinic().patients[0];
    let (m1, state) = node.m1(identity);
    let (retry, on) = reply(node.first(&m1).unwrap());
    let step = state.on_frame(identity, &clinic().known(), &retry, NOW, &mut OsRandom);
    let PatientStep::Retry(m1, _) = step.unwrap() else {
        panic!("no second M1");
    };
    answered(node.next(on, &m1).unwrap());
}

#[test]
fn unreadable_certificates_let_nobody_in_and_that_is_said() {
    let node = Node::new();
    node.registry.lock().are_unreadable = true;
    let refusal = node.first(&genuine().seal()).unwrap_err();
    assert_eq!(refusal.answer.unwrap().sub(), sub::ALERT);
    assert!(matches!(refusal.reason, RefusalReason::Registry(_)));
}

/// M1 with the nonce of this RETRY, made at `time`.
fn retried(retry: &Frame, time: crate::clock::Timestamp) -> Frame {
    FirstMessage {
        retry: retry.body()[..32].to_vec(),
        time,
        ..genuine()
    }
    .seal()
}

#[test]
fn a_retried_first_message_leaves_the_last_timestamp_alone() {
    let node = Node::new();
    let serial = clinic().patients[0].certificate().subject().serial;
    let next_year = at(365 * 24 * 3_600);
    let early = FirstMessage {
        time: next_year,
        ..genuine()
    };
    let (retry, on) = reply(node.first(&early.seal()).unwrap());
    answered(node.next(on, &retried(&retry, next_year)).unwrap());
    assert_eq!(node.registry.last_timestamp(&serial), None);
    // Her clock put right, she is not locked out for a year.
    answered(node.first(&genuine().seal()).unwrap());
    assert_eq!(node.registry.last_timestamp(&serial), Some(NOW));
}

#[test]
fn a_nonce_of_another_connection_is_refused() {
    let mut node = Node::new();
    node.started = NOW;
    let (retry_a, _) = reply(node.first(&genuine().seal()).unwrap());
    let (retry_b, on_b) = reply(node.first(&genuine().seal()).unwrap());
    assert_ne!(retry_a.body()[..32], retry_b.body()[..32]);
    silently(
        node.next(on_b, &retried(&retry_a, NOW)),
        &RefusalReason::Unexpected,
    );
    // Nor is one believed where none was given.
    silently(
        node.first(&retried(&retry_b, NOW)),
        &RefusalReason::Unexpected,
    );
}

#[test]
fn a_connection_has_one_retry_and_two_first_messages() {
    let mut node = Node::new();
    node.started = NOW;
    let (retry, on) = reply(node.first(&genuine().seal()).unwrap());
    // Without the nonce the second one is refused, though it is new.
    silently(node.next(on, &genuine().seal()), &RefusalReason::Unexpected);
    let (retry_again, on) = reply(node.first(&genuine().seal()).unwrap());
    assert_ne!(retry, retry_again);
    let (_, proof) = answered(node.next(on, &retried(&retry_again, NOW)).unwrap());
    assert!(proof.on_frame(&retried(&retry_again, NOW)).is_err());
}

#[test]
fn a_retry_field_of_another_length_is_refused() {
    for len in [1, 31, 33, 255] {
        let message = FirstMessage {
            retry: vec![0; len],
            ..genuine()
        };
        silently(
            Node::new().first(&message.seal()),
            &RefusalReason::Unexpected,
        );
    }
}

#[test]
fn a_certificate_that_is_not_in_the_table_is_refused_without_a_word() {
    let stranger = patient_of(&clinic().doctor, "P8");
    let node = Node::new();
    let message = FirstMessage::new(&stranger, &clinic().known());
    silently(
        node.first(&message.seal()),
        &RefusalReason::UnknownCertificate,
    );
    // Nor does a serial that is in the table help without the fingerprint.
    let forged = patient_with(&clinic().doctor, |subject| {
        subject.serial = clinic().patients[0].certificate().subject().serial;
    });
    let message = FirstMessage::new(&forged, &clinic().known());
    silently(
        node.first(&message.seal()),
        &RefusalReason::UnknownCertificate,
    );
}

#[test]
fn a_doctors_certificate_is_no_patients() {
    let colleague = clinic().other_doctor("Colleague");
    let node = Node::new();
    node.registry
        .admit(&colleague.certificate, Standing::Active);
    let message = FirstMessage {
        certificate: colleague.certificate.as_bytes().to_vec(),
        signed_certificate: colleague.certificate.fingerprint(),
        signer: &colleague.signing,
        ..genuine()
    };
    assert_eq!(colleague.certificate.subject().role, Role::Doctor);
    silently(
        node.first(&message.seal()),
        &RefusalReason::UnknownCertificate,
    );
}

#[test]
fn the_doctors_own_name_and_keys_are_refused_from_a_patient() {
    let doctor: &DoctorIdentity = &clinic().doctor;
    let signing = SignSecret::generate(doctor.group(), &mut OsRandom);
    let encryption = KemSecret::generate(doctor.group(), &mut OsRandom);
    let subject = || patient_subject(doctor, &signing, encryption.public());
    let mut own_name = subject();
    own_name.identifier = doctor.identifier().clone();
    let mut own_signing_key = subject();
    own_signing_key.signing_key = doctor.signing.verifying_key().clone();
    let mut own_prekey = subject();
    own_prekey.encryption_key = Some(doctor.prekeys[0].secret.public().clone());
    let signer = copy_of(&doctor.signing);
    for (subject, signer) in [
        (own_name, &signing),
        (own_signing_key, &signer),
        (own_prekey, &signing),
    ] {
        let certificate = VerifiedCertificate::issue(subject, &doctor.signing, &mut OsRandom);
        let node = Node::new();
        node.registry.admit(&certificate, Standing::Active);
        let message = FirstMessage {
            certificate: certificate.as_bytes().to_vec(),
            signed_certificate: certificate.fingerprint(),
            signer,
            ..genuine()
        };
        silently(node.first(&message.seal()), &RefusalReason::OwnKey);
    }
}

#[test]
fn nothing_but_what_the_state_allows_is_taken() {
    let node = Node::new();
    let random: [u8; 64] = random::array(&mut OsRandom);
    let request = patient::certificate_request();
    for opcode in 0..=u8::MAX {
        for sub in [0, 2, 3, 4, 6, 8, 9, 10, 11] {
            let frame = Frame::new(opcode, sub, &random);
            silently(node.first(&frame), &RefusalReason::Unexpected);
        }
    }
    let (_, asked) = reply(node.first(&request).unwrap());
    silently(node.next(asked, &request), &RefusalReason::Unexpected);
    let mut started = Node::new();
    started.started = NOW;
    let asked_to_retry = is_retry(started.first(&genuine().seal()));
    silently(
        started.next(asked_to_retry, &request),
        &RefusalReason::Unexpected,
    );
    let long = Frame::new(request.opcode(), request.sub(), &[0]);
    silently(node.first(&long), &RefusalReason::Unexpected);
}

#[test]
fn nothing_is_given_out_before_the_third_message() {
    // An `Established` is all there is to a session, and it comes out of
    // nothing but a right M3.
    let node = Node::new();
    let identity = &clinic().patients[0];
    let (m1, state) = node.m1(identity);
    let (m2, proof) = answered(node.first(&m1).unwrap());
    let step = state.on_frame(identity, &clinic().known(), &m2, NOW, &mut OsRandom);
    let PatientStep::Answered { m3, .. } = step.unwrap() else {
        panic!("no M3");
    };
    let refusal = proof.on_frame(&Frame::new(10, sub::M3, &[0; 64]));
    assert_eq!(refusal.unwrap_err().reason, RefusalReason::BadSignature);
    // M3 of another session, even of the same patient.
    node.registry.lock().last_timestamps.clear();
    let (m1, _) = node.m1(identity);
    let (_, proof) = answered(node.first(&m1).unwrap());
    let refusal = proof.on_frame(&m3).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::BadSignature);
    assert!(refusal.answer.is_none());
}
