//! One device in two places.

use std::net::IpAddr;

use telemed::doctor::event::{Event, Replacement};

use crate::support::{Person, Practice, Session};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Connects from there, while another session of the device is alive.
fn replaces(practice: &Practice, person: &mut Person, from: IpAddr) -> (Session, Replacement) {
    person.from = Some(from);
    let mut session = person.connect(practice.address());
    session.sync(practice.now());
    let replacement = practice.wait_for("superseded", |event| match event {
        Event::Superseded(replacement) => Some(replacement.clone()),
        _ => None,
    });
    (session, replacement)
}

#[test]
fn two_copies_of_a_device_are_told_apart_from_one_that_has_moved_once() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    person.from = Some(HOME);
    let first = person.connect(practice.address());

    let (second, moved) = replaces(&practice, &mut person, AWAY);
    assert_eq!((moved.older, moved.address), (HOME, AWAY));
    assert!(moved.is_elsewhere() && !moved.maybe_copied, "{moved:?}");
    let (third, again) = replaces(&practice, &mut person, HOME);
    assert!(!again.maybe_copied, "{again:?}");
    let (_fourth, copied) = replaces(&practice, &mut person, AWAY);
    assert!(copied.maybe_copied, "{copied:?}");
    let command = "doctor revoke P1 --device ";
    assert!(copied.remedy().starts_with(command), "{}", copied.remedy());

    practice.server().settle();
    let log = practice.store.audit(1, 1_000).unwrap();
    let details = log.iter().filter(|row| row.action == "superseded");
    let details: Vec<_> = details.map(|row| &row.detail).collect();
    assert_eq!(details.len(), 3, "{details:?}");
    assert!(details[0].ends_with("from 127.0.0.2 instead of 127.0.0.1"));
    assert!(details[2].ends_with("or two copies of it are in use"));
    drop((first, second, third));
}

#[test]
fn a_device_whose_lines_are_lost_again_and_again_is_not_called_copied() {
    let practice = Practice::open();
    let mut person = practice.admit_one("P1");
    let mut session = person.connect(practice.address());
    for address in [AWAY, HOME, AWAY, HOME, AWAY] {
        session.sync(practice.now());
        // The server does not know yet that the line is dead.
        person.from = Some(address);
        let newer = person.resume(practice.address(), session.ticket(), None);
        let replacement = practice.wait_for("superseded", |event| match event {
            Event::Superseded(replacement) => Some(replacement.clone()),
            _ => None,
        });
        assert!(!replacement.maybe_copied, "{replacement:?}");
        drop(std::mem::replace(&mut session, newer));
    }
}
