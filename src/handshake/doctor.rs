//! The doctor's side of the full handshake, cheapest checks first.

use std::net::IpAddr;
use std::time::Duration;

use crate::aes;
use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, KemSecret};
use crate::framing::{Frame, HEADER_LEN};
use crate::handshake::enrol;
pub use crate::handshake::established::{Established, ExpectProof};
pub use crate::handshake::refusal::{Refusal, RefusalReason};
use crate::handshake::refusal::{alert_frame, refusal_frame};
use crate::handshake::registry::{Registry, Standing, TicketRegistry};
use crate::handshake::resume;
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::authority::DoctorIdentity;
use crate::identity::certificate::{
    Certificate, CertificateError, Role, Serial, VerifiedCertificate,
};
use crate::kdf::label;
use crate::protocol::opcode::{ENROL, KEY_VERIFICATION};
use crate::protocol::{AlertCode, SUITE, enrol_sub, sub};
use crate::random::{self, Random};
use crate::secret::ct_eq;

/// Everything a doctor's handshake needs but the frames.
#[derive(Clone, Copy)]
pub struct Context<'a, R> {
    /// The doctor's keys and papers.
    pub identity: &'a DoctorIdentity,
    /// The tables.
    pub registry: &'a R,
    /// Where the patient, or whoever it is, connects from.
    pub from: IpAddr,
    /// How far a patient's clock may be off without a RETRY.
    pub tolerance: Duration,
    /// Whether a clock that is off further is refused.
    pub strict_clock: bool,
    /// When this program started.
    pub started: Timestamp,
    /// The present.
    pub now: Timestamp,
}

/// What a frame before the session leads to.
#[derive(Debug)]
pub enum Step {
    /// Send this and go on waiting for a first message.
    Reply(Frame, ExpectFirst),
    /// Send M2 or the answer to a resumption; M3 is awaited.
    Answered(Frame, Box<ExpectProof>),
    /// Send E2; E3 is awaited.
    Enrolling(Frame, Box<enrol::ExpectConfirmation>),
}

/// Nothing is proved yet.
#[derive(Debug, Default)]
pub struct ExpectFirst {
    certificate_sent: bool,
    nonce: Option<[u8; 32]>,
    resumption_tried: bool,
}

impl ExpectFirst {
    /// Takes a frame of somebody unknown.
    ///
    /// # Errors
    /// [`Refusal`]: send its answer, if there is one, and close.
    pub fn on_frame<R: Registry + TicketRegistry>(
        self,
        context: &Context<'_, R>,
        frame: &Frame,
        random: &mut dyn Random,
    ) -> Result<Step, Refusal> {
        match (frame.opcode(), frame.sub()) {
            (KEY_VERIFICATION, sub::CERT_REQUEST)
                if self.is_untouched() && frame.body().is_empty() =>
            {
                let answer = certificate_frame(context.identity, context.now);
                Ok(Step::Reply(
                    answer,
                    Self {
                        certificate_sent: true,
                        ..self
                    },
                ))
            }
            (KEY_VERIFICATION, sub::M1) => self.on_m1(context, frame, random),
            (KEY_VERIFICATION, sub::RESUME) if !self.resumption_tried && self.nonce.is_none() => {
                let answer = if context.registry.has_room() {
                    resume::answer(context, frame, random)?
                } else {
                    None
                };
                let tried = Self {
                    resumption_tried: true,
                    ..self
                };
                Ok(match answer {
                    Some((answer, next)) => Step::Answered(answer, Box::new(next)),
                    None => Step::Reply(resume::no_token(), tried),
                })
            }
            (ENROL, enrol_sub::E1) if self.nonce.is_none() && !self.resumption_tried => {
                let (answer, next) = enrol::answer(context, frame, random)?;
                Ok(Step::Enrolling(answer, Box::new(next)))
            }
            _ => Err(RefusalReason::Unexpected.into()),
        }
    }

    /// Whether CERT? may still come.
    const fn is_untouched(&self) -> bool {
        !self.certificate_sent && self.nonce.is_none() && !self.resumption_tried
    }

    fn on_m1<R: Registry>(
        self,
        context: &Context<'_, R>,
        frame: &Frame,
        random: &mut dyn Random,
    ) -> Result<Step, Refusal> {
        let identity = context.identity;
        let group = identity.group();
        let m1 = FirstMessage::decode(frame, group.element_len())?;
        let retried = match (m1.retry, self.nonce) {
            ([], None) => false,
            (answer, Some(nonce)) if ct_eq(answer, &nonce) => true,
            _ => return Err(RefusalReason::Unexpected.into()),
        };
        let clock_is_off = context.now.distance(m1.time) > context.tolerance;
        let just_started = context.now.since(context.started) < context.tolerance.saturating_mul(2);
        if !retried && (clock_is_off || just_started) {
            return Ok(self.retry(context, random));
        }
        let Some(prekey) = identity.prekey(&m1.prekey, context.now) else {
            return Err(unknown_prekey(identity, context.now));
        };
        let c1 = Element::from_bytes(group, m1.c1).map_err(|_| RefusalReason::CannotBeOpened)?;
        let shared = prekey.secret.agree(&c1);
        // Whoever was away may know an earlier certificate; M2 shows this one.
        let (early, content) = identity
            .certificates_of_key()
            .find_map(|certificate| {
                let doctor = certificate.fingerprint();
                let binding = schedule::binding(m1.prefix, &doctor, &prekey.prekey.hash());
                let early = EarlySecret::new(group, &shared, &binding);
                let content = early.first_box_key().open(&[&binding], m1.sealed).ok()?;
                Some((early, content))
            })
            .ok_or(RefusalReason::CannotBeOpened)?;
        let patient = Claim::check(context, &early, content.expose()).map_err(|refusal| {
            match refusal.reason {
                // Whoever it is may come again later.
                RefusalReason::Registry(_) => Refusal {
                    answer: Some(alert_frame(
                        &early,
                        frame,
                        (KEY_VERIFICATION, sub::ALERT),
                        AlertCode::Busy,
                        context.now,
                        random,
                    )),
                    ..refusal
                },
                _ => refusal,
            }
        })?;
        let mut refuse = |code| {
            let name = patient.certificate.subject().identifier.clone();
            refusal_frame(
                &early,
                frame,
                (KEY_VERIFICATION, sub::ALERT),
                code,
                name,
                context.now,
                random,
            )
        };
        if let Some(code) = patient.objection(context, clock_is_off) {
            return Err(refuse(code));
        }
        let subject = patient.certificate.subject();
        let serial = &subject.serial;
        if !retried {
            match context.registry.advance_timestamp(serial, m1.time) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Ok(self.retry(context, random)),
            }
        }
        // Not before: a recorded first message must not count against her.
        if !context.registry.may_begin(serial) {
            return Err(RefusalReason::TooOften(subject.identifier.clone()).into());
        }
        Ok(answer(context, &early, frame, &m1, patient, random))
    }

    fn retry<R>(self, context: &Context<'_, R>, random: &mut dyn Random) -> Step {
        let nonce: [u8; 32] = random::array(random);
        let body = Writer::new()
            .bytes(&nonce)
            .u64(context.now.as_millis())
            .finish();
        let frame = Frame::new(KEY_VERIFICATION, sub::RETRY, &body);
        Step::Reply(
            frame,
            Self {
                nonce: Some(nonce),
                ..self
            },
        )
    }
}

/// Whoever knows only a prekey that is gone is told the one to use.
pub(super) fn unknown_prekey(identity: &DoctorIdentity, now: Timestamp) -> Refusal {
    Refusal {
        answer: Some(certificate_frame(identity, now)),
        reason: RefusalReason::UnknownPrekey,
    }
}

fn certificate_frame(identity: &DoctorIdentity, now: Timestamp) -> Frame {
    Frame::new(KEY_VERIFICATION, sub::CERT, &identity.bundle(now))
}

/// M1, taken apart.
struct FirstMessage<'a> {
    prekey: [u8; 8],
    time: Timestamp,
    retry: &'a [u8],
    c1: &'a [u8],
    /// The frame to the end of `c1`.
    prefix: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> FirstMessage<'a> {
    fn decode(frame: &'a Frame, element_len: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame.body());
        if reader.u16()? != SUITE {
            return Err(DecodeError);
        }
        let prekey = reader.array()?;
        let time = Timestamp::from_millis(reader.u64()?);
        reader.array::<32>()?;
        let retry = reader.lp8()?;
        if !matches!(retry.len(), 0 | 32) {
            return Err(DecodeError);
        }
        let c1 = reader.take(element_len)?;
        let sealed = reader.lp16()?;
        reader.finish()?;
        let prefix_len = frame.as_bytes().len() - 2 - sealed.len();
        let prefix = &frame.as_bytes()[..prefix_len];
        Ok(Self {
            prekey,
            time,
            retry,
            c1,
            prefix,
            sealed,
        })
    }
}

/// Who somebody proved to be, and the ephemeral key they brought.
struct Claim {
    certificate: VerifiedCertificate,
    encryption_key: Element,
    ephemeral: Element,
    standing: Standing,
}

impl Claim {
    /// Checks what box1 holds: first the table, then the keys, last the
    /// signatures.
    fn check<R: Registry>(
        context: &Context<'_, R>,
        early: &EarlySecret,
        content: &[u8],
    ) -> Result<Self, Refusal> {
        let identity = context.identity;
        let group = identity.group();
        let mut reader = Reader::new(content);
        let certificate = reader.lp16()?;
        let issuer = reader.lp16()?;
        let ephemeral = reader.take(group.element_len())?;
        let signature = reader.take(2 * group.element_len())?;
        reader.finish()?;

        let serial = claimed_serial(certificate).ok_or(RefusalReason::UnknownCertificate)?;
        let row = context
            .registry
            .certificate(&serial)?
            .ok_or(RefusalReason::UnknownCertificate)?;
        let certificate = Certificate::decode(certificate, group)
            .and_then(|certificate| VerifiedCertificate::known(certificate, &row.fingerprint))
            .map_err(|_| RefusalReason::UnknownCertificate)?;
        let subject = certificate.subject();
        let (Role::Patient, Some(encryption_key)) = (subject.role, &subject.encryption_key) else {
            return Err(RefusalReason::UnknownCertificate.into());
        };
        let encryption_key = encryption_key.clone();
        if identity.is_own(&subject.identifier, &subject.signing_key, &encryption_key) {
            return Err(RefusalReason::OwnKey.into());
        }
        if !context.registry.may_try(&serial, context.from) {
            return Err(RefusalReason::TooOften(subject.identifier.clone()).into());
        }
        let ephemeral =
            Element::from_bytes(group, ephemeral).map_err(|_| RefusalReason::BadSignature)?;
        subject
            .signing_key
            .verify(
                label::SIG_M1,
                &[
                    early.binding_hash(),
                    &certificate.fingerprint(),
                    ephemeral.as_bytes(),
                ],
                signature,
            )
            .map_err(|_| RefusalReason::BadSignature)?;
        check_issued(context, &certificate, issuer)?;
        Ok(Self {
            certificate,
            encryption_key,
            ephemeral,
            standing: row.standing,
        })
    }

    /// What speaks against a patient whose signature was right.
    fn objection<R: Registry>(
        &self,
        context: &Context<'_, R>,
        clock_is_off: bool,
    ) -> Option<AlertCode> {
        match objection_to(
            context.identity,
            &self.certificate,
            self.standing,
            context.now,
        ) {
            None if context.strict_clock && clock_is_off => Some(AlertCode::Clock),
            None if !context
                .registry
                .has_room_for(&self.certificate.fingerprint()) =>
            {
                Some(AlertCode::Busy)
            }
            objection => objection,
        }
    }
}

/// Where the table is not enough: verifies that a doctor of the clinic has issued
/// this certificate. Its holder has proved to be that, so that no stranger lets
/// the doctor compute this. `issuer` is empty if it is the doctor herself. Whether
/// that doctor's certificate still holds does not matter: the table says whether
/// the patient's does, and the root which of a former doctor's are good
/// ([`objection_to`]).
fn check_issued<R: Registry>(
    context: &Context<'_, R>,
    certificate: &VerifiedCertificate,
    issuer: &[u8],
) -> Result<(), RefusalReason> {
    let fingerprint = certificate.fingerprint();
    if context.registry.is_row_enough(&fingerprint) {
        return Ok(());
    }
    let identity = context.identity;
    let own = &identity.certificate;
    let issuer = match issuer {
        [] => Ok(own.clone()),
        bytes => Certificate::decode(bytes, identity.group())
            .and_then(|issuer| identity.root.accept_issued(issuer)),
    };
    issuer
        .and_then(|issuer| issuer.accept_issued(Certificate::clone(certificate)))
        .map_err(|_| RefusalReason::UnknownCertificate)?;
    context.registry.note_verified(&fingerprint);
    Ok(())
}

/// What the table, the dates and the clinic's root say against a certificate.
pub(super) fn objection_to(
    identity: &DoctorIdentity,
    certificate: &VerifiedCertificate,
    standing: Standing,
    now: Timestamp,
) -> Option<AlertCode> {
    // Whoever has a former doctor's key could have signed it since.
    let issuer = Certificate::issuer_in(certificate.as_bytes());
    let is_closed =
        issuer.is_some_and(|key| identity.closed.refuses(&key, &certificate.fingerprint()));
    match (standing, certificate.check_dates(now)) {
        (Standing::Inactive, _) => Some(AlertCode::NotActive),
        (Standing::Stopped, _) => Some(AlertCode::Revoked),
        _ if is_closed => Some(AlertCode::Revoked),
        (Standing::Active, Err(CertificateError::NotYetValid(_))) => Some(AlertCode::NotYetValid),
        (Standing::Active, Err(_)) => Some(AlertCode::Ended),
        (Standing::Active, Ok(())) => None,
    }
}

fn claimed_serial(certificate: &[u8]) -> Option<Serial> {
    certificate.get(1..)?.first_chunk().copied()
}

fn answer<R>(
    context: &Context<'_, R>,
    early: &EarlySecret,
    m1_frame: &Frame,
    m1: &FirstMessage<'_>,
    patient: Claim,
    random: &mut dyn Random,
) -> Step {
    let identity = context.identity;
    let group = identity.group();
    let ephemeral = KemSecret::generate(group, random);
    let fields = Writer::new()
        .u64(context.now.as_millis())
        .bytes(&random::array::<32>(random))
        .bytes(ephemeral.public().as_bytes())
        .finish();
    let (prekey, prekey_hash) = identity
        .shown_prekey(context.now)
        .map_or(([].as_slice(), [0; 64]), |own| {
            (own.prekey.as_bytes(), own.prekey.hash())
        });
    let papers = Writer::new()
        .lp16(identity.certificate.as_bytes())
        .lp16(prekey)
        .lp16(identity.revoked.as_bytes())
        .finish();
    let box_len = aes::sealed_len(papers.len() + 2 * group.element_len());
    let header = Frame::header(KEY_VERIFICATION, sub::M2, fields.len() + 2 + box_len);
    let th2 = schedule::transcript_2(m1_frame, &[&header[..], &fields].concat());
    let secret = early.handshake(
        &ephemeral.agree(&patient.ephemeral),
        &ephemeral.agree(&patient.encryption_key),
    );
    let signature = identity.signing.sign(
        label::SIG_M2,
        &[
            &th2,
            &patient.certificate.fingerprint(),
            &identity.certificate.fingerprint(),
            &prekey_hash,
            &identity.revoked.hash(),
        ],
        random,
    );
    let content = [papers, signature].concat();
    let sealed = secret
        .second_box_key(&th2)
        .seal(0, &[&th2], &content, random);
    let body = Writer::new().bytes(&fields).lp16(&sealed).finish();
    let m2 = Frame::new(KEY_VERIFICATION, sub::M2, &body);
    let session = secret.session_key(schedule::transcript_3(m1_frame, &m2));
    let established = Established {
        doctor: identity.certificate.fingerprint(),
        revoked_number: identity.revoked.number(),
        certificate: patient.certificate,
        session,
        full_handshake: context.now,
        resumed: false,
        their_time: m1.time,
    };
    debug_assert_eq!(m2.as_bytes().len(), HEADER_LEN + body.len());
    Step::Answered(m2, Box::new(ExpectProof::new(established)))
}
