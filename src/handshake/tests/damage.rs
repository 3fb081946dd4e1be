//! Every frame of the handshakes damaged in every way: never accepted, and
//! never a panic.

use proptest::prelude::*;

use crate::framing::Frame;
use crate::handshake::doctor::{ExpectProof, Refusal, Step};
use crate::handshake::enrol::{self, AwaitCertificate, AwaitDone, ExpectConfirmation, NewKeys};
use crate::handshake::patient::{self, AwaitAnswer, HandshakeError};
use crate::handshake::registry::Standing;
use crate::handshake::resume::{self, AwaitResumed, ResumptionTicket};
use crate::identity::known_doctor::KnownDoctor;
use crate::identity::patient_identity::PatientIdentity;
use crate::identity::ticket::Ticket;
use crate::protocol::{enrol_sub, sub};
use crate::random::OsRandom;
use crate::testing::{NOW, Node, Repeating, answered, at, clinic, damaged, with_body};

fn patient() -> &'static PatientIdentity {
    &clinic().patients[0]
}

/// The same M1 and state every time: the only way to use a state twice.
fn same_m1(known: &KnownDoctor) -> (Frame, AwaitAnswer) {
    patient::begin(patient(), known, NOW, &mut Repeating(7))
}

fn opens_no_session(step: Result<Step, Refusal>, frame: &Frame) {
    assert!(
        !matches!(step, Ok(Step::Answered(..) | Step::Enrolling(..))),
        "accepted: {frame:?}"
    );
}

#[test]
fn a_damaged_first_message_is_refused() {
    let node = Node::new();
    let (m1, _) = node.m1(patient());
    for frame in damaged(&m1, 5) {
        opens_no_session(node.first(&frame), &frame);
    }
    assert!(node.registry.lock().last_timestamps.is_empty());
    answered(node.first(&m1).unwrap());
}

#[test]
fn a_damaged_second_message_is_refused() {
    let known = clinic().known();
    let (m1, _) = same_m1(&known);
    let (m2, _) = answered(Node::new().first(&m1).unwrap());
    let take = |frame: &Frame| {
        let (_, state) = same_m1(&known);
        state.on_frame(patient(), &known, frame, NOW, &mut OsRandom)
    };
    for frame in damaged(&m2, 61) {
        assert!(take(&frame).is_err(), "accepted: {frame:?}");
    }
    take(&m2).unwrap();
}

/// A request to resume and the doctor's answer, from a new token each time.
fn resumed(node: &Node<'_>, ticket: ResumptionTicket) -> (Frame, AwaitResumed, Frame, ExpectProof) {
    let group = clinic().doctor.group();
    let (request, state) = resume::begin(ticket, group, NOW, &mut OsRandom);
    let (answer, proof) = answered(node.first(&request).unwrap());
    (request, state, answer, proof)
}

#[test]
fn a_damaged_third_message_is_refused() {
    let node = Node::new();
    let (established, agreed) = node.admit(patient());
    let group = clinic().doctor.group();
    let (mut refused, mut position) = (0, 0);
    loop {
        let ticket = node.give_token(&established, &agreed);
        let (_, state, answer, proof) = resumed(&node, ticket);
        let resume::Step::Answered(m3, _) = state.on_frame(group, &answer, NOW).unwrap() else {
            panic!("not resumed");
        };
        let Some(frame) = damaged(&m3, 1).into_iter().nth(position) else {
            proof.on_frame(&m3).unwrap();
            break;
        };
        assert!(proof.on_frame(&frame).is_err(), "accepted: {frame:?}");
        position += 1;
        refused += 1;
    }
    assert_eq!(refused, 16 + 64 + 2);
}

#[test]
fn a_damaged_request_to_resume_is_refused() {
    let node = Node::new();
    let (established, agreed) = node.admit(patient());
    let ticket = node.give_token(&established, &agreed);
    let group = clinic().doctor.group();
    let (request, _) = resume::begin(ticket, group, NOW, &mut OsRandom);
    for frame in damaged(&request, 1) {
        opens_no_session(node.first(&frame), &frame);
    }
    assert_eq!(node.registry.lock().tokens.len(), 1);
    answered(node.first(&request).unwrap());
}

#[test]
fn a_damaged_answer_to_it_is_refused() {
    let node = Node::new();
    let (established, agreed) = node.admit(patient());
    let group = clinic().doctor.group();
    let _ = node.give_token(&established, &agreed);
    let token = *node.registry.lock().tokens.keys().next().unwrap();
    let begin = || {
        let hour = resume::TOKEN_LIFETIME;
        let ticket = ResumptionTicket::new(&agreed.session, &token, hour, NOW).unwrap();
        resume::begin(ticket, group, NOW, &mut Repeating(7))
    };
    let (answer, _) = answered(node.first(&begin().0).unwrap());
    for frame in damaged(&answer, 3) {
        let result = begin().1.on_frame(group, &frame, NOW);
        assert!(result.is_err(), "accepted: {frame:?}");
    }
    begin().1.on_frame(group, &answer, NOW).unwrap();
}

#[test]
fn a_damaged_alert_is_not_believed() {
    let known = clinic().known();
    let node = Node::of(&clinic().doctor);
    node.registry
        .admit(patient().certificate(), Standing::Stopped);
    let (m1, _) = same_m1(&known);
    let alert = node.first(&m1).unwrap_err().answer.unwrap();
    let take = |frame: &Frame| {
        let (_, state) = same_m1(&known);
        let step = state.on_frame(patient(), &known, frame, NOW, &mut OsRandom);
        step.unwrap_err()
    };
    for frame in damaged(&alert, 7) {
        let error = take(&frame);
        assert!(
            !matches!(error, HandshakeError::Refused { .. }),
            "{frame:?}"
        );
    }
    assert!(matches!(take(&alert), HandshakeError::Refused { .. }));
}

#[test]
fn a_damaged_description_of_the_doctor_is_refused() {
    let doctor = &clinic().doctor;
    let cert = Frame::new(10, sub::CERT, &doctor.bundle(NOW));
    let known = clinic().known();
    let pinned = doctor.root.fingerprint();
    let first = |body: &[u8]| {
        let name = doctor.identifier();
        KnownDoctor::first_contact(body, &pinned, name, NOW, &mut OsRandom).is_ok()
    };
    let later = |body: &[u8]| known.check_bundle(body, patient().own(), NOW).is_ok();
    for (position, frame) in damaged(&cert, 3).into_iter().enumerate() {
        if frame.body() == cert.body() {
            assert!(
                patient::certificate_answer(&frame).is_err(),
                "another kind of frame"
            );
            continue;
        }
        assert!(!later(frame.body()), "accepted: {frame:?}");
        assert!(
            position % 6 != 0 || !first(frame.body()),
            "accepted: {frame:?}"
        );
    }
    assert!(first(cert.body()) && later(cert.body()));
}

/// An enrolment that can be begun again and again.
struct Enrolment {
    node: Node<'static>,
    ticket: Ticket,
    keys: NewKeys,
    known: KnownDoctor,
}

impl Enrolment {
    fn new() -> Self {
        let node = Node::of(&clinic().doctor);
        let doctor = node.identity.identifier();
        let pinned = node.identity.root.fingerprint();
        let ticket = node.registry.ticket_for(doctor, "P7", pinned, at(60));
        Self {
            node,
            ticket,
            keys: NewKeys::generate(clinic().doctor.group(), &mut OsRandom),
            known: clinic().known(),
        }
    }

    fn begin(&self) -> (Frame, AwaitCertificate) {
        enrol::begin(
            &self.keys,
            &self.ticket,
            &self.known,
            NOW,
            &mut Repeating(7),
        )
    }

    fn answer(&self) -> (Frame, ExpectConfirmation) {
        match self.node.first(&self.begin().0).unwrap() {
            Step::Enrolling(e2, next) => (e2, *next),
            other => panic!("no certificate: {other:?}"),
        }
    }

    fn take(&self, e2: &Frame) -> Result<(Frame, AwaitDone), HandshakeError> {
        let (_, state) = self.begin();
        state.on_frame(&self.keys, &self.ticket, &self.known, e2, NOW)
    }
}

#[test]
fn a_damaged_request_to_enrol_is_refused() {
    let enrolment = Enrolment::new();
    let (e1, _) = enrolment.begin();
    for frame in damaged(&e1, 5) {
        opens_no_session(enrolment.node.first(&frame), &frame);
    }
    assert!(enrolment.node.registry.lock().certificates.is_empty());
    enrolment.answer();
}

#[test]
fn a_damaged_certificate_on_its_way_is_refused() {
    let enrolment = Enrolment::new();
    let (e2, _) = enrolment.answer();
    for frame in damaged(&e2, 29) {
        assert!(enrolment.take(&frame).is_err(), "accepted: {frame:?}");
    }
    enrolment.take(&e2).unwrap();
}

#[test]
fn damaged_confirmations_of_an_enrolment_are_refused() {
    let enrolment = Enrolment::new();
    // Of E3 and E4 every third damage: each costs an enrolment.
    let sample = |frame: &Frame| damaged(frame, 1).into_iter().step_by(3);
    let e3 = Frame::new(90, enrol_sub::E3, &[0; 64]);
    for (position, _) in sample(&e3).enumerate() {
        let (e2, confirmation) = enrolment.answer();
        let (e3, done) = enrolment.take(&e2).unwrap();
        let frame = sample(&e3).nth(position).unwrap();
        let result = confirmation.on_frame(&enrolment.node.registry, &frame);
        assert!(result.is_err(), "accepted: {frame:?}");
        let e4 = with_body(&Frame::new(90, enrol_sub::E4, &[]), e3.body());
        assert_eq!(
            done.on_frame(&e4).unwrap_err(),
            HandshakeError::NotTheDoctor,
            "E3 sent back is no E4"
        );
    }
    let standing: Vec<Standing> = {
        let tables = enrolment.node.registry.lock();
        let rows = tables.certificates.values();
        rows.map(|row| row.standing).collect()
    };
    assert_eq!(standing, [Standing::Inactive]);

    let e4 = Frame::new(90, enrol_sub::E4, &[0; 64]);
    for (position, _) in sample(&e4).enumerate() {
        let (e2, confirmation) = enrolment.answer();
        let (e3, done) = enrolment.take(&e2).unwrap();
        let (e4, _) = confirmation
            .on_frame(&enrolment.node.registry, &e3)
            .unwrap();
        let frame = sample(&e4).nth(position).unwrap();
        assert!(done.on_frame(&frame).is_err(), "accepted: {frame:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_bytes_open_nothing_at_the_doctors(
        sub in 1_u8..=10,
        body in proptest::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let node = Node::new();
        for frame in [Frame::new(10, sub, &body), Frame::new(90, 1, &body)] {
            opens_no_session(node.first(&frame), &frame);
        }
        // Behind fields that are right.
        let (m1, _) = node.m1(patient());
        let (e1, _) = Enrolment::new().begin();
        for (right, front) in [(&m1, 51), (&m1, 307), (&e1, 66), (&e1, 322)] {
            let body = [&right.body()[..front], &body].concat();
            let frame = with_body(right, &body);
            opens_no_session(node.first(&frame), &frame);
        }
    }

    #[test]
    fn random_bytes_open_nothing_at_the_patients(
        sub in 1_u8..=10,
        body in proptest::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let known = clinic().known();
        let (_, state) = same_m1(&known);
        let frame = Frame::new(10, sub, &body);
        let step = state.on_frame(patient(), &known, &frame, NOW, &mut OsRandom);
        let opened = matches!(step, Ok(patient::Step::Answered { .. } | patient::Step::StartAgain(_)));
        prop_assert!(!opened);
        let refused = matches!(step, Err(HandshakeError::Refused { .. }));
        prop_assert!(!refused);
        let pinned = clinic().doctor.root.fingerprint();
        let name = clinic().doctor.identifier();
        let first = KnownDoctor::first_contact(&body, &pinned, name, NOW, &mut OsRandom);
        prop_assert!(first.is_err());
        prop_assert!(Enrolment::new().take(&Frame::new(90, 2, &body)).is_err());
    }
}
