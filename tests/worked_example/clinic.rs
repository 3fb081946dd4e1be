//! The clinic, its doctor, and how a patient enrols.

use std::net::Ipv4Addr;
use std::time::Duration;

use telemed::clock::Timestamp;
use telemed::elgamal::{Group, KemSecret};
use telemed::handshake::doctor::{Context, ExpectFirst, Step};
use telemed::handshake::enrol::{self, NewKeys};
use telemed::handshake::patient as client;
use telemed::identity::authority::{DoctorIdentity, found_clinic};
use telemed::identity::certificate::Fingerprint;
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::identity::ticket::Ticket;
use telemed::kdf::{self, Prk, label};
use telemed::random;
use telemed::secret::Secret;

use crate::document::Document;
use crate::tables::Tables;

/// 2026-01-01 00:00 UTC.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Length of an element of ffdhe2048, in bytes.
pub const L: usize = 256;

/// This many minutes after [`START`].
pub fn minute(minutes: u64) -> Timestamp {
    START.plus(Duration::from_secs(60 * minutes))
}

/// The doctor's side of the story.
pub struct Clinic {
    pub doctor: DoctorIdentity,
    pub tables: Tables,
}

impl Clinic {
    pub fn found(doc: &mut Document) -> Self {
        doc.section("The clinic");
        let group = Group::ffdhe2048();
        doc.bytes("gid", group.id());
        let name = "D1".parse().unwrap();
        let (root, doctor) = found_clinic(&group, &name, START, &mut doc.random);
        doc.plain("now", START.as_millis());
        doc.drawn(&[
            "clinic",
            "-",
            "root.serial",
            "root.sig.fresh",
            "-",
            "-",
            "cert_D.serial",
            "cert_D.sig.fresh",
            "-",
            "revoked.sig.fresh",
            "-",
            "^prekey.x_e",
            "prekey.sig.fresh",
            "-",
        ]);
        doc.bytes("root.x_s", root.to_bytes().expose());
        doc.bytes("cert_D.x_s", doctor.signing.to_bytes().expose());
        doc.bytes("root", doctor.root.as_bytes());
        doc.bytes("FP(root)", &doctor.root.fingerprint());
        doc.bytes("key_id(root)", &doctor.root.key_id());
        doc.bytes("cert_D", doctor.certificate.as_bytes());
        doc.bytes("FP(cert_D)", &doctor.certificate.fingerprint());
        doc.bytes("key_id(cert_D)", &doctor.certificate.key_id());
        let prekey = &doctor.prekeys[0].prekey;
        doc.bytes("prekey", prekey.as_bytes());
        doc.bytes("kid", &prekey.id());
        doc.bytes("revoked", doctor.revoked.as_bytes());
        Self {
            doctor,
            tables: Tables::default(),
        }
    }

    /// What the doctor's handshake sees; her program started at `started`.
    pub fn context(&self, started: Timestamp, now: Timestamp) -> Context<'_, Tables> {
        Context {
            identity: &self.doctor,
            registry: &self.tables,
            from: Ipv4Addr::LOCALHOST.into(),
            tolerance: Duration::from_secs(30),
            strict_clock: false,
            started,
            now,
        }
    }

    /// ss1, as whoever knows the secret exponent `a` computes it.
    pub fn early_secret(&self, doc: &mut Document, name: &str, a: &[u8]) -> Prk {
        let group = self.doctor.group();
        let ss1 = KemSecret::from_bytes(group, a)
            .unwrap()
            .agree(self.doctor.prekeys[0].prekey.key());
        doc.bytes(&format!("{name}.ss1"), ss1.expose());
        let early = kdf::extract(group.id(), &[ss1.expose()]);
        doc.bytes(&format!("{name}.ES"), early.secret().expose());
        early
    }

    /// H(AD) of a first message: `prefix` is the frame to the end of c1.
    pub fn binding_hash(&self, doc: &mut Document, name: &str, prefix: &[u8]) -> [u8; 64] {
        let prekey = &self.doctor.prekeys[0].prekey;
        let doctor: Fingerprint = self.doctor.certificate.fingerprint();
        let hash = kdf::hash(&[prefix, &doctor, &prekey.hash()]);
        doc.bytes(&format!("{name}.H(AD)"), &hash);
        hash
    }

    fn ticket(&self, doc: &mut Document, name: &str, subject: &str, expires: Timestamp) -> Ticket {
        let ticket = Ticket {
            root: self.doctor.root.fingerprint(),
            address: "praxis.example:7400".to_owned(),
            doctor: self.doctor.identifier().clone(),
            subject: subject.parse().unwrap(),
            id: random::array(&mut doc.random),
            secret: random::secret(&mut doc.random),
            expires,
        };
        let (tid, secret) = (format!("{name}.tid"), format!("{name}.secret"));
        doc.drawn(&[&tid, &secret]);
        doc.plain(&format!("{name}.expiry"), expires.as_millis());
        doc.plain(name, ticket.to_text());
        self.tables.add_ticket(&ticket);
        ticket
    }
}

fn new_keys(doc: &mut Document, name: &str) -> NewKeys {
    let keys = NewKeys::generate(&Group::ffdhe2048(), &mut doc.random);
    doc.drawn(&["-", &format!("^{name}.x_e")]);
    doc.bytes(&format!("{name}.x_s"), keys.signing.to_bytes().expose());
    keys
}

/// Ticket to certificate.
pub fn enrol(doc: &mut Document, clinic: &Clinic) -> (KnownDoctor, PatientIdentity) {
    doc.section("Ticket and first contact");
    let ticket = clinic.ticket(doc, "ticket", "P1", minute(24 * 60));
    let now = minute(60);
    let request = client::certificate_request();
    doc.bytes("CERT?", request.as_bytes());
    let context = clinic.context(START, now);
    let first = ExpectFirst::default();
    let Step::Reply(cert, first) = first.on_frame(&context, &request, &mut doc.random).unwrap()
    else {
        panic!("no CERT");
    };
    doc.bytes("CERT", cert.as_bytes());
    let body = client::certificate_answer(&cert).unwrap();
    let known =
        KnownDoctor::first_contact(body, &ticket.root, &ticket.doctor, now, &mut doc.random)
            .unwrap();

    doc.section("Enrolment");
    let keys = new_keys(doc, "cert_P");
    let (e1, state) = enrol::begin(&keys, &ticket, &known, now, &mut doc.random);
    let drawn = doc.drawn(&["^E1.a", "E1.RN", "E1.sig.fresh", "-", "E1.box.fresh"]);
    doc.bytes("E1", e1.as_bytes());
    let early = clinic.early_secret(doc, "E1", &drawn[0]);
    let bound = clinic.binding_hash(doc, "E1", &e1.as_bytes()[..73 + L]);
    let box_key: Secret<128> = early.expand(label::ENROL_1, &[&bound]);
    doc.bytes("E1.box.key", box_key.expose());
    let ticket_key = kdf::extract(&ticket.id, &[ticket.secret.expose()]);
    doc.bytes("kt", ticket_key.secret().expose());

    let Step::Enrolling(e2, expect) = first.on_frame(&context, &e1, &mut doc.random).unwrap()
    else {
        panic!("no E2");
    };
    let drawn = doc.drawn(&[
        "cert_P.serial",
        "cert_P.sig.fresh",
        "-",
        "^E2.b",
        "E2.box.fresh",
    ]);
    doc.bytes("E2", e2.as_bytes());
    let kem = KemSecret::from_bytes(known.group(), &drawn[3]).unwrap();
    let ss_e = kem.agree(keys.encryption.public());
    doc.bytes("E2.ss_e", ss_e.expose());
    let salt: Secret<64> = early.expand(label::ENROL_DERIVED, &[]);
    let key = kdf::extract(salt.expose(), &[ss_e.expose()]);
    doc.bytes("E2.KE", key.secret().expose());

    let (e3, state) = state.on_frame(&keys, &ticket, &known, &e2, now).unwrap();
    doc.bytes("E3", e3.as_bytes());
    let (e4, enrolled) = expect.on_frame(&clinic.tables, &e3).unwrap();
    doc.bytes("E4", e4.as_bytes());
    let (certificate, check_code) = state.on_frame(&e4).unwrap();
    assert_eq!(check_code, enrolled.check_code);
    doc.plain("check_code", check_code);
    doc.bytes("cert_P", certificate.as_bytes());
    doc.bytes("FP(cert_P)", &certificate.fingerprint());
    let issuer = clinic.doctor.certificate.clone();
    let identity =
        PatientIdentity::new(certificate, issuer, keys.signing, keys.encryption).unwrap();
    (known, identity)
}

/// A ticket that has expired: E1 and REFUSED.
pub fn refused_enrolment(doc: &mut Document, clinic: &Clinic, known: &KnownDoctor) {
    doc.section("A refused enrolment");
    let ticket = clinic.ticket(doc, "late.ticket", "P2", minute(60));
    let now = minute(200);
    let keys = new_keys(doc, "late");
    let (e1, state) = enrol::begin(&keys, &ticket, known, now, &mut doc.random);
    let names = [
        "^late.E1.a",
        "late.E1.RN",
        "late.E1.sig.fresh",
        "-",
        "late.E1.box.fresh",
    ];
    doc.drawn(&names);
    doc.bytes("late.E1", e1.as_bytes());
    let refusal = ExpectFirst::default()
        .on_frame(&clinic.context(START, now), &e1, &mut doc.random)
        .unwrap_err();
    doc.drawn(&["late.REFUSED.fresh"]);
    let refused = refusal.answer.unwrap();
    doc.bytes("late.REFUSED", refused.as_bytes());
    let error = state
        .on_frame(&keys, &ticket, known, &refused, now)
        .unwrap_err();
    doc.plain("late.said", error);
}
