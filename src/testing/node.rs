//! A doctor's node without sockets: identity, tables, a clock that stands.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::registry::TestRegistry;
use super::{NOW, at, clinic};
use crate::clock::Timestamp;
use crate::framing::Frame;
use crate::handshake::doctor::{self, Context, Established, ExpectFirst, ExpectProof, Refusal};
use crate::handshake::patient::{self, Agreed, Step};
use crate::handshake::registry::{Resumable, Standing};
use crate::handshake::resume::{self, ResumptionTicket};
use crate::identity::authority::DoctorIdentity;
use crate::identity::patient_identity::PatientIdentity;
use crate::random::{self, OsRandom};

/// How far clocks may be apart.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(30);

pub(crate) struct Node<'a> {
    pub identity: &'a DoctorIdentity,
    pub registry: TestRegistry,
    pub strict_clock: bool,
    pub started: Timestamp,
    pub now: Timestamp,
}

impl Node<'static> {
    /// The clinic's doctor, an hour after the program's start, with all
    /// patients active.
    pub fn new() -> Self {
        let node = Self::of(&clinic().doctor);
        for patient in &clinic().patients {
            node.registry.admit(patient.certificate(), Standing::Active);
        }
        node
    }
}

impl<'a> Node<'a> {
    /// A doctor without patients, an hour after the program's start.
    pub fn of(identity: &'a DoctorIdentity) -> Self {
        Self {
            identity,
            registry: TestRegistry::default(),
            strict_clock: false,
            started: NOW.minus(Duration::from_secs(3_600)),
            now: NOW,
        }
    }

    pub fn context(&self) -> Context<'_, TestRegistry> {
        Context {
            identity: self.identity,
            registry: &self.registry,
            from: Ipv4Addr::LOCALHOST.into(),
            tolerance: TOLERANCE,
            strict_clock: self.strict_clock,
            started: self.started,
            now: self.now,
        }
    }

    /// The answer to a new connection's first frame.
    pub fn first(&self, frame: &Frame) -> Result<doctor::Step, Refusal> {
        self.next(ExpectFirst::default(), frame)
    }

    /// The answer to a later frame of a connection.
    pub fn next(&self, state: ExpectFirst, frame: &Frame) -> Result<doctor::Step, Refusal> {
        state.on_frame(&self.context(), frame, &mut OsRandom)
    }

    /// A patient's M1 of now.
    pub fn m1(&self, patient: &PatientIdentity) -> (Frame, patient::AwaitAnswer) {
        let known = super::clinic::known(self.identity);
        patient::begin(patient, &known, self.now, &mut OsRandom)
    }

    /// A whole full handshake.
    pub fn admit(&self, patient: &PatientIdentity) -> (Established, Agreed) {
        let known = super::clinic::known(self.identity);
        let (m1, state) = self.m1(patient);
        let (m2, proof) = answered(self.first(&m1).unwrap());
        let step = state
            .on_frame(patient, &known, &m2, self.now, &mut OsRandom)
            .unwrap();
        let Step::Answered { m3, agreed, .. } = step else {
            panic!("no session: {step:?}");
        };
        (proof.on_frame(&m3).unwrap(), agreed)
    }

    /// Gives out a token for a session, as the node does with record 0, and
    /// keeps it on both sides.
    pub fn give_token(&self, doctor: &Established, patient: &Agreed) -> ResumptionTicket {
        let token = random::array(&mut OsRandom);
        let lifetime = resume::token_lifetime(doctor.full_handshake, self.now);
        let entry = Resumable {
            doctor: doctor.doctor,
            revoked_number: doctor.revoked_number,
            key: doctor.session.resumption_key(&token),
            certificate: doctor.certificate.clone(),
            full_handshake: doctor.full_handshake,
            expires: self.now.plus(lifetime),
        };
        self.registry.lock().tokens.insert(token, entry);
        ResumptionTicket::new(&patient.session, &token, lifetime, self.now).unwrap()
    }

    /// Lets an hour pass on the node.
    pub fn an_hour_later(mut self) -> Self {
        self.now = at(3_600);
        self
    }
}

/// M2 or the answer to a resumption.
pub(crate) fn answered(step: doctor::Step) -> (Frame, ExpectProof) {
    match step {
        doctor::Step::Answered(frame, next) => (frame, *next),
        other => panic!("not answered: {other:?}"),
    }
}

/// A reply that leaves everything open: CERT, RETRY, `NO_TOKEN`.
pub(crate) fn reply(step: doctor::Step) -> (Frame, ExpectFirst) {
    match step {
        doctor::Step::Reply(frame, next) => (frame, next),
        other => panic!("not a reply: {other:?}"),
    }
}
