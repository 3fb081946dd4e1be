//! Both ends of a session that stands.

use std::time::Duration;

use super::{NOW, Node, clinic};
use crate::framing::Frame;
use crate::group::receiver::Progress;
use crate::handshake::doctor::Established;
use crate::handshake::patient::Agreed;
use crate::identity::certificate::Fingerprint;
use crate::identity::patient_identity::PatientIdentity;
use crate::protocol::opcode::SESSION_TOKEN;
use crate::protocol::record::{Conference, SessionToken};
use crate::random::OsRandom;
use crate::secret::Secret;
use crate::session::channel::Sealer;
use crate::session::doctor::{DoctorEnd, FromPatient, SessionError};
use crate::session::patient::{AwaitToken, FromDoctor, PatientEnd};
use crate::session::{Direction, SessionKey};

/// Both ends of a session after `SESSION_TOKEN`.
pub(crate) struct Pair {
    pub identity: &'static PatientIdentity,
    pub doctor: DoctorEnd,
    pub to_patient: Sealer,
    /// `gsec`, as the doctor has it.
    pub contribution: Secret<32>,
    pub patient: PatientEnd,
    pub to_doctor: Sealer,
    pub doctor_key: SessionKey,
    pub patient_key: SessionKey,
    pub token: SessionToken,
}

/// A session of patient P1 in a conference of its own.
pub(crate) fn handshaken_pair() -> Pair {
    Pair::new(0, [0xcc; 16], None)
}

impl Pair {
    /// A session of one of the clinic's patients, after a full handshake.
    pub fn new(patient: usize, conference: Conference, earlier: Option<Progress>) -> Self {
        let identity = &clinic().patients[patient];
        let (established, agreed) = Node::new().admit(identity);
        Self::of(established, agreed, identity, conference, earlier)
    }

    /// The session that a handshake ended with.
    pub fn of(
        established: Established,
        agreed: Agreed,
        identity: &'static PatientIdentity,
        conference: Conference,
        earlier: Option<Progress>,
    ) -> Self {
        let doctor_certificate = &clinic().doctor.certificate;
        let mut to_patient = Sealer::new(&established.session, Direction::DoctorToPatient);
        let token = SessionToken {
            token: [7; 32],
            lifetime: Duration::from_secs(3_600),
            conference,
            at: NOW,
        };
        let record = to_patient.seal(SESSION_TOKEN, &token.encode(), &mut OsRandom);
        let (token, patient_key, opener) =
            AwaitToken::new(agreed.session).on_frame(&record).unwrap();
        Self {
            identity,
            doctor: DoctorEnd::new(
                &established.session,
                established.certificate,
                doctor_certificate,
            ),
            to_patient,
            contribution: established.session.group_contribution(),
            patient: PatientEnd::new(
                &patient_key,
                opener,
                &token,
                identity,
                doctor_certificate,
                earlier,
            ),
            to_doctor: Sealer::new(&patient_key, Direction::PatientToDoctor),
            doctor_key: established.session,
            patient_key,
            token,
        }
    }

    /// The patient's certificate.
    pub fn device(&self) -> Fingerprint {
        self.identity.certificate().fingerprint()
    }

    /// A record of the doctor's, not yet delivered.
    pub fn seal_to_patient(&mut self, opcode: u8, body: &[u8]) -> Frame {
        self.to_patient.seal(opcode, body, &mut OsRandom)
    }

    /// A record of the patient's, not yet delivered.
    pub fn seal_to_doctor(&mut self, opcode: u8, body: &[u8]) -> Frame {
        self.to_doctor.seal(opcode, body, &mut OsRandom)
    }

    /// Seals and delivers a record to the patient.
    pub fn tell_patient(&mut self, opcode: u8, body: &[u8]) -> Result<FromDoctor, SessionError> {
        let record = self.seal_to_patient(opcode, body);
        self.patient.on_frame(&record)
    }

    /// Seals and delivers a record to the doctor.
    pub fn tell_doctor(&mut self, opcode: u8, body: &[u8]) -> Result<FromPatient, SessionError> {
        let record = self.seal_to_doctor(opcode, body);
        self.doctor.on_record(&record)
    }
}
