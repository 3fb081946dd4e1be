//! The sending end of a session, for all threads: one lock holds the sealer
//! and the socket, so that records go out in the order of their numbers.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::framing::Frame;
use crate::protocol::opcode;
use crate::protocol::record::Disconnect;
use crate::random::OsRandom;
use crate::session::channel::Sealer;
use crate::session::signed::Parties;

/// How often a lock that another thread holds is tried.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// The sending end; nothing in it while there is no session.
#[derive(Default, Debug)]
pub(super) struct Wire(Mutex<Option<Sending>>);

/// The sending end of a session that is there.
#[derive(Debug)]
pub(super) struct Sending {
    stream: TcpStream,
    sealer: Sealer,
    /// The parties of this session, for what is signed.
    pub(super) parties: Parties,
    /// No record may be sent: the keys are being renewed.
    paused: bool,
    last_sent: Instant,
    /// A write has failed, and a part of a frame may have gone out.
    broken: bool,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Option<Sending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session begins.
    pub(super) fn open(&self, stream: TcpStream, sealer: Sealer, parties: Parties) {
        *self.lock() = Some(Sending {
            stream,
            sealer,
            parties,
            paused: false,
            last_sent: Instant::now(),
            broken: false,
        });
    }

    /// The session is over.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    /// Does something with the sending end, if records may be sent now. The
    /// lock is held meanwhile.
    pub(super) fn with(&self, work: impl FnOnce(&mut Sending)) {
        let mut wire = self.lock();
        if let Some(sending) = wire.as_mut().filter(|sending| !sending.paused) {
            work(sending);
        }
    }

    /// Sends one record, if there is a session and it is not paused.
    pub(super) fn record(&self, opcode: u8, body: &[u8]) {
        self.with(|sending| sending.record(opcode, body));
    }

    /// Sends a frame of the renewal; records wait from here on.
    pub(super) fn pause(&self, frame: &Frame) {
        if let Some(sending) = self.lock().as_mut() {
            sending.paused = true;
            sending.write(frame);
        }
    }

    /// Goes on under new keys.
    pub(super) fn renew(&self, sealer: Sealer) {
        if let Some(sending) = self.lock().as_mut() {
            sending.sealer = sealer;
            sending.paused = false;
        }
    }

    /// When something was last sent; none while nothing may be.
    pub(super) fn last_sent(&self) -> Option<Instant> {
        let wire = self.lock();
        let sending = wire.as_ref().filter(|sending| !sending.paused)?;
        Some(sending.last_sent)
    }

    /// How many records went out under these keys.
    pub(super) fn count(&self) -> u64 {
        self.lock()
            .as_ref()
            .map_or(0, |sending| sending.sealer.count())
    }

    /// Says the last word and closes the sending half. Another thread may be
    /// stuck in a write: gives up after `patience`. Says whether there was a
    /// session to be ended.
    pub(super) fn goodbye(&self, last_word: Disconnect, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut wire = loop {
            match self.0.try_lock() {
                Ok(wire) => break wire,
                Err(TryLockError::Poisoned(wire)) => break wire.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(TRY_EVERY),
                Err(TryLockError::WouldBlock) => return false,
            }
        };
        let Some(mut sending) = wire.take() else {
            return false;
        };
        if !sending.paused {
            sending.record(opcode::DISCONNECT, &last_word.encode());
        }
        // It may be gone already.
        let _ = sending.stream.shutdown(Shutdown::Write);
        true
    }
}

impl Sending {
    /// Seals and sends a record.
    pub(super) fn record(&mut self, opcode: u8, body: &[u8]) {
        let frame = self.sealer.seal(opcode, body, &mut OsRandom);
        self.write(&frame);
    }

    /// After a failure nothing more is sent, and the reading thread is woken:
    /// it finds out and reports what happened.
    fn write(&mut self, frame: &Frame) {
        if self.broken {
            return;
        }
        self.last_sent = Instant::now();
        if self.stream.write_all(frame.as_bytes()).is_err() {
            self.broken = true;
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}
