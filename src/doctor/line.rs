//! A patient's session, as the thread that reads from it sees it.

mod missed;
mod taken;

pub(super) use missed::Missed;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::audit::{Action, Entry};
use crate::clock::Timestamp;
use crate::deadline::UntilDeadline;
use crate::doctor::event::{Departure, Event};
use crate::doctor::messages::device_code;
use crate::doctor::messages::live::Count;
use crate::doctor::peer::Peer;
use crate::doctor::shared::Shared;
use crate::framing::{Frame, FrameReader};
use crate::handshake::doctor::RefusalReason;
use crate::handshake::resume;
use crate::identity::certificate::{Fingerprint, Serial};
use crate::protocol::message::MessageId;
use crate::protocol::opcode::{self, KEY_VERIFICATION};
use crate::protocol::record::{DecMsg, Receipt};
use crate::protocol::{DisconnectReason, sub};
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::doctor::{DoctorEnd, FromPatient, SessionError};
use crate::session::outbox::Outbox;
use crate::session::table::SessionId;
use crate::store::messages::{Change, Outcome, Work};

/// Stack of a connection's thread, in bytes: exponentiation keeps its tables
/// there, SQLite its pages elsewhere.
pub(super) const STACK_LEN: usize = 256 * 1024;
/// Stack of a session's thread, which leaves all that to others. The C library
/// keeps the stacks of threads that have ended, with the pages that were written
/// to, for the next that ask for a quarter of their length or more: a session
/// must not inherit those of a handshake. Sessions use up to 20 KiB (long
/// messages); a panic that prints where it came from takes 28 KiB more.
pub(super) const SESSION_STACK_LEN: usize = 60 * 1024;

/// One patient's session, as the thread that reads from it sees it.
pub(super) struct Line {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Arc<TcpStream>,
    pub(super) address: IpAddr,
    pub(super) reader: FrameReader,
    pub(super) end: DoctorEnd,
    pub(super) outbox: Arc<Outbox>,
    pub(super) id: SessionId,
    pub(super) device: Fingerprint,
    pub(super) serial: Serial,
    pub(super) peer: Peer,
    /// Messages from before this session whose receipts are awaited.
    pub(super) in_flight: HashSet<MessageId>,
    pub(super) missed: Missed,
}

impl Line {
    /// Reads until the session ends, and says how it did.
    pub(super) fn run(&mut self) -> Departure {
        // How long somebody may be silent is housekeeping's to watch.
        if self.stream.set_read_timeout(None).is_err() {
            return Departure::Lost;
        }
        loop {
            let Ok(frame) = self.reader.read_frame(&mut &*self.stream) else {
                return Departure::Lost;
            };
            if self.outbox.is_ending() {
                // The last word is said; what still comes is only read so that
                // the other side can read it.
                continue;
            }
            let read = match (frame.opcode(), frame.sub()) {
                (KEY_VERIFICATION, sub::RESUME) => self.aside(|line| line.renew(&frame)),
                _ => self.take(&frame),
            };
            match read {
                Ok(None) => {}
                Ok(Some(departure)) => return departure,
                Err(SessionError::Unreadable) => return Departure::Lost,
                Err(SessionError::Nonsense | SessionError::MessageMissing) => {
                    return Departure::Misbehaved;
                }
            }
        }
    }

    /// Does what reads and writes the store or computes powers on another
    /// thread, and waits for it: this one's stack would keep the pages that were
    /// written to, for as long as the session lasts.
    fn aside<T: Send>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, SessionError> + Send,
    ) -> Result<T, SessionError> {
        let done = thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("aside".to_owned())
                .stack_size(STACK_LEN);
            let thread = thread.spawn_scoped(scope, || work(self)).ok()?;
            thread.join().ok()
        });
        // Without a thread the connection is closed: the patient comes back.
        done.unwrap_or(Err(SessionError::Unreadable))
    }

    /// Takes a record. It counts as received before it is answered.
    fn take(&mut self, frame: &Frame) -> Result<Option<Departure>, SessionError> {
        let record = self.end.on_record(frame);
        self.outbox
            .heard(Instant::now(), self.end.records_received());
        self.on_record(record?)
    }

    /// Says the last word, if there is one, and closes.
    pub(super) fn finish(&self, departure: Departure) {
        let reason = match departure {
            Departure::Misbehaved => Some(DisconnectReason::ProtocolError),
            Departure::Expired => Some(DisconnectReason::Expired),
            Departure::Revoked => Some(DisconnectReason::Revoked),
            Departure::Asked | Departure::Lost | Departure::Stalled | Departure::Moved => None,
        };
        if let Some(reason) = reason {
            let last_mid = self.shared.tables.sessions.last_mid();
            self.outbox.end(None, reason, last_mid, Instant::now());
            self.shared.flusher.send([Arc::clone(&self.outbox)]);
            self.linger();
        }
        self.outbox.close();
    }

    /// Reads on for a moment: a socket that is closed while something unread
    /// lies in it takes back what was written last.
    fn linger(&self) {
        let deadline = Instant::now() + self.shared.settings.timing.linger;
        let mut rest = UntilDeadline::new(&self.stream, deadline);
        let _ = io::copy(&mut rest, &mut io::sink());
    }

    /// Queues a record and writes what can be written. A full queue ends the
    /// session.
    fn send(&self, opcode: u8, body: Vec<u8>) {
        if self
            .outbox
            .push_record(opcode, SecretBytes::new(body))
            .is_err()
        {
            self.drop_stalled();
        }
        self.shared.flusher.send([Arc::clone(&self.outbox)]);
    }

    /// Tells where the clinic's doctors are reached, if there are several.
    pub(super) fn tell_roster(&self) {
        for body in self.shared.roster.records() {
            self.send(opcode::ROSTER, body);
        }
    }

    /// Tells that the store cannot be read. What was not given is given at the
    /// next session, which begins soon if the store is to blame: nobody else gives
    /// what this one lacks.
    pub(super) fn cannot_read(&self, error: &(dyn std::error::Error + 'static)) {
        if self.note_unsettled(error) {
            return;
        }
        self.shared.tell(Event::Trouble(format!(
            "{} is not given what is kept: {error}",
            self.peer
        )));
    }

    /// See [`Shared::note_unsettled`].
    fn note_unsettled(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        self.shared.note_unsettled(&self.device, self.id, error)
    }

    fn drop_stalled(&self) {
        self.shared
            .drop_stalled(&self.device, self.id, &self.peer.patient);
    }

    fn on_record(&mut self, record: FromPatient) -> Result<Option<Departure>, SessionError> {
        match record {
            FromPatient::Decrypted(receipt) => self.on_decrypted(&receipt)?,
            FromPatient::Received(receipt) => {
                self.on_received(&receipt)?;
                if self.in_flight.remove(&receipt.id) && self.has_missed() {
                    self.aside(|line| {
                        line.send_missed();
                        Ok(())
                    })?;
                }
            }
            FromPatient::Confirmed(ack) => self.aside(|line| line.on_confirmed(ack))?,
            FromPatient::Private(message) => self.aside(|line| line.on_private(message))?,
            FromPatient::Heartbeat => {}
            FromPatient::Disconnect(last) => {
                return Ok(Some(match last.reason {
                    DisconnectReason::AskedByPatient => Departure::Asked,
                    _ => Departure::Lost,
                }));
            }
        }
        Ok(None)
    }

    /// Counted once, for those it was given to; repeats and unknown numbers are
    /// ignored.
    fn on_decrypted(&self, receipt: &DecMsg) -> Result<(), SessionError> {
        let known = self.shared.live().broadcast_for(self.id, receipt.mid);
        let Some((id, broadcast)) = known.filter(|(_, broadcast)| {
            (receipt.conference, receipt.epoch) == (broadcast.conference, broadcast.epoch)
        }) else {
            return Ok(());
        };
        if !self.end.proves_broadcast(&broadcast, &receipt.mac) || receipt.id != id {
            return Err(SessionError::Nonsense);
        }
        let answered = self.shared.live().broadcast_answered(self.id, receipt.mid);
        if let Some(answered) = answered {
            self.delivered(answered.number, id, Some(answered.count));
        }
        Ok(())
    }

    fn on_received(&self, receipt: &Receipt) -> Result<(), SessionError> {
        let known = self.shared.live().record_for(self.id, receipt.id);
        let Some(given) = known else {
            return Ok(());
        };
        if !self.end.proves_message(given.opcode, &given.hash, receipt) {
            return Err(SessionError::Nonsense);
        }
        self.shared.live().record_answered(self.id, receipt.id);
        self.delivered(given.number, receipt.id, None);
        Ok(())
    }

    /// Shown once it is on the disk. If it does not get there the message is
    /// given again at the next session.
    fn delivered(&self, number: u64, id: MessageId, count: Option<Arc<Count>>) {
        let at = self.shared.clock.now();
        let work = Work::Delivered {
            message: number,
            device: self.device,
            at,
            sent: None,
        };
        let change = Change {
            work,
            audit: vec![self.entry(at, Action::Delivered, id)],
        };
        let (shared, peer) = (Arc::clone(&self.shared), self.peer.clone());
        let (device, session) = (self.device, self.id);
        self.shared
            .ledger
            .write(change, move |written| match written {
                Ok(Outcome::New) => {
                    let progress = count.map(|count| count.receipt());
                    shared.tell(Event::Delivered(peer, number, progress));
                }
                Ok(Outcome::Known) => {}
                Err(error) => {
                    shared.note_unsettled(&device, session, &error);
                }
            });
    }

    /// What the audit log says of something this device did with a message.
    fn entry(&self, at: Timestamp, action: Action, id: MessageId) -> Entry {
        let (code, device) = (id.code(), device_code(&self.device));
        let detail = ["message ", &code, ", device ", &device].concat();
        Entry::new(at, self.peer.as_str(), action, "", detail)
    }

    /// New keys for a session that goes on: between the answer and M3 nothing
    /// else is sent or taken.
    fn renew(&mut self, request: &Frame) -> Result<Option<Departure>, SessionError> {
        let identity = self.shared.identity();
        let context = self.shared.context(&identity, self.address);
        let answer = resume::answer_in_session(&context, request, &mut OsRandom);
        let answer = answer.map_err(|refusal| match refusal.reason {
            RefusalReason::TooOften(_) => SessionError::Nonsense,
            _ => SessionError::Unreadable,
        })?;
        let Some((answer, proof)) = answer else {
            let last_mid = self.shared.tables.sessions.last_mid();
            self.outbox.end(
                Some(resume::no_token()),
                DisconnectReason::Expired,
                last_mid,
                Instant::now(),
            );
            self.shared.flusher.send([Arc::clone(&self.outbox)]);
            return Ok(Some(Departure::Expired));
        };
        if self.outbox.push_renewal(answer).is_err() {
            return Ok(Some(Departure::Stalled));
        }
        self.shared.flusher.send([Arc::clone(&self.outbox)]);
        let deadline = Instant::now() + self.shared.settings.timing.handshake;
        let mut source = UntilDeadline::new(&self.stream, deadline);
        let Ok(frame) = self.reader.read_frame(&mut source) else {
            return Ok(Some(Departure::Lost));
        };
        let established = proof
            .on_frame(&frame)
            .map_err(|_| SessionError::Unreadable)?;
        if established.certificate.fingerprint() != self.device {
            return Err(SessionError::Unreadable);
        }
        self.end.renew(&established.session);
        let now = self.shared.clock.now();
        let sessions = &self.shared.tables.sessions;
        if !sessions.renew(self.id, &established, now, &mut OsRandom) {
            return Ok(Some(Departure::Lost));
        }
        self.shared.flusher.send([Arc::clone(&self.outbox)]);
        self.stream
            .set_read_timeout(None)
            .map_err(|_| SessionError::Unreadable)?;
        Ok(None)
    }
}
