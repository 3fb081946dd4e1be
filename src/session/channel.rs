//! Records: every frame of a session but the broadcast itself.
//!
//! ```text
//! body = seq 8 ‖ seal(key of the direction, AD = frame header 7 ‖ direction 1 ‖ seq 8, body)
//! ```

use std::fmt;

use crate::aes::{self, SealingKey};
use crate::codec::{Reader, Writer};
use crate::framing::Frame;
use crate::random::Random;
use crate::secret::SecretBytes;
use crate::session::{Direction, SessionKey};

/// A record that does not open, for whatever reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRecord;

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record cannot be opened")
    }
}

impl std::error::Error for BadRecord {}

/// Seals the records of one direction. Records are sealed when they are
/// written, not when they are queued, so that a dropped queue leaves no gap.
#[derive(Debug)]
pub struct Sealer {
    key: SealingKey,
    direction: Direction,
    next: u64,
}

impl Sealer {
    /// The sealer of a new session.
    #[must_use]
    pub fn new(session: &SessionKey, direction: Direction) -> Self {
        Self {
            key: session.record_key(direction),
            direction,
            next: 0,
        }
    }

    /// How many records were sealed.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.next
    }

    /// The next record.
    pub fn seal(&mut self, opcode: u8, body: &[u8], random: &mut dyn Random) -> Frame {
        let seq = self.next.to_be_bytes();
        let sub = crate::protocol::sub::NONE;
        let header = Frame::header(opcode, sub, seq.len() + aes::sealed_len(body.len()));
        let ad = [&header[..], &[self.direction.to_byte()], &seq];
        let sealed = self.key.seal(self.next, &ad, body, random);
        self.next += 1;
        Frame::new(
            opcode,
            sub,
            &Writer::new().bytes(&seq).bytes(&sealed).finish(),
        )
    }
}

/// Opens the records of one direction.
#[derive(Debug)]
pub struct Opener {
    key: SealingKey,
    direction: Direction,
    next: u64,
}

impl Opener {
    /// The opener of a new session.
    #[must_use]
    pub fn new(session: &SessionKey, direction: Direction) -> Self {
        Self {
            key: session.record_key(direction),
            direction,
            next: 0,
        }
    }

    /// How many records were opened.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.next
    }

    /// The body of the next record. A refused record changes nothing here.
    ///
    /// # Errors
    /// [`BadRecord`] for a number out of sequence, a sub-code, and everything
    /// that does not open.
    pub fn open(&mut self, frame: &Frame) -> Result<SecretBytes, BadRecord> {
        let mut reader = Reader::new(frame.body());
        let seq: [u8; 8] = reader.array().map_err(|_| BadRecord)?;
        if u64::from_be_bytes(seq) != self.next || frame.sub() != crate::protocol::sub::NONE {
            return Err(BadRecord);
        }
        let header = Frame::header(frame.opcode(), frame.sub(), frame.body().len());
        let ad = [&header[..], &[self.direction.to_byte()], &seq];
        let body = self.key.open(&ad, reader.rest()).map_err(|_| BadRecord)?;
        self.next += 1;
        Ok(body)
    }
}
