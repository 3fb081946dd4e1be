//! Resumption: a new session key from a token of an earlier session and a
//! fresh key exchange, without a signature.
//!
//! ```text
//! patient  -- TS ‖ RN ‖ token ‖ Y_r ‖ binder -->  doctor
//! patient  <-- TS ‖ RN ‖ c_r ‖ binder ----------  doctor   (or NO_TOKEN)
//! patient  -- M3 ------------------------------>  doctor
//! ```

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, Group, KemSecret, SharedSecret};
use crate::framing::Frame;
use crate::handshake::doctor::{
    Context, Established, ExpectProof, Refusal, RefusalReason, objection_to,
};
use crate::handshake::patient::{Agreed, HandshakeError};
use crate::handshake::registry::{Registry, RegistryError, Resumable, Standing};
use crate::handshake::schedule;
use crate::identity::certificate::VerifiedCertificate;
use crate::kdf::{self, Label, Prk, label};
use crate::protocol::opcode::KEY_VERIFICATION;
use crate::protocol::record::Mac;
use crate::protocol::sub;
use crate::random::{self, Random};
use crate::secret::{Secret, ct_eq};
use crate::session::SessionKey;

/// How long a token is taken after it was given out.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long after signatures were last exchanged a session may be resumed.
pub const FULL_HANDSHAKE_EVERY: Duration = Duration::from_secs(12 * 60 * 60);

/// How long the next token may live.
#[must_use]
pub fn token_lifetime(full_handshake: Timestamp, now: Timestamp) -> Duration {
    FULL_HANDSHAKE_EVERY
        .saturating_sub(now.since(full_handshake))
        .min(TOKEN_LIFETIME)
}

/// What a patient keeps to resume a session: in memory only, used once.
pub struct ResumptionTicket {
    token: [u8; 32],
    key: Prk,
    expires: Timestamp,
    /// The address of this device it was last shown from, without an answer.
    shown_from: Option<IpAddr>,
}

impl ResumptionTicket {
    /// Keeps the token of `session`; nothing if it is not to be resumed.
    #[must_use]
    pub fn new(
        session: &SessionKey,
        token: &[u8; 32],
        lifetime: Duration,
        now: Timestamp,
    ) -> Option<Self> {
        (!lifetime.is_zero()).then(|| Self {
            token: *token,
            key: session.resumption_key(token),
            expires: now.plus(lifetime),
            shown_from: None,
        })
    }

    /// The same once more, for a connection that may end before the doctor has
    /// seen anything of it.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            token: self.token,
            key: self.key.duplicate(),
            expires: self.expires,
            shown_from: self.shown_from,
        }
    }

    /// Notes that it is shown on a connection from this address of the device.
    pub const fn shown(&mut self, from: IpAddr) {
        self.shown_from = Some(from);
    }

    /// Whether it was shown on another network, as far as the device's address
    /// tells: whoever watches both would see the same token twice.
    #[must_use]
    pub fn was_shown_elsewhere(&self, here: IpAddr) -> bool {
        self.shown_from.is_some_and(|from| from != here)
    }

    /// Whether the doctor would still take it.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// Shows no token: logs and error reports print with Debug.
impl fmt::Debug for ResumptionTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumptionTicket(.., until {})", self.expires)
    }
}

/// The request is sent; the doctor's answer is awaited.
#[derive(Debug)]
pub struct AwaitResumed {
    key: Prk,
    ephemeral: KemSecret,
    request: Frame,
}

/// What the doctor's answer leads to.
#[derive(Debug)]
pub enum Step {
    /// Not resumed: make a full handshake, on the same connection.
    NoToken,
    /// Send this M3; the session's first record is awaited.
    Answered(Frame, Agreed),
}

/// Makes the request. The ticket is gone with it.
pub fn begin(
    ticket: ResumptionTicket,
    group: &Group,
    now: Timestamp,
    random: &mut dyn Random,
) -> (Frame, AwaitResumed) {
    let ephemeral = KemSecret::generate(group, random);
    let fields = Writer::new()
        .u64(now.as_millis())
        .bytes(&random::array::<32>(random))
        .bytes(&ticket.token)
        .bytes(ephemeral.public().as_bytes());
    let request = with_binder(&ticket.key, label::BINDER_P, &[], sub::RESUME, fields);
    (
        request.clone(),
        AwaitResumed {
            key: ticket.key,
            ephemeral,
            request,
        },
    )
}

impl AwaitResumed {
    /// Takes the doctor's answer.
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is to be closed without a word.
    pub fn on_frame(
        self,
        group: &Group,
        frame: &Frame,
        now: Timestamp,
    ) -> Result<Step, HandshakeError> {
        match (frame.opcode(), frame.sub()) {
            (KEY_VERIFICATION, sub::NO_TOKEN) if frame.body().is_empty() => Ok(Step::NoToken),
            (KEY_VERIFICATION, sub::RESUMED) => self.on_resumed(group, frame, now),
            _ => Err(HandshakeError::Unexpected),
        }
    }

    fn on_resumed(
        self,
        group: &Group,
        frame: &Frame,
        now: Timestamp,
    ) -> Result<Step, HandshakeError> {
        let mut reader = Reader::new(frame.body());
        let their_time = Timestamp::from_millis(reader.u64()?);
        reader.array::<32>()?;
        let theirs = reader.take(group.element_len())?;
        let proof: Mac = reader.array()?;
        reader.finish()?;
        let theirs =
            Element::from_bytes(group, theirs).map_err(|_| HandshakeError::NotTheDoctor)?;
        let request_hash = kdf::hash(&[self.request.as_bytes()]);
        let expected = binder(
            &self.key,
            label::BINDER_D,
            &[&request_hash, before_binder(frame)],
        );
        if !ct_eq(&proof, &expected) {
            return Err(HandshakeError::NotTheDoctor);
        }
        let shared = self.ephemeral.agree(&theirs);
        let session = session_key(&self.key, &shared, &self.request, frame);
        Ok(Step::Answered(
            Frame::new(KEY_VERIFICATION, sub::M3, &session.verification()),
            Agreed {
                session,
                clock_difference: now.distance(their_time),
                their_time,
            },
        ))
    }
}

/// `NO_TOKEN`: not resumed.
#[must_use]
pub fn no_token() -> Frame {
    Frame::new(KEY_VERIFICATION, sub::NO_TOKEN, &[])
}

/// A request, taken apart.
struct Request<'a> {
    time: Timestamp,
    token: [u8; 32],
    /// `Y_r G`, not looked at yet.
    ephemeral: &'a [u8],
    binder: Mac,
    frame: &'a Frame,
}

impl<'a> Request<'a> {
    /// Exactly the length of one in this group: nobody has longer ones verified.
    fn decode(frame: &'a Frame, group: &Group) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame.body());
        let time = Timestamp::from_millis(reader.u64()?);
        reader.array::<32>()?;
        let token = reader.array()?;
        let ephemeral = reader.take(group.element_len())?;
        let binder = reader.array()?;
        reader.finish()?;
        Ok(Self {
            time,
            token,
            ephemeral,
            binder,
            frame,
        })
    }

    /// Whether it names a token that is known and proves to hold its key.
    fn is_proved<R: Registry>(&self, registry: &R) -> bool {
        let Some(key) = registry.token_key(&self.token) else {
            return false;
        };
        let expected = binder(&key, label::BINDER_P, &[before_binder(self.frame)]);
        ct_eq(&self.binder, &expected)
    }
}

/// Whether a request names a token that is known and proves to hold its key. It
/// takes nothing, and costs a look and at most a MAC: what comes before a
/// request is given a processor.
///
/// # Errors
/// [`DecodeError`] if it is malformed.
pub fn is_proved<R: Registry>(
    registry: &R,
    group: &Group,
    request: &Frame,
) -> Result<bool, DecodeError> {
    Ok(Request::decode(request, group)?.is_proved(registry))
}

/// The doctor's answer to a request; nothing if the token is unknown, not
/// proved, over, of a certificate in bad standing, or from before the doctor's
/// certificate or the list of revoked doctors was another one.
///
/// # Errors
/// [`Refusal`] if the request is malformed, the tables cannot be read, or the
/// patient has begun too many handshakes.
pub fn answer<R: Registry>(
    context: &Context<'_, R>,
    request: &Frame,
    random: &mut dyn Random,
) -> Result<Option<(Frame, ExpectProof)>, Refusal> {
    answer_if(context, request, R::standing, random)
}

/// The same inside a session, which goes on under new keys.
///
/// # Errors
/// As [`answer`].
pub fn answer_in_session<R: Registry>(
    context: &Context<'_, R>,
    request: &Frame,
    random: &mut dyn Random,
) -> Result<Option<(Frame, ExpectProof)>, Refusal> {
    answer_if(context, request, R::standing_in_session, random)
}

fn answer_if<R: Registry>(
    context: &Context<'_, R>,
    request: &Frame,
    standing: fn(&R, &VerifiedCertificate) -> Result<Option<Standing>, RegistryError>,
    random: &mut dyn Random,
) -> Result<Option<(Frame, ExpectProof)>, Refusal> {
    let group = context.identity.group();
    let fields = Request::decode(request, group)?;
    // Between the proof and this somebody else may have taken the token.
    let resumable = match fields.is_proved(context.registry) {
        true => context.registry.take_token(&fields.token),
        false => None,
    };
    let doctor = context.identity.certificate.fingerprint();
    let number = context.identity.revoked.number();
    let is_current = |entry: &Resumable| {
        context.now <= entry.expires && entry.doctor == doctor && entry.revoked_number == number
    };
    let Some(resumable) = resumable.filter(is_current) else {
        return Ok(None);
    };
    let serial = &resumable.certificate.subject().serial;
    let standing = standing(context.registry, &resumable.certificate)?;
    let refused = standing.is_none_or(|standing| {
        objection_to(
            context.identity,
            &resumable.certificate,
            standing,
            context.now,
        )
        .is_some()
    });
    if refused {
        return Ok(None);
    }
    if !context.registry.may_begin(serial) {
        let patient = resumable.certificate.subject().identifier.clone();
        return Err(RefusalReason::TooOften(patient).into());
    }
    // Last: it costs far more than the rest, and the binder covers it.
    let theirs = Element::from_bytes(group, fields.ephemeral).map_err(|_| DecodeError)?;
    let their_time = fields.time;

    let ephemeral = KemSecret::generate(group, random);
    let fields = Writer::new()
        .u64(context.now.as_millis())
        .bytes(&random::array::<32>(random))
        .bytes(ephemeral.public().as_bytes());
    let request_hash = kdf::hash(&[request.as_bytes()]);
    let answer = with_binder(
        &resumable.key,
        label::BINDER_D,
        &[&request_hash],
        sub::RESUMED,
        fields,
    );
    let shared = ephemeral.agree(&theirs);
    let established = Established {
        doctor: resumable.doctor,
        revoked_number: resumable.revoked_number,
        session: session_key(&resumable.key, &shared, request, &answer),
        certificate: resumable.certificate,
        full_handshake: resumable.full_handshake,
        resumed: true,
        their_time,
    };
    Ok(Some((answer, ExpectProof::new(established))))
}

/// A frame that ends with the proof of knowing `key`.
fn with_binder(key: &Prk, label: Label, before: &[&[u8]], sub: u8, fields: Writer) -> Frame {
    let fields = fields.finish();
    let header = Frame::header(KEY_VERIFICATION, sub, fields.len() + size_of::<Mac>());
    let mut parts = before.to_vec();
    parts.extend_from_slice(&[&header[..], &fields]);
    let proof = binder(key, label, &parts);
    Frame::new(KEY_VERIFICATION, sub, &[&fields[..], &proof].concat())
}

fn binder(key: &Prk, label: Label, parts: &[&[u8]]) -> Mac {
    let key: Secret<64> = key.expand(label, &[]);
    kdf::hmac(key.expose(), parts)
}

/// A frame without the binder at its end.
fn before_binder(frame: &Frame) -> &[u8] {
    let bytes = frame.as_bytes();
    &bytes[..bytes.len().saturating_sub(size_of::<Mac>())]
}

fn session_key(key: &Prk, shared: &SharedSecret, request: &Frame, answer: &Frame) -> SessionKey {
    let transcript = schedule::transcript(label::TH_RESUME, request.as_bytes(), answer.as_bytes());
    let salt: Secret<64> = key.expand(label::RESUME_MASTER, &[]);
    let master = kdf::extract(salt.expose(), &[shared.expose(), &transcript]);
    SessionKey::new(master, transcript)
}
