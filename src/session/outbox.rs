//! What is to be sent to one patient: a bounded queue before a socket that is
//! never waited for.
//!
//! Records are sealed when they are written, not when they are queued, so that
//! a queue may be dropped without a gap in the sequence numbers.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::framing::Frame;
use crate::protocol::record::Disconnect;
use crate::protocol::{DisconnectReason, opcode};
use crate::random::Random;
use crate::secret::SecretBytes;
use crate::session::channel::Sealer;

/// The most frames a queue holds.
pub const MAX_FRAMES: usize = 256;
/// The most bytes a queue holds; a broadcast's shared buffer is counted where
/// it lies, not here.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes are put together for one write.
const WRITE_LEN: usize = 64 * 1024;

/// Where the bytes go: a socket, or memory in tests.
pub trait Sink: Send + Sync {
    /// Writes what can be written without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if that is nothing; anything else ends the connection.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Says that nothing more will be written. The other side can still be
    /// read from, so that it is not cut off before it has read the last word.
    fn finish(&self);

    /// Ends the connection, waking whoever reads from it.
    fn close(&self);

    /// What can be polled for the moment when more can be written.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// One thing in a queue.
#[derive(Debug)]
enum Outgoing {
    /// To be sealed when its turn comes.
    Record(u8, SecretBytes),
    /// A broadcast: one buffer for all patients.
    Shared(Arc<Frame>),
    /// A frame of the handshake, as it is.
    Plain(Frame),
    /// The answer to a renewal. Nothing follows it before the new keys.
    Renewal(Frame),
}

impl Outgoing {
    fn len(&self) -> usize {
        match self {
            Self::Record(_, body) => body.expose().len(),
            Self::Shared(_) => 0,
            Self::Plain(frame) | Self::Renewal(frame) => frame.as_bytes().len(),
        }
    }
}

/// The queue is full: the patient does not read what is sent to her.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFull;

/// What became of what was to be queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It is in the queue.
    Queued,
    /// It is dropped: the last word was said, or the connection is over.
    /// Whoever is gone gets it at the next session.
    Over,
}

/// How far a queue has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Everything is written.
    Drained,
    /// The socket takes no more now.
    Behind,
    /// The last word is written; the other side should close now.
    Finished,
    /// The connection is over.
    Closed,
}

/// One patient's queue and socket.
pub struct Outbox {
    sink: Box<dyn Sink>,
    state: Mutex<State>,
    /// When a whole frame last came from the patient, in milliseconds after
    /// `opened`. Written by the thread that reads, read by housekeeping.
    heard: AtomicU64,
    /// How many records came; written and read as `heard` is.
    received: AtomicU64,
    opened: Instant,
}

struct State {
    sealer: Sealer,
    queue: VecDeque<Outgoing>,
    /// Bytes in `queue`.
    queued: usize,
    /// Sealed and not yet written: `writing[written..]`.
    writing: Vec<u8>,
    written: usize,
    /// Between the answer to a renewal and the new keys.
    paused: bool,
    /// Close once everything is written.
    ending: bool,
    closed: bool,
    /// When the socket last took something.
    progress: Instant,
}

impl Outbox {
    /// The queue of a new session.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, sealer: Sealer, now: Instant) -> Self {
        Self {
            sink,
            state: Mutex::new(State {
                sealer,
                queue: VecDeque::new(),
                queued: 0,
                writing: Vec::new(),
                written: 0,
                paused: false,
                ending: false,
                closed: false,
                progress: now,
            }),
            heard: AtomicU64::new(0),
            received: AtomicU64::new(0),
            opened: now,
        }
    }

    /// A panic elsewhere may have left half a frame behind: the connection ends
    /// then, so that nothing torn is ever sent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.sink.close();
            let mut state = PoisonError::into_inner(poisoned);
            state.closed = true;
            state
        })
    }

    /// Queues a record.
    ///
    /// # Errors
    /// [`QueueFull`]; the record is not queued.
    pub fn push_record(&self, opcode: u8, body: SecretBytes) -> Result<Pushed, QueueFull> {
        self.lock().push(Outgoing::Record(opcode, body))
    }

    /// Queues a broadcast.
    ///
    /// # Errors
    /// [`QueueFull`]; the broadcast is not queued.
    pub fn push_shared(&self, frame: &Arc<Frame>) -> Result<Pushed, QueueFull> {
        self.lock().push(Outgoing::Shared(Arc::clone(frame)))
    }

    /// Queues the answer to a renewal. What is queued after it waits for
    /// [`Outbox::renew`].
    ///
    /// # Errors
    /// [`QueueFull`]; the answer is not queued.
    pub fn push_renewal(&self, answer: Frame) -> Result<Pushed, QueueFull> {
        self.lock().push(Outgoing::Renewal(answer))
    }

    /// Goes on under new keys, with `first` as their first record.
    pub fn renew(&self, sealer: Sealer, opcode: u8, first: SecretBytes) {
        let mut state = self.lock();
        state.sealer = sealer;
        state.paused = false;
        state.queued += first.expose().len();
        state.queue.push_front(Outgoing::Record(opcode, first));
    }

    /// Drops what is queued, sends `parting` as it is if there is one, then a
    /// DISCONNECT, and closes.
    pub fn end(
        &self,
        parting: Option<Frame>,
        reason: DisconnectReason,
        last_mid: u64,
        now: Instant,
    ) {
        let last = Disconnect {
            reason,
            last_mid,
            records_received: self.received.load(Ordering::Relaxed),
        };
        let last = SecretBytes::new(last.encode());
        let mut state = self.lock();
        if state.ending || state.closed {
            return;
        }
        state.queue.clear();
        state.queued = 0;
        if let Some(parting) = parting {
            state.add(Outgoing::Plain(parting));
        }
        // Between two keys no record can be sealed that would be understood.
        if !state.paused {
            state.add(Outgoing::Record(opcode::DISCONNECT, last));
        }
        state.ending = true;
        // From now on it is the last word that is to be taken in time.
        state.progress = now;
    }

    /// Drops what is queued and not begun to be written.
    pub fn purge(&self) {
        let mut state = self.lock();
        state.queue.clear();
        state.queued = 0;
    }

    /// Closes at once, without a word.
    pub fn close(&self) {
        let mut state = self.lock();
        state.queue.clear();
        state.writing = Vec::new();
        state.closed = true;
        self.sink.close();
    }

    /// Writes as much as the socket takes without waiting.
    pub fn pump(&self, now: Instant, random: &mut dyn Random) -> Progress {
        let mut state = self.lock();
        while !state.closed {
            state.fill(random);
            if state.writing.is_empty() {
                if !state.ending {
                    return Progress::Drained;
                }
                self.sink.finish();
                return Progress::Finished;
            }
            match self.sink.try_write(&state.writing[state.written..]) {
                Ok(0) => break,
                Ok(count) => state.wrote(count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Progress::Behind;
                }
                Err(_) => break,
            }
        }
        state.closed = true;
        state.queue.clear();
        state.writing = Vec::new();
        self.sink.close();
        Progress::Closed
    }

    /// How long nothing was sent, and nothing waits to be.
    #[must_use]
    pub fn silent_for(&self, now: Instant) -> Duration {
        let state = self.lock();
        if state.queue.is_empty() && state.writing.is_empty() {
            now.saturating_duration_since(state.progress)
        } else {
            Duration::ZERO
        }
    }

    /// How long something has waited that the socket does not take.
    #[must_use]
    pub fn stalled_for(&self, now: Instant) -> Duration {
        let state = self.lock();
        if state.writing.is_empty() && !state.paused {
            Duration::ZERO
        } else {
            now.saturating_duration_since(state.progress)
        }
    }

    /// Whether the last word is queued: nothing is accepted after it.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.lock().ending
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many records were sealed.
    #[must_use]
    pub fn records_sent(&self) -> u64 {
        self.lock().sealer.count()
    }

    /// Notes that a whole frame came, the `records`th record among them.
    pub fn heard(&self, now: Instant, records: u64) {
        self.received.store(records, Ordering::Relaxed);
        let millis = now.saturating_duration_since(self.opened).as_millis();
        self.heard
            .store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long no whole frame has come.
    #[must_use]
    pub fn unheard_for(&self, now: Instant) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        now.saturating_duration_since(self.opened)
            .saturating_sub(heard)
    }

    /// What to poll when the socket is behind.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.sink.fd()
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox(..)")
    }
}

impl State {
    fn push(&mut self, item: Outgoing) -> Result<Pushed, QueueFull> {
        if self.ending || self.closed {
            // Nothing follows a DISCONNECT.
            return Ok(Pushed::Over);
        }
        if self.queue.len() >= MAX_FRAMES || self.queued + item.len() > MAX_BYTES {
            return Err(QueueFull);
        }
        self.add(item);
        Ok(Pushed::Queued)
    }

    fn add(&mut self, item: Outgoing) {
        self.queued += item.len();
        self.queue.push_back(item);
    }

    /// Seals what is next in the queue, several frames for one write.
    fn fill(&mut self, random: &mut dyn Random) {
        while !self.paused && self.writing.len() < WRITE_LEN {
            let Some(item) = self.queue.pop_front() else {
                return;
            };
            self.queued -= item.len();
            match item {
                Outgoing::Record(opcode, body) => {
                    let frame = self.sealer.seal(opcode, body.expose(), random);
                    self.writing.extend_from_slice(frame.as_bytes());
                }
                Outgoing::Shared(frame) => self.writing.extend_from_slice(frame.as_bytes()),
                Outgoing::Plain(frame) => self.writing.extend_from_slice(frame.as_bytes()),
                Outgoing::Renewal(frame) => {
                    self.writing.extend_from_slice(frame.as_bytes());
                    self.paused = true;
                }
            }
        }
    }

    fn wrote(&mut self, count: usize, now: Instant) {
        self.progress = now;
        self.written += count;
        if self.written >= self.writing.len() {
            // Idle connections keep no buffer.
            self.writing = Vec::new();
            self.written = 0;
        }
    }
}
