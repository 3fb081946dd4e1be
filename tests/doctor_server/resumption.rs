//! Replays, tokens and renewal.

use std::time::Duration;

use telemed::doctor::event::Event;
use telemed::framing::{Frame, MAX_LEN_IN_SESSION};
use telemed::handshake::resume;
use telemed::protocol::opcode::KEY_VERIFICATION;
use telemed::protocol::{DisconnectReason, sub};
use telemed::random::OsRandom;

use crate::support::{Got, Person, Practice, Session, Wire};

fn kind(frame: &Frame) -> (u8, u8) {
    (frame.opcode(), frame.sub())
}

fn joined(practice: &Practice) -> usize {
    practice
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Joined { .. } | Event::Superseded(_)))
        .count()
}

/// Plays what a patient sent on an earlier connection; gives the answers.
fn play(practice: &Practice, frames: &[Frame]) -> Vec<(u8, u8)> {
    let mut wire = Wire::dial(practice.address());
    for frame in frames {
        wire.send(frame);
    }
    let mut answers = Vec::new();
    while let Some(frame) = wire.next() {
        answers.push(kind(&frame));
    }
    answers
}

#[test]
fn a_replayed_connection_gets_a_retry_and_is_seen_by_nobody() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    session.sync(practice.now());
    let recorded = session.wire.sent.clone();
    assert_eq!(kind(&recorded[0]), (KEY_VERIFICATION, sub::M1));
    practice.events();
    let retry = [(KEY_VERIFICATION, sub::RETRY)];
    assert_eq!(play(&practice, &recorded), retry);
    // The same first message in place of the one that should carry the nonce.
    let twice = [recorded[0].clone(), recorded[0].clone()];
    assert_eq!(play(&practice, &twice), retry);
    assert_eq!(joined(&practice), 0);
    session.sync(practice.now());

    practice.restart();
    assert_eq!(play(&practice, &recorded), retry);
    practice.run_a_while();
    assert_eq!(play(&practice, &recorded), retry);
    assert_eq!(joined(&practice), 0);
    assert!(practice.server().connected().is_empty());
}

#[test]
fn a_replay_with_an_answered_retry_is_refused_too() {
    let practice = Practice::just_started(
        telemed::doctor::shared::Settings::default(),
        telemed::elgamal::Group::ffdhe2048(),
    );
    let mut person = practice.admit_one("P1");
    let session = person.connect(practice.address());
    let recorded = session.wire.sent.clone();
    practice.wait_for("joined", |event| {
        matches!(event, Event::Joined { .. }).then_some(())
    });
    // Both first messages, then the proof: the nonce is another one now.
    let retry = [(KEY_VERIFICATION, sub::RETRY)];
    assert_eq!(play(&practice, &recorded), retry);
    assert_eq!(play(&practice, &recorded[1..]), []);
    assert_eq!(joined(&practice), 0);
}

#[test]
fn of_two_who_show_a_token_before_either_has_a_new_one_one_is_answered() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let (ticket, _) = person.connect(practice.address()).drop_line();
    practice.wait_for_members(0);
    let mut wires = [(); 2].map(|()| person.dial(practice.address()));
    let again = ticket.duplicate();
    let answered = person.ask_to_resume(&mut wires[0], ticket);
    assert!(answered.is_some());
    assert!(person.ask_to_resume(&mut wires[1], again).is_none());
}

#[test]
fn a_dropped_session_is_resumed_once() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let session = person.connect(practice.address());
    let request = resume::begin(
        session.ticket(),
        person.doctor.group(),
        person.now(),
        &mut OsRandom,
    );
    let (ticket, progress) = session.drop_line();
    practice.wait_for_members(0);
    practice.events();
    let mut session = person.resume(practice.address(), ticket, Some(progress));
    practice.wait_for("resumed", |event| match event {
        Event::Joined { resumed, .. } => resumed.then_some(()),
        _ => None,
    });
    session.sync(practice.now());
    // The token is used up, for whoever else may hold it: a full handshake
    // goes on over the same connection.
    let mut wire = person.dial(practice.address());
    wire.send(&request.0);
    assert_eq!(kind(&wire.frame()), (KEY_VERIFICATION, sub::NO_TOKEN));
    let (m3, awaiting) = person.shake_hands(&mut wire).unwrap();
    wire.send(&m3);
    let mut again = Session::begin(&person, wire, awaiting, None).unwrap();
    again.sync(practice.now());
    assert_eq!(session.disconnected(), DisconnectReason::Superseded);
}

#[test]
fn a_resumption_recorded_and_played_again_opens_nothing() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let (ticket, _) = person.connect(practice.address()).drop_line();
    let mut session = person.resume(practice.address(), ticket, None);
    session.sync(practice.now());
    practice.events();
    let answers = play(&practice, &session.wire.sent);
    assert_eq!(answers, [(KEY_VERIFICATION, sub::NO_TOKEN)]);
    assert_eq!(joined(&practice), 0);
    session.sync(practice.now());
}

#[test]
fn a_wrong_proof_does_not_burn_the_token() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let session = person.connect(practice.address());
    let group = person.doctor.group().clone();
    let (request, _) = resume::begin(session.ticket(), &group, person.now(), &mut OsRandom);
    let mut forged = request.into_bytes();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Frame::parse(&forged, MAX_LEN_IN_SESSION).unwrap();
    let mut wire = person.dial(practice.address());
    wire.send(&forged);
    assert_eq!(kind(&wire.frame()), (KEY_VERIFICATION, sub::NO_TOKEN));
    // One try a connection.
    wire.send(&forged);
    wire.expect_closed();
    let (ticket, progress) = session.drop_line();
    let mut session = person.resume(practice.address(), ticket, Some(progress));
    session.sync(practice.now());
}

#[test]
fn a_token_ends_after_an_hour_and_with_the_program() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    for restart in [false, true] {
        let (ticket, progress) = person.connect(practice.address()).drop_line();
        if restart {
            practice.restart();
        } else {
            practice.clock.advance(Duration::from_secs(3_601));
        }
        let mut wire = person.dial(practice.address());
        assert!(person.ask_to_resume(&mut wire, ticket).is_none());
        let (m3, awaiting) = person.shake_hands(&mut wire).unwrap();
        wire.send(&m3);
        let mut session = Session::begin(&person, wire, awaiting, Some(progress)).unwrap();
        session.epoch();
        session.sync(practice.now());
    }
}

#[test]
fn sessions_are_resumed_for_twelve_hours_and_no_longer() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    for _ in 0..12 {
        practice.clock.advance(Duration::from_secs(3_590));
        let (ticket, progress) = session.drop_line();
        session = person.resume(practice.address(), ticket, Some(progress));
    }
    // What is left of the twelve hours is two minutes.
    practice.clock.advance(Duration::from_secs(130));
    let mut wire = person.dial(practice.address());
    assert!(person.ask_to_resume(&mut wire, session.ticket()).is_none());
}

fn connected(practice: &Practice) -> (Person, Session) {
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    (person, session)
}

#[test]
fn a_renewed_session_goes_on_both_ways() {
    let practice = Practice::open();
    let (person, mut session) = connected(&practice);
    practice.server().broadcast("before", false).unwrap();
    session.message();
    for _ in 0..2 {
        let (m3, awaiting) = session.ask_to_renew(&person).unwrap();
        session.wire.send(&m3);
        session.renewed(&person, awaiting);
        session.sync(practice.now());
    }
    // Nobody came or went: the group key is still the same.
    let sent = practice.server().broadcast("after", false).unwrap();
    assert_eq!(session.message().text, "after");
    practice.wait_for_state(sent.number, "P1", "delivered");
    let private = practice
        .server()
        .message(&"P1".parse().unwrap(), "for you")
        .unwrap();
    assert_eq!(session.message().text, "for you");
    practice.wait_for_state(private.number, "P1", "delivered");
    let joins = practice
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Joined { .. }))
        .count();
    assert_eq!(joins, 1);
    // The new share counts from the next change on.
    let mut other = practice.admit_one("P2");
    let mut second = other.connect(practice.address());
    session.epoch_of(2);
    second.epoch_of(2);
    practice.server().broadcast("to both", false).unwrap();
    assert_eq!(session.message().text, "to both");
    assert_eq!(second.message().text, "to both");
}

#[test]
fn what_is_sent_during_a_renewal_follows_the_new_token_in_order() {
    let practice = Practice::open();
    let (person, mut session) = connected(&practice);
    let (m3, awaiting) = session.ask_to_renew(&person).unwrap();
    let server = practice.server();
    let p1 = "P1".parse().unwrap();
    server.broadcast("one", false).unwrap();
    server.message(&p1, "two").unwrap();
    let last = server.broadcast("three", false).unwrap();
    session.wire.send(&m3);
    // The very next frame has to be the token.
    session.renewed(&person, awaiting);
    let texts = [(); 3].map(|()| session.message().text);
    assert_eq!(texts, ["one", "two", "three"]);
    practice.wait_for_state(last.number, "P1", "delivered");
}

#[test]
fn a_renewal_without_the_right_proof_ends_the_session() {
    let practice = Practice::open();
    let (mut person, mut session) = connected(&practice);
    let wrong_proof = Frame::new(KEY_VERIFICATION, sub::M3, &[7; 64]);
    for nothing in 0..3 {
        session.ask_to_renew(&person).unwrap();
        match nothing {
            0 => session.wire.send(&wrong_proof),
            // A record under the old keys, where only the proof may come.
            1 => session.beat(),
            _ => {
                let (m1, _) = person.first_message();
                session.wire.send(&m1);
            }
        }
        session.wire.expect_closed();
        practice.wait_for_members(0);
        session = person.connect(practice.address());
    }
}

#[test]
fn a_renewal_that_never_ends_is_dropped_at_the_deadline() {
    let practice = Practice::with(telemed::doctor::shared::Settings {
        timing: telemed::doctor::shared::Timing {
            handshake: Duration::from_millis(700),
            ..telemed::doctor::shared::Timing::default()
        },
        ..telemed::doctor::shared::Settings::default()
    });
    let (person, mut session) = connected(&practice);
    session.ask_to_renew(&person).unwrap();
    session.wire.expect_closed();
}

#[test]
fn a_session_ended_during_its_renewal_closes_without_a_record() {
    let practice = Practice::open();
    let (person, mut session) = connected(&practice);
    session.ask_to_renew(&person).unwrap();
    practice.server().disconnect_all();
    session.wire.expect_closed();
}

#[test]
fn renewal_with_a_token_that_is_gone_is_answered_and_ends_the_session() {
    let practice = Practice::open();
    let (person, mut session) = connected(&practice);
    practice.clock.advance(Duration::from_secs(3_601));
    assert!(session.ask_to_renew(&person).is_none());
    assert_eq!(session.disconnected(), DisconnectReason::Expired);
    let two = session.wire.received.len() - 2;
    assert_eq!(
        kind(&session.wire.received[two]),
        (KEY_VERIFICATION, sub::NO_TOKEN)
    );
}

#[test]
fn nobody_goes_on_as_somebody_else() {
    let practice = Practice::open();
    let [mut one, mut two] = practice.admit(["P1", "P2"]);
    let mut victim = one.connect(practice.address());
    let mut thief = two.connect(practice.address());
    victim.epoch_of(2);
    thief.epoch_of(2);
    // P2 has come by P1's token and its key, and uses it inside its own session.
    let group = two.doctor.group();
    let (request, awaiting) = resume::begin(victim.ticket(), group, two.now(), &mut OsRandom);
    thief.wire.send(&request);
    let answer = thief.wire.frame();
    let resume::Step::Answered(m3, _) = awaiting.on_frame(group, &answer, two.now()).unwrap()
    else {
        panic!("no answer");
    };
    thief.wire.send(&m3);
    thief.wire.expect_closed();
    victim.epoch_of(1);
    victim.sync(practice.now());
    let sent = practice
        .server()
        .message(&"P1".parse().unwrap(), "still mine")
        .unwrap();
    assert_eq!(victim.message().text, "still mine");
    practice.wait_for_state(sent.number, "P1", "delivered");
}

#[test]
fn a_full_queue_of_answers_comes_before_a_renewal() {
    // Records that were queued under the old keys go out under them.
    let practice = Practice::with_narrow_lines();
    let mut person = practice.admit_one("P1");
    person.narrow = true;
    let mut session = person.connect(practice.address());
    session.epoch();
    let p1 = "P1".parse().unwrap();
    let text = "x".repeat(16_000);
    for _ in 0..20 {
        practice.server().message(&p1, &text).unwrap();
    }
    session.answering = false;
    let (request, awaiting) = resume::begin(
        session.ticket(),
        person.doctor.group(),
        person.now(),
        &mut OsRandom,
    );
    session.wire.send(&request);
    for _ in 0..20 {
        let arrived = session.until("a message", |got| match got {
            Got::Message(arrived) => Some(arrived.text.len()),
            _ => None,
        });
        assert_eq!(arrived, text.len());
    }
    let answer = session.wire.frame();
    let resume::Step::Answered(m3, agreed) = awaiting
        .on_frame(person.doctor.group(), &answer, person.now())
        .unwrap()
    else {
        panic!("no answer");
    };
    session.wire.send(&m3);
    let awaiting = telemed::session::patient::AwaitToken::new(agreed.session);
    session.renewed(&person, awaiting);
    session.sync(practice.now());
    assert_eq!(practice.state(1, "P1"), "sent");
}
