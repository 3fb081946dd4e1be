//! A patient's session, as the thread that reads from it sees it.

use std::collections::HashSet;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::deadline::UntilDeadline;
use crate::doctor::event::{Departure, Event};
use crate::doctor::messages::Incoming;
use crate::doctor::shared::Shared;
use crate::framing::{Frame, FrameReader};
use crate::handshake::registry::Registry;
use crate::handshake::resume;
use crate::identity::certificate::{Fingerprint, Serial};
use crate::identity::id::Identifier;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::opcode::{self, KEY_VERIFICATION};
use crate::protocol::record::{Ack, Audience, DecMsg, Receipt};
use crate::protocol::{DisconnectReason, sub};
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::doctor::{DoctorEnd, FromPatient, SessionError};
use crate::session::outbox::Outbox;
use crate::session::signed;
use crate::session::table::SessionId;

/// How long somebody who writes too fast is held back at a time.
const PACE: Duration = Duration::from_millis(200);
/// How many messages from before a session are sent ahead of their receipts.
const IN_FLIGHT: usize = 32;

/// One patient's session, as the thread that reads from it sees it.
pub(super) struct Line<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) stream: &'a Arc<TcpStream>,
    pub(super) reader: FrameReader,
    pub(super) end: DoctorEnd,
    pub(super) outbox: Arc<Outbox>,
    pub(super) id: SessionId,
    pub(super) device: Fingerprint,
    pub(super) serial: Serial,
    pub(super) patient: Identifier,
    /// Messages from before this session whose receipts are awaited.
    pub(super) in_flight: HashSet<MessageId>,
}

impl Line<'_> {
    /// Reads until the session ends, and says how it did.
    pub(super) fn run(&mut self) -> Departure {
        // How long somebody may be silent is housekeeping's to watch.
        if self.stream.set_read_timeout(None).is_err() {
            return Departure::Lost;
        }
        loop {
            let Ok(frame) = self.reader.read_frame(&mut &**self.stream) else {
                return Departure::Lost;
            };
            if self.outbox.is_ending() {
                // The last word is said; what still comes is only read so that
                // the other side can read it.
                continue;
            }
            let read = match (frame.opcode(), frame.sub()) {
                (KEY_VERIFICATION, sub::RESUME) => self.renew(&frame),
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
            Departure::Asked | Departure::Lost | Departure::Stalled => None,
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
        let mut rest = UntilDeadline::new(self.stream, deadline);
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
            self.shared
                .drop_stalled(&self.device, self.id, &self.patient);
        }
        self.shared.flusher.send([Arc::clone(&self.outbox)]);
    }

    /// What this device has not proved to have goes out again, a few messages
    /// at a time, so that however much it is the queue does not overflow.
    pub(super) fn send_missed(&mut self) {
        let now = self.shared.clock.now();
        let identity = self.shared.identity();
        let parties = self.end.parties();
        let mut sign = |message: &Message| {
            let audience = Audience::Everyone;
            let message = message.clone();
            signed::sign_direct(&identity.signing, audience, message, parties, &mut OsRandom)
        };
        while self.in_flight.len() < IN_FLIGHT {
            let mut log = self.shared.log();
            let Some((id, opcode, body)) = log.next_missed(&self.device, self.id, &mut sign) else {
                break;
            };
            let body = SecretBytes::new(body);
            if self.outbox.push_record(opcode, body).is_err() {
                drop(log);
                self.shared
                    .drop_stalled(&self.device, self.id, &self.patient);
                break;
            }
            log.sent_as_record(&self.device, id, self.id, now);
            self.in_flight.insert(id);
        }
        self.shared.flusher.send([Arc::clone(&self.outbox)]);
    }

    fn on_record(&mut self, record: FromPatient) -> Result<Option<Departure>, SessionError> {
        match record {
            FromPatient::Decrypted(receipt) => self.on_decrypted(&receipt)?,
            FromPatient::Received(receipt) => {
                self.on_received(&receipt)?;
                if self.in_flight.remove(&receipt.id) {
                    self.send_missed();
                }
            }
            FromPatient::Confirmed(ack) => self.on_confirmed(ack)?,
            FromPatient::Private(message) => self.on_private(message)?,
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

    /// Counted once, for members at the time of sending; repeats and unknown
    /// numbers are ignored.
    fn on_decrypted(&self, receipt: &DecMsg) -> Result<(), SessionError> {
        let known = self.shared.log().broadcast_of(&self.device, receipt.mid);
        let Some((id, broadcast)) = known.filter(|(_, broadcast)| {
            (receipt.conference, receipt.epoch) == (broadcast.conference, broadcast.epoch)
        }) else {
            return Ok(());
        };
        if !self.end.proves_broadcast(&broadcast, &receipt.mac) || receipt.id != id {
            return Err(SessionError::Nonsense);
        }
        self.delivered(id);
        Ok(())
    }

    fn on_received(&self, receipt: &Receipt) -> Result<(), SessionError> {
        let known = self.shared.log().record_of(&self.device, receipt.id);
        let Some((opcode, hash)) = known else {
            return Ok(());
        };
        if !self.end.proves_message(opcode, &hash, receipt) {
            return Err(SessionError::Nonsense);
        }
        self.delivered(receipt.id);
        Ok(())
    }

    fn delivered(&self, id: MessageId) {
        let now = self.shared.clock.now();
        let number = self.shared.log().delivered(&self.device, id, now);
        if let Some(number) = number {
            self.shared
                .tell(Event::Delivered(self.patient.clone(), number));
        }
    }

    /// Only for a message that was sent to this certificate; the first stays,
    /// and a repeat is answered again.
    fn on_confirmed(&self, ack: Ack) -> Result<(), SessionError> {
        let id = ack.id;
        let (hash, is_known) = {
            let log = self.shared.log();
            let hash = log.hash_of_sent(&self.device, id);
            (hash, log.is_confirmed(&self.device, id))
        };
        let Some(hash) = hash else {
            return Ok(());
        };
        if !is_known {
            if !self.end.proves_confirmation(&ack, &hash) {
                return Err(SessionError::Nonsense);
            }
            let now = self.shared.clock.now();
            let number = self.shared.log().confirmed(&self.device, ack, now);
            if let Some(number) = number {
                self.shared
                    .tell(Event::Confirmed(self.patient.clone(), number));
            }
        }
        let receipt = self.end.receipt_for_confirmation(id, &hash);
        self.send(opcode::RECEIPT, receipt.encode());
        Ok(())
    }

    fn on_private(&mut self, message: Message) -> Result<(), SessionError> {
        // Whoever writes faster than anybody reads is held back: her connection
        // waits, nobody else's does, and memory does not fill with what she
        // sends.
        while !self.shared.tables.may_write(&self.serial) {
            if self.outbox.is_ending() {
                return Ok(());
            }
            thread::sleep(PACE);
        }
        let receipt = self.end.receipt_for(&message);
        let incoming = self.shared.log().incoming(&self.device, &message);
        match incoming {
            Incoming::Forged => return Err(SessionError::Nonsense),
            Incoming::New => self
                .shared
                .tell(Event::Private(self.patient.clone(), message)),
            Incoming::Repeated => {}
        }
        self.send(opcode::RECEIPT, receipt.encode());
        Ok(())
    }

    /// New keys for a session that goes on: between the answer and M3 nothing
    /// else is sent or taken.
    fn renew(&mut self, request: &Frame) -> Result<Option<Departure>, SessionError> {
        if !self.shared.tables.may_try(&self.serial) {
            return Err(SessionError::Nonsense);
        }
        let identity = self.shared.identity();
        let context = self.shared.context(&identity);
        let answer = resume::answer(&context, request, &mut OsRandom)
            .map_err(|_| SessionError::Unreadable)?;
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
        let mut source = UntilDeadline::new(self.stream, deadline);
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
