//! What is in the books survives: restarts in the middle, receipts and
//! confirmations that come later, several devices, messages that are urgent or
//! have ended.

#[path = "durable/patients.rs"]
mod patients;

use std::time::Duration;

use telemed::clock::Timestamp;
use telemed::doctor::correspondence;
use telemed::doctor::deliveries::{self, DeliveryReport};
use telemed::doctor::event::Event;
use telemed::doctor::post::{Letter, Recipients, SendError};
use telemed::protocol::message::{Boundary, Message};
use telemed::protocol::opcode;
use telemed::random::OsRandom;
use telemed::session::patient::Delivery;

use crate::support::{Arrived, Got, Person, Practice, Session, eventually, holds};

/// Connects anew after a restart, as the same device.
fn come_back(person: &mut Person, practice: &Practice) -> Session {
    practice.run_a_while();
    person.connect(practice.address())
}

fn chosen(names: &[&str]) -> Recipients {
    Recipients::Chosen(names.iter().map(|name| name.parse().unwrap()).collect())
}

/// What the office says of a message, device by device.
fn listed(practice: &Practice, message: &str, verify: bool) -> Vec<DeliveryReport> {
    practice.server().settle();
    let request = deliveries::Request::List {
        message: Some(message.to_owned()),
        missing: false,
        verify,
        unconfirmed: false,
    };
    match deliveries::answer(practice.server().practice(), &request).unwrap() {
        deliveries::Answer::List { mut messages, .. } => messages.remove(0).deliveries,
        other @ deliveries::Answer::Unconfirmed { .. } => panic!("{other:?}"),
    }
}

/// Waits for the receipt that the confirmation of a message gets.
#[track_caller]
fn receipt_of_confirmation(session: &mut Session, message: &Arrived) {
    let receipt = session.until("the receipt of a confirmation", |got| match got {
        Got::Received(receipt) if receipt.id == message.id => Some((receipt.at, receipt.mac)),
        _ => None,
    });
    let receipt = telemed::protocol::record::Receipt {
        id: message.id,
        at: receipt.0,
        mac: receipt.1,
    };
    assert!(session.end.proves_confirmation(&message.hash, &receipt));
}

#[test]
fn what_was_queued_and_sent_before_a_restart_arrives_after_it() {
    let mut practice = Practice::open();
    let [mut one, mut two] = practice.admit(["P1", "P2"]);
    let mut session = one.connect(practice.address());
    session.epoch();
    session.answering = false;
    let sent = practice.server().broadcast("kept", false).unwrap();
    assert_eq!((sent.devices, sent.away), (1, 1));
    let unanswered = session.message();
    assert_eq!(practice.state(sent.number, "P1"), "sent");
    assert_eq!(practice.state(sent.number, "P2"), "queued");
    practice.restart();
    assert_eq!(practice.state(sent.number, "P1"), "sent");
    for person in [&mut one, &mut two] {
        let mut session = come_back(person, &practice);
        let again = session.message();
        assert_eq!(
            (again.id, again.delivery),
            (unanswered.id, Delivery::Missed)
        );
        assert!(session.all_messages(practice.now()).is_empty());
    }
    practice.wait_for_state(sent.number, "P1", "delivered");
    practice.wait_for_state(sent.number, "P2", "delivered");
    // The next number follows.
    let next = practice.server().broadcast("next", false).unwrap();
    assert_eq!(next.number, sent.number + 1);
}

#[test]
fn a_confirmation_is_receipted_once_kept_and_is_evidence_after_a_restart() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    let sent = practice.server().broadcast("confirm me", true).unwrap();
    let message = session.message();
    for _ in 0..2 {
        session.confirm(&person, message.id, &message.hash);
        // A repeat is answered again.
        receipt_of_confirmation(&mut session, &message);
    }
    assert_eq!(practice.state(sent.number, "P1"), "confirmed");
    practice.wait_for("confirmed", |event| {
        matches!(event, Event::Confirmed(_, number) if *number == sent.number).then_some(())
    });
    drop(session);
    practice.restart();
    let [delivery] = &listed(&practice, &message.id.code(), true)[..] else {
        panic!("one device");
    };
    assert_eq!(
        (&*delivery.state, delivery.genuine),
        ("confirmed", Some(true))
    );
    assert!(delivery.sent.is_some() && delivery.delivered.is_some());
    let at = delivery.confirmed;
    // Whoever did not get the receipt sends it again, in a later session too.
    let mut session = come_back(&mut person, &practice);
    session.confirm(&person, message.id, &message.hash);
    receipt_of_confirmation(&mut session, &message);
    assert_eq!(
        listed(&practice, "1", false)[0].confirmed,
        at,
        "the first stays"
    );
    let events = practice.events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Confirmed(..)))
    );
}

#[test]
fn what_is_urgent_comes_again_until_a_person_has_confirmed_it() {
    let mut practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let sent = practice.server().broadcast("urgent", true).unwrap();
    practice.server().broadcast("not so urgent", false).unwrap();
    let mut session = person.connect(practice.address());
    let first = session.all_messages(practice.now());
    assert_eq!(first.len(), 2);
    practice.wait_for_state(sent.number, "P1", "delivered");
    for round in 0..2 {
        if round == 1 {
            practice.restart();
        }
        drop(session);
        session = come_back(&mut person, &practice);
        let again = session.all_messages(practice.now());
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].id, first[0].id);
    }
    // Delivered once, however often it came.
    let events = practice.events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Delivered(..)))
    );
    session.confirm(&person, first[0].id, &first[0].hash);
    receipt_of_confirmation(&mut session, &first[0]);
    drop(session);
    let mut session = come_back(&mut person, &practice);
    assert!(session.all_messages(practice.now()).is_empty());
}

#[test]
fn what_has_expired_is_given_to_nobody_any_more() {
    let practice = Practice::open();
    let [mut early, mut late] = practice.admit(["P1", "P2"]);
    let letter = Letter {
        urgent: true,
        expires: Some(Duration::from_secs(3_600)),
        ..Letter::new(Recipients::Everyone, "only today")
    };
    let sent = practice.server().send(&letter).unwrap();
    let mut session = early.connect(practice.address());
    assert_eq!(session.all_messages(practice.now()).len(), 1);
    practice.wait_for_state(sent.number, "P1", "delivered");
    drop(session);
    practice.clock.advance(Duration::from_secs(3_601));
    for person in [&mut early, &mut late] {
        let mut session = person.connect(practice.address());
        assert!(session.all_messages(practice.now()).is_empty());
    }
    assert_eq!(practice.state(sent.number, "P1"), "delivered");
    assert_eq!(practice.state(sent.number, "P2"), "expired");
}

#[test]
fn only_the_chosen_can_read_what_is_for_them_and_the_others_notice_nothing() {
    let practice = Practice::open();
    let [mut one, mut two, mut three] = practice.admit(["P1", "P2", "P3"]);
    let mut first = one.connect(practice.address());
    let mut second = two.connect(practice.address());
    first.epoch_of(2);
    second.epoch_of(2);
    let secret = "for P1 and P3 alone";
    let letter = Letter::new(chosen(&["P1", "P3"]), secret);
    let sent = practice.server().send(&letter).unwrap();
    assert_eq!((sent.devices, sent.away, sent.epoch), (1, 1, 0));
    let arrived = first.message();
    assert_eq!(
        (arrived.text.as_str(), arrived.delivery),
        (secret, Delivery::Chosen)
    );
    assert_eq!(arrived.answer.0, opcode::RECEIPT);
    practice.wait_for_state(sent.number, "P1", "delivered");
    // The other's numbers have no gap: the next broadcast is the first.
    practice.server().broadcast("for all", false).unwrap();
    assert_eq!(second.message().text, "for all");
    assert!(second.all_messages(practice.now()).is_empty());
    assert!(!holds(&second.opened, secret.as_bytes()));
    assert_eq!(practice.state(sent.number, "P2"), "none");
    let mut third = three.connect(practice.address());
    let came = third.all_messages(practice.now());
    assert_eq!(came[0].delivery, Delivery::Chosen);
    practice.wait_for_state(sent.number, "P3", "delivered");
}

#[test]
fn an_unknown_recipient_stops_the_whole_message() {
    let practice = Practice::open();
    let [_one] = practice.admit(["P1"]);
    for to in [
        chosen(&["P1", "P9"]),
        Recipients::Tagged("asthma".to_owned()),
    ] {
        let refused = practice
            .server()
            .send(&Letter::new(to, "hello"))
            .unwrap_err();
        assert!(matches!(
            refused,
            SendError::Unreached(_) | SendError::NobodyTagged(..)
        ));
        assert!(
            refused.to_string().contains("nothing was sent"),
            "{refused}"
        );
    }
    assert!(practice.server().report(10).unwrap().is_empty());
}

#[test]
fn a_device_that_enrols_later_gets_what_none_of_its_patient_has_got() {
    let practice = Practice::open();
    let mut lost = practice.admit_one("P1");
    let got = practice.server().broadcast("was there", false).unwrap();
    let mut session = lost.connect(practice.address());
    session.message();
    practice.wait_for_state(got.number, "P1", "delivered");
    drop(session);
    practice.wait_for_members(0);
    practice
        .server()
        .broadcast("then it was lost", false)
        .unwrap();
    let mut new = practice.enrol("P1");
    let mut session = new.connect(practice.address());
    let came = session.all_messages(practice.now());
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].text, "then it was lost");
    // Its answer may have been sent after the marker.
    session.sync(practice.now());
    let devices = listed(&practice, "2", false);
    assert_eq!(devices.len(), 2);
    assert!(devices.iter().all(|device| device.is_one_of_several));
    assert_ne!(devices[0].device, devices[1].device);
    // Told apart wherever the doctor sees them, too.
    let present = practice.server().connected();
    assert!(present[0].peer.to_string().starts_with("P1 (device "));
    let delivered_to_the_new_one = || {
        let devices = listed(&practice, "2", false);
        let mut states: Vec<_> = devices.iter().map(|device| &*device.state).collect();
        states.sort_unstable();
        states == ["delivered", "queued"]
    };
    eventually(
        "the receipt of the new device is kept",
        delivered_to_the_new_one,
    );
}

#[test]
fn a_confirmation_on_one_device_is_the_patients() {
    let practice = Practice::open();
    let [mut phone, mut tablet] = practice.admit(["P1", "P1"]);
    let sent = practice.server().broadcast("urgent", true).unwrap();
    let mut on_phone = phone.connect(practice.address());
    let message = on_phone.message();
    let mut on_tablet = tablet.connect(practice.address());
    on_tablet.message();
    practice.server().settle();
    on_phone.confirm(&phone, message.id, &message.hash);
    receipt_of_confirmation(&mut on_phone, &message);
    drop((on_phone, on_tablet));
    for person in [&mut phone, &mut tablet] {
        let mut session = person.connect(practice.address());
        assert!(session.all_messages(practice.now()).is_empty());
    }
    let request = deliveries::Request::Unconfirmed {
        message: sent.number,
        phones: false,
    };
    let answer = deliveries::answer(practice.server().practice(), &request).unwrap();
    let nobody = deliveries::Answer::Unconfirmed {
        patients: Vec::new(),
        phones: None,
        expired: false,
    };
    assert_eq!(answer, nobody);
}

#[test]
fn what_nobody_has_got_is_missing_until_one_device_has_it() {
    let practice = Practice::open();
    let [mut one, _two] = practice.admit(["P1", "P2"]);
    practice.server().broadcast("to both", false).unwrap();
    let missing = || {
        practice.server().settle();
        let request = deliveries::Request::List {
            message: None,
            missing: true,
            verify: false,
            unconfirmed: false,
        };
        match deliveries::answer(practice.server().practice(), &request).unwrap() {
            deliveries::Answer::List { messages, .. } => messages
                .into_iter()
                .flat_map(|message| message.deliveries)
                .map(|delivery| delivery.patient)
                .collect::<Vec<_>>(),
            other @ deliveries::Answer::Unconfirmed { .. } => panic!("{other:?}"),
        }
    };
    assert_eq!(missing(), ["P1", "P2"]);
    one.connect(practice.address()).message();
    practice.wait_for_state(1, "P1", "delivered");
    assert_eq!(missing(), ["P2"]);
    for name in [
        "0",
        "zzzzzz",
        "äöüäöü",
        "ffffff",
        "abc",
        "99999999999999999999",
    ] {
        let request = deliveries::Request::List {
            message: Some(name.to_owned()),
            missing: false,
            verify: false,
            unconfirmed: false,
        };
        let refused = deliveries::answer(practice.server().practice(), &request).unwrap_err();
        assert!(refused.contains("there is no message"), "{refused}");
    }
}

/// What the patient's clock says is her word only: whatever it is, the doctor
/// can open and end a consultation, and the history says the same.
#[test]
fn a_fast_clock_shadows_nothing_the_doctor_says_later() {
    for ahead in [3_600_000, 1 << 63] {
        let practice = Practice::open();
        let mut person = practice.admit_one("P1");
        let p1 = "P1".parse().unwrap();
        let books = practice.server().practice();
        let by_history = || {
            let patient = "P1".to_owned();
            let request = correspondence::Request::History {
                patient,
                last: None,
            };
            match correspondence::answer(books, &request).unwrap() {
                correspondence::Answer::History { consulting, .. } => consulting,
                other => panic!("{other:?}"),
            }
        };
        let consulting = || {
            let before = by_history();
            let known = correspondence::is_consulting(books, &p1).unwrap();
            // Otherwise it has changed between the questions.
            if before == by_history() {
                assert_eq!(known, before, "two answers to one question");
            }
            known
        };
        let say = |boundary, text| {
            let letter = Letter {
                boundary: Some(boundary),
                ..Letter::new(Recipients::One(p1.clone()), text)
            };
            practice.server().send(&letter).unwrap();
        };
        say(Boundary::Opens, "How are you?");
        let mut session = person.connect(practice.address());
        session.sync(practice.now());
        assert!(consulting());
        let written = Timestamp::from_millis(practice.now().as_millis() + ahead);
        let closes = Message::at_boundary(Boundary::Closes, "Bye.", written, &mut OsRandom);
        session.send(opcode::PRIVATE, &closes.unwrap().encode());
        eventually("the patient has ended it", || !consulting());
        practice.clock.advance(Duration::from_millis(2));
        say(Boundary::Opens, "One more thing.");
        assert!(consulting(), "opened again");
        practice.clock.advance(Duration::from_millis(2));
        say(Boundary::Closes, "Now it has ended.");
        assert!(!consulting(), "and ended again");
    }
}
