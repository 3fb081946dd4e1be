//! Every frame of an enrolment.

use std::sync::Arc;
use std::time::Duration;

use telemed::clock::Clock;
use telemed::handshake::patient::HandshakeError;
use telemed::patient::enrol::{EnrolError, Enrolled};
use telemed::protocol::{AlertCode, enrol_sub, opcode, sub};

use crate::case::{Scene, try_all};
use crate::device::{Device, ticket};
use crate::proxy::{Attack, Kind, Rule, down, up};

const KINDS: [Kind; 6] = [
    up(opcode::KEY_VERIFICATION, sub::CERT_REQUEST),
    down(opcode::KEY_VERIFICATION, sub::CERT),
    up(opcode::ENROL, enrol_sub::E1),
    down(opcode::ENROL, enrol_sub::E2),
    up(opcode::ENROL, enrol_sub::E3),
    down(opcode::ENROL, enrol_sub::E4),
];

#[test]
fn no_frame_of_an_enrolment_can_be_tampered_with() {
    try_all(&KINDS, Scene::open, enrolment);
}

fn enrolment(scene: &mut Scene, rule: Rule) {
    let mut device = Device::of("P1");
    device.clock = Arc::clone(&scene.practice.clock) as Arc<dyn Clock>;
    let ticket = ticket(&scene.practice, &scene.proxy, "P1");
    scene.proxy.set(rule);
    let first = device.enrol(&ticket);
    assert_eq!(scene.proxy.done(), 1, "{rule:?}");
    let done = [
        up(opcode::ENROL, enrol_sub::E3),
        down(opcode::ENROL, enrol_sub::E4),
    ];
    let is_harmless = match rule.attack {
        Attack::Delay => true,
        // What comes when all is said changes nothing.
        Attack::Repeat => done.contains(&rule.kind),
        Attack::Reorder => rule.kind == done[1],
        // There is no body to be shortened or replaced.
        Attack::Splice | Attack::Shorten => rule.kind == KINDS[0],
        _ => false,
    };
    match &first {
        Ok(Enrolled::Now { .. }) => assert!(is_harmless, "{rule:?}: enrolled"),
        Ok(Enrolled::Before) => panic!("{rule:?}: before?"),
        Err(error) => {
            assert!(!is_harmless, "{rule:?}: {error}");
            assert!(!error.to_string().is_empty());
            assert_eq!(device.files().enrolled_with().unwrap(), None);
        }
    }
    // The same ticket and the same device: one certificate, and it works.
    device.enrol(&ticket).unwrap();
    let certificates = scene.practice.store.certificates().unwrap();
    let of_ticket = certificates
        .iter()
        .filter(|row| row.ticket == Some(ticket.id));
    assert_eq!(of_ticket.count(), 1, "{rule:?}");
    let mut running = device.start();
    running.connected();
    running.leave();
    scene.practice.wait_for_members(0);
}

#[test]
fn no_refusal_of_a_ticket_can_be_tampered_with() {
    let kinds = [down(opcode::ENROL, enrol_sub::REFUSED)];
    try_all(&kinds, Scene::open, |scene, rule| {
        // The ticket has ended by the doctor's clock, and not yet by the patient's.
        let mut late = ticket(&scene.practice, &scene.proxy, "P1");
        scene.practice.clock.advance(Duration::from_secs(25 * 3600));
        late.expires = late.expires.plus(Duration::from_secs(3600 * 24 * 30));
        let mut device = Device::of("P1");
        device.clock = Arc::clone(&scene.practice.clock) as Arc<dyn Clock>;
        scene.proxy.set(rule);
        let tampered = device.enrol(&late).unwrap_err();
        assert_eq!(scene.proxy.done(), 1, "{rule:?}");
        let is_harmless = matches!(
            rule.attack,
            Attack::Delay | Attack::Repeat | Attack::Reorder
        );
        assert_eq!(has_expired(&tampered), is_harmless, "{rule:?}: {tampered}");
        let refused = device.enrol(&late).unwrap_err();
        assert!(has_expired(&refused), "{rule:?}: {refused}");
        // Another ticket lets the patient in.
        device = Device::of("P1");
        device.clock = Arc::clone(&scene.practice.clock) as Arc<dyn Clock>;
        let good = ticket(&scene.practice, &scene.proxy, "P1");
        device.enrol(&good).unwrap();
        let mut running = device.start();
        running.connected();
        running.leave();
        scene.practice.wait_for_members(0);
    });
}

const fn has_expired(error: &EnrolError) -> bool {
    matches!(
        error,
        EnrolError::Handshake(HandshakeError::Refused {
            code: AlertCode::TicketExpired,
            ..
        })
    )
}
