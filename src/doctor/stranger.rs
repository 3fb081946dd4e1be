//! Somebody who has proved nothing yet: the handshake's frames, within its time
//! and within what the gate allows.

use std::io::{self, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Instant;

use crate::deadline::UntilDeadline;
use crate::doctor::gate::{Knocker, Place};
use crate::doctor::shared::Shared;
use crate::framing::{Frame, FrameError, FrameReader, MAX_LEN_BEFORE_SESSION};
use crate::handshake::doctor::{
    Established, ExpectFirst, ExpectProof, Refusal, RefusalReason, Step,
};
use crate::handshake::enrol::Enrolled;
use crate::handshake::resume;
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
    /// A patient is there, whose first message was answered at this time.
    Established(Box<Established>, Instant),
    /// A patient has enrolled.
    Enrolled(Enrolled),
    /// Nobody is there any more, and nothing was proved.
    Gone,
}

/// What became of the price of a frame.
enum Payment {
    /// It was paid, now or before.
    Made,
    /// There is none but the connection.
    Needless,
    /// It is no request to resume, though it says so.
    Malformed,
    /// The address cannot pay it.
    Refused,
}

/// Somebody who has proved nothing yet.
pub(super) struct Stranger<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    reader: FrameReader,
    deadline: Instant,
    address: IpAddr,
    place: &'a Place,
    /// Whether a first message was looked at that costs something, or a request
    /// to resume that is none.
    heard: bool,
    /// Whether nothing else came than what costs and proves nothing, or what was
    /// not looked at.
    was_idle: bool,
}

impl<'a> Stranger<'a> {
    /// A connection that was just accepted.
    pub(super) fn new(
        shared: &'a Shared,
        stream: &'a TcpStream,
        address: IpAddr,
        place: &'a Place,
    ) -> Self {
        Self {
            shared,
            stream,
            reader: FrameReader::new(MAX_LEN_BEFORE_SESSION),
            deadline: Instant::now() + shared.settings.timing.handshake,
            address,
            place,
            heard: false,
            was_idle: false,
        }
    }

    /// Whether a first message was looked at: what is wrong then has cost
    /// something.
    pub(super) const fn was_heard(&self) -> bool {
        self.heard
    }

    /// Whether it is to be counted with those who were turned away.
    pub(super) const fn was_idle(&self) -> bool {
        self.was_idle
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
            Err(_) => {
                self.place.take_connection(Instant::now());
                Err(RefusalReason::Unexpected.into())
            }
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
                    let answered = Instant::now();
                    self.send(&answer)?;
                    return self.proof(*next, answered);
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
        let _permit = match self.pay(frame) {
            Payment::Refused => {
                self.was_idle = true;
                return Ok(None);
            }
            Payment::Needless => {
                self.was_idle = true;
                self.place.take_connection(Instant::now());
                None
            }
            Payment::Malformed => {
                self.heard = true;
                return Err(RefusalReason::Unexpected.into());
            }
            Payment::Made => {
                let Some(permit) = self.shared.gate.work(self.deadline) else {
                    // It was never looked at.
                    self.place.refund(Instant::now());
                    self.was_idle = true;
                    return Ok(None);
                };
                self.heard = true;
                self.was_idle = false;
                Some(permit)
            }
        };
        let identity = self.shared.identity();
        let context = self.shared.context(&identity, self.address);
        state.on_frame(&context, frame, &mut OsRandom).map(Some)
    }

    /// Has the address pay for a first message, once a connection. Whoever proves
    /// a token with a request to resume is a patient, and heard whatever others
    /// did at the same address. One that proves nothing costs next to nothing,
    /// as everything else: that pays with the connection.
    fn pay(&self, frame: &Frame) -> Payment {
        let now = Instant::now();
        let knocker = match (frame.opcode(), frame.sub()) {
            (KEY_VERIFICATION, sub::M1) => Knocker::Patient,
            (ENROL, enrol_sub::E1) => Knocker::Newcomer,
            (KEY_VERIFICATION, sub::RESUME) => {
                let identity = self.shared.identity();
                return match resume::is_proved(&self.shared.tables, identity.group(), frame) {
                    Err(_) => Payment::Malformed,
                    Ok(false) => Payment::Needless,
                    Ok(true) => {
                        self.place.charge(now);
                        Payment::Made
                    }
                };
            }
            _ => return Payment::Needless,
        };
        if self.place.has_paid() || self.place.spend(knocker, now) {
            Payment::Made
        } else {
            Payment::Refused
        }
    }

    fn proof(&mut self, state: ExpectProof, answered: Instant) -> Result<Outcome, Refusal> {
        // What follows M3 may be a session's frame already.
        let Some(frame) = self.frame()? else {
            return Ok(Outcome::Gone);
        };
        let established = state.on_frame(&frame)?;
        Ok(Outcome::Established(Box::new(established), answered))
    }
}
