//! What an assistant could put into the database under another's name.

use super::*;

use telemed::protocol::message::Message;
use telemed::store::messages::{Kind, MessageRow};
use telemed::vault::column;

/// Puts an urgent message for the first device into the books, as whoever has the
/// assistants' key does who can write to the database.
pub(super) fn put(practice: &Practice, author: &str, text: &str) {
    let device = practice.store.certificates().unwrap()[0].fingerprint;
    let vault = &practice.server().practice().vault;
    let message = Message::new(text, true, practice.now(), &mut OsRandom).unwrap();
    let message = message.by(author.parse().unwrap());
    let (name, bytes) = (message.id().0, message.encode());
    let sealed = vault.seal(column::STAFF_MESSAGE, &name, &bytes, &mut OsRandom);
    let row = MessageRow {
        number: 0,
        id: name,
        kind: Kind::Broadcast,
        patient: None,
        boundary: None,
        urgent: true,
        written: message.written(),
        expires: None,
        sealed: sealed.unwrap(),
    };
    let devices = [(device, "P1".to_owned())];
    practice.store.add_message(&row, &devices, &[]).unwrap();
}

fn refused(event: &Event) -> Option<()> {
    match event {
        Event::Trouble(sentence) => sentence.contains("given to nobody").then_some(()),
        _ => None,
    }
}

#[test]
fn what_bears_the_name_of_no_assistant_is_given_to_nobody_and_the_rest_goes_on() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &second);
    put(&first, "D1", "Take twice the dose.");
    let patient = "P1".parse().unwrap();
    first.server().message(&patient, "from D1").unwrap();
    assert_eq!(session.message().text, "from D1");
    second.wait_for("the word that it is refused", refused);
    // Nor when she comes anew.
    session.leave();
    second.wait_for_members(0);
    let mut session = connect_to(&mut person, &first);
    first.server().message(&patient, "once more").unwrap();
    assert_eq!(session.message().text, "once more");
    first.wait_for("the word that it is refused", refused);
}

#[test]
fn however_much_is_refused_what_lies_behind_it_is_given_and_each_is_told_once() {
    const FORGED: usize = 70;
    let Some((_schema, first, _second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    for _ in 0..FORGED {
        put(&first, "D1", "Take twice the dose.");
    }
    let patient = "P1".parse().unwrap();
    let letter = Letter {
        urgent: true,
        ..Letter::new(Recipients::One(patient), "from D1")
    };
    first.server().send(&letter).unwrap();
    // Urgent: it comes again until it is confirmed.
    for _ in 0..2 {
        let mut session = connect_to(&mut person, &first);
        assert_eq!(session.message().text, "from D1");
        session.leave();
        first.wait_for_members(0);
    }
    let told = first.events();
    assert_eq!(told.iter().filter_map(refused).count(), FORGED);
}
