//! Who asked to be let in before something was revoked, and goes on after it.

use super::administration::revoke;
use super::given::{behind_proxy, take_away};
use super::*;

/// Takes the second doctor out of the clinic, until the first one's server goes by
/// the list that says so.
fn revoke_second(first: &Practice, second: &Practice) {
    let serial = second.papers().certificate.subject().serial;
    revoke(first, "D2");
    eventually("the new list is gone by", || {
        let identity = first.server().practice().identity();
        identity.revoked.contains(&serial)
    });
}

#[test]
fn a_token_from_before_a_new_list_of_revoked_doctors_resumes_nothing() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut person = first.admit_one("P1");
    let (ticket, _) = connect_to(&mut person, &first).drop_line();
    // Not connected when the list changes: nobody tells her that she is to come back.
    first.wait_for_members(0);
    revoke_second(&first, &second);
    let mut wire = person.dial(first.address());
    assert!(person.ask_to_resume(&mut wire, ticket).is_none());
    // She learns the list with the full handshake that follows.
    let serial = second.papers().certificate.subject().serial;
    assert!(!person.doctor.revoked().contains(&serial));
    person.connect(first.address()).sync(first.now());
    assert!(person.doctor.revoked().contains(&serial));
}

#[test]
fn whoever_is_between_two_frames_when_the_list_of_revoked_doctors_changes_is_not_admitted() {
    let Some((_schema, first, second)) = two() else {
        return;
    };
    let mut people = first.admit(["P1", "P2"]);
    let (ticket, _) = connect_to(&mut people[0], &first).drop_line();
    turn_to(&mut people[1], &first);
    first.wait_for_members(0);
    let mut wires = people.each_ref().map(|person| person.dial(first.address()));
    let (resumed, _) = people[0].ask_to_resume(&mut wires[0], ticket).unwrap();
    let (full, _) = people[1].shake_hands(&mut wires[1]).unwrap();
    revoke_second(&first, &second);
    for (wire, m3) in wires.iter_mut().zip([resumed, full]) {
        wire.send(&m3);
        let answer = wire.next();
        assert!(answer.is_none(), "{answer:?}");
    }
    assert!(first.server().connected().is_empty());
    for person in &mut people {
        person.connect(first.address()).sync(first.now());
    }
}

#[test]
fn a_device_that_another_node_has_revoked_is_not_resumed_from_memory() {
    let Some(schema) = Schema::new() else { return };
    let Some((proxy, first, second)) = behind_proxy(&schema, Duration::from_secs(300)) else {
        return;
    };
    let mut people = second.admit(["P1", "P2", "P3"]);
    let tickets = [0, 1].map(|which| {
        let (ticket, _) = connect_to(&mut people[which], &second).drop_line();
        ticket
    });
    second.wait_for_members(0);
    let mut session = connect_to(&mut people[2], &second);
    let entry = |_: &_| {
        let action = telemed::audit::Action::Revoked;
        telemed::audit::Entry::new(first.now(), "D1", action, "", "")
    };
    // Whoever has heard of the later one has heard of the earlier one.
    for patient in ["P1", "P3"] {
        first.store.revoke(patient, None, &entry).unwrap();
    }
    assert_eq!(session.disconnected(), DisconnectReason::Revoked);
    take_away(&proxy, &schema, &second);
    let [revoked, good] = tickets;
    let mut wire = people[0].dial(second.address());
    assert!(people[0].ask_to_resume(&mut wire, revoked).is_none());
    // Whom nobody has revoked is let in as before.
    people[1].resume(second.address(), good, None);
}
