//! Who can open what, as patients come and go.

use telemed::doctor::event::{Departure, Event};
use telemed::protocol::opcode;

use crate::support::{Got, Practice, Session};

/// The number a broadcast carries.
fn number_of(session: &Session) -> u64 {
    let frame = session.last_broadcast();
    u64::from_be_bytes(frame.body()[24..32].try_into().unwrap())
}

fn wait_for_departure(practice: &Practice, who: &str, how: Departure) {
    practice.wait_for("left", |event| match event {
        Event::Left(name, departure) => (name.as_str() == who && *departure == how).then_some(()),
        _ => None,
    });
}

#[test]
fn who_leaves_can_open_nothing_that_is_sent_afterwards() {
    for politely in [true, false] {
        let practice = Practice::open();
        let mut sessions = practice
            .admit(["P1", "P2", "P3"])
            .map(|mut person| person.connect(practice.address()));
        let before = sessions.each_mut().map(|session| session.epoch_of(3).epoch);
        practice.server().broadcast("to three", false).unwrap();
        for session in &mut sessions {
            assert_eq!(session.message().text, "to three");
        }
        let [mut one, mut two, mut leaver] = sessions;
        let to_three = one.last_broadcast();
        if politely {
            leaver.leave();
            leaver.wire.expect_closed();
            wait_for_departure(&practice, "P3", Departure::Asked);
        } else {
            leaver.wire.cut();
            wait_for_departure(&practice, "P3", Departure::Lost);
        }
        // Nobody has to write for the key to change.
        for session in [&mut one, &mut two] {
            session.until("a later key", |got| match got {
                Got::Epoch(epoch) => (epoch.devices == 2 && epoch.epoch > before[0]).then_some(()),
                _ => None,
            });
        }
        let sent = practice.server().broadcast("to two", false).unwrap();
        assert_eq!((sent.devices, sent.away), (2, 1));
        for session in [&mut one, &mut two] {
            assert_eq!(session.message().text, "to two");
        }
        let to_two = one.last_broadcast();
        assert!(one.group_keys.open(&to_two).is_some());
        assert!(leaver.group_keys.open(&to_three).is_some());
        assert!(leaver.group_keys.open(&to_two).is_none());
        assert!(leaver.end.on_frame(&to_two).is_err());
    }
}

#[test]
fn who_joins_can_open_nothing_that_was_sent_before() {
    let practice = Practice::open();
    let [mut early, mut late] = practice.admit(["P1", "P2"]);
    let mut first = early.connect(practice.address());
    first.epoch_of(1);
    practice.server().broadcast("before", false).unwrap();
    first.message();
    let before = first.last_broadcast();
    let mut second = late.connect(practice.address());
    second.epoch_of(2);
    first.epoch_of(2);
    practice.server().broadcast("after", false).unwrap();
    second.until("the second broadcast", |got| match got {
        Got::Message(arrived) => (arrived.text == "after").then_some(()),
        _ => None,
    });
    let after = second.last_broadcast();
    assert!(second.group_keys.open(&after).is_some());
    assert!(first.group_keys.open(&before).is_some());
    assert!(second.group_keys.open(&before).is_none());
}

#[test]
fn a_broadcast_right_after_a_departure_goes_out_under_a_new_key() {
    let practice = Practice::open();
    let mut sessions = practice
        .admit(["P1", "P2"])
        .map(|mut person| person.connect(practice.address()));
    let before = sessions.each_mut().map(|session| session.epoch_of(2).epoch);
    let [mut stays, mut leaves] = sessions;
    leaves.leave();
    practice.wait_for_members(1);
    // The eager rekey is a quarter of a second away.
    let sent = practice.server().broadcast("at once", false).unwrap();
    assert_eq!(sent.devices, 1);
    assert!(sent.epoch > before[0]);
    stays.message();
    let opcodes: Vec<u8> = stays
        .wire
        .received
        .iter()
        .rev()
        .map(telemed::framing::Frame::opcode)
        .take(2)
        .collect();
    assert_eq!(opcodes, [opcode::ENC_MSG, opcode::GROUP_KEY]);
    assert!(leaves.group_keys.open(&stays.last_broadcast()).is_none());
}

#[test]
fn a_broadcast_to_nobody_takes_no_number() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    practice.server().broadcast("nobody there", false).unwrap();
    let mut session = person.connect(practice.address());
    assert_eq!(session.message().text, "nobody there");
    session.epoch();
    practice
        .server()
        .broadcast("somebody there", false)
        .unwrap();
    assert_eq!(session.message().text, "somebody there");
    assert_eq!(number_of(&session), 1);
}

#[test]
fn a_group_that_does_not_change_keeps_its_key() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    let epoch = session.epoch().epoch;
    for number in 1..=3 {
        let sent = practice.server().broadcast("again", false).unwrap();
        assert_eq!(sent.epoch, epoch);
        session.message();
        assert_eq!(number_of(&session), number);
    }
    let keys = session
        .wire
        .received
        .iter()
        .filter(|frame| frame.opcode() == opcode::GROUP_KEY);
    assert_eq!(keys.count(), 1);
}
