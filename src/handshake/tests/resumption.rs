//! What somebody may try with a token.

use std::net::IpAddr;
use std::time::Duration;

use crate::elgamal::KemSecret;
use crate::framing::Frame;
use crate::handshake::doctor::{Established, RefusalReason};
use crate::handshake::patient::{self, Agreed, HandshakeError};
use crate::handshake::registry::Standing;
use crate::handshake::resume::{self, ResumptionTicket, Step, token_lifetime};
use crate::kdf::{self, label};
use crate::protocol::sub;
use crate::random::OsRandom;
use crate::secret::Secret;
use crate::testing::{NOW, Node, answered, at, clinic, patient_with, reply, with_body};

const HOUR: Duration = Duration::from_secs(3_600);
/// Where the token stands in the body of a request.
const TOKEN_AT: usize = 8 + 32;

/// A whole resumption.
pub(super) fn resume(node: &Node<'_>, ticket: ResumptionTicket) -> (Established, Agreed) {
    let group = node.identity.group();
    let (request, state) = resume::begin(ticket, group, node.now, &mut OsRandom);
    let (answer, proof) = answered(node.first(&request).unwrap());
    let Step::Answered(m3, agreed) = state.on_frame(group, &answer, node.now).unwrap() else {
        panic!("not resumed");
    };
    (proof.on_frame(&m3).unwrap(), agreed)
}

/// A node with a session of P1, and the ticket to resume it.
fn node_with_ticket() -> (Node<'static>, ResumptionTicket) {
    let node = Node::new();
    let (established, agreed) = node.admit(&clinic().patients[0]);
    let ticket = node.give_token(&established, &agreed);
    (node, ticket)
}

fn request(ticket: ResumptionTicket) -> Frame {
    resume::begin(ticket, clinic().doctor.group(), NOW, &mut OsRandom).0
}

fn gets_no_token(node: &Node<'_>, request: &Frame) {
    let (answer, _) = reply(node.first(request).unwrap());
    assert_eq!(answer.sub(), sub::NO_TOKEN);
    assert!(answer.body().is_empty());
}

#[test]
fn a_token_is_used_once() {
    let (node, ticket) = node_with_ticket();
    let request = request(ticket);
    answered(node.first(&request).unwrap());
    assert!(node.registry.lock().tokens.is_empty());
    gets_no_token(&node, &request);
}

#[test]
fn a_stolen_token_without_its_key_neither_resumes_nor_burns() {
    let (node, ticket) = node_with_ticket();
    let token = *node.registry.lock().tokens.keys().next().unwrap();
    // The thief has a session of his own, and its key.
    let (_, other) = Node::new().admit(&clinic().patients[1]);
    let stolen = ResumptionTicket::new(&other.session, &token, HOUR, NOW).unwrap();
    gets_no_token(&node, &request(stolen));
    assert_eq!(node.registry.lock().tokens.len(), 1);
    resume(&node, ticket);
}

#[test]
fn a_token_is_shown_on_one_network_only() {
    let (_, mut ticket) = node_with_ticket();
    let [home, away] = [[192, 0, 2, 1], [198, 51, 100, 1]].map(IpAddr::from);
    assert!(!ticket.was_shown_elsewhere(home));
    ticket.shown(home);
    // On the same one it may be shown again: the server may have been crowded.
    assert!(!ticket.was_shown_elsewhere(home));
    assert!(ticket.duplicate().was_shown_elsewhere(away));
}

#[test]
fn an_unknown_token_is_no_token() {
    let (node, ticket) = node_with_ticket();
    let request = request(ticket);
    let mut body = request.body().to_vec();
    body[TOKEN_AT] ^= 1;
    gets_no_token(&node, &with_body(&request, &body));
}

#[test]
fn a_token_ends_after_its_lifetime() {
    let (mut node, ticket) = node_with_ticket();
    assert!(ticket.is_valid_at(at(3_599)));
    assert!(!ticket.is_valid_at(at(3_600)));
    node.now = at(3_600).plus(Duration::from_millis(1));
    gets_no_token(&node, &request(ticket));
    let (node, ticket) = node_with_ticket();
    resume(&node.an_hour_later(), ticket);
}

#[test]
fn no_token_outlives_twelve_hours_after_the_last_signatures() {
    assert_eq!(token_lifetime(NOW, NOW), HOUR);
    assert_eq!(token_lifetime(NOW, NOW.plus(HOUR * 11)), HOUR);
    let half = HOUR / 2;
    assert_eq!(token_lifetime(NOW, NOW.plus(HOUR * 11 + half)), half);
    assert_eq!(token_lifetime(NOW, NOW.plus(HOUR * 12)), Duration::ZERO);
    assert_eq!(token_lifetime(NOW, NOW.plus(HOUR * 99)), Duration::ZERO);
    let (_, agreed) = Node::new().admit(&clinic().patients[0]);
    let none = ResumptionTicket::new(&agreed.session, &[1; 32], Duration::ZERO, NOW);
    assert!(none.is_none());
}

#[test]
fn resuming_does_not_start_the_twelve_hours_anew() {
    let (mut node, mut ticket) = node_with_ticket();
    for hour in 1..=12 {
        node.now = NOW.plus(HOUR * hour).minus(Duration::from_secs(60));
        let (established, agreed) = resume(&node, ticket);
        assert_eq!(established.full_handshake, NOW);
        ticket = node.give_token(&established, &agreed);
    }
    node.now = NOW.plus(HOUR * 12).plus(Duration::from_millis(1));
    assert!(!ticket.is_valid_at(node.now));
    gets_no_token(&node, &request(ticket));
}

#[test]
fn a_certificate_in_bad_standing_is_not_resumed() {
    let serial = clinic().patients[0].certificate().subject().serial;
    for standing in [None, Some(Standing::Inactive), Some(Standing::Stopped)] {
        let (node, ticket) = node_with_ticket();
        let mut tables = node.registry.lock();
        match standing {
            None => drop(tables.certificates.remove(&serial)),
            Some(standing) => tables.certificates.get_mut(&serial).unwrap().standing = standing,
        }
        drop(tables);
        gets_no_token(&node, &request(ticket));
    }
}

#[test]
fn a_certificate_that_has_ended_since_is_not_resumed() {
    let identity = patient_with(&clinic().doctor, |subject| subject.not_after = at(60));
    let mut node = Node::new();
    node.registry
        .admit(identity.certificate(), Standing::Active);
    let (established, agreed) = node.admit(&identity);
    let ticket = node.give_token(&established, &agreed);
    node.now = at(61);
    gets_no_token(&node, &request(ticket));
}

#[test]
fn a_full_server_resumes_nobody() {
    let (node, ticket) = node_with_ticket();
    node.registry.lock().is_full = true;
    gets_no_token(&node, &request(ticket));
}

#[test]
fn unreadable_tables_resume_nobody() {
    let (node, ticket) = node_with_ticket();
    node.registry.lock().are_unreadable = true;
    let refusal = node.first(&request(ticket)).unwrap_err();
    assert!(refusal.answer.is_none());
    assert!(matches!(refusal.reason, RefusalReason::Registry(_)));
}

#[test]
fn only_a_request_that_proves_its_token_costs_a_look_at_its_number() {
    let (node, ticket) = node_with_ticket();
    let request = request(ticket);
    let len = clinic().doctor.group().element_len();
    let mut body = request.body().to_vec();
    body[TOKEN_AT + 32..][..len].fill(0);
    let unproved = with_body(&request, &body);
    let group = clinic().doctor.group();
    let is_proved = |frame| resume::is_proved(&node.registry, group, frame).unwrap();
    assert!(!is_proved(&unproved));
    gets_no_token(&node, &unproved);
    assert_eq!(node.registry.lock().tokens.len(), 1);
    assert!(is_proved(&request));
    assert_eq!(node.registry.lock().tokens.len(), 1);
    // Whoever has the key of the token gets so far, and no further.
    let proved = proved(&node, &unproved);
    assert!(is_proved(&proved));
    let refusal = node.first(&proved).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Unexpected);
    assert!(refusal.answer.is_none());
}

#[test]
fn a_request_of_another_length_is_refused_before_its_token_is_looked_for() {
    let (node, ticket) = node_with_ticket();
    let request = request(ticket);
    let group = clinic().doctor.group();
    let longer = [request.body(), &[0]].concat();
    let shorter = request.body().split_last().unwrap().1;
    for body in [&longer[..], shorter, &[0; 16_000], &[]] {
        // Its binder is right: only its length is wrong.
        let frame = with_body(&request, body);
        let frame = match body.len() >= 64 {
            true => proved(&node, &frame),
            false => frame,
        };
        assert!(resume::is_proved(&node.registry, group, &frame).is_err());
        let refusal = node.first(&frame).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::Unexpected);
    }
    assert_eq!(node.registry.lock().tokens.len(), 1);
}

#[test]
fn a_resumption_counts_as_a_handshake_once_its_token_is_proved() {
    let (node, ticket) = node_with_ticket();
    let request = request(ticket);
    let begun = node.registry.lock().begun;
    let mut body = request.body().to_vec();
    *body.last_mut().unwrap() ^= 1;
    gets_no_token(&node, &with_body(&request, &body));
    assert_eq!(node.registry.lock().begun, begun);
    answered(node.first(&request).unwrap());
    assert_eq!(node.registry.lock().begun, begun + 1);
}

#[test]
fn who_has_begun_too_many_handshakes_is_not_resumed() {
    let (node, ticket) = node_with_ticket();
    node.registry.lock().is_begun_too_often = true;
    let refusal = node.first(&request(ticket)).unwrap_err();
    assert!(matches!(refusal.reason, RefusalReason::TooOften(_)));
    assert!(refusal.answer.is_none());
}

/// A request with the binder that belongs to what it says.
fn proved(node: &Node<'_>, request: &Frame) -> Frame {
    let tables = node.registry.lock();
    let entry = tables.tokens.values().next().unwrap();
    let key: Secret<64> = entry.key.expand(label::BINDER_P, &[]);
    let (before, _) = request.as_bytes().split_last_chunk::<64>().unwrap();
    let proof = kdf::hmac(key.expose(), &[before]);
    let (fields, _) = request.body().split_last_chunk::<64>().unwrap();
    with_body(request, &[fields, &proof[..]].concat())
}

#[test]
fn an_answer_of_somebody_who_has_not_the_key_is_refused() {
    let (node, ticket) = node_with_ticket();
    let group = clinic().doctor.group();
    let (request, state) = resume::begin(ticket, group, NOW, &mut OsRandom);
    let (answer, _) = answered(node.first(&request).unwrap());
    let mut body = answer.body().to_vec();
    let own = KemSecret::generate(group, &mut OsRandom);
    body[40..40 + group.element_len()].copy_from_slice(own.public().as_bytes());
    let step = state.on_frame(group, &with_body(&answer, &body), NOW);
    assert_eq!(step.unwrap_err(), HandshakeError::NotTheDoctor);
}

#[test]
fn a_request_is_not_answered_by_itself_or_by_a_full_handshakes_frames() {
    let group = clinic().doctor.group();
    for sub in [1, 2, 3, 4, 5, 7, 8, 9] {
        let (node, ticket) = node_with_ticket();
        let (request, state) = resume::begin(ticket, group, node.now, &mut OsRandom);
        let frame = Frame::new(10, sub, request.body());
        let error = state.on_frame(group, &frame, NOW).unwrap_err();
        assert_eq!(error, HandshakeError::Unexpected, "sub {sub}");
    }
}

#[test]
fn the_order_of_first_frames_is_kept() {
    let (node, ticket) = node_with_ticket();
    let request = request(ticket);
    node.registry.lock().tokens.clear();
    let refused = |state, frame: &Frame| {
        let refusal = node.next(state, frame).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::Unexpected);
        assert!(refusal.answer.is_none());
    };
    // Twice, or after it CERT? or an enrolment.
    let after_resumption = || reply(node.first(&request).unwrap()).1;
    refused(after_resumption(), &request);
    refused(after_resumption(), &patient::certificate_request());
    refused(after_resumption(), &Frame::new(90, 1, &[0; 2_000]));
    // After a RETRY only M1 comes.
    let mut started = Node::new();
    started.started = NOW;
    let (m1, _) = started.m1(&clinic().patients[0]);
    for frame in [request, Frame::new(90, 1, &[0; 2_000])] {
        let (retry, on) = reply(started.first(&m1).unwrap());
        assert_eq!(retry.sub(), sub::RETRY);
        refused(on, &frame);
    }
}
