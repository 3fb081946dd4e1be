//! How sessions begin, replace each other and end.

use std::time::{Duration, Instant};

use telemed::doctor::event::{Departure, Event};
use telemed::doctor::shared::{Settings, Timing};
use telemed::elgamal::Group;
use telemed::framing::Frame;
use telemed::handshake::patient::HandshakeError;
use telemed::protocol::opcode::KEY_VERIFICATION;
use telemed::protocol::record::Disconnect;
use telemed::protocol::{AlertCode, DisconnectReason, opcode, sub};
use telemed::session::outbox::MAX_FRAMES;
use telemed::store::CertificateState;

use crate::support::{Got, PATIENCE, Person, Practice, Session, eventually};

fn impatient() -> Settings {
    Settings {
        timing: Timing {
            heartbeat: Duration::from_millis(500),
            idle: Duration::from_millis(2_500),
            dates: Duration::from_millis(100),
            ..Timing::default()
        },
        ..Settings::default()
    }
}

fn joined(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::Joined { .. }))
        .count()
}

#[test]
fn a_patient_enrols_connects_and_is_listed() {
    let practice = Practice::open();
    let mut person = practice.enrol("P1");
    practice.wait_for("enrolled", |event| match event {
        Event::Enrolled(name, _) => (name.as_str() == "P1").then_some(()),
        _ => None,
    });
    let session = person.connect(practice.address());
    let (resumed, off) = practice.wait_for("joined", |event| match event {
        Event::Joined {
            resumed, clock_off, ..
        } => Some((*resumed, *clock_off)),
        _ => None,
    });
    assert!(!resumed);
    assert_eq!(off, None);
    let present = practice.server().connected();
    assert_eq!(present.len(), 1);
    assert_eq!(present[0].peer.as_str(), "P1");
    drop(session);
    practice.wait_for_members(0);
}

#[test]
fn a_servers_small_stacks_are_enough_for_the_largest_group_and_a_database() {
    let practice = Practice::with_database(&Group::ffdhe4096());
    let mut person = practice.enrol("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    let sent = practice.server().broadcast("large", true).unwrap();
    let message = session.message();
    session.confirm(&person, message.id, &message.hash);
    practice.wait_for_state(sent.number, "P1", "confirmed");
    let (ticket, progress) = session.drop_line();
    let mut session = person.resume(practice.address(), ticket, Some(progress));
    session.sync(practice.now());
}

#[test]
fn a_newer_session_replaces_the_older_only_once_it_is_proved() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut older = person.connect(practice.address());
    older.epoch_of(1);
    practice.events();

    let mut wire = person.dial(practice.address());
    let (m3, awaiting) = person.shake_hands(&mut wire).unwrap();
    // M2 has come, and nothing is to be seen of it.
    older.sync(practice.now());
    assert_eq!(practice.server().connected().len(), 1);
    assert_eq!(joined(&practice.events()), 0);

    wire.send(&m3);
    let mut newer = Session::begin(&person, wire, awaiting, None).unwrap();
    assert_eq!(older.disconnected(), DisconnectReason::Superseded);
    practice.wait_for("superseded", |event| {
        matches!(event, Event::Superseded(_)).then_some(())
    });
    newer.sync(practice.now());
    assert_eq!(practice.server().connected().len(), 1);
    // The older one's end does not take the newer one along.
    drop(older);
    newer.epoch_of(1);
    let sent = practice.server().broadcast("to the newer", false).unwrap();
    assert_eq!(sent.devices, 1);
    assert_eq!(newer.message().text, "to the newer");
}

#[test]
fn a_first_message_without_its_proof_replaces_and_shows_nothing() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    practice.events();
    for wrong in [None, Some([0; 64].as_slice()), Some(&[0; 63]), Some(&[])] {
        let mut wire = person.dial(practice.address());
        let (m3, _) = person.shake_hands(&mut wire).unwrap();
        if let Some(body) = wrong {
            assert_ne!(m3.body(), body);
            wire.send(&Frame::new(KEY_VERIFICATION, sub::M3, body));
            wire.expect_closed();
        }
        drop(wire);
        session.sync(practice.now());
    }
    let events = practice.events();
    assert_eq!(joined(&events), 0);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Superseded(_)))
    );
}

#[test]
fn a_last_proof_held_back_on_the_way_does_not_end_the_session_begun_since() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut held_back = person.dial(practice.address());
    let (m3, _) = person.shake_hands(&mut held_back).unwrap();
    let mut session = person.connect(practice.address());
    session.epoch_of(1);
    practice.events();

    held_back.send(&m3);
    held_back.expect_closed();
    session.sync(practice.now());
    assert_eq!(practice.server().connected().len(), 1);
    let events = practice.events();
    assert_eq!(joined(&events), 0);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Superseded(_)))
    );
}

#[test]
fn everyone_learns_that_the_doctor_ended_it_even_while_sending() {
    let practice = Practice::open();
    let people = practice.admit(["P1", "P2", "P3"]);
    let mut sessions = people.map(|mut person| person.connect(practice.address()));
    for session in &mut sessions {
        session.epoch_of(3);
    }
    let message = sessions[0].write(&"x".repeat(10_000), practice.now());
    std::thread::scope(|scope| {
        let talking = sessions.each_mut().map(|session| {
            let body = message.encode();
            scope.spawn(move || {
                // Sends without end, as fast as the socket takes it.
                let frames: Vec<Frame> = (0..400)
                    .map(|_| session.seal(opcode::PRIVATE, &body))
                    .collect();
                for frame in frames {
                    session.wire.send(&frame);
                }
                session.until("DISCONNECT", |got| match got {
                    Got::Disconnect(reason) => Some(*reason),
                    _ => None,
                })
            })
        });
        practice.wait_for("a message", |event| {
            matches!(event, Event::Private(..)).then_some(())
        });
        assert_eq!(practice.server().disconnect_all(), 3);
        for patient in talking {
            assert_eq!(patient.join().unwrap(), DisconnectReason::EndedByDoctor);
        }
    });
    assert!(practice.server().connected().is_empty());
    // They may come back when they are told to.
    let mut person = practice.admit_one("P4");
    person.connect(practice.address()).sync(practice.now());
}

#[test]
fn a_last_word_counts_the_records_that_came() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    practice.server().broadcast("one", false).unwrap();
    session.message();
    session.sync(practice.now());
    practice.server().disconnect_all();
    session.disconnected();
    let end = session.opened.len();
    let last = Disconnect::decode(&session.opened[end - 17..]).unwrap();
    assert_eq!((last.last_mid, last.records_received), (1, 2));
}

#[test]
fn a_silent_patient_is_sent_heartbeats_and_then_dropped() {
    let practice = Practice::with(impatient());
    let [mut silent, mut lively] = practice.admit(["P1", "P2"]);
    let begun = Instant::now();
    let mut silent = silent.connect(practice.address());
    let mut lively = lively.connect(practice.address());
    let mut beats = 0;
    while practice.server().connected().len() == 2 {
        assert!(begun.elapsed() < PATIENCE);
        lively.until("a heartbeat", |got| {
            matches!(got, Got::Heartbeat).then_some(())
        });
        lively.beat();
        beats += 1;
    }
    assert!(begun.elapsed() >= impatient().timing.idle);
    assert!(beats >= 2, "{beats}");
    practice.wait_for("left", |event| match event {
        Event::Left(name, Departure::Lost) => (name.as_str() == "P1").then_some(()),
        _ => None,
    });
    silent.until("the end", |got| matches!(got, Got::Closed).then_some(()));
    lively.epoch_of(1);
    assert_eq!(practice.server().connected().len(), 1);
}

#[test]
fn whoever_is_heard_and_does_not_read_is_dropped() {
    let practice = Practice::with_narrow_lines_and(impatient());
    let mut person = practice.admit_one("P1");
    person.narrow = true;
    let mut session = person.connect(practice.address());
    session.epoch();
    // Far from filling the queue.
    let (p1, text) = ("P1".parse().unwrap(), "x".repeat(16_000));
    for _ in 0..MAX_FRAMES / 4 {
        practice.server().message(&p1, &text).unwrap();
    }
    eventually("dropped", || {
        session.beat();
        practice.server().connected().is_empty()
    });
    practice.wait_for("stalled", |event| {
        matches!(event, Event::Left(_, Departure::Stalled)).then_some(())
    });
}

#[test]
fn bytes_that_never_make_a_frame_are_silence() {
    let practice = Practice::with(impatient());
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    let frame = session.seal(opcode::HEARTBEAT, &[0; 8]).into_bytes();
    eventually("dropped", || {
        session.wire.send_bytes(&frame[..1]);
        practice.server().connected().is_empty()
    });
}

#[test]
fn a_session_does_not_outlive_its_certificate() {
    let practice = Practice::with(impatient());
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    practice
        .clock
        .advance(Duration::from_secs(366 * 24 * 60 * 60));
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    practice.wait_for("left", |event| {
        matches!(event, Event::Left(_, Departure::Expired)).then_some(())
    });
}

#[test]
fn a_session_that_is_never_renewed_ends() {
    let practice = Practice::with(impatient());
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    practice.clock.advance(Duration::from_secs(66 * 60));
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
}

#[test]
fn a_certificate_that_is_stopped_loses_its_session_and_its_token() {
    let practice = Practice::with(impatient());
    for state in [CertificateState::Revoked, CertificateState::Frozen] {
        let mut person = practice.admit_one("P1");
        let mut session = person.connect(practice.address());
        session.epoch();
        let serial = person.identity.certificate().subject().serial;
        practice
            .store
            .set_certificate_state(&serial, state)
            .unwrap();
        assert_eq!(session.disconnected(), DisconnectReason::Revoked);
        let ticket = session.ticket();
        let mut wire = person.dial(practice.address());
        assert!(person.ask_to_resume(&mut wire, ticket).is_none());
        assert_refused(&mut person, &practice, AlertCode::Revoked);
    }
}

#[test]
fn a_ticket_used_twice_ends_the_session_it_gave() {
    // At once, not when dates are looked at next.
    let practice = Practice::open();
    let name = "P1".parse().unwrap();
    let address = practice.address();
    let ticket = practice
        .server()
        .enrol(&name, &address.to_string())
        .unwrap();
    let mut person = Person::enrol(address, &ticket, &practice.clock);
    let mut session = person.connect(address);
    session.epoch();
    let thief = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Person::enrol(address, &ticket, &practice.clock)
    }));
    assert!(thief.is_err());
    assert_eq!(session.disconnected(), DisconnectReason::Revoked);
    assert_refused(&mut person, &practice, AlertCode::Revoked);
}

fn assert_refused(person: &mut Person, practice: &Practice, expected: AlertCode) {
    let refused = person.try_connect(practice.address(), None).err().unwrap();
    assert!(
        matches!(refused, HandshakeError::Refused { code, .. } if code == expected),
        "{refused}"
    );
}

#[test]
fn a_full_server_says_so_to_those_it_knows() {
    let practice = Practice::with(Settings {
        capacity: 1,
        ..Settings::default()
    });
    let [mut one, mut two] = practice.admit(["P1", "P2"]);
    let first = one.connect(practice.address());
    assert_refused(&mut two, &practice, AlertCode::Busy);
    drop(first);
    practice.wait_for_members(0);
    two.connect(practice.address()).sync(practice.now());
}

#[test]
fn a_server_that_just_started_asks_for_proof_of_freshness() {
    let practice = Practice::just_started(Settings::default(), Group::ffdhe2048());
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    let answers: Vec<u8> = session.wire.received.iter().map(Frame::sub).collect();
    assert_eq!(answers[..2], [sub::RETRY, sub::M2]);
    session.sync(practice.now());
    practice.run_a_while();
    let session = person.connect(practice.address());
    assert_eq!(session.wire.received[0].sub(), sub::M2);
}

/// Connects; a second time if the first only brought the doctor's new prekey.
#[track_caller]
fn get_in(person: &mut Person, practice: &Practice) {
    let known = person.doctor.prekey().id();
    let first = person.try_connect(practice.address(), None);
    let mut session = first.unwrap_or_else(|error| {
        assert_ne!(person.doctor.prekey().id(), known, "{error}");
        person.connect(practice.address())
    });
    session.sync(practice.now());
}

#[test]
fn a_start_with_a_clock_that_is_ahead_keeps_nobody_out_later() {
    // So far that a new prekey is due; so far that the old one has ended.
    for days in [25, 40] {
        let ahead = Duration::from_secs(days * 24 * 3_600);
        let mut practice = Practice::open();
        let [mut there, mut away] = practice.admit(["P1", "P2"]);
        practice.clock.advance(ahead);
        practice.restart();
        practice.run_a_while();
        get_in(&mut there, &practice);
        let learned = there.doctor.prekey().id();
        practice.clock.set_back(ahead);
        practice.restart();
        practice.run_a_while();
        get_in(&mut there, &practice);
        assert_ne!(there.doctor.prekey().id(), learned);
        get_in(&mut away, &practice);
        get_in(&mut practice.enrol("P3"), &practice);
    }
}
