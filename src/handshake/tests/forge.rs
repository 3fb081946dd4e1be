//! First and second messages put together by hand, so that any part of them
//! can be made wrong while all the rest is right.

use crate::aes;
use crate::clock::Timestamp;
use crate::codec::{Reader, Writer};
use crate::elgamal::{Element, KemSecret, SignSecret};
use crate::framing::Frame;
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::Fingerprint;
use crate::identity::known_doctor::KnownDoctor;
use crate::identity::patient_identity::PatientIdentity;
use crate::kdf::{self, label};
use crate::protocol::opcode::KEY_VERIFICATION;
use crate::protocol::{SUITE, sub};
use crate::random::{self, OsRandom};
use crate::testing::{NOW, prefix};

/// Where c1 begins in the body of an M1 without a nonce.
pub(super) const C1_AT: usize = 2 + 8 + 8 + 32 + 1;

/// M1 before it is sealed.
pub(super) struct FirstMessage<'a> {
    pub suite: u16,
    pub prekey_id: [u8; 8],
    pub prekey_hash: [u8; 64],
    pub prekey: Element,
    pub doctor: Fingerprint,
    pub time: Timestamp,
    pub retry: Vec<u8>,
    /// Instead of the right c1.
    pub c1: Option<Vec<u8>>,
    pub certificate: Vec<u8>,
    pub ephemeral: Vec<u8>,
    pub signer: &'a SignSecret,
    /// What is signed as the certificate's fingerprint.
    pub signed_certificate: Fingerprint,
    /// What is signed as `H(AD)` instead of it.
    pub signed_binding: Option<[u8; 64]>,
    /// Instead of signing.
    pub signature: Option<Vec<u8>>,
}

impl<'a> FirstMessage<'a> {
    /// One with nothing wrong in it.
    pub fn new(patient: &'a PatientIdentity, doctor: &KnownDoctor) -> Self {
        let ephemeral = KemSecret::generate(doctor.group(), &mut OsRandom);
        Self {
            suite: SUITE,
            prekey_id: doctor.prekey().id(),
            prekey_hash: doctor.prekey().hash(),
            prekey: doctor.prekey().key().clone(),
            doctor: doctor.certificate().fingerprint(),
            time: NOW,
            retry: Vec::new(),
            c1: None,
            certificate: patient.certificate().as_bytes().to_vec(),
            ephemeral: ephemeral.public().as_bytes().to_vec(),
            signer: patient.signing(),
            signed_certificate: patient.certificate().fingerprint(),
            signed_binding: None,
            signature: None,
        }
    }

    pub fn seal(self) -> Frame {
        let group = self.prekey.group();
        let kem = KemSecret::generate(group, &mut OsRandom);
        // What the doctor would find with 0 or 1, everybody knows.
        let shared = match &self.c1 {
            Some(c1) => kem.agree(&Element::unchecked(group, c1)),
            None => kem.agree(&self.prekey),
        };
        let c1 = self.c1.unwrap_or_else(|| kem.public().as_bytes().to_vec());
        let fields = Writer::new()
            .u16(self.suite)
            .bytes(&self.prekey_id)
            .u64(self.time.as_millis())
            .bytes(&random::array::<32>(&mut OsRandom))
            .lp8(&self.retry)
            .bytes(&c1)
            .finish();
        let papers = Writer::new()
            .lp16(&self.certificate)
            .lp16(&[])
            .bytes(&self.ephemeral)
            .finish();
        let box_len = aes::sealed_len(papers.len() + 2 * group.element_len());
        let header = Frame::header(KEY_VERIFICATION, sub::M1, fields.len() + 2 + box_len);
        let binding = schedule::binding(
            &[&header[..], &fields].concat(),
            &self.doctor,
            &self.prekey_hash,
        );
        let early = EarlySecret::new(group, &shared, &binding);
        let signed_binding = self.signed_binding.unwrap_or(*early.binding_hash());
        let signature = self.signature.unwrap_or_else(|| {
            let signed: [&[u8]; 3] = [&signed_binding, &self.signed_certificate, &self.ephemeral];
            self.signer.sign(label::SIG_M1, &signed, &mut OsRandom)
        });
        let content = [papers, signature].concat();
        let key = early.first_box_key();
        let sealed = key.seal(0, &[&binding], &content, &mut OsRandom);
        let body = Writer::new().bytes(&fields).lp16(&sealed).finish();
        Frame::new(KEY_VERIFICATION, sub::M1, &body)
    }
}

/// What a doctor finds in an M1 without a nonce.
pub(super) struct Opened {
    pub early: EarlySecret,
    pub certificate: Vec<u8>,
    pub ephemeral: Element,
    pub signature: Vec<u8>,
}

/// Opens an M1 that was made for the newest prekey of `doctor`.
pub(super) fn open(doctor: &DoctorIdentity, m1: &Frame) -> Opened {
    let group = doctor.group();
    let len = group.element_len();
    let mut reader = Reader::new(&m1.body()[C1_AT..]);
    let c1 = Element::from_bytes(group, reader.take(len).unwrap()).unwrap();
    let sealed = reader.lp16().unwrap();
    let own = doctor.newest_prekey(NOW).unwrap();
    let binding = schedule::binding(
        prefix(m1, C1_AT + len),
        &doctor.certificate.fingerprint(),
        &own.prekey.hash(),
    );
    let early = EarlySecret::new(group, &own.secret.agree(&c1), &binding);
    let content = early.first_box_key().open(&[&binding], sealed).unwrap();
    let mut reader = Reader::new(content.expose());
    let certificate = reader.lp16().unwrap().to_vec();
    reader.lp16().unwrap();
    let ephemeral = Element::from_bytes(group, reader.take(len).unwrap()).unwrap();
    let signature = reader.rest().to_vec();
    Opened {
        early,
        certificate,
        ephemeral,
        signature,
    }
}

/// What is in the box of an E1 that was made for the newest prekey.
pub(super) fn open_box(doctor: &DoctorIdentity, e1: &Frame) -> Vec<u8> {
    let (early, binding, sealed) = taken_apart(doctor, e1);
    let content = early.enrol_box_key().open(&[&binding], &sealed).unwrap();
    content.expose().to_vec()
}

/// What whoever has the newest prekey's secret shares with the sender of E1.
pub(super) fn early_secret(doctor: &DoctorIdentity, e1: &Frame) -> EarlySecret {
    taken_apart(doctor, e1).0
}

fn taken_apart(doctor: &DoctorIdentity, e1: &Frame) -> (EarlySecret, Vec<u8>, Vec<u8>) {
    let c1_at = 2 + 8 + 16 + 8 + 32;
    let group = doctor.group();
    let len = group.element_len();
    let mut reader = Reader::new(&e1.body()[c1_at..]);
    let c1 = Element::from_bytes(group, reader.take(len).unwrap()).unwrap();
    let own = doctor.newest_prekey(NOW).unwrap();
    let binding = schedule::binding(
        prefix(e1, c1_at + len),
        &doctor.certificate.fingerprint(),
        &own.prekey.hash(),
    );
    let early = EarlySecret::new(group, &own.secret.agree(&c1), &binding);
    let sealed = reader.lp16().unwrap().to_vec();
    (early, binding, sealed)
}

/// M2 before it is sealed.
pub(super) struct SecondMessage<'a> {
    pub time: Timestamp,
    pub certificate: Vec<u8>,
    pub prekey: Vec<u8>,
    pub revoked: Vec<u8>,
    pub signer: &'a SignSecret,
    pub signed_patient: Fingerprint,
    pub signed_doctor: Fingerprint,
    /// What is signed as TH2 instead of it.
    pub signed_transcript: Option<[u8; 64]>,
    /// Instead of the right c2.
    pub c2: Option<Vec<u8>>,
    /// The key that b is used with besides the ephemeral one.
    pub encryption_key: Element,
}

impl<'a> SecondMessage<'a> {
    /// One with nothing wrong in it.
    pub fn new(patient: &PatientIdentity, doctor: &'a DoctorIdentity) -> Self {
        let prekey = &doctor.newest_prekey(NOW).unwrap().prekey;
        Self {
            time: NOW,
            certificate: doctor.certificate.as_bytes().to_vec(),
            prekey: prekey.as_bytes().to_vec(),
            revoked: doctor.revoked.as_bytes().to_vec(),
            signer: &doctor.signing,
            signed_patient: patient.certificate().fingerprint(),
            signed_doctor: doctor.certificate.fingerprint(),
            signed_transcript: None,
            c2: None,
            encryption_key: patient.encryption().public().clone(),
        }
    }

    /// Answers `m1`, of which the attacker knows what is in it.
    pub fn seal(self, m1: &Frame, opened: &Opened) -> Frame {
        let papers = [kdf::hash(&[&self.prekey]), kdf::hash(&[&self.revoked])];
        self.seal_with(papers, m1, opened)
    }

    /// The same, with a signature over the papers of another message.
    pub fn seal_signed_as(self, signed: Self, m1: &Frame, opened: &Opened) -> Frame {
        let papers = [kdf::hash(&[&signed.prekey]), kdf::hash(&[&signed.revoked])];
        self.seal_with(papers, m1, opened)
    }

    fn seal_with(self, signed_papers: [[u8; 64]; 2], m1: &Frame, opened: &Opened) -> Frame {
        let group = self.encryption_key.group();
        let b = KemSecret::generate(group, &mut OsRandom);
        let fields = Writer::new()
            .u64(self.time.as_millis())
            .bytes(&random::array::<32>(&mut OsRandom))
            .bytes(self.c2.as_deref().unwrap_or_else(|| b.public().as_bytes()))
            .finish();
        let papers = Writer::new()
            .lp16(&self.certificate)
            .lp16(&self.prekey)
            .lp16(&self.revoked)
            .finish();
        let box_len = aes::sealed_len(papers.len() + 2 * group.element_len());
        let header = Frame::header(KEY_VERIFICATION, sub::M2, fields.len() + 2 + box_len);
        let th2 = schedule::transcript_2(m1, &[&header[..], &fields].concat());
        // What the patient would find with 0 or 1, everybody knows.
        let bad = self.c2.map(|c2| Element::unchecked(group, &c2));
        let [ss2, ss3] = [&opened.ephemeral, &self.encryption_key]
            .map(|key| b.agree(bad.as_ref().unwrap_or(key)));
        let secret = opened.early.handshake(&ss2, &ss3);
        let signed: [&[u8]; 5] = [
            &self.signed_transcript.unwrap_or(th2),
            &self.signed_patient,
            &self.signed_doctor,
            &signed_papers[0],
            &signed_papers[1],
        ];
        let signature = self.signer.sign(label::SIG_M2, &signed, &mut OsRandom);
        let content = [papers, signature].concat();
        let key = secret.second_box_key(&th2);
        let sealed = key.seal(0, &[&th2], &content, &mut OsRandom);
        let body = Writer::new().bytes(&fields).lp16(&sealed).finish();
        Frame::new(KEY_VERIFICATION, sub::M2, &body)
    }
}
