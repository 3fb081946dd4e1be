//! The patient's side of the full handshake.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, KemSecret};
use crate::framing::{Frame, HEADER_LEN};
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::certificate::CertificateError;
use crate::identity::known_doctor::{KnownDoctor, News, TrustError};
use crate::identity::patient_identity::PatientIdentity;
use crate::kdf::label;
use crate::protocol::opcode::KEY_VERIFICATION;
use crate::protocol::{AlertCode, SUITE, sub};
use crate::random::{self, Random};
use crate::session::SessionKey;
use crate::{aes, kdf};

/// Why a handshake ends on the patient's side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HandshakeError {
    /// A frame that has no place here, or is malformed.
    Unexpected,
    /// The other side does not hold the doctor's keys, or somebody changed
    /// what was sent.
    NotTheDoctor,
    /// What the other side says of itself is not believed.
    Trust(TrustError),
    /// The doctor refuses, and it is she who does.
    Refused {
        /// Why.
        code: AlertCode,
        /// The doctor's clock.
        doctor_time: Timestamp,
    },
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected => f.write_str("the server does not keep to the protocol"),
            Self::NotTheDoctor => f.write_str(
                "the server could not prove to be the doctor, or its answer was changed on the way",
            ),
            Self::Trust(error) => write!(f, "{error}"),
            Self::Refused { code, doctor_time } => refusal(f, *code, *doctor_time),
        }
    }
}

fn refusal(f: &mut fmt::Formatter<'_>, code: AlertCode, doctor_time: Timestamp) -> fmt::Result {
    match code {
        AlertCode::Clock => write!(
            f,
            "the doctor refuses: this device's clock is wrong, by hers it is {doctor_time}"
        ),
        AlertCode::Ended => f.write_str("the doctor refuses: this device's certificate has ended"),
        AlertCode::Revoked => {
            f.write_str("the doctor refuses: this device's certificate was revoked or is frozen")
        }
        AlertCode::NotYetValid => {
            f.write_str("the doctor refuses: this device's certificate is not valid yet")
        }
        AlertCode::NotActive => {
            f.write_str("the doctor refuses: this device's certificate is not active")
        }
        AlertCode::Busy => f.write_str("the doctor's server is full or stopping"),
        AlertCode::TicketExpired => f.write_str("the doctor refuses: the ticket has expired"),
        AlertCode::TicketUsed => {
            f.write_str("the doctor refuses: the ticket was used by another device")
        }
        AlertCode::TicketWithdrawn => {
            f.write_str("the doctor refuses: the ticket was withdrawn, or frozen by an alarm")
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<DecodeError> for HandshakeError {
    fn from(_: DecodeError) -> Self {
        Self::Unexpected
    }
}

impl From<TrustError> for HandshakeError {
    fn from(error: TrustError) -> Self {
        Self::Trust(error)
    }
}

/// CERT?: asks a server who it is.
#[must_use]
pub fn certificate_request() -> Frame {
    Frame::new(KEY_VERIFICATION, sub::CERT_REQUEST, &[])
}

/// The body of a CERT frame that answers [`certificate_request`].
///
/// # Errors
/// [`HandshakeError::Unexpected`] if it is another frame.
pub fn certificate_answer(frame: &Frame) -> Result<&[u8], HandshakeError> {
    match (frame.opcode(), frame.sub()) {
        (KEY_VERIFICATION, sub::CERT) => Ok(frame.body()),
        _ => Err(HandshakeError::Unexpected),
    }
}

/// What both sides of a finished handshake have.
#[derive(Debug)]
pub struct Agreed {
    /// The session key.
    pub session: SessionKey,
    /// How far the other side's clock is from this one's.
    pub clock_difference: Duration,
    /// The other side's clock.
    pub their_time: Timestamp,
}

/// What a frame from the doctor leads to.
#[derive(Debug)]
pub enum Step {
    /// Send this M1 and go on waiting.
    Retry(Frame, Box<AwaitAnswer>),
    /// Learn this and start again on a new connection.
    StartAgain(Box<News>),
    /// Send this M3; the session's first record is awaited. Learn the news.
    Answered {
        /// M3.
        m3: Frame,
        /// The session key.
        agreed: Agreed,
        /// What the doctor said of herself.
        news: Box<News>,
    },
}

/// M1 is sent; RETRY, CERT, ALERT or M2 is awaited.
#[derive(Debug)]
pub struct AwaitAnswer {
    early: EarlySecret,
    ephemeral: KemSecret,
    m1: Frame,
    retried: bool,
}

/// Makes M1.
pub fn begin(
    identity: &PatientIdentity,
    doctor: &KnownDoctor,
    now: Timestamp,
    random: &mut dyn Random,
) -> (Frame, AwaitAnswer) {
    AwaitAnswer::new(identity, doctor, None, now, random)
}

impl AwaitAnswer {
    fn new(
        identity: &PatientIdentity,
        doctor: &KnownDoctor,
        retry: Option<&[u8; 32]>,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> (Frame, Self) {
        let group = doctor.group();
        let kem = KemSecret::generate(group, random);
        let ephemeral = KemSecret::generate(group, random);
        let own_certificate = identity.certificate();
        // The issuer's certificate may be left out when it is the doctor's own.
        let issuer = if identity.issuer().as_bytes() == doctor.certificate().as_bytes() {
            &[]
        } else {
            identity.issuer().as_bytes()
        };
        let fields = Writer::new()
            .u16(SUITE)
            .bytes(&doctor.prekey().id())
            .u64(now.as_millis())
            .bytes(&random::array::<32>(random))
            .lp8(retry.map_or(&[][..], |nonce| nonce))
            .bytes(kem.public().as_bytes())
            .finish();
        let certificates = Writer::new()
            .lp16(own_certificate.as_bytes())
            .lp16(issuer)
            .finish();
        let box_len = aes::sealed_len(certificates.len() + 3 * group.element_len());
        let header = Frame::header(KEY_VERIFICATION, sub::M1, fields.len() + 2 + box_len);
        let prefix = [&header[..], &fields].concat();
        let binding = schedule::binding(
            &prefix,
            &doctor.certificate().fingerprint(),
            &doctor.prekey().hash(),
        );
        let early = EarlySecret::new(group, &kem.agree(doctor.prekey().key()), &binding);
        let signature = identity.signing().sign(
            label::SIG_M1,
            &[
                early.binding_hash(),
                &own_certificate.fingerprint(),
                ephemeral.public().as_bytes(),
            ],
            random,
        );
        let content = [&certificates, ephemeral.public().as_bytes(), &signature].concat();
        let sealed = early.first_box_key().seal(0, &[&binding], &content, random);
        let body = Writer::new().bytes(&fields).lp16(&sealed).finish();
        let m1 = Frame::new(KEY_VERIFICATION, sub::M1, &body);
        let retried = retry.is_some();
        (
            m1.clone(),
            Self {
                early,
                ephemeral,
                m1,
                retried,
            },
        )
    }

    /// Takes the doctor's answer to M1.
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is to be closed without a word.
    pub fn on_frame(
        self,
        identity: &PatientIdentity,
        doctor: &KnownDoctor,
        frame: &Frame,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Step, HandshakeError> {
        if frame.opcode() != KEY_VERIFICATION {
            return Err(HandshakeError::Unexpected);
        }
        match frame.sub() {
            sub::RETRY if !self.retried => {
                let mut reader = Reader::new(frame.body());
                let nonce = reader.array()?;
                // The doctor's clock: signed by nobody here, so not even shown.
                reader.u64()?;
                reader.finish()?;
                let (m1, next) = Self::new(identity, doctor, Some(&nonce), now, random);
                Ok(Step::Retry(m1, Box::new(next)))
            }
            sub::CERT => {
                let news = doctor.check_bundle(frame.body(), identity.own(), now)?;
                // What was checked is valid now: the known one may be older, or
                // one that is to begin later.
                let known = doctor.prekey();
                if known.is_valid_at(now) && news.prekey.not_before() <= known.not_before() {
                    return Err(HandshakeError::Unexpected);
                }
                Ok(Step::StartAgain(Box::new(news)))
            }
            sub::ALERT => Err(read_alert(&self.early, &self.m1, frame)),
            sub::M2 => self.on_m2(identity, doctor, frame, now),
            _ => Err(HandshakeError::Unexpected),
        }
    }

    fn on_m2(
        self,
        identity: &PatientIdentity,
        doctor: &KnownDoctor,
        m2: &Frame,
        now: Timestamp,
    ) -> Result<Step, HandshakeError> {
        let group = doctor.group();
        let mut reader = Reader::new(m2.body());
        let their_time = Timestamp::from_millis(reader.u64()?);
        reader.array::<32>()?;
        let c2 = reader.take(group.element_len())?;
        let sealed = reader.lp16()?;
        reader.finish()?;
        let c2 = Element::from_bytes(group, c2).map_err(|_| HandshakeError::NotTheDoctor)?;

        let prefix_len = HEADER_LEN + 8 + 32 + group.element_len();
        let th2 = schedule::transcript_2(&self.m1, &m2.as_bytes()[..prefix_len]);
        let ss2 = self.ephemeral.agree(&c2);
        let ss3 = identity.encryption().agree(&c2);
        let secret = self.early.handshake(&ss2, &ss3);
        let content = secret
            .second_box_key(&th2)
            .open(&[&th2], sealed)
            .map_err(|_| HandshakeError::NotTheDoctor)?;

        let mut reader = Reader::new(content.expose());
        let (certificate, prekey, revoked) = (reader.lp16()?, reader.lp16()?, reader.lp16()?);
        let signature = reader.rest();
        let check = |at| doctor.check_news(certificate, prekey, revoked, identity.own(), at);
        // If only the dates fail, and would pass by the doctor's clock, it is
        // this device's clock that is wrong. There is no override, but she can
        // be told, once the signature shows that it is the doctor who speaks.
        let (news, own_clock_fits) = match check(now) {
            Ok(news) => (news, true),
            Err(error) if is_about_dates(&error) => (check(their_time).map_err(|_| error)?, false),
            Err(error) => return Err(error.into()),
        };
        news.certificate
            .subject()
            .signing_key
            .verify(
                label::SIG_M2,
                &[
                    &th2,
                    &identity.certificate().fingerprint(),
                    &news.certificate.fingerprint(),
                    &news.prekey.hash(),
                    &news.revoked.hash(),
                ],
                signature,
            )
            .map_err(|_| HandshakeError::NotTheDoctor)?;
        if !own_clock_fits {
            return Err(TrustError::OwnClock(their_time).into());
        }
        let session = secret.session_key(schedule::transcript_3(&self.m1, m2));
        Ok(Step::Answered {
            m3: Frame::new(KEY_VERIFICATION, sub::M3, &session.verification()),
            agreed: Agreed {
                session,
                clock_difference: now.distance(their_time),
                their_time,
            },
            news: Box::new(news),
        })
    }
}

fn is_about_dates(error: &TrustError) -> bool {
    matches!(
        error,
        TrustError::PrekeyDates
            | TrustError::Root(CertificateError::Ended(_) | CertificateError::NotYetValid(_))
            | TrustError::Doctor(CertificateError::Ended(_) | CertificateError::NotYetValid(_))
    )
}

/// Opens a refusal of the first message `first`.
pub(super) fn read_alert(early: &EarlySecret, first: &Frame, alert: &Frame) -> HandshakeError {
    let open = || -> Result<HandshakeError, HandshakeError> {
        let mut reader = Reader::new(alert.body());
        let sealed = reader.lp16()?;
        reader.finish()?;
        let content = early
            .alert_key()
            .open(&[&kdf::hash(&[first.as_bytes()])], sealed)
            .map_err(|_| HandshakeError::NotTheDoctor)?;
        let mut reader = Reader::new(content.expose());
        let code = AlertCode::from_byte(reader.u8()?).ok_or(HandshakeError::Unexpected)?;
        let doctor_time = Timestamp::from_millis(reader.u64()?);
        reader.finish()?;
        Ok(HandshakeError::Refused { code, doctor_time })
    };
    open().unwrap_or_else(|error| error)
}
