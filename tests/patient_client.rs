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

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::framing::Frame;
use telemed::handshake::patient::HandshakeError;
use telemed::handshake::registry::{Standing, TicketUse};
use telemed::identity::certificate::CertificateError;
use telemed::identity::known_doctor::TrustError;
use telemed::patient::config::Config;
use telemed::patient::connect::ConnectError;
use telemed::patient::enrol::{EnrolError, Enrolled};
use telemed::patient::event::{Event, Loss, Stopped};
use telemed::patient::link::LinkError;
use telemed::protocol::message::Message;
use telemed::protocol::opcode;
use telemed::protocol::record::{Audience, Direct};
use telemed::protocol::{AlertCode, DisconnectReason, sub};
use telemed::random::OsRandom;
use telemed::session::doctor::FromPatient;
use telemed::session::patient::Delivery;
use telemed::session::signed;

#[path = "patient_client/clinic.rs"]
mod clinic;
#[path = "patient_client/device.rs"]
mod device;
#[path = "patient_client/keeping.rs"]
mod keeping;
#[path = "patient_client/nodes.rs"]
mod nodes;
#[path = "patient_client/papers.rs"]
mod papers;
#[path = "patient_client/program.rs"]
mod program;

use clinic::{Clinic, Session};
use device::{Device, Running, WHOLE, quick};

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
fn an_enrolment_goes_on_after_a_cut_at_every_step() {
    for frames in 0..WHOLE {
        let clinic = Clinic::found();
        let device = Device::new();
        let ticket = clinic.ticket("P1");
        let error = device.enrol_until(&clinic, &ticket, frames).unwrap_err();
        // Whoever was shown the ticket and has answered may have used it.
        match (frames, &error) {
            (0 | 1, EnrolError::Link(_)) | (2, EnrolError::NotAccepted) => {}
            (_, EnrolError::Unfinished(_)) if frames > 2 => {
                let said = error.to_string();
                assert!(said.contains("this device alone can finish"), "{said}");
            }
            _ => panic!("cut at {frames}: {error}"),
        }
        assert_eq!(device.files().enrolled_with().unwrap(), None);
        let enrolled = device.enrol_until(&clinic, &ticket, WHOLE).unwrap();
        assert!(matches!(enrolled, Enrolled::Now { .. }), "cut at {frames}");
        let rows = clinic.tables.0.lock().unwrap();
        let issued: Vec<_> = rows.issued.values().collect();
        let [(certificate, Standing::Active)] = issued[..] else {
            panic!("cut at {frames}: {issued:?}");
        };
        let own = device.load();
        assert_eq!(
            own.identity.certificate().as_bytes(),
            certificate.as_bytes()
        );
        assert_eq!(own.address, clinic.address.to_string());
    }
}

#[test]
fn both_sides_of_an_enrolment_show_the_same_code_and_the_second_time_is_harmless() {
    let clinic = Clinic::found();
    let device = Device::new();
    let ticket = clinic.ticket("P1");
    let Enrolled::Now { check_code } = device.enrol_until(&clinic, &ticket, WHOLE).unwrap() else {
        panic!("not enrolled");
    };
    assert_eq!(check_code.replace(' ', "").len(), 12);
    // No server is needed for these.
    assert_eq!(device.enrol(&ticket).unwrap(), Enrolled::Before);
    let before = device.load().identity.certificate().fingerprint();
    let error = device.enrol(&Clinic::found().ticket("P1")).unwrap_err();
    assert!(matches!(error, EnrolError::OtherClinic(_)), "{error}");
    assert_eq!(device.load().identity.certificate().fingerprint(), before);
}

#[test]
fn a_new_ticket_renews_the_certificate_and_leaves_the_messages() {
    let clinic = Clinic::found();
    let device = Device::enrolled(&clinic);
    let before = device.load().identity.certificate().fingerprint();
    let now = SystemClock.now();
    device.files().outbox().write("Hello", None, now).unwrap();
    let keys = || {
        let files = std::fs::read_dir(device.files().directory()).unwrap();
        let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".key")).count()
    };
    assert_eq!(keys(), 3);
    // Cut short, the earlier certificate is as good as before.
    let ticket = clinic.ticket("P1");
    device.enrol_until(&clinic, &ticket, 2).unwrap_err();
    assert_eq!(device.load().identity.certificate().fingerprint(), before);
    device.enrol_until(&clinic, &ticket, WHOLE).unwrap();
    let after = device.load().identity.certificate().fingerprint();
    assert_ne!(after, before);
    assert_eq!(device.files().mail_counts().unwrap().waiting_messages, 1);
    assert_eq!(keys(), 3, "the secrets of the earlier one are gone");
    let running = device.start();
    clinic.welcome().disconnect(DisconnectReason::EndedByDoctor);
    running.rest();
}

#[test]
fn an_expired_ticket_is_refused_at_once_unless_it_was_begun_in_time() {
    let clinic = Clinic::found();
    let device = Device::new();
    let mut ticket = clinic.ticket("P1");
    let in_time = ticket.expires;
    ticket.expires = Timestamp::from_millis(1);
    let error = device.enrol(&ticket).unwrap_err();
    assert!(matches!(error, EnrolError::Expired { .. }), "{error}");
    ticket.expires = in_time;
    device.enrol_until(&clinic, &ticket, 4).unwrap_err();
    ticket.expires = Timestamp::from_millis(1);
    device.enrol_until(&clinic, &ticket, WHOLE).unwrap();
}

#[test]
fn a_ticket_unknown_used_or_of_another_clinic_makes_no_identity() {
    let clinic = Clinic::found();
    let device = Device::new();
    let unknown = clinic.ticket("P1");
    clinic.tables.0.lock().unwrap().tickets.clear();
    let error = device.enrol_until(&clinic, &unknown, WHOLE).unwrap_err();
    assert!(matches!(error, EnrolError::NotAccepted), "{error}");

    let used = clinic.ticket("P1");
    let other = Device::new();
    other.enrol_until(&clinic, &used, WHOLE).unwrap();
    let error = device.enrol_until(&clinic, &used, WHOLE).unwrap_err();
    let code = match error {
        EnrolError::Handshake(HandshakeError::Refused { code, .. }) => code,
        error => panic!("{error}"),
    };
    assert_eq!(code, AlertCode::TicketUsed);
    let rows = clinic.tables.0.lock().unwrap();
    assert!(matches!(rows.tickets[&used.id].state, TicketUse::Withdrawn));
    drop(rows);

    let elsewhere = Clinic::found();
    let mut foreign = elsewhere.ticket("P1");
    foreign.address = clinic.address.to_string();
    let error = device.enrol_until(&clinic, &foreign, WHOLE).unwrap_err();
    let wrong_root = TrustError::Root(CertificateError::WrongFingerprint);
    assert!(
        matches!(&error, EnrolError::Handshake(HandshakeError::Trust(e)) if *e == wrong_root),
        "{error}"
    );
    assert_eq!(device.files().enrolled_with().unwrap(), None);
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
    assert!(running.client.settle(clinic::BOUND));
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
    assert!(running.client.settle(clinic::BOUND));
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
