//! A patient's device: her keys, what she knows of the doctor, and how she
//! connects.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use telemed::clock::{Clock, Timestamp};
use telemed::framing::Frame;
use telemed::group::receiver::Progress;
use telemed::handshake::enrol::{self, NewKeys};
use telemed::handshake::patient::{
    self, AwaitAnswer, HandshakeError, Step, certificate_answer, certificate_request,
};
use telemed::handshake::resume::{self, ResumptionTicket};
use telemed::identity::certificate::Fingerprint;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::identity::ticket::Ticket;
use telemed::random::OsRandom;
use telemed::session::patient::AwaitToken;

use super::practice::TestClock;
use super::{Session, Wire};

/// A patient's device.
pub struct Person {
    pub identity: PatientIdentity,
    pub doctor: KnownDoctor,
    clock: Arc<TestClock>,
    /// Where she connects from; anywhere if none.
    pub from: Option<IpAddr>,
    /// Whether her line takes little at a time.
    pub narrow: bool,
}

impl Person {
    pub const fn new(
        identity: PatientIdentity,
        doctor: KnownDoctor,
        clock: Arc<TestClock>,
    ) -> Self {
        Self {
            identity,
            doctor,
            clock,
            from: None,
            narrow: false,
        }
    }

    /// Enrols with a ticket.
    pub fn enrol(server: SocketAddr, ticket: &Ticket, clock: &Arc<TestClock>) -> Self {
        let mut wire = Wire::dial(server);
        let now = clock.now();
        wire.send(&certificate_request());
        let answer = wire.frame();
        let body = certificate_answer(&answer).unwrap();
        let doctor =
            KnownDoctor::first_contact(body, &ticket.root, &ticket.doctor, now, &mut OsRandom)
                .unwrap();
        let keys = NewKeys::generate(doctor.group(), &mut OsRandom);
        let (e1, awaiting) = enrol::begin(&keys, ticket, &doctor, now, &mut OsRandom);
        wire.send(&e1);
        let (e3, awaiting) = awaiting
            .on_frame(&keys, ticket, &doctor, &wire.frame(), now)
            .unwrap();
        wire.send(&e3);
        let (certificate, _code) = awaiting.on_frame(&wire.frame()).unwrap();
        wire.expect_closed();
        let issuer = doctor.certificate().clone();
        let identity =
            PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption).unwrap();
        Self::new(identity, doctor, Arc::clone(clock))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn device(&self) -> Fingerprint {
        self.identity.certificate().fingerprint()
    }

    /// A connection on which nothing was said yet.
    pub fn dial(&self, server: SocketAddr) -> Wire {
        match self.from {
            Some(own) => Wire::dial_from(server, own),
            None if self.narrow => Wire::dial_narrow(server),
            None => Wire::dial(server),
        }
    }

    /// A first message and what awaits its answer.
    pub fn first_message(&self) -> (Frame, AwaitAnswer) {
        patient::begin(&self.identity, &self.doctor, self.now(), &mut OsRandom)
    }

    /// A full handshake on a connection, up to M3, which is not sent yet.
    ///
    /// # Errors
    /// As the handshake; [`HandshakeError::Unexpected`] if the connection ends.
    pub fn shake_hands(&mut self, wire: &mut Wire) -> Result<(Frame, AwaitToken), HandshakeError> {
        let (m1, mut awaiting) = self.first_message();
        wire.send(&m1);
        loop {
            let answer = wire.next().ok_or(HandshakeError::Unexpected)?;
            let now = self.now();
            let step =
                awaiting.on_frame(&self.identity, &self.doctor, &answer, now, &mut OsRandom)?;
            match step {
                Step::Retry(m1, next) => {
                    wire.send(&m1);
                    awaiting = *next;
                }
                Step::StartAgain(news) => {
                    self.doctor.learn(*news, now);
                    return Err(HandshakeError::Unexpected);
                }
                Step::Answered { m3, agreed, news } => {
                    self.doctor.learn(*news, now);
                    return Ok((m3, AwaitToken::new(agreed.session)));
                }
            }
        }
    }

    /// Connects with a full handshake.
    #[track_caller]
    pub fn connect(&mut self, server: SocketAddr) -> Session {
        self.try_connect(server, None).unwrap()
    }

    /// Connects with a full handshake, going on from an earlier session.
    ///
    /// # Errors
    /// As [`Person::shake_hands`].
    pub fn try_connect(
        &mut self,
        server: SocketAddr,
        earlier: Option<Progress>,
    ) -> Result<Session, HandshakeError> {
        let mut wire = self.dial(server);
        let (m3, awaiting) = self.shake_hands(&mut wire)?;
        wire.send(&m3);
        Session::begin(self, wire, awaiting, earlier).ok_or(HandshakeError::Unexpected)
    }

    /// Asks on a connection to resume; gives M3, not sent yet, or nothing if
    /// the server knows no such token.
    #[track_caller]
    pub fn ask_to_resume(
        &self,
        wire: &mut Wire,
        ticket: ResumptionTicket,
    ) -> Option<(Frame, AwaitToken)> {
        let group = self.doctor.group();
        let (request, awaiting) = resume::begin(ticket, group, self.now(), &mut OsRandom);
        wire.send(&request);
        match awaiting.on_frame(group, &wire.frame(), self.now()).unwrap() {
            resume::Step::NoToken => None,
            resume::Step::Answered(m3, agreed) => Some((m3, AwaitToken::new(agreed.session))),
        }
    }

    /// Connects by resuming an earlier session.
    #[track_caller]
    pub fn resume(
        &self,
        server: SocketAddr,
        ticket: ResumptionTicket,
        earlier: Option<Progress>,
    ) -> Session {
        let mut wire = self.dial(server);
        let (m3, awaiting) = self.ask_to_resume(&mut wire, ticket).expect("resumed");
        wire.send(&m3);
        Session::begin(self, wire, awaiting, earlier).expect("a token")
    }
}
