//! The patient's client against a doctor whom the test plays, over loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use telemed::clock::SystemClock;
use telemed::framing::Frame;
use telemed::handshake::patient::HandshakeError;
use telemed::patient::config::Config;
use telemed::patient::connect::ConnectError;
use telemed::patient::event::{Event, Loss, Stopped};
use telemed::patient::link::LinkError;
use telemed::protocol::message::Message;
use telemed::protocol::opcode;
use telemed::protocol::record::{Audience, Direct};
use telemed::protocol::{DisconnectReason, sub};
use telemed::random::OsRandom;
use telemed::session::doctor::FromPatient;
use telemed::session::signed;

#[path = "patient_client/clinic.rs"]
mod clinic;
#[path = "patient_client/device.rs"]
mod device;
#[path = "patient_client/enrolment.rs"]
mod enrolment;
#[path = "patient_client/keeping.rs"]
mod keeping;
#[path = "patient_client/messages.rs"]
mod messages;
#[path = "patient_client/nodes.rs"]
mod nodes;
#[path = "patient_client/papers.rs"]
mod papers;
#[path = "patient_client/program.rs"]
mod program;

use clinic::{Clinic, Session};
use device::{Device, Running, quick};

fn connected(event: Event) -> Option<bool> {
    match event {
        Event::Connected { resumed, .. } => Some(resumed),
        _ => None,
    }
}

fn refused(running: Running) -> ConnectError {
    match running.rest().pop() {
        Some(Event::Stopped(Stopped::Refused(error))) => error,
        other => panic!("{other:?}"),
    }
}

/// Sends a message to everyone outside the group, as one that was missed.
fn send_direct(clinic: &Clinic, session: &mut Session, message: &Message) {
    let direct: Direct = signed::sign_direct(
        &clinic.identity.signing,
        Audience::Everyone,
        message.clone(),
        session.end.parties(),
        &mut OsRandom,
    );
    session.say(opcode::DIRECT, &direct.encode());
}

fn assert_receipted(session: &mut Session, message: &Message) {
    match session.hear() {
        FromPatient::Received(receipt) => {
            assert!(
                session
                    .end
                    .proves_message(opcode::DIRECT, &message.hash(), &receipt)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_session_is_resumed_and_a_forgotten_one_set_up_in_full() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let session = clinic.welcome();
    assert!(!session.resumed);
    assert!(!running.until(connected));
    session.line.stream.shutdown(Shutdown::Both).unwrap();
    let loss = running.until(|event| match event {
        Event::ConnectionLost(loss) => Some(loss),
        _ => None,
    });
    assert!(
        loss.to_string().contains("messages may be missing"),
        "{loss}"
    );

    let session = clinic.welcome();
    assert!(session.resumed);
    assert!(running.until(connected));
    clinic.tables.0.lock().unwrap().tokens.clear();
    drop(session);

    let session = clinic.welcome();
    assert!(!session.resumed);
    assert!(!running.until(connected));
    drop(session);
}

#[test]
fn a_token_that_nobody_answered_is_shown_again() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let session = clinic.welcome();
    assert!(!running.until(connected));
    session.line.stream.shutdown(Shutdown::Both).unwrap();
    // Closed before anything of it was seen, as a crowded server does.
    let mut line = clinic.accept();
    assert_eq!(line.receive().sub(), sub::RESUME);
    drop(line);
    assert!(clinic.welcome().resumed);
    assert!(running.until(connected));
}

#[test]
fn a_client_comes_back_after_a_shutdown_and_not_when_it_was_sent_away() {
    for reason in [
        DisconnectReason::EndedByDoctor,
        DisconnectReason::Revoked,
        DisconnectReason::Superseded,
    ] {
        let clinic = Clinic::found();
        let running = Device::enrolled(&clinic).start();
        clinic.welcome().disconnect(DisconnectReason::ShuttingDown);
        running.until(|event| match event {
            Event::Ended(DisconnectReason::ShuttingDown) => Some(()),
            _ => None,
        });
        clinic.welcome().disconnect(reason);
        match running.rest().pop() {
            Some(Event::Stopped(Stopped::Ended(found))) => assert_eq!(found, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_an_expired_session_the_handshake_is_a_full_one() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    clinic.welcome().disconnect(DisconnectReason::Expired);
    assert!(!clinic.welcome().resumed);
    drop(running);
}

#[test]
fn leaving_says_the_last_word() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let mut session = clinic.welcome();
    running.until(connected);
    std::thread::scope(|scope| {
        scope.spawn(|| running.client.leave());
        match session.hear() {
            FromPatient::Disconnect(last_word) => {
                assert_eq!(last_word.reason, DisconnectReason::AskedByPatient);
            }
            other => panic!("{other:?}"),
        }
        session.line.until_closed();
    });
    let last = running.rest().pop();
    assert!(
        matches!(last, Some(Event::Stopped(Stopped::Asked))),
        "{last:?}"
    );
}

#[test]
fn leaving_does_not_wait_for_a_server_that_says_nothing() {
    let clinic = Clinic::found();
    let running = Device::enrolled(&clinic).start();
    let line = clinic.accept();
    running.client.leave();
    let last = running.rest().pop();
    assert!(
        matches!(last, Some(Event::Stopped(Stopped::Asked))),
        "{last:?}"
    );
    line.until_closed();
}

#[test]
fn a_server_that_speaks_another_language_or_nothing_is_left_and_tried_again() {
    let clinic = Clinic::found();
    let config = Config {
        frame: Duration::from_millis(50),
        ..quick()
    };
    let device = Device::enrolled(&clinic);
    let running = device.start_with(config, Arc::new(SystemClock));
    let not_connected = |event| match event {
        Event::NotConnected(error) => Some(error),
        _ => None,
    };
    let mut line = clinic.accept();
    line.stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .unwrap();
    let error = running.until(not_connected);
    assert!(
        matches!(error, ConnectError::Link(LinkError::NoFrame(_))),
        "{error}"
    );

    let line = clinic.accept();
    let error = running.until(not_connected);
    assert!(
        matches!(error, ConnectError::Link(LinkError::Silent(_))),
        "{error}"
    );
    line.until_closed();

    let mut line = clinic.accept();
    line.send(&Frame::new(10, 2, &[0; 600]));
    let error = running.until(not_connected);
    let expected = matches!(error, ConnectError::Handshake(HandshakeError::NotTheDoctor))
        || matches!(error, ConnectError::Handshake(HandshakeError::Unexpected));
    assert!(expected, "{error}");
    drop(clinic.accept());
    let error = running.until(not_connected);
    assert!(matches!(error, ConnectError::NotAccepted), "{error}");
}

#[test]
fn a_slow_drip_of_bytes_gains_a_server_no_time() {
    let clinic = Clinic::found();
    let config = Config {
        frame: Duration::from_millis(100),
        ..quick()
    };
    let device = Device::enrolled(&clinic);
    let running = device.start_with(config, Arc::new(SystemClock));
    let mut line = clinic.accept();
    let drip = std::thread::spawn(move || {
        let bytes = Frame::new(10, 2, &[0; 16_000]).into_bytes();
        let mut sent = 0;
        while line.stream.write_all(&bytes[sent..=sent]).is_ok() {
            sent += 1;
            std::thread::yield_now();
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    });
    let error = running.until(|event| match event {
        Event::NotConnected(error) => Some(error),
        _ => None,
    });
    assert!(
        matches!(error, ConnectError::Link(LinkError::Silent(_))),
        "{error}"
    );
    assert!(drip.join().unwrap() < 16_000);
}

#[test]
fn a_silent_session_is_given_up_and_own_silence_is_filled() {
    let clinic = Clinic::found();
    let config = Config {
        heartbeat: Duration::from_millis(20),
        idle: Duration::from_millis(300),
        ..quick()
    };
    let device = Device::enrolled(&clinic);
    let running = device.start_with(config, Arc::new(SystemClock));
    let mut session = clinic.welcome();
    for _ in 0..3 {
        let frame = session.line.receive();
        let said = session.end.on_record(&frame).unwrap();
        assert!(matches!(said, FromPatient::Heartbeat), "{said:?}");
    }
    let loss = running.until(|event| match event {
        Event::ConnectionLost(loss) => Some(loss),
        _ => None,
    });
    assert!(matches!(loss, Loss::Link(LinkError::Silent(_))), "{loss}");
}
