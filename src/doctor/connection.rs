//! One connection, one thread: first a stranger's handshake, then a patient's
//! session.

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crate::doctor::event::{Departure, Event};
use crate::doctor::gate::Place;
use crate::doctor::housekeeping;
use crate::doctor::messages::Incoming;
use crate::doctor::shared::Shared;
use crate::doctor::socket::{Socket, UntilDeadline};
use crate::framing::{Frame, FrameError, FrameReader, MAX_LEN_BEFORE_SESSION, MAX_LEN_IN_SESSION};
use crate::handshake::doctor::{
    Established, ExpectFirst, ExpectProof, Refusal, RefusalReason, Step,
};
use crate::handshake::enrol::Enrolled;
use crate::handshake::resume;
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::protocol::message::{Message, MessageId};
use crate::protocol::opcode::{self, ENROL, KEY_VERIFICATION};
use crate::protocol::record::{Ack, Audience, DecMsg, Receipt};
use crate::protocol::{DisconnectReason, enrol_sub, sub};
use crate::random::OsRandom;
use crate::secret::SecretBytes;
use crate::session::doctor::{DoctorEnd, FromPatient, SessionError};
use crate::session::outbox::{Outbox, Sink};
use crate::session::signed;
use crate::session::table::SessionId;

/// How many messages from before a session are sent ahead of their receipts.
const IN_FLIGHT: usize = 32;

/// Serves one connection to its end.
pub fn serve(shared: &Arc<Shared>, stream: Arc<TcpStream>, address: IpAddr, place: Place) {
    // Without it small frames would wait for each other; no harm if it fails.
    let _ = stream.set_nodelay(true);
    let mut stranger = Stranger {
        shared,
        stream: &stream,
        reader: FrameReader::new(MAX_LEN_BEFORE_SESSION),
        deadline: Instant::now() + shared.settings.timing.handshake,
        place: &place,
        spent: false,
    };
    match stranger.handshake() {
        Ok(Outcome::Established(established)) => {
            let reader = stranger.reader;
            place.refund(Instant::now());
            drop(place);
            session(shared, &stream, reader, *established);
        }
        Ok(Outcome::Enrolled(enrolled)) => {
            place.refund(Instant::now());
            let name = enrolled.certificate.subject().identifier.clone();
            shared.tell(Event::Enrolled(name, enrolled.check_code));
        }
        Ok(Outcome::Gone) => {}
        Err(refusal) => refuse(shared, &stream, address, &place, refusal),
    }
    Socket(stream).close();
}

fn refuse(shared: &Shared, stream: &TcpStream, address: IpAddr, place: &Place, refusal: Refusal) {
    if let Some(answer) = &refusal.answer {
        // The peer may be gone already: it then learns nothing.
        if send(shared, stream, answer).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            let deadline = Instant::now() + shared.settings.timing.linger;
            let mut rest = UntilDeadline::new(stream, deadline);
            let _ = io::copy(&mut rest, &mut io::sink());
        }
    }
    if !refusal.reason.is_unauthenticated() {
        place.refund(Instant::now());
    }
    if matches!(refusal.reason, RefusalReason::TicketUsedTwice(_)) {
        // Whoever came first may be there already.
        housekeeping::check_certificates(shared);
    }
    shared.refused(address, refusal.reason);
}

fn send(shared: &Shared, mut stream: &TcpStream, frame: &Frame) -> io::Result<()> {
    stream.set_write_timeout(Some(shared.settings.timing.handshake))?;
    stream.write_all(frame.as_bytes())
}

/// How a stranger's connection went well.
enum Outcome {
    /// A patient is there.
    Established(Box<Established>),
    /// A patient has enrolled.
    Enrolled(Enrolled),
    /// Nobody is there any more, and nothing was proved.
    Gone,
}

/// Somebody who has proved nothing yet.
struct Stranger<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    reader: FrameReader,
    deadline: Instant,
    place: &'a Place,
    /// Whether the address has paid for a first message on this connection.
    spent: bool,
}

impl Stranger<'_> {
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

    fn handshake(&mut self) -> Result<Outcome, Refusal> {
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
            if !self.place.spend(Instant::now()) {
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

/// A patient's session, from M3 to its end.
fn session(
    shared: &Arc<Shared>,
    stream: &Arc<TcpStream>,
    mut reader: FrameReader,
    established: Established,
) {
    let sink = Box::new(Socket(Arc::clone(stream)));
    let now = shared.clock.now();
    let sessions = &shared.tables.sessions;
    let Ok(joined) = sessions.join(&established, sink, now, Instant::now(), &mut OsRandom) else {
        return;
    };
    reader.set_max_len(MAX_LEN_IN_SESSION);
    let patient = established.certificate.subject().identifier.clone();
    if let Some(older) = joined.superseded {
        shared.tell(Event::Superseded(patient.clone()));
        shared.flusher.send([older]);
    }
    let identity = shared.identity();
    let mut line = Line {
        shared,
        stream,
        reader,
        end: DoctorEnd::new(
            &established.session,
            established.certificate.clone(),
            &identity.certificate,
        ),
        outbox: joined.outbox,
        id: joined.id,
        device: established.certificate.fingerprint(),
        patient: patient.clone(),
        in_flight: HashSet::new(),
    };
    let off = now.distance(established.their_time);
    shared.tell(Event::Joined {
        patient: patient.clone(),
        resumed: established.resumed,
        clock_off: (off > shared.settings.tolerance).then_some(off),
    });
    drop(established);
    line.send_missed();
    let departure = line.run();
    let was_here = sessions.leave(&line.device, line.id, Instant::now());
    line.finish(departure);
    if was_here {
        shared.tell(Event::Left(patient, departure));
    }
}

/// One patient's session, as the thread that reads from it sees it.
struct Line<'a> {
    shared: &'a Arc<Shared>,
    stream: &'a Arc<TcpStream>,
    reader: FrameReader,
    end: DoctorEnd,
    outbox: Arc<Outbox>,
    id: SessionId,
    device: Fingerprint,
    patient: Identifier,
    /// Messages from before this session whose receipts are awaited.
    in_flight: HashSet<MessageId>,
}

impl Line<'_> {
    /// Reads until the session ends, and says how it did.
    fn run(&mut self) -> Departure {
        // How long somebody may be silent is housekeeping's to watch.
        if self.stream.set_read_timeout(None).is_err() {
            return Departure::Lost;
        }
        loop {
            let Ok(frame) = self.reader.read_frame(&mut &**self.stream) else {
                return Departure::Lost;
            };
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
    fn finish(&self, departure: Departure) {
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
    fn send_missed(&mut self) {
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

    /// Only for a message that was sent to this certificate; the first stays.
    fn on_confirmed(&self, ack: Ack) -> Result<(), SessionError> {
        let id = ack.id;
        let hash = {
            let log = self.shared.log();
            log.hash_of_sent(&self.device, id)
                .filter(|_| !log.is_confirmed(&self.device, id))
        };
        let Some(hash) = hash else {
            return Ok(());
        };
        if !self.end.proves_confirmation(&ack, &hash) {
            return Err(SessionError::Nonsense);
        }
        let now = self.shared.clock.now();
        let number = self.shared.log().confirmed(&self.device, ack, now);
        if let Some(number) = number {
            self.shared
                .tell(Event::Confirmed(self.patient.clone(), number));
        }
        Ok(())
    }

    fn on_private(&self, message: Message) -> Result<(), SessionError> {
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
