//! The patient's side of an enrolment.

use crate::clock::Timestamp;
use crate::codec::{Reader, Writer};
use crate::elgamal::{Element, Group, KemSecret, SignSecret};
use crate::framing::{Frame, HEADER_LEN};
use crate::handshake::enrol::{self, TicketKey, check_code};
use crate::handshake::patient::{HandshakeError, read_alert};
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::certificate::{Certificate, VerifiedCertificate};
use crate::identity::known_doctor::{KnownDoctor, TrustError};
use crate::identity::ticket::Ticket;
use crate::kdf::{self, Prk, label};
use crate::protocol::opcode::ENROL;
use crate::protocol::record::Mac;
use crate::protocol::{SUITE, enrol_sub};
use crate::random::{self, Random};
use crate::secret::ct_eq;
use crate::{aes, aes::SealingKey};

/// A newcomer's secrets. They must be on disk before E1 is sent.
#[derive(Debug)]
pub struct NewKeys {
    /// Signs.
    pub signing: SignSecret,
    /// Receives secrets.
    pub encryption: KemSecret,
}

impl NewKeys {
    /// Makes both.
    #[must_use]
    pub fn generate(group: &Group, random: &mut dyn Random) -> Self {
        Self {
            signing: SignSecret::generate(group, random),
            encryption: KemSecret::generate(group, random),
        }
    }
}

/// E1 is sent; E2 or a refusal is awaited.
pub struct AwaitCertificate {
    early: EarlySecret,
    ticket: TicketKey,
    e1: Frame,
}

/// Makes E1.
#[must_use]
pub fn begin(
    keys: &NewKeys,
    ticket: &Ticket,
    doctor: &KnownDoctor,
    now: Timestamp,
    random: &mut dyn Random,
) -> (Frame, AwaitCertificate) {
    let group = doctor.group();
    let kem = KemSecret::generate(group, random);
    let fields = Writer::new()
        .u16(SUITE)
        .bytes(&doctor.prekey().id())
        .bytes(&ticket.id)
        .u64(now.as_millis())
        .bytes(&random::array::<32>(random))
        .bytes(kem.public().as_bytes())
        .finish();
    let box_len = aes::sealed_len(4 * group.element_len() + size_of::<Mac>());
    let header = Frame::header(ENROL, enrol_sub::E1, fields.len() + 2 + box_len);
    let prefix = [&header[..], &fields].concat();
    let binding = schedule::binding(
        &prefix,
        &doctor.certificate().fingerprint(),
        &doctor.prekey().hash(),
    );
    let early = EarlySecret::new(group, &kem.agree(doctor.prekey().key()), &binding);
    let ticket = TicketKey::new(&ticket.id, &ticket.secret);
    let proved: [&[u8]; 3] = [
        early.binding_hash(),
        keys.signing.verifying_key().as_bytes(),
        keys.encryption.public().as_bytes(),
    ];
    let signature = keys.signing.sign(label::SIG_CSR, &proved, random);
    let mac = ticket.mac(label::TICKET_P, &proved);
    let content = [proved[1], proved[2], &signature, &mac].concat();
    let sealed = early.enrol_box_key().seal(0, &[&binding], &content, random);
    let body = Writer::new().bytes(&fields).lp16(&sealed).finish();
    let e1 = Frame::new(ENROL, enrol_sub::E1, &body);
    (e1.clone(), AwaitCertificate { early, ticket, e1 })
}

/// E3 is sent; E4 is awaited. Only then the certificate may be used.
#[derive(Debug)]
pub struct AwaitDone {
    key: Prk,
    messages: [u8; 64],
    certificate: VerifiedCertificate,
    check_code: String,
}

impl AwaitCertificate {
    /// Takes E2 and makes E3.
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is to be closed without a word.
    pub fn on_frame(
        self,
        keys: &NewKeys,
        ticket: &Ticket,
        doctor: &KnownDoctor,
        frame: &Frame,
        now: Timestamp,
    ) -> Result<(Frame, AwaitDone), HandshakeError> {
        match (frame.opcode(), frame.sub()) {
            (ENROL, enrol_sub::E2) => self.on_e2(keys, ticket, doctor, frame, now),
            (ENROL, enrol_sub::REFUSED) => Err(read_alert(&self.early, &self.e1, frame)),
            _ => Err(HandshakeError::Unexpected),
        }
    }

    fn on_e2(
        self,
        keys: &NewKeys,
        ticket: &Ticket,
        doctor: &KnownDoctor,
        e2: &Frame,
        now: Timestamp,
    ) -> Result<(Frame, AwaitDone), HandshakeError> {
        let group = doctor.group();
        let mut reader = Reader::new(e2.body());
        let c_e = reader.take(group.element_len())?;
        let sealed = reader.lp16()?;
        reader.finish()?;
        let c_e = Element::from_bytes(group, c_e).map_err(|_| HandshakeError::NotTheDoctor)?;
        let key = self.early.enrolment(&keys.encryption.agree(&c_e));
        let prefix = &e2.as_bytes()[..HEADER_LEN + group.element_len()];
        let bound = kdf::hash(&[self.e1.as_bytes(), prefix]);
        let content = SealingKey::new(key.expand(label::ENROL_2, &[&bound]))
            .open(&[&bound], sealed)
            .map_err(|_| HandshakeError::NotTheDoctor)?;

        let mut reader = Reader::new(content.expose());
        let certificate = reader.lp16()?;
        let proof: Mac = reader.array()?;
        reader.finish()?;
        let certificate = Certificate::decode(certificate, group)
            .map_err(|error| HandshakeError::Trust(TrustError::Doctor(error)))?;
        let expected = self
            .ticket
            .mac(label::TICKET_D, &[&bound, &certificate.fingerprint()]);
        if !ct_eq(&proof, &expected) {
            return Err(HandshakeError::NotTheDoctor);
        }
        let certificate = doctor
            .certificate()
            .accept_issued(certificate)
            .and_then(|certificate| certificate.check_dates(now).map(|()| certificate))
            .map_err(|error| HandshakeError::Trust(TrustError::Doctor(error)))?;
        let subject = certificate.subject();
        let is_ours = subject.identifier == ticket.subject
            && subject.signing_key == *keys.signing.verifying_key()
            && subject.encryption_key.as_ref() == Some(keys.encryption.public());
        if !is_ours {
            return Err(HandshakeError::NotTheDoctor);
        }
        let messages = kdf::hash(&[self.e1.as_bytes(), e2.as_bytes()]);
        let e3 = Frame::new(
            ENROL,
            enrol_sub::E3,
            &enrol::mac(&key, label::ENROL_CONFIRM, &[&messages]),
        );
        let check_code = check_code(&self.e1, e2);
        Ok((
            e3,
            AwaitDone {
                key,
                messages,
                certificate,
                check_code,
            },
        ))
    }
}

impl AwaitDone {
    /// Takes E4 and gives the certificate, with the code to compare.
    ///
    /// # Errors
    /// [`HandshakeError`]; E1 is then to be sent again with the same keys.
    pub fn on_frame(self, frame: &Frame) -> Result<(VerifiedCertificate, String), HandshakeError> {
        if (frame.opcode(), frame.sub()) != (ENROL, enrol_sub::E4) {
            return Err(HandshakeError::Unexpected);
        }
        let expected = enrol::mac(&self.key, label::ENROL_DONE, &[&self.messages]);
        if ct_eq(frame.body(), &expected) {
            Ok((self.certificate, self.check_code))
        } else {
            Err(HandshakeError::NotTheDoctor)
        }
    }
}
