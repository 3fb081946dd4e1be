//! What patients write, and the consultations in which they do.

use std::time::Duration;

use telemed::doctor::correspondence;
use telemed::doctor::event::Event;
use telemed::doctor::post::{Letter, Recipients};
use telemed::protocol::message::{Boundary, Message};
use telemed::protocol::opcode;
use telemed::random::OsRandom;

use super::come_back;
use crate::support::{Got, Practice, Session, eventually};

#[test]
fn a_patients_message_is_kept_before_it_is_answered_and_shown_once() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    let message = session.write("may I come today?", practice.now());
    let say = |session: &mut Session| {
        session.send(opcode::PRIVATE, &message.encode());
        session.until("the receipt", |got| {
            matches!(got, Got::Received(receipt) if receipt.id == message.id()).then_some(())
        });
    };
    say(&mut session);
    practice.wait_for("the message", |event| {
        matches!(event, Event::Private(..)).then_some(())
    });
    practice.restart();
    // The receipt was lost: it comes again, and is not shown again.
    let mut session = come_back(&mut person, &practice);
    say(&mut session);
    assert!(
        !practice
            .events()
            .iter()
            .any(|event| matches!(event, Event::Private(..)))
    );
    let books = practice.server().practice();
    assert_eq!(books.store.unread_count().unwrap(), 1);
    let inbox = || {
        let request = correspondence::Request::Inbox { all: false };
        match correspondence::answer(books, &request).unwrap() {
            correspondence::Answer::Inbox { letters, .. } => letters,
            other => panic!("{other:?}"),
        }
    };
    let letters = inbox();
    assert_eq!(letters[0].text.as_deref(), Some("may I come today?"));
    assert_eq!(letters[0].code, message.id().code());
    // Read once it was printed, not before.
    assert_eq!(inbox().len(), 1);
    let numbers = vec![letters[0].number];
    let request = correspondence::Request::Shown { numbers };
    correspondence::answer(books, &request).unwrap();
    assert!(inbox().is_empty());
}

#[test]
fn a_consultation_ends_by_word_and_not_with_the_line() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let p1 = "P1".parse().unwrap();
    let consulting = |practice: &Practice| {
        correspondence::is_consulting(practice.server().practice(), &p1).unwrap()
    };
    let at_boundary = |boundary, text| Letter {
        boundary: Some(boundary),
        ..Letter::new(Recipients::One(p1.clone()), text)
    };
    assert!(!consulting(&practice));
    let opens = at_boundary(Boundary::Opens, "How are you?");
    practice.server().send(&opens).unwrap();
    assert!(consulting(&practice));
    let mut session = person.connect(practice.address());
    assert_eq!(session.message().text, "How are you?");
    drop(session);
    practice.restart();
    assert!(consulting(&practice));
    let mut session = come_back(&mut person, &practice);
    session.sync(practice.now());
    // What is written in one millisecond is in the order of ids.
    practice.clock.advance(Duration::from_millis(2));
    let now = practice.now();
    let closes = Message::at_boundary(Boundary::Closes, "Thank you.", now, &mut OsRandom).unwrap();
    session.send(opcode::PRIVATE, &closes.encode());
    eventually("the patient has ended it", || !consulting(&practice));
    let patient = "P1".to_owned();
    let request = correspondence::Request::History {
        patient,
        last: None,
    };
    let answer = correspondence::answer(practice.server().practice(), &request).unwrap();
    let correspondence::Answer::History { letters, .. } = answer else {
        panic!("{answer:?}");
    };
    let told: Vec<_> = letters
        .iter()
        .map(|letter| (letter.text.as_deref().unwrap(), letter.in_consultation))
        .collect();
    assert_eq!(
        told,
        [
            ("How are you?", true),
            ("are you there?", true),
            ("Thank you.", true)
        ]
    );
}

#[test]
fn a_history_is_cut_over_both_directions_and_knows_what_was_opened_before() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let to = Recipients::One("P1".parse().unwrap());
    let send = |text, boundary| {
        // What is written in one millisecond is in the order of ids.
        practice.clock.advance(Duration::from_millis(2));
        let letter = Letter::new(to.clone(), text);
        practice.server().send(&Letter { boundary, ..letter })
    };
    send("before", None).unwrap();
    send("begins", Some(Boundary::Opens)).unwrap();
    let mut session = person.connect(practice.address());
    session.all_messages(practice.now());
    practice.clock.advance(Duration::from_millis(2));
    let answer = Message::new("answer", false, practice.now(), &mut OsRandom).unwrap();
    session.send(opcode::PRIVATE, &answer.encode());
    practice.wait_for("the answer", |event| {
        matches!(event, Event::Private(_, message) if message.text() == "answer").then_some(())
    });
    send("to that", None).unwrap();
    send("ends", Some(Boundary::Closes)).unwrap();
    send("after", None).unwrap();
    let history = |last| {
        let patient = "P1".to_owned();
        let request = correspondence::Request::History { patient, last };
        let books = practice.server().practice();
        match correspondence::answer(books, &request).unwrap() {
            correspondence::Answer::History { letters, older, .. } => {
                let told = letters.into_iter();
                let told = told
                    .filter(|letter| letter.text.as_deref() != Some("are you there?"))
                    .map(|letter| (letter.text.unwrap(), letter.in_consultation));
                (told.collect::<Vec<_>>(), older)
            }
            other => panic!("{other:?}"),
        }
    };
    let expected = [
        ("before", false),
        ("begins", true),
        ("answer", true),
        ("to that", true),
        ("ends", true),
        ("after", false),
    ];
    let expected = expected.map(|(text, inside)| (text.to_owned(), inside));
    let (all, older) = history(None);
    assert_eq!((&all[..], older), (&expected[..], 0));
    let written = practice.store.count_messages("P1").unwrap();
    for last in [1, 2, 3, 4] {
        let (told, older) = history(Some(last));
        assert_eq!(
            told,
            expected[expected.len() - usize::try_from(last).unwrap()..]
        );
        assert_eq!(older, written - last);
    }
}
