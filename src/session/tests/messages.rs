//! Messages, receipts and confirmations between doctor and one patient.

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::protocol::DisconnectReason;
use crate::protocol::message::{Boundary, Message};
use crate::protocol::opcode::{ACK, DIRECT, DISCONNECT, PRIVATE, RECEIPT};
use crate::protocol::record::{
    Ack, Audience, DecMsg, Direct, Disconnect, GroupKey, Heartbeat, Receipt, SessionToken,
};
use crate::random::OsRandom;
use crate::session::doctor::{FromPatient, SessionError};
use crate::session::patient::{Delivery, FromDoctor};
use crate::session::signed;
use crate::testing::{NOW, Pair, at, clinic, handshaken_pair};

fn message(text: &str) -> Message {
    Message::new(text, false, NOW, &mut OsRandom).unwrap()
}

fn direct(pair: &Pair, audience: Audience, message: Message) -> Direct {
    let parties = pair.doctor.parties();
    let doctor = &clinic().doctor.signing;
    signed::sign_direct(doctor, audience, message, parties, &mut OsRandom)
}

/// The message, how it came and the receipt, after the doctor's record.
fn deliver(pair: &mut Pair, opcode: u8, body: &[u8]) -> (Message, Delivery, Receipt) {
    let FromDoctor::Message {
        message,
        delivery,
        answer: (answer_opcode, answer),
    } = pair.tell_patient(opcode, body).unwrap()
    else {
        panic!("no message");
    };
    assert_eq!(answer_opcode, RECEIPT);
    let FromPatient::Received(receipt) = pair.tell_doctor(answer_opcode, &answer).unwrap() else {
        panic!("no receipt");
    };
    (message, delivery, receipt)
}

#[test]
fn a_direct_message_arrives_for_both_audiences_and_is_receipted() {
    for (audience, expected) in [
        (Audience::Everyone, Delivery::Missed),
        (Audience::Chosen, Delivery::Chosen),
    ] {
        let mut pair = handshaken_pair();
        let sent = message("direct");
        let record = direct(&pair, audience, sent.clone());
        let (received, delivery, receipt) = deliver(&mut pair, DIRECT, &record.encode());
        assert_eq!((received, delivery), (sent.clone(), expected));
        assert!(pair.doctor.proves_message(DIRECT, &sent.hash(), &receipt));
    }
}

#[test]
fn a_private_message_arrives_both_ways_and_is_receipted() {
    let mut pair = handshaken_pair();
    let sent = message("how are you?");
    let (received, delivery, receipt) = deliver(&mut pair, PRIVATE, &sent.encode());
    assert_eq!((&received, delivery), (&sent, Delivery::Private));
    assert!(pair.doctor.proves_message(PRIVATE, &sent.hash(), &receipt));

    let reply = message("well");
    let FromPatient::Private(received) = pair.tell_doctor(PRIVATE, &reply.encode()).unwrap() else {
        panic!("no message");
    };
    assert_eq!(received, reply);
    let receipt = pair.doctor.receipt_for(&received, NOW);
    let FromDoctor::Received(receipt) = pair.tell_patient(RECEIPT, &receipt.encode()).unwrap()
    else {
        panic!("no receipt");
    };
    assert!(pair.patient.proves_message(&reply, &receipt));
    assert!(!pair.patient.proves_message(&sent, &receipt));
}

#[test]
fn a_receipt_is_bound_to_kind_direction_message_and_session() {
    let mut pair = handshaken_pair();
    let sent = message("x");
    let (_, _, receipt) = deliver(&mut pair, PRIVATE, &sent.encode());
    let hash = sent.hash();
    let doctor = &pair.doctor;
    assert!(doctor.proves_message(PRIVATE, &hash, &receipt));
    assert!(!doctor.proves_message(DIRECT, &hash, &receipt));
    assert!(!doctor.proves_message(PRIVATE, &message("x").hash(), &receipt));
    let mut other_id = Receipt { ..receipt };
    other_id.id.0[0] ^= 1;
    assert!(!doctor.proves_message(PRIVATE, &hash, &other_id));
    let mut other_time = Receipt { ..receipt };
    other_time.at = Timestamp::from_millis(1);
    assert!(!doctor.proves_message(PRIVATE, &hash, &other_time));
    // The doctor's server cannot send a receipt back as if it were its own.
    assert!(!pair.patient.proves_message(&sent, &receipt));
    assert_ne!(doctor.receipt_for(&sent, receipt.at).mac, receipt.mac);
    let other = handshaken_pair();
    assert!(!other.doctor.proves_message(PRIVATE, &hash, &receipt));
}

#[test]
fn a_direct_message_is_the_doctors_and_for_whom_she_signed_it() {
    let refused = |pair: &mut Pair, record: &Direct| {
        let error = pair.tell_patient(DIRECT, &record.encode()).unwrap_err();
        assert_eq!(error, SessionError::Nonsense);
    };
    let text = || message("for you alone");
    // Another patient's.
    let other = Pair::new(1, [0xcc; 16], None);
    let others = direct(&other, Audience::Chosen, text());
    refused(&mut handshaken_pair(), &others);
    // What is for everyone is so for everyone.
    let for_all = direct(&other, Audience::Everyone, text());
    let told = handshaken_pair().tell_patient(DIRECT, &for_all.encode());
    assert!(told.is_ok());
    // One audience's signature is not the other's.
    for (from, to) in [
        (Audience::Everyone, Audience::Chosen),
        (Audience::Chosen, Audience::Everyone),
    ] {
        let mut pair = handshaken_pair();
        let mut record = direct(&pair, from, text());
        record.audience = to;
        refused(&mut pair, &record);
    }
    // Another text, a signature too long, too short, or a patient's.
    let mut pair = handshaken_pair();
    let mut record = direct(&pair, Audience::Chosen, text());
    record.message = text();
    refused(&mut pair, &record);
    for len in [0, 511, 513] {
        let mut pair = handshaken_pair();
        let mut record = direct(&pair, Audience::Chosen, text());
        record.signature.resize(len, 0);
        refused(&mut pair, &record);
    }
    let mut pair = handshaken_pair();
    let parties = *pair.doctor.parties();
    let patient = pair.identity.signing();
    let forged = signed::sign_direct(patient, Audience::Chosen, text(), &parties, &mut OsRandom);
    refused(&mut pair, &forged);
}

#[test]
fn a_confirmation_convinces_and_is_bound_to_all_it_says() {
    let mut pair = handshaken_pair();
    let confirmed = message("take the pills");
    let ack = pair.patient.confirm(
        pair.identity,
        confirmed.id(),
        &confirmed.hash(),
        at(9),
        &mut OsRandom,
    );
    let FromPatient::Confirmed(ack) = pair.tell_doctor(ACK, &ack.encode()).unwrap() else {
        panic!("no confirmation");
    };
    let hash = confirmed.hash();
    assert!(pair.doctor.proves_confirmation(&ack, &hash));
    assert!(!pair.doctor.proves_confirmation(&ack, &message("no").hash()));
    let mut other = ack.clone();
    other.at = at(10);
    assert!(!pair.doctor.proves_confirmation(&other, &hash));
    let mut other = ack.clone();
    other.id.0[0] ^= 1;
    assert!(!pair.doctor.proves_confirmation(&other, &hash));
    let mut other = ack.clone();
    other.signature.push(0);
    assert!(!pair.doctor.proves_confirmation(&other, &hash));
    // Evidence outlives the session, but not its parties.
    assert!(handshaken_pair().doctor.proves_confirmation(&ack, &hash));
    let others = Pair::new(1, [0xcc; 16], None);
    assert!(!others.doctor.proves_confirmation(&ack, &hash));
    let mut parties = *pair.doctor.parties();
    parties.doctor[0] ^= 1;
    let key = &pair.identity.certificate().subject().signing_key;
    assert!(signed::verify_ack(key, &ack, &hash, &parties).is_err());
}

#[test]
fn the_doctors_receipt_of_a_confirmation_is_bound_to_it() {
    let mut pair = handshaken_pair();
    let [confirmed, other] = ["take one", "take two"].map(message);
    let (id, hash) = (confirmed.id(), confirmed.hash());
    let receipt = pair.doctor.receipt_for_confirmation(id, NOW, &hash);
    let told = pair.tell_patient(RECEIPT, &receipt.encode());
    let FromDoctor::Received(mut receipt) = told.unwrap() else {
        panic!("no receipt");
    };
    assert!(pair.patient.proves_confirmation(&hash, &receipt));
    assert!(!pair.patient.proves_confirmation(&other.hash(), &receipt));
    assert!(!pair.patient.proves_message(&confirmed, &receipt));
    receipt.id = other.id();
    assert!(!pair.patient.proves_confirmation(&hash, &receipt));
}

#[test]
fn a_consultation_begins_in_private_only() {
    let mut pair = handshaken_pair();
    let boundary = Boundary::Opens;
    let opening = Message::at_boundary(boundary, "hello", NOW, &mut OsRandom).unwrap();
    let (arrived, ..) = deliver(&mut pair, PRIVATE, &opening.encode());
    assert_eq!(arrived.boundary(), Some(boundary));
    let direct = direct(&pair, Audience::Chosen, opening);
    let refused = pair.tell_patient(DIRECT, &direct.encode());
    assert_eq!(refused.unwrap_err(), SessionError::Nonsense);
}

#[test]
fn a_disconnect_says_why_and_what_arrived() {
    let mut pair = handshaken_pair();
    let said = Disconnect {
        reason: DisconnectReason::Superseded,
        last_mid: 5,
        records_received: 6,
    };
    let heard = pair.tell_patient(DISCONNECT, &said.encode()).unwrap();
    assert!(matches!(heard, FromDoctor::Disconnect(heard) if heard == said));
    let heard = pair.tell_doctor(DISCONNECT, &said.encode()).unwrap();
    assert!(matches!(heard, FromPatient::Disconnect(heard) if heard == said));
    let mut unknown = said.encode();
    unknown[0] = 10;
    let error = pair.tell_doctor(DISCONNECT, &unknown).unwrap_err();
    assert_eq!(error, SessionError::Nonsense);
}

proptest! {
    #[test]
    fn random_bytes_are_read_as_what_they_say_or_refused(
        body in proptest::collection::vec(any::<u8>(), 0..800),
    ) {
        fn same(encoded: Option<Vec<u8>>, body: &[u8]) -> bool {
            encoded.is_none_or(|encoded| encoded == body)
        }
        prop_assert!(same(SessionToken::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(GroupKey::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(DecMsg::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(Direct::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(Ack::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(Receipt::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(Heartbeat::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(Disconnect::decode(&body).ok().map(|x| x.encode()), &body));
        prop_assert!(same(Message::decode(&body).ok().map(|x| x.encode()), &body));
    }
}
