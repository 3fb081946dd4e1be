//! What a patient is told who proved who she is, and that nobody else is told.

use std::time::Duration;

use super::forge::{C1_AT, FirstMessage};
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::SignSecret;
use crate::framing::Frame;
use crate::handshake::doctor::RefusalReason;
use crate::handshake::patient::{AwaitAnswer, HandshakeError, Step};
use crate::handshake::registry::Standing;
use crate::identity::patient_identity::PatientIdentity;
use crate::protocol::{AlertCode, sub};
use crate::random::OsRandom;
use crate::testing::{NOW, Node, TOLERANCE, at, clinic, patient_with, reply};

const ONE: Duration = Duration::from_millis(1);

/// The patient takes the answer to her M1.
fn take(
    state: AwaitAnswer,
    identity: &PatientIdentity,
    answer: &Frame,
) -> Result<Step, HandshakeError> {
    state.on_frame(identity, &clinic().known(), answer, NOW, &mut OsRandom)
}

/// The patient is refused with this code and learns it; nothing else happens.
fn refused(node: &Node<'_>, identity: &PatientIdentity, code: AlertCode) {
    let (m1, state) = node.m1(identity);
    let refusal = node.first(&m1).unwrap_err();
    let name = identity.certificate().subject().identifier.clone();
    assert_eq!(refusal.reason, RefusalReason::Alert(code, name));
    let alert = refusal.answer.unwrap();
    assert_eq!(alert.sub(), sub::ALERT);
    let doctor_time = node.now;
    assert_eq!(
        take(state, identity, &alert).unwrap_err(),
        HandshakeError::Refused { code, doctor_time }
    );
    assert!(node.registry.lock().last_timestamps.is_empty());
}

/// A patient whose certificate is valid from `begin` to `end`, in the table.
fn patient_between(node: &Node<'_>, begin: Timestamp, end: Timestamp) -> PatientIdentity {
    let identity = patient_with(node.identity, |subject| {
        subject.not_before = begin;
        subject.not_after = end;
    });
    node.registry
        .admit(identity.certificate(), Standing::Active);
    identity
}

#[test]
fn an_inactive_and_a_stopped_certificate_are_refused() {
    let identity = &clinic().patients[0];
    for (standing, code) in [
        (Standing::Inactive, AlertCode::NotActive),
        (Standing::Stopped, AlertCode::Revoked),
    ] {
        let node = Node::of(&clinic().doctor);
        node.registry.admit(identity.certificate(), standing);
        refused(&node, identity, code);
    }
}

#[test]
fn a_certificate_counts_from_its_first_to_its_last_instant() {
    let node = Node::of(&clinic().doctor);
    let ended = patient_between(&node, NOW.minus(ONE * 2), NOW.minus(ONE));
    refused(&node, &ended, AlertCode::Ended);
    let early = patient_between(&node, NOW.plus(ONE), at(60));
    refused(&node, &early, AlertCode::NotYetValid);
    let just_now = patient_between(&node, NOW, NOW);
    node.admit(&just_now);
}

#[test]
fn a_full_server_says_so() {
    let node = Node::new();
    node.registry.lock().is_full = true;
    refused(&node, &clinic().patients[0], AlertCode::Busy);
}

#[test]
fn a_strict_doctor_refuses_a_wrong_clock_even_with_a_nonce() {
    let mut node = Node::new();
    node.strict_clock = true;
    let identity = &clinic().patients[0];
    let known = clinic().known();
    let wrong = NOW.plus(TOLERANCE + ONE);
    let (m1, state) = crate::handshake::patient::begin(identity, &known, wrong, &mut OsRandom);
    let (retry, on) = reply(node.first(&m1).unwrap());
    let step = state.on_frame(identity, &known, &retry, wrong, &mut OsRandom);
    let Step::Retry(m1, state) = step.unwrap() else {
        panic!("no second M1");
    };
    let alert = node.next(on, &m1).unwrap_err().answer.unwrap();
    assert_eq!(
        take(*state, identity, &alert).unwrap_err(),
        HandshakeError::Refused {
            code: AlertCode::Clock,
            doctor_time: NOW
        }
    );
    // A right clock is all she wants.
    node.admit(identity);
}

#[test]
fn a_stranger_with_a_refused_certificate_is_told_nothing() {
    let stranger = SignSecret::generate(clinic().doctor.group(), &mut OsRandom);
    for standing in [Standing::Inactive, Standing::Stopped] {
        let identity = &clinic().patients[0];
        let node = Node::of(&clinic().doctor);
        node.registry.admit(identity.certificate(), standing);
        let stolen = FirstMessage {
            signer: &stranger,
            ..FirstMessage::new(identity, &clinic().known())
        };
        let refusal = node.first(&stolen.seal()).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::BadSignature);
        assert!(refusal.answer.is_none());
    }
}

#[test]
fn an_alert_of_somebody_else_is_not_believed() {
    let node = Node::of(&clinic().doctor);
    let identity = &clinic().patients[0];
    node.registry
        .admit(identity.certificate(), Standing::Stopped);
    // In clear, as a man in the middle could make it.
    let (_, state) = node.m1(identity);
    let body = Writer::new().u8(3).u64(NOW.as_millis()).finish();
    let clear = Writer::new().lp16(&body).finish();
    let alert = Frame::new(10, sub::ALERT, &clear);
    assert_eq!(
        take(state, identity, &alert).unwrap_err(),
        HandshakeError::NotTheDoctor
    );
    // A real one, but of an earlier first message.
    let (earlier, _) = node.m1(identity);
    let alert = node.first(&earlier).unwrap_err().answer.unwrap();
    let (_, state) = node.m1(identity);
    assert_eq!(
        take(state, identity, &alert).unwrap_err(),
        HandshakeError::NotTheDoctor
    );
}

#[test]
fn a_first_message_is_not_answered_by_itself() {
    let identity = &clinic().patients[0];
    let (m1, state) = Node::new().m1(identity);
    assert_eq!(
        take(state, identity, &m1).unwrap_err(),
        HandshakeError::Unexpected
    );
}

#[test]
fn a_patient_takes_one_retry_only() {
    let mut node = Node::new();
    node.started = NOW;
    let identity = &clinic().patients[0];
    let (m1, state) = node.m1(identity);
    let (retry, _) = reply(node.first(&m1).unwrap());
    let Step::Retry(again, state) = take(state, identity, &retry).unwrap() else {
        panic!("no second M1");
    };
    // RN_P and c1 are drawn anew; c1 stands behind the nonce of 32 bytes.
    assert_ne!(m1.body()[18..50], again.body()[18..50]);
    assert_ne!(m1.body()[C1_AT..][..256], again.body()[C1_AT + 32..][..256]);
    assert_eq!(
        take(*state, identity, &retry).unwrap_err(),
        HandshakeError::Unexpected
    );
}

#[test]
fn a_patient_starts_again_only_for_a_newer_prekey() {
    let node = Node::new();
    let identity = &clinic().patients[0];
    let (_, state) = node.m1(identity);
    let same = Frame::new(10, sub::CERT, &clinic().doctor.bundle(NOW));
    assert_eq!(
        take(state, identity, &same).unwrap_err(),
        HandshakeError::Unexpected
    );
    let mut older = clinic().same_doctor();
    let secret = &clinic().doctor.prekeys[0].secret;
    let begin = NOW.minus(Duration::from_secs(10 * 24 * 3_600));
    older.prekeys = vec![crate::testing::prekey_with(&older.signing, secret, begin)];
    let (_, state) = node.m1(identity);
    let older = Frame::new(10, sub::CERT, &older.bundle(NOW));
    assert_eq!(
        take(state, identity, &older).unwrap_err(),
        HandshakeError::Unexpected
    );
}
