//! What the tests of several modules share: a clinic, patients, a doctor's
//! node and whole sessions, all in memory and at a time that stands still.

mod clinic;
mod node;
mod random;
mod registry;

pub(crate) use clinic::{
    Clinic, NOW, at, clinic, copy_of, copy_of_kem, known, patient_of, patient_subject,
    patient_with, prekey_with,
};
pub(crate) use node::{Node, TOLERANCE, answered, reply};
pub(crate) use random::Recorded;

use crate::framing::{Frame, HEADER_LEN};

/// The same frame with another body; its length is right for it.
pub(crate) fn with_body(frame: &Frame, body: &[u8]) -> Frame {
    Frame::new(frame.opcode(), frame.sub(), body)
}

/// `frame` from its first byte to `len` bytes into its body.
pub(crate) fn prefix(frame: &Frame, len: usize) -> &[u8] {
    &frame.as_bytes()[..HEADER_LEN + len]
}
