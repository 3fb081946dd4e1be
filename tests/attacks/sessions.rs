//! Every frame of a full handshake and of the session after it.

use telemed::patient::event::Stopped;
use telemed::protocol::{DisconnectReason, opcode, sub};

use crate::case::{Scene, Story, try_all};
use crate::proxy::{Attack, Kind, Rule, Way, down, up};
use crate::support::eventually;

const KINDS: [Kind; 17] = [
    up(opcode::KEY_VERIFICATION, sub::M1),
    down(opcode::KEY_VERIFICATION, sub::M2),
    up(opcode::KEY_VERIFICATION, sub::M3),
    down(opcode::SESSION_TOKEN, 0),
    down(opcode::GROUP_KEY, 0),
    down(opcode::ENC_MSG, 0),
    down(opcode::DIRECT, 0),
    up(opcode::DEC_MSG, 0),
    up(opcode::ACK, 0),
    up(opcode::PRIVATE, 0),
    down(opcode::PRIVATE, 0),
    up(opcode::RECEIPT, 0),
    down(opcode::RECEIPT, 0),
    up(opcode::HEARTBEAT, 0),
    down(opcode::HEARTBEAT, 0),
    up(opcode::DISCONNECT, 0),
    down(opcode::DISCONNECT, 0),
];

#[test]
fn no_frame_of_a_session_can_be_tampered_with_unnoticed() {
    try_all(&KINDS, || Story::begin(Scene::open()), session);
}

fn session(story: &mut Story, rule: Rule) {
    story.doctor_complained();
    // What is said before she comes is given to her alone.
    let missed = (rule.kind.opcode == opcode::DIRECT).then(|| story.broadcast());
    story.scene.proxy.set(rule);
    let mut running = story.device.start();
    if let Some(missed) = missed {
        running.wait_for(&missed);
    }
    let last_word = rule.kind.opcode == opcode::DISCONNECT;
    // A session may have ended before there was such a frame in it.
    for _ in 0..5 {
        story.talk(&mut running);
        if last_word || story.scene.proxy.done() > 0 {
            break;
        }
    }
    if last_word && rule.kind.way == Way::Down {
        end_by_doctor(story, &mut running);
    } else {
        if !last_word {
            eventually(&format!("{rule:?}"), || story.scene.proxy.done() > 0);
            // What comes after it may be what shows it.
            story.whisper(&mut running);
        }
        running.leave();
    }
    story.scene.practice.wait_for_members(0);
    assert_eq!(story.scene.proxy.done(), 1, "{rule:?}");
    story.check(&running);
    let said = (running.complained(), story.doctor_complained());
    assert!(
        is_expected(rule, said),
        "{rule:?}: {said:?}, {:?}",
        running.heard
    );
    drop(running);
    // Otherwise it was in this session, or the one after it, that all arrived.
    if last_word {
        story.honest_session();
    }
}

/// The doctor ends the session; if her word does not arrive as it was said,
/// the patient comes back.
fn end_by_doctor(story: &mut Story, running: &mut crate::device::Running) {
    story.sent_away = story.scene.practice.server().disconnect_all();
    let client = &running.client;
    eventually("an end or a new session", || {
        let is_back = story.scene.practice.server().connected().len() == 1;
        !client.is_running() || (is_back && story.scene.proxy.done() > 0 && client.is_connected())
    });
    running.client.leave();
    let stopped = running.end();
    assert!(
        matches!(
            stopped,
            Stopped::Asked | Stopped::Ended(DisconnectReason::EndedByDoctor)
        ),
        "{stopped}"
    );
}

/// Whether it is right that the patient, and the doctor, were told that
/// something went wrong.
fn is_expected(rule: Rule, (patient, doctor): (bool, bool)) -> bool {
    let Rule { kind, attack, .. } = rule;
    let in_session = kind.is_in_session();
    let last_word = kind.opcode == opcode::DISCONNECT;
    match attack {
        Attack::Delay => !patient && !doctor,
        // Nothing follows a last word, so that nothing overtakes it.
        Attack::Repeat | Attack::Reorder if last_word => !patient && !doctor,
        // Who ends a session knows that it has ended.
        _ if last_word && kind.way == Way::Up => !patient && doctor,
        _ if last_word => patient && !doctor,
        // Nothing counts records and broadcasts together: where one overtakes
        // the other, nothing has happened that is worth a word.
        Attack::Reorder if in_session && kind.way == Way::Down => patient || !doctor,
        _ if in_session => patient && doctor,
        // The doctor is not told of a stranger who says nothing, or only the
        // half of something.
        Attack::Drop | Attack::Reorder | Attack::Cut | Attack::Reflect | Attack::FlipLength => {
            patient
        }
        _ => patient && (doctor || kind.way == Way::Down),
    }
}
