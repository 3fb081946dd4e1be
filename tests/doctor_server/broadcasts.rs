//! A broadcast, its receipts and its confirmations.

use telemed::doctor::event::Event;
use telemed::protocol::DisconnectReason;
use telemed::protocol::message::MessageId;
use telemed::protocol::opcode;
use telemed::protocol::record::{Ack, DecMsg};
use telemed::session::patient::Delivery;

use crate::support::{Got, Practice, Session};

/// Three patients who know that they are three.
fn three(practice: &Practice) -> [Session; 3] {
    let people = practice.admit(["P1", "P2", "P3"]);
    let mut sessions = people.map(|mut person| person.connect(practice.address()));
    for session in &mut sessions {
        session.epoch_of(3);
    }
    sessions
}

#[test]
fn a_broadcast_reaches_three_and_three_receipts_come_back() {
    let practice = Practice::open();
    let mut sessions = three(&practice);
    for session in &mut sessions {
        session.answering = false;
    }
    let sent = practice.server().broadcast("stay inside", true).unwrap();
    assert_eq!((sent.devices, sent.away), (3, 0));
    let answers = sessions.each_mut().map(|session| {
        let message = session.message();
        assert_eq!(message.text, "stay inside");
        assert_eq!(message.delivery, Delivery::Broadcast);
        message.answer
    });
    // One buffer for all: what the three recorded is the same.
    let frames = sessions
        .each_ref()
        .map(|session| session.wire.received.last().unwrap().clone());
    assert!(frames.iter().all(|frame| *frame == frames[0]));
    assert_eq!(frames[0].opcode(), opcode::ENC_MSG);
    let report = practice.report(sent.number);
    assert!(report.is_broadcast && report.outcomes.len() == 3);
    assert!(
        report
            .outcomes
            .iter()
            .all(|outcome| outcome.state == "sent")
    );

    for (session, answer) in sessions.iter_mut().zip(answers) {
        session.send(answer.0, &answer.1);
    }
    for patient in ["P1", "P2", "P3"] {
        practice.wait_for_state(sent.number, patient, "delivered");
        practice.wait_for("delivered", |event| match event {
            Event::Delivered(name, number, _) => {
                (name.as_str() == patient && *number == sent.number).then_some(())
            }
            _ => None,
        });
    }
}

#[test]
fn a_receipt_counts_once() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    let sent = practice.server().broadcast("once", false).unwrap();
    let answer = session.message().answer;
    practice.wait_for_state(sent.number, "P1", "delivered");
    let at = practice.report(sent.number).outcomes[0].at;
    practice.clock.advance(std::time::Duration::from_secs(1));
    for _ in 0..3 {
        session.send(answer.0, &answer.1);
    }
    session.sync(practice.now());
    assert_eq!(practice.report(sent.number).outcomes[0].at, at);
    let delivered = practice
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Delivered(..)))
        .count();
    assert_eq!(delivered, 1);
}

#[test]
fn a_receipt_with_a_wrong_proof_ends_the_session_and_counts_nothing() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    for flipped in ["proof", "id"] {
        let mut session = person.connect(practice.address());
        session.epoch();
        session.answering = false;
        let sent = practice.server().broadcast("flip me", false).unwrap();
        let (opcode, body) = session
            .until("the broadcast", |got| match got {
                Got::Message(arrived) if arrived.delivery == Delivery::Broadcast => {
                    Some(arrived.clone())
                }
                _ => None,
            })
            .answer;
        let mut receipt = DecMsg::decode(&body).unwrap();
        match flipped {
            "proof" => receipt.mac[63] ^= 1,
            _ => receipt.id.0[0] ^= 1,
        }
        session.send(opcode, &receipt.encode());
        assert_eq!(session.disconnected(), DisconnectReason::ProtocolError);
        assert_eq!(practice.state(sent.number, "P1"), "sent");
    }
}

#[test]
fn a_receipt_for_an_unknown_number_is_ignored() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    session.answering = false;
    let sent = practice.server().broadcast("numbered", false).unwrap();
    let (opcode, body) = session.message().answer;
    for change in 0..3 {
        let mut receipt = DecMsg::decode(&body).unwrap();
        match change {
            0 => receipt.mid += 1,
            1 => receipt.epoch += 1,
            _ => receipt.conference[0] ^= 1,
        }
        session.send(opcode, &receipt.encode());
    }
    session.sync(practice.now());
    assert_eq!(practice.state(sent.number, "P1"), "sent");
}

#[test]
fn a_signed_confirmation_counts_once_and_claims_no_delivery() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    session.answering = false;
    let sent = practice.server().broadcast("confirm me", true).unwrap();
    let message = session.message();
    session.confirm(&person, message.id, &message.hash);
    practice.wait_for_state(sent.number, "P1", "confirmed");
    practice.wait_for("confirmed", |event| {
        matches!(event, Event::Confirmed(_, number) if *number == sent.number).then_some(())
    });
    session.confirm(&person, message.id, &message.hash);
    session.sync(practice.now());
    let events = practice.events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Confirmed(..) | Event::Delivered(..))),
        "{events:?}"
    );
    // The person confirmed, but the device did not prove that it has the
    // message: it comes again.
    let (_, progress) = session.drop_line();
    practice.wait_for_members(0);
    let mut session = person
        .try_connect(practice.address(), Some(progress))
        .unwrap();
    let again = session.message();
    assert_eq!((again.id, again.delivery), (message.id, Delivery::Missed));
    practice.wait_for("delivered", |event| {
        matches!(event, Event::Delivered(_, number, _) if *number == sent.number).then_some(())
    });
    assert_eq!(practice.state(sent.number, "P1"), "confirmed");
}

#[test]
fn a_confirmation_with_a_wrong_signature_ends_the_session() {
    let practice = Practice::open();
    let [mut one, two] = practice.admit(["P1", "P2"]);
    for forged in [true, false] {
        let sent = practice.server().broadcast("sign me", false).unwrap();
        let mut session = one.connect(practice.address());
        let message = session.message();
        if forged {
            session.confirm(&two, message.id, &message.hash);
        } else {
            session.confirm(&one, message.id, &[7; 64]);
        }
        assert_eq!(session.disconnected(), DisconnectReason::ProtocolError);
        assert_eq!(practice.state(sent.number, "P1"), "delivered");
    }
}

#[test]
fn a_confirmation_of_what_was_not_sent_to_this_device_is_ignored() {
    let practice = Practice::open();
    let [mut one, mut two] = practice.admit(["P1", "P2"]);
    let mut first = one.connect(practice.address());
    let mut second = two.connect(practice.address());
    first.epoch_of(2);
    second.epoch_of(2);
    let sent = practice
        .server()
        .message(&"P1".parse().unwrap(), "for P1 only")
        .unwrap();
    let message = first.message();
    second.confirm(&two, message.id, &message.hash);
    second.confirm(&two, MessageId([9; 16]), &message.hash);
    // Not even the form of what is ignored is judged.
    let nonsense = Ack {
        id: message.id,
        at: practice.now(),
        signature: vec![1; 3],
    };
    second.send(opcode::ACK, &nonsense.encode());
    second.sync(practice.now());
    practice.wait_for_state(sent.number, "P1", "delivered");
    assert_eq!(practice.state(sent.number, "P2"), "none");
}

#[test]
fn states_are_queued_sent_delivered_confirmed_each_by_its_own_proof() {
    let practice = Practice::open();
    let [mut person, _other] = practice.admit(["P1", "P2"]);
    let sent = practice.server().broadcast("step by step", true).unwrap();
    assert_eq!((sent.devices, sent.away), (0, 2));
    assert_eq!(practice.state(sent.number, "P1"), "queued");
    let mut wire = person.dial(practice.address());
    let (m3, awaiting) = person.shake_hands(&mut wire).unwrap();
    assert_eq!(practice.state(sent.number, "P1"), "queued");
    wire.send(&m3);
    let mut session = Session::begin(&person, wire, awaiting, None).unwrap();
    session.answering = false;
    let message = session.message();
    assert_eq!(practice.state(sent.number, "P1"), "sent");
    session.send(message.answer.0, &message.answer.1);
    practice.wait_for_state(sent.number, "P1", "delivered");
    session.confirm(&person, message.id, &message.hash);
    practice.wait_for_state(sent.number, "P1", "confirmed");
    assert_eq!(practice.state(sent.number, "P2"), "queued");
}

#[test]
fn without_patients_nothing_is_sent() {
    let practice = Practice::open();
    assert!(practice.server().broadcast("hello?", false).is_err());
    let unknown = practice.server().message(&"P9".parse().unwrap(), "hello?");
    assert!(unknown.is_err());
    let [_one] = practice.admit(["P1"]);
    assert!(practice.server().broadcast("  ", false).is_err());
    assert!(practice.server().report(1_000).unwrap().is_empty());
}
