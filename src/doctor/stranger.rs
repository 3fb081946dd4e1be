//! Somebody who has proved nothing yet: the handshake's frames, within its time
//! and within what the gate allows.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::deadline::UntilDeadline;
use crate::doctor::gate::{Leave, Place};
use crate::doctor::shared::Shared;
use crate::framing::{Frame, FrameError, FrameReader, MAX_LEN_BEFORE_SESSION};
use crate::handshake::doctor::{
    Established, ExpectFirst, ExpectProof, Refusal, RefusalReason, Step,
};
use crate::handshake::enrol::Enrolled;
use crate::protocol::opcode::{ENROL, KEY_VERIFICATION};
use crate::protocol::{enrol_sub, sub};
use crate::random::OsRandom;

/// Sends a frame of the handshake.
pub(super) fn send(shared: &Shared, mut stream: &TcpStream, frame: &Frame) -> io::Result<()> {
    stream.set_write_timeout(Some(shared.settings.timing.handshake))?;
    stream.write_all(frame.as_bytes())
}

/// How a stranger's connection went well.
pub(super) enum Outcome {
    /// A patient is there.
    Established(Box<Established>),
    /// A patient has enrolled.
    Enrolled(Enrolled),
    /// Nobody is there any more, and nothing was proved.
    Gone,
}

/// Somebody who has proved nothing yet.
pub(super) struct Stranger<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    reader: FrameReader,
    deadline: Instant,
    place: &'a Place,
    /// Whether the address has paid for a first message on this connection.
    spent: bool,
}

impl<'a> Stranger<'a> {
    /// A connection that was just accepted.
    pub(super) fn new(shared: &'a Shared, stream: &'a TcpStream, place: &'a Place) -> Self {
        Self {
            shared,
            stream,
            reader: FrameReader::new(MAX_LEN_BEFORE_SESSION),
            deadline: Instant::now() + shared.settings.timing.handshake,
            place,
            spent: false,
        }
    }

    /// Whether a first message was looked at: what is wrong then has cost
    /// something.
    pub(super) const fn has_spent(&self) -> bool {
        self.spent
    }

    /// What has come after the handshake's last frame, for the session.
    pub(super) fn into_reader(self) -> FrameReader {
        self.reader
    }

    /// The next frame; none if the line or the time has ended.
    fn frame(&mut self) -> Result<Option<Frame>, Refusal> {
        let mut source = UntilDeadline::new(self.stream, self.deadline);
        match self.reader.read_frame(&mut source) {
            Ok(frame) => Ok(Some(frame)),
            Err(FrameError::Closed | FrameError::Truncated | FrameError::Io(_)) => Ok(None),
            Err(_) => Err(RefusalReason::Unexpected.into()),
        }
    }

    fn send(&self, frame: &Frame) -> Result<(), Refusal> {
        // Whoever does not read the answer is gone: the next read tells.
        let _ = send(self.shared, self.stream, frame);
        Ok(())
    }

    /// Goes through the handshake or the enrolment.
    pub(super) fn handshake(&mut self) -> Result<Outcome, Refusal> {
        let mut state = ExpectFirst::default();
        loop {
            let Some(frame) = self.frame()? else {
                return Ok(Outcome::Gone);
            };
            let Some(step) = self.first(state, &frame)? else {
                return Ok(Outcome::Gone);
            };
            match step {
                Step::Reply(answer, next) => {
                    self.send(&answer)?;
                    state = next;
                }
                Step::Answered(answer, next) => {
                    self.send(&answer)?;
                    return self.proof(*next);
                }
                Step::Enrolling(answer, next) => {
                    self.send(&answer)?;
                    let Some(frame) = self.frame()? else {
                        return Ok(Outcome::Gone);
                    };
                    let (done, enrolled) = next.on_frame(&self.shared.tables, &frame)?;
                    self.send(&done)?;
                    return Ok(Outcome::Enrolled(enrolled));
                }
            }
        }
    }

    /// Takes a first message, if the address may still send one and a processor
    /// is free in time; none if not.
    fn first(&mut self, state: ExpectFirst, frame: &Frame) -> Result<Option<Step>, Refusal> {
        let costs = matches!(
            (frame.opcode(), frame.sub()),
            (KEY_VERIFICATION, sub::M1 | sub::RESUME) | (ENROL, enrol_sub::E1)
        );
        if costs && !self.spent {
            let leave = self.place.spend(Instant::now());
            // Whoever enrols is not known yet.
            let is_stranger = leave == Leave::IfKnown && frame.opcode() == ENROL;
            if is_stranger {
                self.place.refused(Instant::now());
            }
            if is_stranger || leave == Leave::Stop {
                self.shared.turned_away();
                return Ok(None);
            }
            self.spent = true;
        }
        let _permit = if costs {
            let Some(permit) = self.shared.gate.work(self.deadline) else {
                // It was never looked at.
                self.place.refund(Instant::now());
                self.shared.turned_away();
                return Ok(None);
            };
            Some(permit)
        } else {
            None
        };
        let identity = self.shared.identity();
        let context = self.shared.context(&identity);
        state.on_frame(&context, frame, &mut OsRandom).map(Some)
    }

    fn proof(&mut self, state: ExpectProof) -> Result<Outcome, Refusal> {
        // What follows M3 may be a session's frame already.
        let Some(frame) = self.frame()? else {
            return Ok(Outcome::Gone);
        };
        let established = state.on_frame(&frame)?;
        Ok(Outcome::Established(Box::new(established)))
    }
}
