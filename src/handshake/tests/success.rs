//! Everybody is who they say they are, and nobody is in between.

use std::time::Duration;

use crate::handshake::doctor;
use crate::handshake::enrol::{self, NewKeys};
use crate::handshake::patient::{self, Step};
use crate::handshake::registry::Standing;
use crate::handshake::resume;
use crate::handshake::tests::resumption;
use crate::identity::authority::OwnPrekey;
use crate::identity::known_doctor::KnownDoctor;
use crate::identity::patient_identity::PatientIdentity;
use crate::protocol::sub;
use crate::random::OsRandom;
use crate::session::SessionKey;
use crate::testing::{NOW, Node, TOLERANCE, answered, at, clinic, reply};

pub(super) fn same_key(doctor: &SessionKey, patient: &SessionKey) -> bool {
    doctor.verification() == patient.verification()
        && doctor
            .group_contribution()
            .ct_eq(&patient.group_contribution())
        && doctor.receipt_key().ct_eq(&patient.receipt_key())
}

#[test]
fn a_newcomer_learns_the_doctor_enrols_and_is_let_in() {
    let node = Node::of(&clinic().doctor);
    let pinned = node.identity.root.fingerprint();
    let name = node.identity.identifier();
    let ticket = node.registry.ticket_for(name, "P7", pinned, at(3_600));

    let (cert, state) = reply(node.first(&patient::certificate_request()).unwrap());
    let body = patient::certificate_answer(&cert).unwrap();
    let known =
        KnownDoctor::first_contact(body, &ticket.root, &ticket.doctor, NOW, &mut OsRandom).unwrap();
    assert_eq!(known.to_bundle(), node.identity.bundle(NOW));

    let keys = NewKeys::generate(known.group(), &mut OsRandom);
    let (e1, await_certificate) = enrol::begin(&keys, &ticket, &known, NOW, &mut OsRandom);
    let step = node.next(state, &e1).unwrap();
    let doctor::Step::Enrolling(e2, expect_confirmation) = step else {
        panic!("no certificate: {step:?}");
    };
    let (e3, await_done) = await_certificate
        .on_frame(&keys, &ticket, &known, &e2, NOW)
        .unwrap();
    let issued = node.registry.lock().certificates.len();
    assert_eq!(issued, 1);
    let (e4, enrolled) = expect_confirmation.on_frame(&node.registry, &e3).unwrap();
    let (certificate, code) = await_done.on_frame(&e4).unwrap();
    assert_eq!(code, enrolled.check_code);
    assert_eq!(code.len(), 15);
    assert_eq!(certificate.as_bytes(), enrolled.certificate.as_bytes());
    let serial = certificate.subject().serial;
    assert_eq!(node.registry.standing(&serial), Some(Standing::Active));

    let issuer = known.certificate().clone();
    let identity =
        PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption).unwrap();
    let (established, agreed) = node.admit(&identity);
    assert!(same_key(&established.session, &agreed.session));
}

#[test]
fn both_sides_of_a_handshake_have_the_same_key_and_know_each_other() {
    let node = Node::new();
    let [patient, other, _] = &clinic().patients;
    let (established, agreed) = node.admit(patient);
    assert!(same_key(&established.session, &agreed.session));
    assert_eq!(
        established.certificate.as_bytes(),
        patient.certificate().as_bytes()
    );
    assert_eq!(established.full_handshake, NOW);
    assert_eq!(established.their_time, NOW);
    assert!(!established.resumed);
    let (another, _) = node.admit(other);
    assert!(!same_key(&established.session, &another.session));
}

#[test]
fn a_wrong_clock_costs_a_retry_and_no_more() {
    for patient_now in [at(3_600), NOW.minus(Duration::from_secs(3_600))] {
        let node = Node::new();
        let identity = &clinic().patients[0];
        let known = clinic().known();
        let (m1, state) = patient::begin(identity, &known, patient_now, &mut OsRandom);
        let (retry, on) = reply(node.first(&m1).unwrap());
        assert_eq!(retry.sub(), sub::RETRY);
        let step = state
            .on_frame(identity, &known, &retry, patient_now, &mut OsRandom)
            .unwrap();
        let Step::Retry(m1, state) = step else {
            panic!("no second M1: {step:?}");
        };
        let (m2, proof) = answered(node.next(on, &m1).unwrap());
        let step = state
            .on_frame(identity, &known, &m2, patient_now, &mut OsRandom)
            .unwrap();
        let Step::Answered { m3, agreed, .. } = step else {
            panic!("no M3: {step:?}");
        };
        let established = proof.on_frame(&m3).unwrap();
        assert!(same_key(&established.session, &agreed.session));
        assert_eq!(agreed.their_time, NOW);
        assert_eq!(agreed.clock_difference, Duration::from_secs(3_600));
        assert!(agreed.clock_difference > TOLERANCE);
        assert_eq!(established.their_time, patient_now);
    }
}

#[test]
fn a_session_is_resumed_with_a_new_key_and_renewed_again() {
    let node = Node::new();
    let identity = &clinic().patients[0];
    let (first, agreed) = node.admit(identity);
    let ticket = node.give_token(&first, &agreed);
    let (second, resumed) = resumption::resume(&node, ticket);
    assert!(same_key(&second.session, &resumed.session));
    assert!(!same_key(&second.session, &first.session));
    assert!(second.resumed);
    assert_eq!(second.full_handshake, first.full_handshake);
    assert_eq!(
        second.certificate.as_bytes(),
        identity.certificate().as_bytes()
    );
    // In place it is the same: only who asks for it differs.
    let ticket = node.give_token(&second, &resumed);
    let (third, renewed) = resumption::resume(&node, ticket);
    assert!(same_key(&third.session, &renewed.session));
    assert!(!same_key(&third.session, &second.session));
}

#[test]
fn without_a_token_a_full_handshake_follows_on_the_same_connection() {
    let node = Node::new();
    let identity = &clinic().patients[0];
    let known = clinic().known();
    let (first, agreed) = node.admit(identity);
    let ticket = node.give_token(&first, &agreed);
    node.registry.lock().tokens.clear();
    let (request, state) = resume::begin(ticket, known.group(), NOW, &mut OsRandom);
    let (answer, on) = reply(node.first(&request).unwrap());
    assert_eq!(answer.sub(), sub::NO_TOKEN);
    let step = state.on_frame(known.group(), &answer, NOW).unwrap();
    assert!(matches!(step, resume::Step::NoToken));
    let (m1, state) = patient::begin(identity, &known, at(1), &mut OsRandom);
    let (m2, proof) = answered(node.next(on, &m1).unwrap());
    let step = state.on_frame(identity, &known, &m2, at(1), &mut OsRandom);
    let Step::Answered { m3, agreed, .. } = step.unwrap() else {
        panic!("no M3");
    };
    let established = proof.on_frame(&m3).unwrap();
    assert!(same_key(&established.session, &agreed.session));
}

#[test]
fn who_knows_an_old_prekey_is_told_the_new_one_and_starts_again() {
    let mut doctor = clinic().same_doctor();
    let identity = &clinic().patients[0];
    let mut known = clinic().known();
    let renewed = OwnPrekey::generate(&doctor.signing, at(60), &mut OsRandom);
    doctor.prekeys = vec![renewed];
    let node = Node::of(&doctor);
    node.registry
        .admit(identity.certificate(), Standing::Active);
    let (m1, state) = patient::begin(identity, &known, NOW, &mut OsRandom);
    let refusal = node.first(&m1).unwrap_err();
    let cert = refusal.answer.unwrap();
    assert_eq!(cert.sub(), sub::CERT);
    let step = state
        .on_frame(identity, &known, &cert, NOW, &mut OsRandom)
        .unwrap();
    let Step::StartAgain(news) = step else {
        panic!("not again: {step:?}");
    };
    known.learn(*news, NOW);
    let (m1, _) = patient::begin(identity, &known, NOW, &mut OsRandom);
    answered(node.first(&m1).unwrap());
}

#[test]
fn who_knows_a_prekey_of_the_future_comes_in_and_goes_back_to_a_valid_one() {
    let mut doctor = clinic().same_doctor();
    let identity = &clinic().patients[0];
    let valid = doctor.prekeys[0].prekey.id();
    let ahead = NOW.plus(Duration::from_secs(25 * 24 * 3_600));
    let future = OwnPrekey::generate(&doctor.signing, ahead, &mut OsRandom);
    // She met the doctor while both their clocks were ahead.
    doctor.prekeys.push(future);
    let mut misled = clinic().known();
    let news = misled.check_bundle(&doctor.bundle(ahead), identity.own(), ahead);
    misled.learn(news.unwrap(), ahead);
    assert_ne!(misled.prekey().id(), valid);

    // Its secret is there: M2 names the valid one.
    let node = Node::of(&doctor);
    node.registry
        .admit(identity.certificate(), Standing::Active);
    let (m1, state) = patient::begin(identity, &misled, NOW, &mut OsRandom);
    let (m2, _) = answered(node.first(&m1).unwrap());
    let step = state.on_frame(identity, &misled, &m2, NOW, &mut OsRandom);
    let Step::Answered { news, .. } = step.unwrap() else {
        panic!("no M3");
    };
    let mut known = misled.clone();
    known.learn(*news, NOW);
    assert_eq!(known.prekey().id(), valid);

    // Its secret is gone: CERT names the valid one.
    let restored = clinic().same_doctor();
    let node = Node::of(&restored);
    let (m1, state) = patient::begin(identity, &misled, NOW, &mut OsRandom);
    let cert = node.first(&m1).unwrap_err().answer.unwrap();
    let step = state.on_frame(identity, &misled, &cert, NOW, &mut OsRandom);
    let Step::StartAgain(news) = step.unwrap() else {
        panic!("not again");
    };
    misled.learn(*news, NOW);
    assert_eq!(misled.prekey().id(), valid);
}
