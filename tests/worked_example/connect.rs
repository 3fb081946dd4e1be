//! Handshakes: the full one with a RETRY, resumption, and a refused one.

use std::time::Duration;

use telemed::elgamal::KemSecret;
use telemed::framing::Frame;
use telemed::handshake::doctor::{Established, ExpectFirst, Step};
use telemed::handshake::patient::{self as client, AwaitAnswer};
use telemed::handshake::resume::{self, ResumptionTicket};
use telemed::identity::known_doctor::KnownDoctor;
use telemed::identity::patient_identity::PatientIdentity;
use telemed::kdf::{self, Prk, label};
use telemed::secret::Secret;
use telemed::session::SessionKey;

use crate::clinic::{Clinic, L, START, minute};
use crate::document::Document;

/// A session whose key both sides have.
pub struct Connected {
    pub doctor: Established,
    pub patient: SessionKey,
}

/// M1, RETRY, M1, M2, M3.
pub fn full(
    doc: &mut Document,
    clinic: &Clinic,
    known: &KnownDoctor,
    identity: &PatientIdentity,
) -> Connected {
    doc.section("Full handshake, with a RETRY because the doctor has just started");
    let now = minute(120);
    let context = clinic.context(now.minus(Duration::from_secs(10)), now);
    doc.plain("M1.now", now.as_millis());
    let (doubted, state) = client::begin(identity, known, now, &mut doc.random);
    doc.drawn(&["^doubted.a", "^doubted.e", "doubted.RN", "-", "-", "-"]);
    doc.bytes("doubted.M1", doubted.as_bytes());
    let first = ExpectFirst::default();
    let Step::Reply(retry, first) = first.on_frame(&context, &doubted, &mut doc.random).unwrap()
    else {
        panic!("no RETRY");
    };
    doc.drawn(&["RETRY.nonce"]);
    doc.bytes("RETRY", retry.as_bytes());

    let step = state.on_frame(identity, known, &retry, now, &mut doc.random);
    let Ok(client::Step::Retry(m1, state)) = step else {
        panic!("no second M1");
    };
    let drawn = doc.drawn(&[
        "^M1.a",
        "^M1.e",
        "M1.RN",
        "M1.sig.fresh",
        "-",
        "M1.box.fresh",
    ]);
    doc.bytes("M1", m1.as_bytes());
    let early = clinic.early_secret(doc, "M1", &drawn[0]);
    let bound = clinic.binding_hash(doc, "M1", &m1.as_bytes()[..90 + L]);
    let k1: Secret<128> = early.expand(label::K1, &[&bound]);
    doc.bytes("k1", k1.expose());

    let answered = first.on_frame(&context, &m1, &mut doc.random).unwrap();
    let Step::Answered(m2, expect) = answered else {
        panic!("no M2");
    };
    let ephemeral = KemSecret::from_bytes(known.group(), &drawn[1]).unwrap();
    let names = ["^M2.b", "M2.RN", "M2.sig.fresh", "-", "M2.box.fresh"];
    let drawn = doc.drawn(&names);
    doc.bytes("M2", m2.as_bytes());
    let own = KemSecret::from_bytes(known.group(), &drawn[0]).unwrap();
    let secrets = [ephemeral.public(), identity.encryption().public()].map(|to| own.agree(to));
    doc.bytes("ss2", secrets[0].expose());
    doc.bytes("ss3", secrets[1].expose());
    let (master, th3) = schedule(
        doc,
        &early,
        secrets.each_ref().map(|ss| ss.expose()),
        &m1,
        &m2,
    );
    let keys = session_keys(doc, "session1", master, th3);

    let (m3, patient) = finish(*state, identity, known, &m2, doc);
    assert_eq!(m3.body(), keys.verification());
    doc.bytes("M3", m3.as_bytes());
    let doctor = expect.on_frame(&m3).unwrap();
    Connected { doctor, patient }
}

fn finish(
    state: AwaitAnswer,
    identity: &PatientIdentity,
    known: &KnownDoctor,
    m2: &Frame,
    doc: &mut Document,
) -> (Frame, SessionKey) {
    let step = state.on_frame(identity, known, m2, minute(120), &mut doc.random);
    let Ok(client::Step::Answered { m3, agreed, .. }) = step else {
        panic!("no M3");
    };
    (m3, agreed.session)
}

/// From ES, ss2 and ss3 to MS and TH3.
fn schedule(
    doc: &mut Document,
    early: &Prk,
    [ss2, ss3]: [&[u8]; 2],
    m1: &Frame,
    m2: &Frame,
) -> (Prk, [u8; 64]) {
    let salt: Secret<64> = early.expand(label::DERIVED, &[]);
    let handshake = kdf::extract(salt.expose(), &[ss2, ss3]);
    doc.bytes("HS", handshake.secret().expose());
    let th2 = transcript(label::TH2, m1, &m2.as_bytes()[..47 + L]);
    doc.bytes("TH2", &th2);
    let k2: Secret<128> = handshake.expand(label::K2, &[&th2]);
    doc.bytes("k2", k2.expose());
    let th3 = transcript(label::TH3, m1, m2.as_bytes());
    doc.bytes("TH3", &th3);
    let salt: Secret<64> = handshake.expand(label::MASTER, &[]);
    (kdf::extract(salt.expose(), &[&th3]), th3)
}

fn transcript(label: kdf::Label, first: &Frame, second: &[u8]) -> [u8; 64] {
    let frames = telemed::codec::Writer::new()
        .lp32(first.as_bytes())
        .lp32(second)
        .finish();
    kdf::hash(&[&label.encoded(), &frames])
}

/// Names everything that follows from MS.
fn session_keys(doc: &mut Document, name: &str, master: Prk, transcript: [u8; 64]) -> SessionKey {
    doc.bytes(&format!("{name}.MS"), master.secret().expose());
    let confirm: Secret<64> = master.expand(label::CONFIRM, &[]);
    doc.bytes(&format!("{name}.kc"), confirm.expose());
    let (up, down) = (label::RECORD_P_TO_D, label::RECORD_D_TO_P);
    let up: Secret<128> = master.expand(up, &[]);
    doc.bytes(&format!("{name}.kPD"), up.expose());
    let down: Secret<128> = master.expand(down, &[]);
    doc.bytes(&format!("{name}.kDP"), down.expose());
    let session = SessionKey::new(master, transcript);
    doc.bytes(
        &format!("{name}.gsec"),
        session.group_contribution().expose(),
    );
    doc.bytes(&format!("{name}.krc"), session.receipt_key().expose());
    session
}

/// RESUME, RESUMED, M3 on a new connection.
pub fn resumed(
    doc: &mut Document,
    clinic: &Clinic,
    known: &KnownDoctor,
    ticket: ResumptionTicket,
    rms: &Prk,
) -> Connected {
    doc.section("The connection is lost; resumption on a new one");
    let now = minute(130);
    let (request, state) = resume::begin(ticket, known.group(), now, &mut doc.random);
    let drawn = doc.drawn(&["^RESUME.r", "RESUME.RN"]);
    let ephemeral = KemSecret::from_bytes(known.group(), &drawn[0]).unwrap();
    doc.bytes("rms", rms.secret().expose());
    doc.bytes("RESUME", request.as_bytes());
    let context = clinic.context(START, now);
    let first = ExpectFirst::default();
    let Step::Answered(answer, expect) =
        first.on_frame(&context, &request, &mut doc.random).unwrap()
    else {
        panic!("not resumed");
    };
    let drawn = doc.drawn(&["^RESUMED.b", "RESUMED.RN"]);
    doc.bytes("RESUMED", answer.as_bytes());
    let own = KemSecret::from_bytes(known.group(), &drawn[0]).unwrap();
    let shared = own.agree(ephemeral.public());
    doc.bytes("RESUMED.ss", shared.expose());
    let th = transcript(label::TH_RESUME, &request, answer.as_bytes());
    doc.bytes("TH", &th);
    let salt: Secret<64> = rms.expand(label::RESUME_MASTER, &[]);
    let master = kdf::extract(salt.expose(), &[shared.expose(), &th]);
    let keys = session_keys(doc, "session2", master, th);
    let step = state.on_frame(known.group(), &answer, now);
    let Ok(resume::Step::Answered(m3, agreed)) = step else {
        panic!("no M3");
    };
    assert_eq!(m3.body(), keys.verification());
    doc.bytes("resumed.M3", m3.as_bytes());
    Connected {
        doctor: expect.on_frame(&m3).unwrap(),
        patient: agreed.session,
    }
}

/// M1 and ALERT: the doctor's server is full.
pub fn refused(
    doc: &mut Document,
    clinic: &Clinic,
    known: &KnownDoctor,
    identity: &PatientIdentity,
) {
    doc.section("A refused handshake");
    let now = minute(180);
    let (m1, state) = client::begin(identity, known, now, &mut doc.random);
    doc.drawn(&["^refused.a", "^refused.e", "refused.RN", "-", "-", "-"]);
    doc.bytes("refused.M1", m1.as_bytes());
    clinic.tables.full.set(true);
    let refusal = ExpectFirst::default()
        .on_frame(&clinic.context(START, now), &m1, &mut doc.random)
        .unwrap_err();
    clinic.tables.full.set(false);
    doc.drawn(&["refused.ALERT.fresh"]);
    let alert = refusal.answer.unwrap();
    doc.bytes("refused.ALERT", alert.as_bytes());
    let error = state
        .on_frame(identity, known, &alert, now, &mut doc.random)
        .unwrap_err();
    doc.plain("refused.said", error);
}
