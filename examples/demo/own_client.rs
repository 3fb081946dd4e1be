//! A patient's client written for the occasion, from the library's parts: it
//! keeps its keys where they can be tried on what others recorded.

use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use telemed::clock::{Clock, SystemClock};
use telemed::framing::{Frame, FrameReader, MAX_LEN_BEFORE_SESSION, MAX_LEN_IN_SESSION};
use telemed::handshake::patient::{Step, begin, certificate_request};
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::protocol::DisconnectReason;
use telemed::protocol::opcode;
use telemed::protocol::record::Disconnect;
use telemed::random::OsRandom;
use telemed::session::Direction;
use telemed::session::channel::Sealer;
use telemed::session::patient::{AwaitToken, FromDoctor, PatientEnd};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A connection over which nothing has been proved.
pub struct Line {
    stream: TcpStream,
    reader: FrameReader,
}

impl Line {
    /// Connects.
    pub fn connect(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let reader = FrameReader::new(MAX_LEN_BEFORE_SESSION);
        Ok(Self { stream, reader })
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: &Frame) -> Result<()> {
        Ok(self.stream.write_all(frame.as_bytes())?)
    }

    /// The next frame; an error if the other side closes.
    pub fn receive(&mut self) -> Result<Frame> {
        Ok(self.reader.read_frame(&mut self.stream)?)
    }

    /// The body of the server's answer to CERT?.
    pub fn ask_who(&mut self) -> Result<Vec<u8>> {
        self.send(&certificate_request())?;
        Ok(self.receive()?.body().to_vec())
    }
}

/// A session.
pub struct OwnClient {
    line: Line,
    end: PatientEnd,
    sealer: Sealer,
}

impl OwnClient {
    /// Goes through the full handshake.
    pub fn connect(
        server: SocketAddr,
        identity: &PatientIdentity,
        doctor: &KnownDoctor,
    ) -> Result<Self> {
        let mut line = Line::connect(server)?;
        let (m1, mut state) = begin(identity, doctor, SystemClock.now(), &mut OsRandom);
        line.send(&m1)?;
        let (m3, agreed) = loop {
            let answer = line.receive()?;
            let now = SystemClock.now();
            match state.on_frame(identity, doctor, &answer, now, &mut OsRandom)? {
                Step::Retry(m1, next) => {
                    line.send(&m1)?;
                    state = *next;
                }
                Step::Answered { m3, agreed, .. } => break (m3, agreed),
                Step::StartAgain(_) => return Err("the doctor has a newer prekey".into()),
            }
        };
        line.send(&m3)?;
        line.reader.set_max_len(MAX_LEN_IN_SESSION);
        let first = line.receive()?;
        let (token, session, opener) = AwaitToken::new(agreed.session).on_frame(&first)?;
        let certificate = doctor.certificate();
        let end = PatientEnd::new(&session, opener, &token, identity, certificate, None);
        let sealer = Sealer::new(&session, Direction::PatientToDoctor);
        Ok(Self { line, end, sealer })
    }

    /// Reads what comes until a message does, answers it, and gives its text.
    pub fn next_message(&mut self) -> Result<String> {
        loop {
            let frame = self.line.receive()?;
            if let FromDoctor::Message {
                message, answer, ..
            } = self.end.on_frame(&frame)?
            {
                self.record(answer.0, &answer.1)?;
                return Ok(message.text().to_owned());
            }
        }
    }

    fn record(&mut self, opcode: u8, body: &[u8]) -> Result<()> {
        let frame = self.sealer.seal(opcode, body, &mut OsRandom);
        self.line.send(&frame)
    }

    /// Leaves, and waits until the server has closed.
    pub fn leave(&mut self) -> Result<()> {
        let last = Disconnect {
            reason: DisconnectReason::AskedByPatient,
            last_mid: self.end.last_mid(),
            records_received: self.end.records_received(),
        };
        self.record(opcode::DISCONNECT, &last.encode())?;
        while self.line.receive().is_ok() {}
        Ok(())
    }

    /// Tries this session's group key on a broadcast somebody recorded.
    pub fn can_open(&mut self, recorded: &Frame) -> bool {
        self.end.on_frame(recorded).is_ok()
    }
}
