//! What somebody learns who only listens.

use telemed::patient::event::Event;
use telemed::protocol::{enrol_sub, opcode, sub};

use crate::case::{Scene, impatient};
use crate::device::{Device, ticket};
use crate::proxy::{Kind, Seen, down, up};
use crate::support::holds;

/// The kinds of frames that hold `secret`.
fn showing(seen: &[Seen], secret: &[u8]) -> Vec<Kind> {
    let showing = seen.iter().filter(|seen| holds(&seen.bytes, secret));
    showing.map(|seen| seen.kind).collect()
}

#[test]
fn recorded_traffic_shows_no_patient_no_certificate_and_no_text() {
    let scene = Scene::with(impatient());
    let name = "anna.k-1974";
    let device = Device::of(name);
    let ticket = ticket(&scene.practice, &scene.proxy, name);
    device.enrol(&ticket).unwrap();
    let server = scene.practice.server();
    let texts = [
        "missed while away",
        "said to everyone",
        "for her alone",
        "what she writes",
    ];
    server.broadcast(texts[0], true).unwrap();
    let mut running = device.start();
    running.wait_for(texts[0]);
    server.broadcast(texts[1], false).unwrap();
    server.message(&name.parse().unwrap(), texts[2]).unwrap();
    running.client.send(texts[3], None).unwrap();
    for text in &texts[..3] {
        running.wait_for(text);
        running.confirm(text);
    }
    running.settle();
    // Once more, by the token.
    scene.proxy.cut();
    running.until("the loss", |event| {
        matches!(event, Event::ConnectionLost(_))
    });
    running.connected();
    running.leave();
    scene.practice.wait_for_members(0);

    let seen = scene.proxy.seen();
    assert!(seen.len() > 20, "too little was recorded to say anything");
    for text in texts {
        assert_eq!(showing(&seen, text.as_bytes()), [], "{text}");
    }
    assert_eq!(showing(&seen, name.as_bytes()), []);
    let row = &scene.practice.store.certificates().unwrap()[0];
    assert_eq!(row.subject, name);
    // Any piece of the certificate that is hers would give her away; version,
    // clinic, issuer, group and dates are not.
    let signing_key = &row.bytes[146..146 + 256];
    let encryption_key = &row.bytes[146 + 256..146 + 512];
    let signature = &row.bytes[146 + 512..];
    for (what, secret) in [
        ("serial", &row.bytes[1..17]),
        ("signing key", signing_key),
        ("encryption key", encryption_key),
        ("signature", signature),
        ("fingerprint", &row.fingerprint[..]),
        ("ticket's secret", ticket.secret.expose()),
    ] {
        assert_eq!(showing(&seen, secret), [], "{what}");
    }
    // What the threat model says shows: with which ticket somebody enrols, and
    // the doctor's public papers where a newcomer asks for them.
    assert_eq!(
        showing(&seen, &ticket.id),
        [up(opcode::ENROL, enrol_sub::E1)]
    );
    let doctor = scene.practice.papers().certificate;
    let cert = down(opcode::KEY_VERIFICATION, sub::CERT);
    assert_eq!(showing(&seen, doctor.as_bytes()), [cert]);
    let mut field = [0; 32];
    field[..2].copy_from_slice(b"D1");
    assert_eq!(showing(&seen, &field), [cert]);
    // Nobody can tell from it who comes: the doctor's papers come once, to
    // somebody who has no name yet.
    assert_eq!(seen.iter().filter(|seen| seen.kind == cert).count(), 1);
}
