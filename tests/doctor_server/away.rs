//! What patients get who were away, or whose line broke too early.

use telemed::protocol::opcode;
use telemed::session::patient::Delivery;

use crate::support::{Person, Practice, Session};

fn come_back(person: &mut Person, practice: &Practice, session: Session) -> Session {
    let (ticket, progress) = session.drop_line();
    practice.wait_for_members(0);
    person.resume(practice.address(), ticket, Some(progress))
}

#[test]
fn what_was_sent_to_somebody_away_comes_once_at_the_return() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let server = practice.server();
    let first = server.broadcast("to all", false).unwrap();
    let second = server.message(&"P1".parse().unwrap(), "to you").unwrap();
    for sent in [&first, &second] {
        assert_eq!((sent.devices, sent.away), (0, 1));
        assert_eq!(practice.state(sent.number, "P1"), "queued");
    }
    let mut session = person.connect(practice.address());
    let (missed, private) = (session.message(), session.message());
    assert_eq!(
        (missed.text.as_str(), missed.delivery),
        ("to all", Delivery::Missed)
    );
    assert_eq!(
        (private.text.as_str(), private.delivery),
        ("to you", Delivery::Private)
    );
    practice.wait_for_state(first.number, "P1", "delivered");
    practice.wait_for_state(second.number, "P1", "delivered");
    let mut session = come_back(&mut person, &practice, session);
    assert!(session.all_messages(practice.now()).is_empty());
}

#[test]
fn without_a_receipt_a_message_comes_again() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    session.answering = false;
    let server = practice.server();
    server.broadcast("unanswered", false).unwrap();
    let private = server.message(&"P1".parse().unwrap(), "unheard").unwrap();
    let ids = [session.message().id, session.message().id];
    // However often the line breaks.
    for round in 0..3 {
        session = come_back(&mut person, &practice, session);
        session.answering = round == 2;
        let again = [session.message(), session.message()];
        assert_eq!(again.each_ref().map(|message| message.id), ids);
        assert_eq!(again[0].delivery, Delivery::Missed);
        assert_eq!(again[1].delivery, Delivery::Private);
    }
    practice.wait_for_state(private.number, "P1", "delivered");
    let mut session = come_back(&mut person, &practice, session);
    assert!(session.all_messages(practice.now()).is_empty());
}

#[test]
fn a_receipt_from_a_later_session_counts() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    session.epoch();
    session.answering = false;
    let sent = practice.server().broadcast("late", false).unwrap();
    session.message();
    let mut session = come_back(&mut person, &practice, session);
    let again = session.message();
    assert_eq!(again.answer.0, opcode::RECEIPT);
    practice.wait_for_state(sent.number, "P1", "delivered");
}

#[test]
fn a_long_absence_is_made_up_for_however_slowly_the_patient_reads() {
    // More than a queue holds, in frames and in bytes.
    const MESSAGES: usize = 300;
    let practice = Practice::with_narrow_lines();
    let mut person = practice.admit_one("P1");
    person.narrow = true;
    let (p1, text) = ("P1".parse().unwrap(), "x".repeat(16_000));
    for number in 0..MESSAGES {
        if number % 10 == 0 {
            practice.server().broadcast(&text, false).unwrap();
        } else {
            practice.server().message(&p1, &text).unwrap();
        }
    }
    let mut session = person.connect(practice.address());
    // While nothing is read, the server has to stop sending.
    practice.wait_for_members(1);
    let later = practice.server().broadcast("and now this", true).unwrap();
    let mut ids = std::collections::HashSet::new();
    while ids.len() < MESSAGES + 1 {
        ids.insert(session.message().id);
    }
    practice.wait_for_state(later.number, "P1", "delivered");
    assert_eq!(practice.server().connected().len(), 1);
    practice.wait_for_state(1, "P1", "delivered");
}

#[test]
fn a_newcomer_is_not_sent_what_was_said_before_she_enrolled() {
    let practice = Practice::open();
    let [_old] = practice.admit(["P1"]);
    practice.server().broadcast("old news", false).unwrap();
    let mut newcomer = practice.enrol("P2");
    let mut session = newcomer.connect(practice.address());
    assert!(session.all_messages(practice.now()).is_empty());
}

#[test]
fn both_devices_of_a_patient_get_her_messages() {
    let practice = Practice::open();
    let [mut phone, mut tablet] = practice.admit(["P1", "P1"]);
    let mut on_phone = phone.connect(practice.address());
    on_phone.epoch_of(1);
    let sent = practice
        .server()
        .message(&"P1".parse().unwrap(), "on every device")
        .unwrap();
    assert_eq!((sent.devices, sent.away), (1, 1));
    assert_eq!(on_phone.message().text, "on every device");
    let mut on_tablet = tablet.connect(practice.address());
    assert_eq!(on_tablet.message().text, "on every device");
    // Neither pushed the other out.
    on_phone.epoch_of(2);
    on_tablet.epoch_of(2);
    assert_eq!(practice.server().connected().len(), 2);
}
