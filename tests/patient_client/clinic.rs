//! A doctor played by the test itself, over loopback: it decides what comes
//! next, and what goes wrong.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use telemed::clock::{Clock, SystemClock, Timestamp};
use telemed::elgamal::{Group, SignSecret};
use telemed::framing::{Frame, FrameReader, MAX_LEN_IN_SESSION};
use telemed::group::sender::Sender;
use telemed::handshake::doctor::{Context, Established, ExpectFirst, Refusal, Step};
use telemed::handshake::registry::{
    Issued, KnownCertificate, KnownTicket, Registry, RegistryError, Resumable, Standing,
    TicketRegistry, TicketUse,
};
use telemed::handshake::resume;
use telemed::identity::authority::{DoctorIdentity, found_clinic};
use telemed::identity::certificate::{Serial, VerifiedCertificate};
use telemed::identity::ticket::{Ticket, TicketId};
use telemed::kdf::Prk;
use telemed::protocol::message::Message;
use telemed::protocol::opcode;
use telemed::protocol::record::{Disconnect, SessionToken};
use telemed::protocol::{DisconnectReason, enrol_sub};
use telemed::random::{self, OsRandom};
use telemed::secret::Secret;
use telemed::session::channel::Sealer;
use telemed::session::doctor::{DoctorEnd, FromPatient};
use telemed::session::{Direction, SessionKey};

/// No test waits longer for anything.
pub const BOUND: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);

pub struct Clinic {
    pub root: SignSecret,
    pub identity: DoctorIdentity,
    pub tables: Tables,
    pub address: SocketAddr,
    connections: Mutex<Receiver<TcpStream>>,
}

impl Clinic {
    pub fn found() -> Self {
        let now = SystemClock.now();
        let doctor = "D1".parse().unwrap();
        let (root, identity) = found_clinic(&Group::ffdhe2048(), &doctor, now, &mut OsRandom);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if sender.send(stream.unwrap()).is_err() {
                    break;
                }
            }
        });
        Self {
            root,
            identity,
            tables: Tables::default(),
            address,
            connections: Mutex::new(connections),
        }
    }

    pub fn ticket(&self, patient: &str) -> Ticket {
        let ticket = Ticket {
            root: self.identity.root.fingerprint(),
            address: self.address.to_string(),
            doctor: self.identity.identifier().clone(),
            subject: patient.parse().unwrap(),
            id: random::array(&mut OsRandom),
            secret: random::secret(&mut OsRandom),
            expires: SystemClock.now().plus(HOUR),
        };
        self.tables.0.lock().unwrap().tickets.insert(
            ticket.id,
            KnownTicket {
                subject: ticket.subject.clone(),
                secret: ticket.secret.duplicate(),
                expires: ticket.expires,
                state: TicketUse::Open,
            },
        );
        ticket
    }

    pub fn context(&self) -> Context<'_, Tables> {
        let now = SystemClock.now();
        Context {
            identity: &self.identity,
            registry: &self.tables,
            from: Ipv4Addr::LOCALHOST.into(),
            tolerance: Duration::from_secs(30),
            strict_clock: false,
            started: now.minus(HOUR),
            now,
        }
    }

    /// The next connection of a patient.
    pub fn accept(&self) -> Line {
        let connections = self.connections.lock().unwrap();
        let stream = connections.recv_timeout(BOUND).expect("a connection");
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Line {
            stream,
            reader: FrameReader::new(MAX_LEN_IN_SESSION),
        }
    }

    /// The next connection, up to the confirmed session.
    pub fn welcome(&self) -> Session {
        self.accept().welcome(self)
    }

    pub fn message(text: &str) -> Message {
        Message::new(text, false, SystemClock.now(), &mut OsRandom).unwrap()
    }
}

/// A connection, as the doctor's side sees it.
pub struct Line {
    pub stream: TcpStream,
    reader: FrameReader,
}

impl Line {
    pub fn receive(&mut self) -> Frame {
        self.reader.read_frame(&mut self.stream).expect("a frame")
    }

    /// Waits for the patient to close, whatever comes before.
    pub fn until_closed(mut self) {
        while self.reader.read_frame(&mut self.stream).is_ok() {}
    }

    /// Waits for the patient to close without having said anything.
    pub fn until_closed_silently(mut self) {
        if let Ok(frame) = self.reader.read_frame(&mut self.stream) {
            panic!("opcode {}", frame.opcode());
        }
    }

    pub fn send(&mut self, frame: &Frame) {
        self.stream.write_all(frame.as_bytes()).unwrap();
    }

    /// Answers until a session could begin, an enrolment is done, or somebody
    /// is refused.
    pub fn handshake(&mut self, clinic: &Clinic) -> Result<Established, Refusal> {
        let mut state = ExpectFirst::default();
        loop {
            let frame = self.receive();
            match state.on_frame(&clinic.context(), &frame, &mut OsRandom) {
                Ok(Step::Reply(answer, next)) => {
                    self.send(&answer);
                    state = next;
                }
                Ok(Step::Answered(answer, proof)) => {
                    self.send(&answer);
                    return proof.on_frame(&self.receive());
                }
                Ok(Step::Enrolling(..)) => panic!("an enrolment"),
                Err(mut refusal) => {
                    if let Some(answer) = refusal.answer.take() {
                        self.send(&answer);
                    }
                    return Err(refusal);
                }
            }
        }
    }

    /// Answers an enrolment and hangs up after so many frames of the patient's,
    /// before answering the last: CERT?, E1, E3 (not even looked at), E3. After
    /// more, all is done.
    pub fn enrol(mut self, clinic: &Clinic, frames: usize) {
        let mut state = Some(ExpectFirst::default());
        for number in 1.. {
            if number > frames {
                return;
            }
            // The patient may be the one who has heard enough.
            let Ok(frame) = self.reader.read_frame(&mut self.stream) else {
                return;
            };
            if number == frames && frames < 4 {
                return;
            }
            let first = state.take().expect("a beginning");
            match first.on_frame(&clinic.context(), &frame, &mut OsRandom) {
                Ok(Step::Reply(answer, next)) => {
                    self.send(&answer);
                    state = Some(next);
                }
                Ok(Step::Enrolling(answer, next)) => {
                    self.send(&answer);
                    let e3 = self.receive();
                    assert_eq!(e3.sub(), enrol_sub::E3);
                    // Cut before E3 is looked at; or after, without an answer.
                    if frames == 3 {
                        return;
                    }
                    let (e4, _) = next.on_frame(&clinic.tables, &e3).unwrap();
                    if frames > 4 {
                        self.send(&e4);
                    }
                    return;
                }
                Ok(Step::Answered(..)) => panic!("a session"),
                Err(refusal) => {
                    if let Some(answer) = refusal.answer {
                        self.send(&answer);
                    }
                    return;
                }
            }
        }
    }

    pub fn welcome(mut self, clinic: &Clinic) -> Session {
        let established = self.handshake(clinic).expect("a session");
        Session::begin(self, clinic, established)
    }
}

/// A session, as the doctor's side sees it.
pub struct Session {
    pub line: Line,
    pub end: DoctorEnd,
    sealer: Sealer,
    pub key: SessionKey,
    pub certificate: VerifiedCertificate,
    pub resumed: bool,
}

impl Session {
    fn begin(line: Line, clinic: &Clinic, established: Established) -> Self {
        let doctor = &clinic.identity.certificate;
        let certificate = established.certificate;
        let mut session = Self {
            line,
            end: DoctorEnd::new(&established.session, certificate.clone(), doctor),
            sealer: Sealer::new(&established.session, Direction::DoctorToPatient),
            key: established.session,
            certificate,
            resumed: established.resumed,
        };
        session.give_token(clinic);
        session
    }

    fn give_token(&mut self, clinic: &Clinic) {
        let now = SystemClock.now();
        let token = SessionToken {
            token: random::array(&mut OsRandom),
            lifetime: HOUR,
            conference: *clinic.tables.0.lock().unwrap().group.conference(),
            at: now,
        };
        let entry = Resumable {
            doctor: clinic.identity.certificate.fingerprint(),
            revoked_number: clinic.identity.revoked.number(),
            key: self.key.resumption_key(&token.token),
            certificate: self.certificate.clone(),
            full_handshake: now,
            expires: now.plus(HOUR),
        };
        let mut tables = clinic.tables.0.lock().unwrap();
        tables.tokens.insert(token.token, entry);
        drop(tables);
        self.say(opcode::SESSION_TOKEN, &token.encode());
    }

    /// Goes through a renewal that the patient asks for. Before it is answered,
    /// `meanwhile` may send.
    pub fn renew(&mut self, clinic: &Clinic, meanwhile: impl FnOnce(&mut Self)) {
        let request = self.line.receive();
        meanwhile(self);
        let answer = resume::answer(&clinic.context(), &request, &mut OsRandom).unwrap();
        let (answer, proof) = answer.expect("a token that is known");
        self.line.send(&answer);
        let established = proof.on_frame(&self.line.receive()).unwrap();
        self.end.renew(&established.session);
        self.sealer = Sealer::new(&established.session, Direction::DoctorToPatient);
        self.key = established.session;
        self.give_token(clinic);
    }

    pub fn say(&mut self, opcode: u8, body: &[u8]) {
        let frame = self.sealer.seal(opcode, body, &mut OsRandom);
        self.line.send(&frame);
    }

    /// A new epoch of the group whose only member this patient is.
    pub fn rekey(&mut self, clinic: &Clinic) {
        let secret = self.key.group_contribution();
        let members = vec![(self.certificate.fingerprint(), &secret)];
        let mut tables = clinic.tables.0.lock().unwrap();
        let record = tables.group.rekey(members, &mut OsRandom);
        drop(tables);
        self.say(opcode::GROUP_KEY, record.expose());
    }

    /// What the patient says next, signs of life left out.
    pub fn hear(&mut self) -> FromPatient {
        loop {
            let frame = self.line.receive();
            match self.end.on_record(&frame).expect("a record") {
                FromPatient::Heartbeat => {}
                said => return said,
            }
        }
    }

    pub fn disconnect(mut self, reason: DisconnectReason) {
        let last_word = Disconnect {
            reason,
            last_mid: 0,
            records_received: self.end.records_received(),
        };
        self.say(opcode::DISCONNECT, &last_word.encode());
        self.line.until_closed();
    }
}

#[derive(Clone, Default)]
pub struct Tables(pub Arc<Mutex<Rows>>);

pub struct Rows {
    pub tickets: HashMap<TicketId, KnownTicket>,
    pub issued: HashMap<Serial, (VerifiedCertificate, Standing)>,
    pub tokens: HashMap<[u8; 32], Resumable>,
    pub group: Sender,
    last: HashMap<Serial, Timestamp>,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            tickets: HashMap::new(),
            issued: HashMap::new(),
            tokens: HashMap::new(),
            group: Sender::new(&mut OsRandom),
            last: HashMap::new(),
        }
    }
}

impl Registry for Tables {
    fn certificate(&self, serial: &Serial) -> Result<Option<KnownCertificate>, RegistryError> {
        let rows = self.0.lock().unwrap();
        Ok(rows
            .issued
            .get(serial)
            .map(|(certificate, standing)| KnownCertificate {
                fingerprint: certificate.fingerprint(),
                standing: *standing,
            }))
    }

    fn advance_timestamp(&self, serial: &Serial, at: Timestamp) -> Result<bool, RegistryError> {
        let mut rows = self.0.lock().unwrap();
        let last = rows.last.entry(*serial).or_default();
        let later = at > *last;
        *last = at.max(*last);
        Ok(later)
    }

    fn may_try(&self, _: &[u8; 16], _: IpAddr) -> bool {
        true
    }

    fn may_begin(&self, _: &[u8; 16]) -> bool {
        true
    }

    fn has_room_for(&self, _: &[u8; 32]) -> bool {
        self.has_room()
    }

    fn has_room(&self) -> bool {
        true
    }

    fn token_key(&self, token: &[u8; 32]) -> Option<Prk> {
        let rows = self.0.lock().unwrap();
        Some(rows.tokens.get(token)?.key.duplicate())
    }

    fn take_token(&self, token: &[u8; 32]) -> Option<Resumable> {
        self.0.lock().unwrap().tokens.remove(token)
    }
}

impl TicketRegistry for Tables {
    fn ticket(&self, id: &TicketId) -> Result<Option<KnownTicket>, RegistryError> {
        let rows = self.0.lock().unwrap();
        Ok(rows.tickets.get(id).map(|row| KnownTicket {
            subject: row.subject.clone(),
            secret: Secret::from_slice(row.secret.expose()).unwrap(),
            expires: row.expires,
            state: row.state.clone(),
        }))
    }

    fn issue(
        &self,
        ticket: &TicketId,
        certificate: &VerifiedCertificate,
        _: Timestamp,
    ) -> Result<Issued, RegistryError> {
        let mut rows = self.0.lock().unwrap();
        let serial = certificate.subject().serial;
        rows.issued
            .insert(serial, (certificate.clone(), Standing::Inactive));
        let row = rows.tickets.get_mut(ticket).unwrap();
        row.state = TicketUse::Issued(certificate.as_bytes().to_vec());
        Ok(Issued::Now)
    }

    fn freeze(&self, ticket: &TicketId) -> Result<(), RegistryError> {
        let mut rows = self.0.lock().unwrap();
        rows.tickets.get_mut(ticket).unwrap().state = TicketUse::Withdrawn;
        Ok(())
    }

    fn activate(&self, serial: &Serial) -> Result<(), RegistryError> {
        let mut rows = self.0.lock().unwrap();
        rows.issued.get_mut(serial).unwrap().1 = Standing::Active;
        Ok(())
    }
}
