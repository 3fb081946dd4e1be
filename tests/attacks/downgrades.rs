//! A lower version, another suite, another group: nobody who changes what is
//! in the clear brings a patient to speak anything else.

use std::sync::Arc;

use telemed::clock::Clock;
use telemed::elgamal::Group;
use telemed::framing::HEADER_LEN;
use telemed::protocol::{enrol_sub, opcode, sub};

use crate::case::{Scene, Story};
use crate::device::{Device, ticket};
use crate::proxy::{Edit, Kind, Way, down, up, with_body};

const M1: Kind = up(opcode::KEY_VERIFICATION, sub::M1);
const E1: Kind = up(opcode::ENROL, enrol_sub::E1);

/// Sets one byte of a frame.
fn with_byte(at: usize, value: u8) -> Edit {
    Box::new(move |frame| {
        let mut frame = frame.to_vec();
        assert_ne!(frame[at], value);
        frame[at] = value;
        frame
    })
}

/// Version and suite of every frame that names them.
fn spoken(scene: &Scene) -> Vec<(u8, Option<[u8; 2]>)> {
    let seen = scene.proxy.seen();
    let up = seen.iter().filter(|seen| seen.kind.way == Way::Up);
    let spoken = up.map(|seen| {
        let names_suite = seen.kind == M1 || seen.kind == E1;
        let suite = names_suite.then(|| [seen.bytes[HEADER_LEN], seen.bytes[HEADER_LEN + 1]]);
        (seen.bytes[4], suite)
    });
    spoken.collect()
}

#[test]
fn no_answer_brings_a_patient_to_another_version_or_suite() {
    let mut story = Story::begin(Scene::open());
    for (kind, at, value) in [
        (M1, 4, 0),
        (M1, 4, 2),
        (M1, HEADER_LEN + 1, 0),
        (M1, HEADER_LEN + 1, 2),
        (down(opcode::KEY_VERIFICATION, sub::M2), 4, 0),
    ] {
        story.scene.proxy.set_edit(kind, with_byte(at, value));
        let mut running = story.device.start();
        running.connected();
        assert!(running.complained(), "{kind:?}");
        running.leave();
    }
    for (at, value) in [(4, 0), (HEADER_LEN + 1, 0), (HEADER_LEN + 1, 2)] {
        let scene = &story.scene;
        let ticket = ticket(&scene.practice, &scene.proxy, "P2");
        let device = Device::of("P2");
        scene.proxy.set_edit(E1, with_byte(at, value));
        device.enrol(&ticket).unwrap_err();
        device.enrol(&ticket).unwrap();
    }
    for (version, suite) in spoken(&story.scene) {
        assert_eq!(version, 1);
        assert!(matches!(suite, None | Some([0, 1])), "{suite:?}");
    }
    story.honest_session();
}

/// Where the group's identifier stands in a root certificate.
const GROUP_ID: std::ops::Range<usize> = 98..130;

/// CERT with the group `named` in the root, and with `prime` as the group's.
fn other_group(named: Option<[u8; 32]>, prime: Vec<u8>) -> Edit {
    Box::new(move |frame| {
        let mut body = frame[HEADER_LEN..].to_vec();
        if let Some(named) = named {
            // The root comes first, behind its length.
            body[2 + GROUP_ID.start..2 + GROUP_ID.end].copy_from_slice(&named);
        }
        // No prime is the default: nothing follows the length.
        let end = body.len() - 2;
        assert_eq!(body[end..], [0, 0]);
        body.truncate(end);
        body.extend_from_slice(&u16::try_from(prime.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&prime);
        with_body(frame, &body)
    })
}

#[test]
fn a_group_put_into_the_doctors_papers_is_not_believed() {
    let scene = Scene::open();
    let other = Group::ffdhe3072();
    let prime = other.modulus_bytes().to_vec();
    let mut smooth = Group::ffdhe2048().modulus_bytes().to_vec();
    smooth[100] ^= 1;
    let cert = down(opcode::KEY_VERIFICATION, sub::CERT);
    for edit in [
        other_group(None, prime.clone()),
        other_group(Some(*other.id()), Vec::new()),
        other_group(Some(*other.id()), prime),
        other_group(None, smooth),
    ] {
        let mut device = Device::of("P1");
        device.clock = Arc::clone(&scene.practice.clock) as Arc<dyn Clock>;
        let ticket = ticket(&scene.practice, &scene.proxy, "P1");
        let before = scene.proxy.seen().len();
        scene.proxy.set_edit(cert, edit);
        device.enrol(&ticket).unwrap_err();
        assert_eq!(scene.proxy.done(), 1);
        // Nothing was said to whoever showed that.
        let seen = scene.proxy.seen();
        assert!(!seen[before..].iter().any(|seen| seen.kind == E1));
        device.enrol(&ticket).unwrap();
    }
}
