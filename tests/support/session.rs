//! A patient's session, driven record by record.

use telemed::clock::Timestamp;
use telemed::framing::Frame;
use telemed::group::receiver::{NewEpoch, Progress};
use telemed::handshake::resume::ResumptionTicket;
use telemed::identity::certificate::Fingerprint;
use telemed::protocol::DisconnectReason;
use telemed::protocol::message::{Message, MessageId};
use telemed::protocol::opcode;
use telemed::protocol::record::{Conference, Disconnect, Heartbeat, Receipt};
use telemed::random::OsRandom;
use telemed::session::channel::{Opener, Sealer};
use telemed::session::patient::{AwaitToken, Delivery, FromDoctor, PatientEnd, SessionError};
use telemed::session::{Direction, SessionKey};

use super::{GroupKeys, Person, Wire};

/// What came from the doctor.
#[derive(Debug)]
pub enum Got {
    Epoch(NewEpoch),
    Message(Arrived),
    Received(Receipt),
    Heartbeat,
    Roster(Vec<Vec<u8>>),
    Disconnect(DisconnectReason),
    Closed,
}

/// A message that came, with the answer that proves it.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub id: MessageId,
    pub text: String,
    pub hash: [u8; 64],
    pub delivery: Delivery,
    pub answer: (u8, Vec<u8>),
}

/// A session.
pub struct Session {
    pub wire: Wire,
    pub end: PatientEnd,
    sealer: Sealer,
    key: SessionKey,
    token: ([u8; 32], std::time::Duration),
    began: Timestamp,
    /// Opens every record a second time, for `opened`.
    tap: Opener,
    /// Everything this session could decrypt, one after the other.
    pub opened: Vec<u8>,
    /// Every group key that came.
    pub group_keys: GroupKeys,
    /// Whether messages are answered at once.
    pub answering: bool,
    /// What came while something else was waited for.
    pub skipped: Vec<Got>,
    pub device: Fingerprint,
    pub conference: Conference,
}

impl Session {
    /// Takes the session's first record; nothing if the connection ends.
    #[track_caller]
    pub fn begin(
        person: &Person,
        mut wire: Wire,
        awaiting: AwaitToken,
        earlier: Option<Progress>,
    ) -> Option<Self> {
        let first = wire.next()?;
        let (token, key, opener) = awaiting.on_frame(&first).unwrap();
        let end = PatientEnd::new(
            &key,
            opener,
            &token,
            &person.identity,
            person.doctor.certificate(),
            earlier,
        );
        let mut session = Self {
            wire,
            end,
            sealer: Sealer::new(&key, Direction::PatientToDoctor),
            tap: Opener::new(&key, Direction::DoctorToPatient),
            key,
            token: (token.token, token.lifetime),
            began: person.now(),
            opened: Vec::new(),
            group_keys: GroupKeys::default(),
            answering: true,
            skipped: Vec::new(),
            device: person.device(),
            conference: token.conference,
        };
        session.listen_in(&first);
        Some(session)
    }

    /// Everything that can be opened is kept, so that it can be searched.
    fn listen_in(&mut self, frame: &Frame) {
        if frame.opcode() != opcode::ENC_MSG
            && let Ok(body) = self.tap.open(frame)
        {
            self.opened.extend_from_slice(body.expose());
            if frame.opcode() == opcode::GROUP_KEY {
                self.group_keys.keep(body.expose());
            }
        }
    }

    /// What resumes this session later.
    pub fn ticket(&self) -> ResumptionTicket {
        let (token, lifetime) = &self.token;
        ResumptionTicket::new(&self.key, token, *lifetime, self.began).expect("a token")
    }

    /// Cuts the line and gives what a later session needs.
    pub fn drop_line(self) -> (ResumptionTicket, Progress) {
        self.wire.cut();
        (self.ticket(), self.end.progress())
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// As the library's own end of the session.
    pub fn take(&mut self) -> Result<Got, SessionError> {
        let Some(frame) = self.wire.next() else {
            return Ok(Got::Closed);
        };
        self.listen_in(&frame);
        Ok(match self.end.on_frame(&frame)? {
            FromDoctor::Epoch(epoch) => Got::Epoch(epoch),
            FromDoctor::Received(receipt) => Got::Received(receipt),
            FromDoctor::Heartbeat => Got::Heartbeat,
            FromDoctor::Roster(roster) => Got::Roster(roster.0),
            FromDoctor::Disconnect(last) => Got::Disconnect(last.reason),
            FromDoctor::Message {
                message,
                delivery,
                answer,
            } => {
                self.opened.extend_from_slice(&message.encode());
                if self.answering {
                    self.send(answer.0, &answer.1);
                }
                Got::Message(Arrived {
                    id: message.id(),
                    text: message.text().to_owned(),
                    hash: message.hash(),
                    delivery,
                    answer,
                })
            }
        })
    }

    /// Takes what was skipped, then frames, until `pick` finds what it wants.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&Got) -> Option<T>) -> T {
        for at in 0..self.skipped.len() {
            if let Some(picked) = pick(&self.skipped[at]) {
                self.skipped.remove(at);
                return picked;
            }
        }
        loop {
            let got = self.take().unwrap();
            if let Some(picked) = pick(&got) {
                return picked;
            }
            if matches!(got, Got::Closed) {
                panic!("closed while waiting for {what}, after {:?}", self.skipped);
            }
            self.skipped.push(got);
        }
    }

    /// The last broadcast as it came over the wire.
    pub fn last_broadcast(&self) -> Frame {
        let mut frames = self.wire.received.iter().rev();
        frames
            .find(|frame| frame.opcode() == opcode::ENC_MSG)
            .unwrap()
            .clone()
    }

    /// The next message.
    #[track_caller]
    pub fn message(&mut self) -> Arrived {
        self.until("a message", |got| match got {
            Got::Message(arrived) => Some(arrived.clone()),
            _ => None,
        })
    }

    /// The next group key.
    #[track_caller]
    pub fn epoch(&mut self) -> NewEpoch {
        self.until("a group key", |got| match got {
            Got::Epoch(epoch) => Some(*epoch),
            _ => None,
        })
    }

    /// Waits for the key of a group of so many devices.
    #[track_caller]
    pub fn epoch_of(&mut self, devices: u32) -> NewEpoch {
        self.until("a group key", |got| match got {
            Got::Epoch(epoch) if epoch.devices == devices => Some(*epoch),
            _ => None,
        })
    }

    /// The reason the doctor ends the session for; nothing may follow it.
    #[track_caller]
    pub fn disconnected(&mut self) -> DisconnectReason {
        let reason = self.until("DISCONNECT", |got| match got {
            Got::Disconnect(reason) => Some(*reason),
            _ => None,
        });
        self.wire.expect_closed();
        reason
    }

    /// Expects the end of the connection without a DISCONNECT; gives the
    /// messages that came before it.
    #[track_caller]
    pub fn closed(&mut self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        loop {
            match self.take().unwrap() {
                Got::Closed => return arrived,
                Got::Message(message) => arrived.push(message),
                Got::Disconnect(reason) => panic!("{reason:?} instead of the end"),
                _ => {}
            }
        }
    }

    /// Sends a record.
    pub fn send(&mut self, opcode: u8, body: &[u8]) {
        let frame = self.seal(opcode, body);
        self.wire.send(&frame);
    }

    /// The next record, not sent.
    pub fn seal(&mut self, opcode: u8, body: &[u8]) -> Frame {
        self.sealer.seal(opcode, body, &mut OsRandom)
    }

    /// Makes a message of the patient's.
    pub fn write(&self, text: &str, now: Timestamp) -> Message {
        Message::new(text, false, now, &mut OsRandom).unwrap()
    }

    /// Signs that the person confirmed a message.
    pub fn confirm(&mut self, person: &Person, id: MessageId, hash: &[u8; 64]) {
        let ack = self
            .end
            .confirm(&person.identity, id, hash, person.now(), &mut OsRandom);
        self.send(opcode::ACK, &ack.encode());
    }

    /// The messages that come before a marker sent last.
    #[track_caller]
    pub fn all_messages(&mut self, now: Timestamp) -> Vec<Arrived> {
        self.sync(now);
        let skipped = self.skipped.drain(..);
        let messages = skipped.filter_map(|got| match got {
            Got::Message(arrived) => Some(arrived),
            _ => None,
        });
        messages.collect()
    }

    /// Says that one is alive, and waits until the server has taken everything
    /// that was sent before: a message is answered in order.
    #[track_caller]
    pub fn sync(&mut self, now: Timestamp) {
        let message = self.write("are you there?", now);
        self.send(opcode::PRIVATE, &message.encode());
        let receipt = self.until("a receipt", |got| match got {
            Got::Received(receipt) if receipt.id == message.id() => Some((receipt.at, receipt.mac)),
            _ => None,
        });
        let receipt = Receipt {
            id: message.id(),
            at: receipt.0,
            mac: receipt.1,
        };
        assert!(self.end.proves_message(&message, &receipt));
    }

    /// A heartbeat.
    pub fn beat(&mut self) {
        let beat = Heartbeat(self.end.last_mid());
        self.send(opcode::HEARTBEAT, &beat.encode());
    }

    /// Leaves politely.
    pub fn leave(&mut self) {
        let last = Disconnect {
            reason: DisconnectReason::AskedByPatient,
            last_mid: self.end.last_mid(),
            records_received: self.end.records_received(),
        };
        self.send(opcode::DISCONNECT, &last.encode());
    }

    /// Renews the session in place, up to M3, which is not sent yet. What comes
    /// before the answer is taken as usual.
    #[track_caller]
    pub fn ask_to_renew(&mut self, person: &Person) -> Option<(Frame, AwaitToken)> {
        use telemed::handshake::resume::{Step, begin};
        use telemed::protocol::sub;
        let group = person.doctor.group();
        let (request, awaiting) = begin(self.ticket(), group, person.now(), &mut OsRandom);
        self.wire.send(&request);
        loop {
            let frame = self.wire.frame();
            let is_answer = frame.opcode() == opcode::KEY_VERIFICATION
                && matches!(frame.sub(), sub::RESUMED | sub::NO_TOKEN);
            if is_answer {
                return match awaiting.on_frame(group, &frame, person.now()).unwrap() {
                    Step::NoToken => None,
                    Step::Answered(m3, agreed) => Some((m3, AwaitToken::new(agreed.session))),
                };
            }
            self.listen_in(&frame);
            self.end.on_frame(&frame).unwrap();
        }
    }

    /// Takes the first record under the new keys, which must be the next frame,
    /// and goes on under them.
    #[track_caller]
    pub fn renewed(&mut self, person: &Person, awaiting: AwaitToken) {
        let first = self.wire.frame();
        let (token, key, opener) = awaiting.on_frame(&first).unwrap();
        self.end.renew(&key, opener, &token).unwrap();
        self.sealer = Sealer::new(&key, Direction::PatientToDoctor);
        self.tap = Opener::new(&key, Direction::DoctorToPatient);
        self.listen_in(&first);
        self.key = key;
        self.token = (token.token, token.lifetime);
        self.began = person.now();
    }
}

/// Whether `needle` stands somewhere in `haystack`.
pub fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
