//! A doctor and a patient in one program, and what they do before a session.

use std::net::Ipv4Addr;
use std::time::Duration;

use telemed::clock::Timestamp;
use telemed::elgamal::Group;
use telemed::framing::Frame;
use telemed::handshake::doctor::{self, Context, Established, ExpectFirst, ExpectProof};
use telemed::handshake::enrol::{self, NewKeys};
use telemed::handshake::patient::{self, Agreed};
use telemed::handshake::registry::{Resumable, Standing};
use telemed::handshake::resume::{self, ResumptionTicket, TOKEN_LIFETIME};
use telemed::identity::authority::{self, DoctorIdentity};
use telemed::identity::id::Identifier;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::identity::ticket::Ticket;
use telemed::random::{self, OsRandom};

use crate::Cost;
use crate::tables::Tables;

/// The present of all: some day in 2027.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A doctor with one patient.
pub struct Clinic {
    pub doctor: DoctorIdentity,
    pub known: KnownDoctor,
    patient: PatientIdentity,
    tables: Tables,
}

fn id(text: &str) -> Identifier {
    text.parse().unwrap()
}

impl Clinic {
    pub fn new(group: &Group) -> Self {
        let (_, doctor) = authority::found_clinic(group, &id("D1"), NOW, &mut OsRandom);
        let pinned = doctor.root.fingerprint();
        let bundle = doctor.bundle(NOW);
        let name = doctor.identifier();
        let known = KnownDoctor::first_contact(&bundle, &pinned, name, NOW, &mut OsRandom);
        let keys = NewKeys::generate(group, &mut OsRandom);
        let certificate = doctor.certify(
            &id("P1"),
            keys.signing.verifying_key().clone(),
            keys.encryption.public().clone(),
            NOW,
            &mut OsRandom,
        );
        let tables = Tables::default();
        tables.admit(&certificate, Standing::Active);
        let issuer = doctor.certificate.clone();
        let patient = PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption);
        Self {
            known: known.unwrap(),
            patient: patient.unwrap(),
            tables,
            doctor,
        }
    }

    /// What the doctor answers to a connection's first frame.
    fn answer(&self, frame: &Frame) -> doctor::Step {
        let context = Context {
            identity: &self.doctor,
            registry: &self.tables,
            from: Ipv4Addr::LOCALHOST.into(),
            tolerance: Duration::from_secs(30),
            strict_clock: false,
            started: NOW.minus(Duration::from_secs(3_600)),
            now: NOW,
        };
        let step = ExpectFirst::default().on_frame(&context, frame, &mut OsRandom);
        step.unwrap()
    }

    pub fn full_handshake(&self) -> (Cost, (Established, Agreed)) {
        let mut cost = Cost::default();
        let (patient, known) = (&self.patient, &self.known);
        let (m1, awaiting) = cost.of_patient(|| patient::begin(patient, known, NOW, &mut OsRandom));
        let (m2, proof) = answered(cost.of_doctor(|| self.answer(&m1)));
        let step = cost
            .of_patient(|| awaiting.on_frame(patient, known, &m2, NOW, &mut OsRandom))
            .unwrap();
        let patient::Step::Answered { m3, agreed, .. } = step else {
            panic!("no session: {step:?}");
        };
        let established = cost.of_doctor(|| proof.on_frame(&m3)).unwrap();
        (cost, (established, agreed))
    }

    /// Resumes a session, which has been given a token meanwhile.
    pub fn resumption(&self, (doctor, patient): (Established, Agreed)) -> Cost {
        let mut cost = Cost::default();
        let group = self.known.group();
        let token = random::array(&mut OsRandom);
        let resumable = Resumable {
            doctor: doctor.doctor,
            revoked_number: doctor.revoked_number,
            key: doctor.session.resumption_key(&token),
            certificate: doctor.certificate,
            full_handshake: doctor.full_handshake,
            expires: NOW.plus(TOKEN_LIFETIME),
        };
        self.tables.keep_token(token, resumable);
        let ticket = ResumptionTicket::new(&patient.session, &token, TOKEN_LIFETIME, NOW);
        let ticket = ticket.unwrap();
        let (request, awaiting) =
            cost.of_patient(|| resume::begin(ticket, group, NOW, &mut OsRandom));
        let (answer, proof) = answered(cost.of_doctor(|| self.answer(&request)));
        let step = cost.of_patient(|| awaiting.on_frame(group, &answer, NOW));
        let resume::Step::Answered(m3, _) = step.unwrap() else {
            panic!("not resumed");
        };
        cost.of_doctor(|| proof.on_frame(&m3)).unwrap();
        cost
    }

    /// A new patient, from her keys to the doctor's last word.
    pub fn enrolment(&self) -> Cost {
        let mut cost = Cost::default();
        let known = &self.known;
        let ticket = Ticket {
            root: known.root().fingerprint(),
            address: "localhost:1".to_owned(),
            doctor: id("D1"),
            subject: id("P2"),
            id: random::array(&mut OsRandom),
            secret: random::secret(&mut OsRandom),
            expires: NOW,
        };
        self.tables.keep_ticket(&ticket);
        let keys = cost.of_patient(|| NewKeys::generate(known.group(), &mut OsRandom));
        let (e1, awaiting) =
            cost.of_patient(|| enrol::begin(&keys, &ticket, known, NOW, &mut OsRandom));
        let step = cost.of_doctor(|| self.answer(&e1));
        let doctor::Step::Enrolling(e2, confirmation) = step else {
            panic!("no certificate: {step:?}");
        };
        let (e3, awaiting) = cost
            .of_patient(|| awaiting.on_frame(&keys, &ticket, known, &e2, NOW))
            .unwrap();
        let (e4, _) = cost
            .of_doctor(|| confirmation.on_frame(&self.tables, &e3))
            .unwrap();
        cost.of_patient(|| awaiting.on_frame(&e4)).unwrap();
        cost
    }
}

fn answered(step: doctor::Step) -> (Frame, Box<ExpectProof>) {
    match step {
        doctor::Step::Answered(frame, next) => (frame, next),
        other => panic!("not answered: {other:?}"),
    }
}
