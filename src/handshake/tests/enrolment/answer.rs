//! Which certificates a newcomer keeps.

use super::super::forge::early_secret;
use super::{begin, copy_of_keys, enrolling, open_ticket};
use crate::aes;
use crate::clock::Timestamp;
use crate::codec::Writer;
use crate::elgamal::KemSecret;
use crate::framing::Frame;
use crate::handshake::enrol::NewKeys;
use crate::handshake::patient::HandshakeError;
use crate::identity::ticket::Ticket;
use crate::kdf::{self, label};
use crate::protocol::enrol_sub;
use crate::protocol::opcode::ENROL;
use crate::random::{self, OsRandom};
use crate::secret::Secret;
use crate::testing::{NOW, at, clinic};

#[test]
fn a_certificate_for_another_name_or_other_keys_is_not_stored() {
    // The doctor's table says somebody else than the ticket does.
    let (node, ticket, keys) = open_ticket();
    node.registry
        .lock()
        .tickets
        .get_mut(&ticket.id)
        .unwrap()
        .subject = "P8".parse().unwrap();
    let judge = |keys: &NewKeys, now: Timestamp| {
        let (e1, state) = begin(keys, &ticket);
        let (e2, _) = enrolling(node.first(&e1));
        move |shown: &NewKeys| state.on_frame(shown, &ticket, &clinic().known(), &e2, now)
    };
    let error = judge(&keys, NOW)(&keys).unwrap_err();
    assert_eq!(error, HandshakeError::NotTheDoctor);
    // Another signing key than the one that asked; another encryption key does
    // not even open it.
    let (node, ticket, keys) = open_ticket();
    for change in [true, false] {
        let other = NewKeys::generate(clinic().doctor.group(), &mut OsRandom);
        let mut shown = copy_of_keys(&keys);
        if change {
            shown.signing = other.signing;
        } else {
            shown.encryption = other.encryption;
        }
        let (e1, state) = begin(&keys, &ticket);
        let (e2, _) = enrolling(node.first(&e1));
        let result = state.on_frame(&shown, &ticket, &clinic().known(), &e2, NOW);
        assert_eq!(result.unwrap_err(), HandshakeError::NotTheDoctor);
    }
}

#[test]
fn a_certificate_whose_time_is_not_now_is_not_stored() {
    let (node, ticket, keys) = open_ticket();
    let (e1, state) = begin(&keys, &ticket);
    let (e2, _) = enrolling(node.first(&e1));
    let years_later = at(3 * 366 * 24 * 3_600);
    let result = state.on_frame(&keys, &ticket, &clinic().known(), &e2, years_later);
    assert!(matches!(result, Err(HandshakeError::Trust(_))));
}

/// E2 of somebody who has the doctor's keys and takes `secret` for the ticket's.
fn answer_with(secret: &Secret<16>, ticket: &Ticket, keys: &NewKeys, e1: &Frame) -> Frame {
    let doctor = &clinic().doctor;
    let certificate = doctor.certify(
        &ticket.subject,
        keys.signing.verifying_key().clone(),
        keys.encryption.public().clone(),
        NOW,
        &mut OsRandom,
    );
    let kem = KemSecret::generate(doctor.group(), &mut OsRandom);
    let c_e = kem.public().as_bytes();
    let content_len = 2 + certificate.as_bytes().len() + 64;
    let body_len = c_e.len() + 2 + aes::sealed_len(content_len);
    let header = Frame::header(ENROL, enrol_sub::E2, body_len);
    let bound = kdf::hash(&[e1.as_bytes(), &header, c_e]);
    let key = early_secret(doctor, e1).enrolment(&kem.agree(keys.encryption.public()));
    let ticket_key = kdf::extract(&ticket.id, &[secret.expose()]);
    let mac_key: Secret<64> = ticket_key.expand(label::TICKET_D, &[]);
    let mac = kdf::hmac(mac_key.expose(), &[&bound, &certificate.fingerprint()]);
    let content = Writer::new()
        .lp16(certificate.as_bytes())
        .bytes(&mac)
        .finish();
    let seal = aes::SealingKey::new(key.expand(label::ENROL_2, &[&bound]));
    let sealed = seal.seal(0, &[&bound], &content, &mut OsRandom);
    let body = Writer::new().bytes(c_e).lp16(&sealed).finish();
    Frame::new(ENROL, enrol_sub::E2, &body)
}

#[test]
fn a_certificate_of_somebody_without_the_tickets_secret_is_not_stored() {
    let (_, ticket, keys) = open_ticket();
    for (secret, is_right) in [
        (ticket.secret.duplicate(), true),
        (random::secret(&mut OsRandom), false),
    ] {
        let (e1, state) = begin(&keys, &ticket);
        let e2 = answer_with(&secret, &ticket, &keys, &e1);
        let result = state.on_frame(&keys, &ticket, &clinic().known(), &e2, NOW);
        match result {
            Ok(_) => assert!(is_right),
            Err(error) => assert_eq!((error, is_right), (HandshakeError::NotTheDoctor, false)),
        }
    }
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let (node, ticket, keys) = open_ticket();
    let (e1, _) = begin(&keys, &ticket);
    let (e2, _) = enrolling(node.first(&e1));
    let (_, state) = begin(&keys, &ticket);
    let result = state.on_frame(&keys, &ticket, &clinic().known(), &e2, NOW);
    assert_eq!(result.unwrap_err(), HandshakeError::NotTheDoctor);
}
