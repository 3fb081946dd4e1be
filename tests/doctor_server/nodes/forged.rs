//! What an assistant could put into the database under another's name.

use telemed::doctor::event::Event;
use telemed::protocol::message::Message;
use telemed::random::OsRandom;
use telemed::store::messages::{Kind, MessageRow};
use telemed::vault::column;

use super::{connect_to, two};

#[test]
fn what_bears_the_name_of_no_assistant_is_given_to_nobody_and_the_rest_goes_on() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut person = first.enrol("P1");
    let mut session = connect_to(&mut person, &second);
    let device = first.store.certificates().unwrap()[0].fingerprint;
    // Under the assistants' key, as it lies in every assistant's directory.
    let books = first.server().practice();
    let message = Message::new("Take twice the dose.", true, first.now(), &mut OsRandom);
    let message = message.unwrap().by("D1".parse().unwrap());
    let name = message.id().0;
    let sealed = books
        .vault
        .seal(
            column::STAFF_MESSAGE,
            &name,
            &message.encode(),
            &mut OsRandom,
        )
        .unwrap();
    let row = MessageRow {
        number: 0,
        id: name,
        kind: Kind::Broadcast,
        patient: None,
        boundary: None,
        urgent: true,
        written: message.written(),
        expires: None,
        sealed,
    };
    let devices = [(device, "P1".to_owned())];
    first.store.add_message(&row, &devices, &[]).unwrap();
    let patient = "P1".parse().unwrap();
    first.server().message(&patient, "from D1").unwrap();
    assert_eq!(session.message().text, "from D1");
    let refused = |event: &Event| match event {
        Event::Trouble(sentence) => sentence.contains("given to nobody").then_some(()),
        _ => None,
    };
    second.wait_for("the word that it is refused", refused);
    // Nor when she comes anew.
    session.leave();
    second.wait_for_members(0);
    let mut session = connect_to(&mut person, &first);
    first.server().message(&patient, "once more").unwrap();
    assert_eq!(session.message().text, "once more");
    first.wait_for("the word that it is refused", refused);
}
