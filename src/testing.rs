//! What the tests of several modules share: a clinic, patients, a doctor's
//! node and whole sessions, all in memory and at a time that stands still.

mod clinic;
mod node;
mod pair;
mod random;
mod redaction;
mod registry;

pub(crate) use clinic::{
    Clinic, NOW, at, clinic, copy_of, copy_of_kem, known, patient_of, patient_subject,
    patient_with, prekey_with,
};
pub(crate) use node::{Node, TOLERANCE, answered, reply};
pub(crate) use pair::{Pair, handshaken_pair};
pub(crate) use random::{Recorded, Repeating};

use crate::framing::{Frame, HEADER_LEN};

/// The same frame with another body; its length is right for it.
pub(crate) fn with_body(frame: &Frame, body: &[u8]) -> Frame {
    Frame::new(frame.opcode(), frame.sub(), body)
}

/// Everything that is `frame` but for one damage: one bit flipped in each of
/// its bytes behind the version (in every `step`th of the body, to save time,
/// but in all of its first 64 and last 64), a byte less and a byte more.
pub(crate) fn damaged(frame: &Frame, step: usize) -> Vec<Frame> {
    let (opcode, sub, body) = (frame.opcode(), frame.sub(), frame.body());
    let mut frames = Vec::new();
    for bit in 0..8 {
        frames.push(Frame::new(opcode ^ (1 << bit), sub, body));
        frames.push(Frame::new(opcode, sub ^ (1 << bit), body));
    }
    for position in 0..body.len() {
        let is_at_an_end = position < 64 || position + 64 >= body.len();
        if is_at_an_end || position % step == 0 {
            let mut changed = body.to_vec();
            changed[position] ^= 1 << (position % 8);
            frames.push(with_body(frame, &changed));
        }
    }
    if let Some((_, shorter)) = body.split_last() {
        frames.push(with_body(frame, shorter));
    }
    frames.push(with_body(frame, &[body, &[0]].concat()));
    frames
}

/// `frame` from its first byte to `len` bytes into its body.
pub(crate) fn prefix(frame: &Frame, len: usize) -> &[u8] {
    &frame.as_bytes()[..HEADER_LEN + len]
}
