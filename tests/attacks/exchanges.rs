//! Frames of two sessions, of two patients, exchanged for each other.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use telemed::clock::Clock;
use telemed::doctor::event::Event;
use telemed::protocol::{enrol_sub, opcode, sub};

use crate::case::Scene;
use crate::device::{Device, ticket};
use crate::proxy::{Attack, Kind, Rule, down, up};
use crate::support::eventually;

const KINDS: [Kind; 14] = [
    up(opcode::KEY_VERIFICATION, sub::M1),
    down(opcode::KEY_VERIFICATION, sub::M2),
    up(opcode::KEY_VERIFICATION, sub::M3),
    down(opcode::SESSION_TOKEN, 0),
    down(opcode::GROUP_KEY, 0),
    up(opcode::DEC_MSG, 0),
    up(opcode::ACK, 0),
    up(opcode::PRIVATE, 0),
    down(opcode::PRIVATE, 0),
    down(opcode::DIRECT, 0),
    up(opcode::RECEIPT, 0),
    down(opcode::RECEIPT, 0),
    up(opcode::HEARTBEAT, 0),
    down(opcode::HEARTBEAT, 0),
];

#[test]
fn frames_of_two_sessions_cannot_be_exchanged() {
    let tampered = |kind| (kind, 0, true);
    try_exchanges(KINDS.map(tampered), None);
}

#[test]
fn a_broadcast_is_the_same_to_all_and_exchanged_for_itself() {
    try_exchanges([(down(opcode::ENC_MSG, 0), 0, false)], None);
}

#[test]
fn frames_of_two_renewals_cannot_be_exchanged() {
    let soon = Duration::from_millis(300);
    for (kind, after) in [
        (up(opcode::KEY_VERIFICATION, sub::RESUME), 0),
        (down(opcode::KEY_VERIFICATION, sub::RESUMED), 0),
        // Those of the two full handshakes come before.
        (up(opcode::KEY_VERIFICATION, sub::M3), 2),
        (down(opcode::SESSION_TOKEN, 0), 2),
    ] {
        try_exchanges([(kind, after, true)], Some(soon));
    }
}

/// Exchanges frames of these kinds, after so many that pass; each with whether
/// the patients' programs notice it.
fn try_exchanges<const N: usize>(cases: [(Kind, usize, bool); N], renewal: Option<Duration>) {
    let scene = Scene::open();
    let mut devices =
        ["P1", "P2"].map(|name| Device::enrolled(&scene.practice, &scene.proxy, name));
    for device in &mut devices {
        device.clock = Arc::clone(&scene.practice.clock) as Arc<dyn Clock>;
        if let Some(soon) = renewal {
            device.config.renewal = soon..=soon;
        }
    }
    let mut expected = [Vec::new(), Vec::new()];
    let mut written = Vec::new();
    for (number, (kind, after, noticed)) in cases.into_iter().enumerate() {
        let server = scene.practice.server();
        let missed = format!("{number}: missed");
        server.broadcast(&missed, false).unwrap();
        let attack = Attack::Exchange;
        scene.proxy.set(Rule {
            kind,
            attack,
            after,
        });
        let mut programs = devices.each_ref().map(Device::start);
        for running in &mut programs {
            running.wait_for(&missed);
        }
        let to_all = format!("{number}: to all");
        server.broadcast(&to_all, false).unwrap();
        for (place, name) in ["P1", "P2"].into_iter().enumerate() {
            let to_one = format!("{number}: to {name} alone");
            server.message(&name.parse().unwrap(), &to_one).unwrap();
            expected[place].extend([missed.clone(), to_all.clone(), to_one]);
            let text = format!("{number}: from {name}");
            programs[place].client.send(&text, None).unwrap();
            written.push((name.to_owned(), text));
        }
        for (place, running) in programs.iter_mut().enumerate() {
            running.wait_for(&to_all);
            running.confirm(&to_all);
            running.wait_for(expected[place].last().unwrap());
        }
        for running in &programs {
            running.settle();
        }
        eventually(&format!("{kind:?} exchanged"), || scene.proxy.done() == 2);
        for running in &mut programs {
            running.client.send("one more", None).unwrap();
            running.settle();
            running.leave();
            assert_eq!(
                running.complained(),
                noticed,
                "{kind:?}: {:?}",
                running.heard
            );
        }
        scene.practice.wait_for_members(0);
        for (running, mut expected) in programs.iter().zip(expected.clone()) {
            expected.sort();
            assert_eq!(running.inbox(), expected, "{kind:?}");
        }
    }
    let events = scene.practice.events();
    let mut came: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Private(peer, message) if message.text() != "one more" => {
                Some((peer.patient.to_string(), message.text().to_owned()))
            }
            _ => None,
        })
        .collect();
    came.sort();
    written.sort();
    assert_eq!(came, written);
}

#[test]
fn frames_of_two_enrolments_cannot_be_exchanged() {
    for kind in [
        up(opcode::ENROL, enrol_sub::E1),
        down(opcode::ENROL, enrol_sub::E2),
        up(opcode::ENROL, enrol_sub::E3),
        down(opcode::ENROL, enrol_sub::E4),
    ] {
        let scene = Scene::open();
        let names = ["P1", "P2"];
        let devices = names.map(Device::of);
        let tickets = names.map(|name| ticket(&scene.practice, &scene.proxy, name));
        let attack = Attack::Exchange;
        let after = 0;
        scene.proxy.set(Rule {
            kind,
            attack,
            after,
        });
        let both = || {
            thread::scope(|scope| {
                let enrolling = [0, 1].map(|at| {
                    let (device, ticket) = (&devices[at], &tickets[at]);
                    scope.spawn(move || device.enrol(ticket))
                });
                enrolling.map(|thread| thread.join().unwrap())
            })
        };
        let tampered = both();
        assert_eq!(scene.proxy.done(), 2, "{kind:?}");
        for result in &tampered {
            assert!(result.is_err(), "{kind:?}: {result:?}");
        }
        scene.proxy.calm();
        for result in both() {
            result.unwrap();
        }
        for (device, name) in devices.iter().zip(names) {
            let mut running = device.start();
            running.connected();
            let joined = |event: &Event| match event {
                Event::Joined { patient, .. } => Some(patient.patient.to_string()),
                _ => None,
            };
            assert_eq!(scene.practice.wait_for("who joined", joined), name);
            running.leave();
        }
    }
}
