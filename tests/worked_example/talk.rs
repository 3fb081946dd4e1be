//! What is said in a session: records, a broadcast, receipts.

use telemed::clock::Timestamp;
use telemed::framing::Frame;
use telemed::group::receiver::Progress;
use telemed::group::sender::Sender;
use telemed::handshake::registry::Resumable;
use telemed::handshake::resume::{self, ResumptionTicket};
use telemed::identity::patient_identity::PatientIdentity;
use telemed::kdf::{Prk, label};
use telemed::protocol::message::{Boundary, Message};
use telemed::protocol::record::{Audience, Disconnect, GroupKey, Heartbeat, SessionToken};
use telemed::protocol::{DisconnectReason, opcode};
use telemed::random;
use telemed::secret::Secret;
use telemed::session::channel::Sealer;
use telemed::session::doctor::{DoctorEnd, FromPatient};
use telemed::session::patient::{AwaitToken, FromDoctor, PatientEnd};
use telemed::session::{Direction, signed};

use crate::clinic::Clinic;
use crate::connect::Connected;
use crate::document::Document;

/// Both ends of one session.
pub struct Session<'a> {
    clinic: &'a Clinic,
    identity: &'a PatientIdentity,
    name: &'static str,
    now: Timestamp,
    doctor: DoctorEnd,
    down: Sealer,
    patient: PatientEnd,
    up: Sealer,
    contribution: Secret<32>,
    pub ticket: Option<ResumptionTicket>,
    pub resumption_key: Prk,
}

impl<'a> Session<'a> {
    /// SESSION_TOKEN.
    pub fn begin(
        doc: &mut Document,
        (clinic, identity): (&'a Clinic, &'a PatientIdentity),
        (name, now): (&'static str, Timestamp),
        group: &Sender,
        connected: Connected,
        earlier: Option<Progress>,
    ) -> Self {
        let Connected { doctor, patient } = connected;
        let token = SessionToken {
            token: random::array(&mut doc.random),
            lifetime: resume::token_lifetime(doctor.full_handshake, now),
            conference: *group.conference(),
            at: now,
        };
        doc.drawn(&[&format!("{name}.token")]);
        let mut down = Sealer::new(&doctor.session, Direction::DoctorToPatient);
        let sealed = down.seal(opcode::SESSION_TOKEN, &token.encode(), &mut doc.random);
        doc.drawn(&[&format!("{name}.SESSION_TOKEN.fresh")]);
        doc.bytes(&format!("{name}.SESSION_TOKEN"), sealed.as_bytes());
        let entry = Resumable {
            doctor: doctor.doctor,
            revoked_number: doctor.revoked_number,
            key: doctor.session.resumption_key(&token.token),
            certificate: doctor.certificate.clone(),
            full_handshake: doctor.full_handshake,
            expires: now.plus(token.lifetime),
        };
        clinic.tables.add_token(token.token, entry);
        let (token, key, opener) = AwaitToken::new(patient).on_frame(&sealed).unwrap();
        let ticket = ResumptionTicket::new(&key, &token.token, token.lifetime, now);
        let certificate = &clinic.doctor.certificate;
        Self {
            doctor: DoctorEnd::new(&doctor.session, doctor.certificate, certificate),
            patient: PatientEnd::new(&key, opener, &token, identity, certificate, earlier),
            up: Sealer::new(&key, Direction::PatientToDoctor),
            contribution: doctor.session.group_contribution(),
            resumption_key: key.resumption_key(&token.token),
            clinic,
            identity,
            name,
            now,
            down,
            ticket,
        }
    }

    pub const fn progress(&self) -> Progress {
        self.patient.progress()
    }

    fn write(&self, doc: &mut Document, name: &str, frame: &Frame) {
        let name = format!("{}.{name}", self.name);
        doc.drawn(&[&format!("{name}.fresh")]);
        doc.bytes(&name, frame.as_bytes());
    }

    fn doctor_says(
        &mut self,
        doc: &mut Document,
        name: &str,
        opcode: u8,
        body: &[u8],
    ) -> FromDoctor {
        let frame = self.down.seal(opcode, body, &mut doc.random);
        self.write(doc, name, &frame);
        self.patient.on_frame(&frame).unwrap()
    }

    fn patient_says(
        &mut self,
        doc: &mut Document,
        name: &str,
        opcode: u8,
        body: &[u8],
    ) -> FromPatient {
        let frame = self.up.seal(opcode, body, &mut doc.random);
        self.write(doc, name, &frame);
        self.doctor.on_record(&frame).unwrap()
    }

    /// GROUP_KEY, for this patient and one other.
    pub fn rekey(
        &mut self,
        doc: &mut Document,
        group: &mut Sender,
        other: &([u8; 32], Secret<32>),
    ) {
        let own = (
            self.identity.certificate().fingerprint(),
            &self.contribution,
        );
        group.mark_dirty();
        let body = group.rekey(vec![(other.0, &other.1), own], &mut doc.random);
        doc.drawn(&[&format!("{}.R", self.name)]);
        epoch_keys(doc, self.name, &GroupKey::decode(body.expose()).unwrap());
        let read = self.doctor_says(doc, "GROUP_KEY", opcode::GROUP_KEY, body.expose());
        let FromDoctor::Epoch(epoch) = read else {
            panic!("no epoch");
        };
        assert_eq!(epoch.devices, 2);
    }

    /// ENC_MSG and DEC_MSG; the doctor's heartbeat and the patient's.
    pub fn broadcast(&mut self, doc: &mut Document, group: &mut Sender) {
        let text = "The practice is without power until noon. In an emergency call 112.";
        let message = Message::new(text, true, self.now, &mut doc.random).unwrap();
        doc.drawn(&["ENC_MSG.id"]);
        doc.bytes("ENC_MSG.message", &message.encode());
        let sealed = group
            .seal(&message, &self.clinic.doctor, self.now, &mut doc.random)
            .unwrap();
        doc.drawn(&["ENC_MSG.box.fresh", "ENC_MSG.sig.fresh", "-"]);
        doc.bytes("ENC_MSG", sealed.frame.as_bytes());
        let read = self.patient.on_frame(&sealed.frame).unwrap();
        let FromDoctor::Message { answer, .. } = read else {
            panic!("no message");
        };
        let read = self.patient_says(doc, "DEC_MSG", answer.0, &answer.1);
        let FromPatient::Decrypted(receipt) = read else {
            panic!("no receipt");
        };
        assert!(
            self.doctor
                .proves_broadcast(&sealed.receipted, &receipt.mac)
        );
        let last = Heartbeat(group.last_mid()).encode();
        self.doctor_says(doc, "HEARTBEAT_D", opcode::HEARTBEAT, &last);
        let last = Heartbeat(self.patient.last_mid()).encode();
        self.patient_says(doc, "HEARTBEAT_P", opcode::HEARTBEAT, &last);
    }

    /// DIRECT, ACK, each with its RECEIPT.
    pub fn direct(&mut self, doc: &mut Document) {
        let text = "Please take the tablets in the morning, not in the evening.";
        let message = Message::new(text, false, self.now, &mut doc.random).unwrap();
        doc.drawn(&["DIRECT.id"]);
        let parties = *self.doctor.parties();
        let secret = &self.clinic.doctor.signing;
        let random = &mut doc.random;
        let direct =
            signed::sign_direct(secret, Audience::Chosen, message.clone(), &parties, random);
        doc.drawn(&["DIRECT.sig.fresh", "-"]);
        doc.bytes("DIRECT.body", &direct.encode());
        let read = self.doctor_says(doc, "DIRECT", opcode::DIRECT, &direct.encode());
        self.answer(doc, "RECEIPT_of_DIRECT", opcode::DIRECT, read, &message);
        let (id, hash) = (message.id(), message.hash());
        let ack = self
            .patient
            .confirm(self.identity, id, &hash, self.now, &mut doc.random);
        doc.drawn(&["ACK.sig.fresh", "-"]);
        let read = self.patient_says(doc, "ACK", opcode::ACK, &ack.encode());
        let FromPatient::Confirmed(ack) = read else {
            panic!("no confirmation");
        };
        assert!(self.doctor.proves_confirmation(&ack, &hash));
        let receipt = self
            .doctor
            .receipt_for_confirmation(ack.id, self.now, &hash);
        let receipt = receipt.encode();
        let read = self.doctor_says(doc, "RECEIPT_of_ACK", opcode::RECEIPT, &receipt);
        let FromDoctor::Received(receipt) = read else {
            panic!("no receipt");
        };
        assert!(self.patient.proves_confirmation(&hash, &receipt));
    }

    /// The patient's device answers a message.
    fn answer(
        &mut self,
        doc: &mut Document,
        name: &str,
        answers: u8,
        read: FromDoctor,
        message: &Message,
    ) {
        let FromDoctor::Message { answer, .. } = read else {
            panic!("no message");
        };
        let read = self.patient_says(doc, name, answer.0, &answer.1);
        let FromPatient::Received(receipt) = read else {
            panic!("no receipt");
        };
        assert!(
            self.doctor
                .proves_message(answers, &message.hash(), &receipt)
        );
    }

    /// PRIVATE both ways, the first opening a consultation, each with its RECEIPT.
    pub fn private(&mut self, doc: &mut Document) {
        let text = "May I take them with milk?";
        let opens = Boundary::Opens;
        let question = Message::at_boundary(opens, text, self.now, &mut doc.random).unwrap();
        doc.drawn(&["PRIVATE_P.id"]);
        let body = question.encode();
        let read = self.patient_says(doc, "PRIVATE_P", opcode::PRIVATE, &body);
        let FromPatient::Private(arrived) = read else {
            panic!("no question");
        };
        let receipt = self.doctor.receipt_for(&arrived, self.now).encode();
        let read = self.doctor_says(doc, "RECEIPT_of_PRIVATE_P", opcode::RECEIPT, &receipt);
        let FromDoctor::Received(receipt) = read else {
            panic!("no receipt");
        };
        assert!(self.patient.proves_message(&question, &receipt));

        let answer = Message::new("Yes.", false, self.now, &mut doc.random).unwrap();
        doc.drawn(&["PRIVATE_D.id"]);
        let read = self.doctor_says(doc, "PRIVATE_D", opcode::PRIVATE, &answer.encode());
        self.answer(doc, "RECEIPT_of_PRIVATE_D", opcode::PRIVATE, read, &answer);
    }

    /// DISCONNECT, because the patient asked for it.
    pub fn end(&mut self, doc: &mut Document) {
        let disconnect = Disconnect {
            reason: DisconnectReason::AskedByPatient,
            last_mid: self.patient.last_mid(),
            records_received: self.patient.records_received(),
        };
        let body = disconnect.encode();
        let read = self.patient_says(doc, "DISCONNECT", opcode::DISCONNECT, &body);
        let FromPatient::Disconnect(read) = read else {
            panic!("no end");
        };
        assert_eq!(read, disconnect);
    }
}

/// The keys of an epoch's broadcasts.
fn epoch_keys(doc: &mut Document, name: &str, record: &GroupKey) {
    let group_key = Prk::from_secret(record.key.duplicate());
    doc.bytes(&format!("{name}.GK"), record.key.expose());
    let context: [&[u8]; 2] = [&record.conference, &record.epoch.to_be_bytes()];
    let seal: Secret<128> = group_key.expand(label::GROUP_SEAL, &context);
    doc.bytes(&format!("{name}.kG"), seal.expose());
    let id: Secret<32> = group_key.expand(label::GROUP_KEY_ID, &context);
    doc.bytes(&format!("{name}.gk_id"), id.expose());
}
