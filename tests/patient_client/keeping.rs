//! What a patient's device keeps: over restarts, and when it cannot.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use telemed::clock::{Clock, SystemClock};
use telemed::handshake::resume::no_token;
use telemed::patient::config::Config;
use telemed::patient::event::{Event, Loss};
use telemed::patient::outbox::WriteError;
use telemed::protocol::message::{Boundary, Message};
use telemed::protocol::{opcode, sub};
use telemed::random::OsRandom;
use telemed::session::doctor::FromPatient;

use crate::clinic::{Clinic, Session};
use crate::device::{Device, Running, quick};
use crate::{assert_receipted, send_direct};

fn message_of(event: Event) -> Option<telemed::patient::inbox::Entry> {
    match event {
        Event::Message(entry) => Some(entry),
        _ => None,
    }
}

/// Ends the client and frees its directory.
fn end(running: Running, session: Session) {
    drop(session);
    running.client.leave();
    running.rest();
}

#[test]
fn a_token_that_was_answered_is_not_shown_again() {
    let clinic = Clinic::found();
    let _running = Device::enrolled(&clinic).start();
    let session = clinic.welcome();
    session.line.stream.shutdown(Shutdown::Both).unwrap();
    let mut line = clinic.accept();
    assert_eq!(line.receive().sub(), sub::RESUME);
    line.send(&no_token());
    assert_eq!(line.receive().sub(), sub::M1);
    drop(line);
    assert!(!clinic.welcome().resumed);
}

#[test]
fn a_message_is_shown_once_for_ever_and_answered_always() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let message = Clinic::message("drink water");
    let running = device.start();
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    assert_eq!(running.until(message_of).number, 1);
    end(running, session);

    // The program was ended before it showed the message: it is unread.
    let unread = device.files().inbox().unread(9).unwrap();
    assert_eq!(unread.len(), 1);

    let running = device.start();
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    let next = Clinic::message("and sleep");
    send_direct(&clinic, &mut session, &next);
    assert_receipted(&mut session, &next);
    let entry = running.until(message_of);
    assert_eq!((entry.number, entry.message), (2, next));
    running.client.shown(&[1, 2]).unwrap();
    assert_eq!(running.texts(), ["drink water", "and sleep"]);
    end(running, session);
    assert_eq!(device.files().inbox().unread(9).unwrap().len(), 0);
}

#[test]
fn what_was_queued_or_confirmed_before_a_restart_arrives_after_it() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let message = Clinic::message("5 mg");
    let running = device.start();
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    end(running, session);

    let now = SystemClock.now();
    let written = {
        let files = device.files();
        files.inbox().confirm(&message.id().code(), now).unwrap();
        let outbox = files.outbox();
        let opens = Some(Boundary::Opens);
        outbox.write("it hurts", opens, now).unwrap().message
    };

    let running = device.start();
    let mut session = clinic.welcome();
    let FromPatient::Private(arrived) = session.hear() else {
        panic!("no message");
    };
    assert_eq!(arrived, written);
    let FromPatient::Confirmed(ack) = session.hear() else {
        panic!("no confirmation");
    };
    assert_eq!((ack.id, ack.at), (message.id(), now));
    assert!(session.end.proves_confirmation(&ack, &message.hash()));
    let receipts = [
        session.end.receipt_for(&arrived, now),
        session
            .end
            .receipt_for_confirmation(ack.id, now, &message.hash()),
    ];
    for receipt in receipts {
        session.say(opcode::RECEIPT, &receipt.encode());
    }
    running.until(|event| matches!(event, Event::ConfirmationArrived(1)).then_some(()));
    end(running, session);

    // Nothing is left to be sent: the first thing heard is the last word.
    let running = device.start();
    let mut session = clinic.welcome();
    session.rekey(&clinic);
    running.until(|event| matches!(event, Event::Epoch { .. }).then_some(()));
    running.client.leave();
    assert!(matches!(session.hear(), FromPatient::Disconnect(_)));
    assert_eq!(running.client.waiting().unwrap(), 0);
}

#[test]
fn an_urgent_message_reminds_at_each_session_until_it_is_confirmed() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let urgent = Message::new("leave the house", true, SystemClock.now(), &mut OsRandom).unwrap();
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &urgent);
    assert_receipted(&mut session, &urgent);
    running.until(message_of);
    drop(session);
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &urgent);
    assert_receipted(&mut session, &urgent);
    let reminded = running.until(|event| match event {
        Event::Reminder(entry) => Some(entry),
        Event::Message(entry) => panic!("{entry:?}"),
        _ => None,
    });
    assert_eq!(reminded.number, 1);
    running.client.confirm("1").unwrap();
    let FromPatient::Confirmed(_) = session.hear() else {
        panic!("no confirmation");
    };
    send_direct(&clinic, &mut session, &urgent);
    assert_receipted(&mut session, &urgent);
    let next = Clinic::message("all is well");
    send_direct(&clinic, &mut session, &next);
    assert_receipted(&mut session, &next);
    let number = running.until(|event| match event {
        Event::Message(entry) => Some(entry.number),
        Event::Reminder(entry) => panic!("{entry:?}"),
        _ => None,
    });
    assert_eq!(number, 2);
}

#[test]
fn what_cannot_be_kept_is_neither_answered_nor_shown_and_comes_again() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let running = device.start();
    // The next best thing to a disk that is full.
    let database = device.base.path().join("P1@D1/telemed.db");
    let database = Connection::open(database).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON inbox
                BEGIN SELECT RAISE(ABORT, 'full'); END;
                CREATE TRIGGER full_too BEFORE INSERT ON outgoing
                BEGIN SELECT RAISE(ABORT, 'full'); END;";
    database.execute_batch(full).unwrap();
    let mut session = clinic.welcome();
    let message = Clinic::message("drink water");
    send_direct(&clinic, &mut session, &message);
    // Closed without a word: neither receipt nor anything else.
    session.line.until_closed_silently();
    let loss = running.until(|event| match event {
        Event::ConnectionLost(loss) => Some(loss),
        Event::Message(entry) => panic!("{entry:?}"),
        _ => None,
    });
    assert!(matches!(loss, Loss::NotKept(_)), "{loss}");
    assert!(loss.to_string().contains("cannot be kept here"), "{loss}");
    let error = running.client.send("hello", None).unwrap_err();
    assert!(matches!(error, WriteError::Files(_)), "{error}");
    assert!(error.to_string().contains("nothing is sent"), "{error}");

    let free = "DROP TRIGGER full; DROP TRIGGER full_too;";
    database.execute_batch(free).unwrap();
    let mut session = clinic.welcome();
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    assert_eq!(running.until(message_of).message, message);
    running.client.send("hello", None).unwrap();
    assert!(matches!(session.hear(), FromPatient::Private(_)));
}

#[test]
fn whoever_writes_does_not_wait_for_the_next_attempt() {
    let clinic = Clinic::found();
    let config = Config {
        first_wait: Duration::from_secs(3_600),
        longest_wait: Duration::from_secs(3_600),
        ..quick()
    };
    let running = Device::enrolled(&clinic).start_with(config, Arc::new(SystemClock));
    drop(clinic.welcome());
    let after = |event| match event {
        Event::Retrying { after } => Some(after),
        _ => None,
    };
    assert!(running.until(after) >= Duration::from_secs(1_800));
    running.client.send("hello", None).unwrap();
    let mut session = clinic.welcome();
    assert!(matches!(session.hear(), FromPatient::Private(_)));
    drop(session);
    // Any other sign of a person will do.
    running.until(after);
    running.client.hurry();
    drop(clinic.welcome());
}

#[test]
fn a_confirmation_of_what_the_doctor_does_not_have_is_told_and_not_sent_again() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let running = device.start();
    let mut session = clinic.welcome();
    let message = Clinic::message("5 mg");
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    running.client.confirm("1").unwrap();
    let FromPatient::Confirmed(ack) = session.hear() else {
        panic!("no confirmation");
    };
    let answer = session.end.unknown(ack.id);
    session.say(opcode::RECEIPT, &answer.encode());
    running.until(|event| matches!(event, Event::ConfirmationRefused(1)).then_some(()));
    assert_eq!(running.client.waiting().unwrap(), 0);
    // After that comes nothing but the last word.
    drop(session);
    let mut session = clinic.welcome();
    running.until(|event| matches!(event, Event::Connected { .. }).then_some(()));
    running.client.leave();
    assert!(matches!(session.hear(), FromPatient::Disconnect(_)));
    drop(session);
    running.rest();
    let entry = device.files().inbox().find("1").unwrap();
    assert!(entry.confirmation_arrived.is_none() && entry.confirmation_refused.is_some());
}

#[test]
fn a_refusal_of_a_confirmation_without_proof_is_a_breach_of_the_protocol() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    let message = Clinic::message("5 mg");
    send_direct(&clinic, &mut session, &message);
    assert_receipted(&mut session, &message);
    running.client.confirm("1").unwrap();
    let FromPatient::Confirmed(ack) = session.hear() else {
        panic!("no confirmation");
    };
    let mut answer = session.end.unknown(ack.id);
    answer.at = ack.at;
    session.say(opcode::RECEIPT, &answer.encode());
    assert!(matches!(session.hear(), FromPatient::Disconnect(_)));
    assert_eq!(running.client.waiting().unwrap(), 1);
}

#[test]
fn a_message_that_is_not_taken_is_told_of_once_and_then_arrives() {
    let clinic = Clinic::found();
    let config = Config {
        not_taken: Duration::from_millis(300),
        ..quick()
    };
    let running = Device::enrolled(&clinic).start_with(config, Arc::new(SystemClock));
    let mut session = clinic.welcome();
    let write = |text| running.client.send(text, None).unwrap().message.id();
    let private = |session: &mut Session| match session.hear() {
        FromPatient::Private(message) => message,
        other => panic!("{other:?}"),
    };
    let not_taken = |event| match event {
        Event::NotTaken(ids) => Some(ids),
        Event::Delivered(id) => panic!("{id}"),
        _ => None,
    };
    let first = write("it hurts");
    private(&mut session);
    assert_eq!(running.until(not_taken), [first]);
    // The next session changes nothing, and another message is another.
    drop(session);
    let mut session = clinic.welcome();
    let again = private(&mut session);
    let second = write("it hurts more");
    let other = private(&mut session);
    assert_eq!(running.until(not_taken), [second]);
    for message in [&again, &other] {
        let receipt = session.end.receipt_for(message, SystemClock.now());
        session.say(opcode::RECEIPT, &receipt.encode());
    }
    for id in [first, second] {
        running.until(|event| match event {
            Event::Delivered(found) => {
                assert_eq!(found, id);
                Some(())
            }
            Event::NotTaken(ids) => panic!("{ids:?}"),
            _ => None,
        });
    }
    assert_eq!(running.client.waiting().unwrap(), 0);
}
