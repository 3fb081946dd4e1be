//! Messages in both directions, each once, answered and confirmed.

use std::sync::Arc;
use std::time::Duration;

use telemed::clock::{Clock, SystemClock};
use telemed::patient::config::Config;
use telemed::patient::event::{Event, Loss, Stopped};
use telemed::protocol::message::Message;
use telemed::protocol::{DisconnectReason, opcode};
use telemed::random::OsRandom;
use telemed::session::doctor::FromPatient;
use telemed::session::patient::Delivery;

use crate::clinic::{BOUND, Clinic};
use crate::device::{Device, quick};
use crate::{assert_receipted, send_direct};

#[test]
fn a_message_delivered_twice_is_answered_twice_and_shown_once() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    session.rekey(&clinic);
    let message = Clinic::message("drink water");
    let sealed = {
        let mut rows = clinic.tables.0.lock().unwrap();
        let now = SystemClock.now();
        let identity = &clinic.identity;
        rows.group
            .seal(&message, identity, now, &mut OsRandom)
            .unwrap()
    };
    session.line.send(&sealed.frame);
    match session.hear() {
        FromPatient::Decrypted(answer) => {
            assert!(session.end.proves_broadcast(&sealed.receipted, &answer.mac));
        }
        other => panic!("{other:?}"),
    }
    drop(session);
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    let second = Clinic::message("and sleep");
    send_direct(&clinic, &mut session, &second);
    assert_receipted(&mut session, &second);

    session.disconnect(DisconnectReason::EndedByDoctor);
    let shown = running.texts().len();
    let texts: Vec<_> = running
        .rest()
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(entry) => Some(entry.message.text().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["drink water", "and sleep"]);
    assert_eq!(shown, 2);
}

#[test]
fn only_what_is_from_before_the_session_was_missed() {
    let clinic = Clinic::found();
    let before = SystemClock.now().minus(Duration::from_secs(60));
    let missed = Message::new("yesterday's", false, before, &mut OsRandom).unwrap();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    session.rekey(&clinic);
    // Beside the group, as a broadcast for some of those who are there.
    let during = Clinic::message("today's");
    for message in [&missed, &during] {
        send_direct(&clinic, &mut session, message);
        assert_receipted(&mut session, message);
    }
    let came = || {
        running.until(|event| match event {
            Event::Message(entry) => Some((entry.message.text().to_owned(), entry.delivery)),
            _ => None,
        })
    };
    assert_eq!(came(), ("yesterday's".to_owned(), Delivery::Missed));
    assert_eq!(came(), ("today's".to_owned(), Delivery::Broadcast));
    session.disconnect(DisconnectReason::EndedByDoctor);
}

#[test]
fn another_message_under_a_known_id_ends_the_session_for_good() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    let message = Clinic::message("5 mg");
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    let mut bytes = message.encode();
    bytes.splice(bytes.len() - 4..bytes.len() - 4, *b"5");
    let forged = Message::decode(&bytes).unwrap();
    assert_eq!(forged.text(), "55 mg");
    send_direct(&clinic, &mut session, &forged);
    match session.hear() {
        FromPatient::Disconnect(last_word) => {
            assert_eq!(last_word.reason, DisconnectReason::ProtocolError);
            assert_eq!(last_word.records_received, 3);
        }
        other => panic!("{other:?}"),
    }
    session.line.until_closed();
    assert_eq!(running.texts().len(), 1);
    let last = running.rest().pop();
    assert!(
        matches!(last, Some(Event::Stopped(Stopped::ProtocolBroken))),
        "{last:?}"
    );
}

#[test]
fn a_dropped_broadcast_is_noticed_and_the_client_comes_back() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    session.rekey(&clinic);
    session.say(opcode::HEARTBEAT, &1_u64.to_be_bytes());
    match session.hear() {
        FromPatient::Disconnect(last_word) => {
            assert_eq!(last_word.reason, DisconnectReason::MessageMissing);
        }
        other => panic!("{other:?}"),
    }
    drop(session);
    clinic.welcome();
    running.until(|event| match event {
        Event::ConnectionLost(Loss::MessageMissing) => Some(()),
        _ => None,
    });
}

#[test]
fn a_message_written_offline_is_sent_until_it_is_proved_to_have_arrived() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let id = running.client.send("hello", None).unwrap().message.id();
    let mut session = clinic.welcome();
    let FromPatient::Private(first) = session.hear() else {
        panic!("no message");
    };
    drop(session);
    let mut session = clinic.welcome();
    let FromPatient::Private(again) = session.hear() else {
        panic!("no message");
    };
    assert_eq!((again.id(), again.text()), (id, "hello"));
    assert_eq!(first, again);
    assert_eq!(running.client.waiting().unwrap(), 1);
    let receipt = session.end.receipt_for(&again, again.written());
    session.say(opcode::RECEIPT, &receipt.encode());
    session.say(opcode::RECEIPT, &receipt.encode());
    assert!(running.client.settle(BOUND));
    drop(session);
    clinic.welcome().disconnect(DisconnectReason::EndedByDoctor);
    let delivered = running
        .rest()
        .into_iter()
        .filter(|event| matches!(event, Event::Delivered(found) if *found == id));
    assert_eq!(delivered.count(), 1);
}

#[test]
fn a_receipt_without_proof_is_a_breach_of_the_protocol() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    running.client.send("hello", None).unwrap();
    let mut session = clinic.welcome();
    let FromPatient::Private(message) = session.hear() else {
        panic!("no message");
    };
    let mut receipt = session.end.receipt_for(&message, message.written());
    receipt.mac[0] ^= 1;
    session.say(opcode::RECEIPT, &receipt.encode());
    assert!(matches!(session.hear(), FromPatient::Disconnect(_)));
    drop(session);
    assert_eq!(running.client.waiting().unwrap(), 1);
    let last = running.rest().pop();
    assert!(
        matches!(last, Some(Event::Stopped(Stopped::ProtocolBroken))),
        "{last:?}"
    );
}

#[test]
fn a_confirmation_carries_the_persons_signature_also_after_a_loss() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    let message = Clinic::message("5 mg");
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    running.client.confirm("1").unwrap();
    running.client.confirm("1").unwrap_err();
    let FromPatient::Confirmed(first) = session.hear() else {
        panic!("no confirmation");
    };
    assert!(session.end.proves_confirmation(&first, &message.hash()));
    // There was no receipt, so it comes again.
    drop(session);
    let mut session = clinic.welcome();
    let FromPatient::Confirmed(again) = session.hear() else {
        panic!("no confirmation");
    };
    assert!(session.end.proves_confirmation(&again, &message.hash()));
    assert_eq!((first.id, first.at), (again.id, again.at));
    let receipt = session
        .end
        .receipt_for_confirmation(again.id, again.at, &message.hash());
    session.say(opcode::RECEIPT, &receipt.encode());
    assert!(running.client.settle(BOUND));
    assert_eq!(running.client.waiting().unwrap(), 0);
}

#[test]
fn what_comes_during_a_renewal_is_answered_under_the_new_keys() {
    let clinic = Clinic::found();
    let config = Config {
        renewal: Duration::ZERO..=Duration::ZERO,
        ..quick()
    };
    let device = Device::enrolled(&clinic);
    let running = device.start_with(config, Arc::new(SystemClock));
    let mut session = clinic.welcome();
    let direct = Clinic::message("first");
    let private = Clinic::message("second");
    session.renew(&clinic, |session| {
        send_direct(&clinic, session, &direct);
        session.say(opcode::PRIVATE, &private.encode());
        session.rekey(&clinic);
        running.until(|event| matches!(event, Event::Epoch { .. }).then_some(()));
        // No record may be sent now, so this waits.
        running.client.send("third", None).unwrap();
    });
    assert_receipted(&mut session, &direct);
    let FromPatient::Received(receipt) = session.hear() else {
        panic!("no receipt");
    };
    let hash = private.hash();
    assert!(session.end.proves_message(opcode::PRIVATE, &hash, &receipt));
    let FromPatient::Private(third) = session.hear() else {
        panic!("no message");
    };
    assert_eq!(third.text(), "third");
    // A broadcast may come even between the answer and the new token.
    let broadcast = Clinic::message("fourth");
    let mut receipted = None;
    session.renew(&clinic, |session| {
        let now = SystemClock.now();
        let mut rows = clinic.tables.0.lock().unwrap();
        let group = &mut rows.group;
        let sealed = group.seal(&broadcast, &clinic.identity, now, &mut OsRandom);
        let sealed = sealed.unwrap();
        session.line.send(&sealed.frame);
        receipted = Some(sealed.receipted);
    });
    let FromPatient::Decrypted(answer) = session.hear() else {
        panic!("no receipt");
    };
    assert!(
        session
            .end
            .proves_broadcast(&receipted.unwrap(), &answer.mac)
    );
}
