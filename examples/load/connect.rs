//! How patients get in.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use telemed::clock::{Clock, SystemClock};
use telemed::framing::{Frame, FrameReader, MAX_LEN_IN_SESSION};
use telemed::handshake::{patient, resume};
use telemed::identity::known_doctor::KnownDoctor;
use telemed::random::OsRandom;
use telemed::session::patient::AwaitToken;

use crate::crowd::{Client, Crowd};
use crate::practice::{Patient, Practice};
use crate::{PATIENCE, Result};

/// How many connect at once.
const AT_ONCE: usize = 2;

/// With signatures, or going on from an earlier session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Full,
    Resumed,
}

impl Way {
    /// What it is called in the figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full handshake",
            Self::Resumed => "resumption",
        }
    }
}

/// Connects all patients, to one node after the other, and hands them to the
/// node's crowd.
pub fn all(practice: &mut Practice, way: Way, doors: &[(SocketAddr, &Crowd)]) -> Result<()> {
    let nodes = &practice.nodes;
    let share = practice.patients.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = practice
            .patients
            .chunks_mut(share)
            .map(|patients| {
                scope.spawn(move || -> Result<()> {
                    let nodes = nodes.iter().zip(doors).cycle();
                    for (patient, (node, (server, crowd))) in patients.iter_mut().zip(nodes) {
                        crowd.take(one(patient, &node.known_doctor, way, *server)?)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}

/// One patient's connection, frame by frame.
struct Line {
    stream: TcpStream,
    reader: FrameReader,
}

impl Line {
    fn dial(server: SocketAddr, own: IpAddr) -> Result<Self> {
        let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&descriptor, &SocketAddr::new(own, 0))?;
        connect(&descriptor, &server)?;
        let stream = TcpStream::from(descriptor);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            reader: FrameReader::new(MAX_LEN_IN_SESSION),
        })
    }

    fn send(&mut self, frame: &Frame) -> Result<()> {
        use std::io::Write;
        Ok((&self.stream).write_all(frame.as_bytes())?)
    }

    fn frame(&mut self) -> Result<Frame> {
        Ok(self.reader.read_frame(&mut &self.stream)?)
    }
}

fn one(
    patient: &mut Patient,
    doctor: &KnownDoctor,
    way: Way,
    server: SocketAddr,
) -> Result<Client> {
    let mut line = Line::dial(server, patient.from)?;
    let awaiting = match (way, patient.ticket.take()) {
        (Way::Full, _) => full(&mut line, patient, doctor)?,
        (Way::Resumed, Some(ticket)) => resumed(&mut line, ticket, doctor)?,
        (Way::Resumed, None) => return Err("a session that cannot be resumed".into()),
    };
    let (token, key, opener) = awaiting.on_frame(&line.frame()?)?;
    let now = SystemClock.now();
    patient.ticket = resume::ResumptionTicket::new(&key, &token.token, token.lifetime, now);
    line.stream.set_nonblocking(true)?;
    Ok(Client::new(
        line.stream,
        line.reader,
        &key,
        opener,
        token.conference,
        patient.identity.certificate().fingerprint(),
    ))
}

fn full(line: &mut Line, patient: &Patient, doctor: &KnownDoctor) -> Result<AwaitToken> {
    let identity = &patient.identity;
    let (m1, mut awaiting) = patient::begin(identity, doctor, SystemClock.now(), &mut OsRandom);
    line.send(&m1)?;
    loop {
        let (answer, now) = (line.frame()?, SystemClock.now());
        match awaiting.on_frame(identity, doctor, &answer, now, &mut OsRandom)? {
            // A server that has just started trusts no timestamp.
            patient::Step::Retry(m1, next) => {
                line.send(&m1)?;
                awaiting = *next;
            }
            patient::Step::StartAgain(_) => return Err("the prekey has changed".into()),
            patient::Step::Answered { m3, agreed, .. } => {
                line.send(&m3)?;
                return Ok(AwaitToken::new(agreed.session));
            }
        }
    }
}

fn resumed(
    line: &mut Line,
    ticket: resume::ResumptionTicket,
    doctor: &KnownDoctor,
) -> Result<AwaitToken> {
    let group = doctor.group();
    let (request, awaiting) = resume::begin(ticket, group, SystemClock.now(), &mut OsRandom);
    line.send(&request)?;
    match awaiting.on_frame(group, &line.frame()?, SystemClock.now())? {
        resume::Step::NoToken => Err("the server has forgotten a session".into()),
        resume::Step::Answered(m3, agreed) => {
            line.send(&m3)?;
            Ok(AwaitToken::new(agreed.session))
        }
    }
}
