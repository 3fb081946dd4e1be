//! Why a doctor does not let somebody in, and what the peer learns of it.

use std::fmt;

use crate::clock::Timestamp;
use crate::codec::{DecodeError, Writer};
use crate::framing::Frame;
use crate::handshake::registry::RegistryError;
use crate::handshake::schedule::EarlySecret;
use crate::identity::id::Identifier;
use crate::kdf;
use crate::protocol::AlertCode;
use crate::random::Random;

/// Why somebody is not let in. The peer learns of it only what
/// [`Refusal::answer`] holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// A frame that has no place here, or is malformed.
    Unexpected,
    /// It was made for a prekey that is unknown or has ended.
    UnknownPrekey,
    /// It does not open: made without the prekey, or changed on the way.
    CannotBeOpened,
    /// A certificate that was not issued here.
    UnknownCertificate,
    /// The doctor's own name or key shown by somebody else.
    OwnKey,
    /// A certificate that has begun too many handshakes lately.
    TooOften(Identifier),
    /// The signature, or the session key's verification, is wrong.
    BadSignature,
    /// A patient with right signature or ticket, refused with this alert.
    Alert(AlertCode, Identifier),
    /// A ticket that was not issued here.
    UnknownTicket,
    /// The proof of the ticket's secret is wrong.
    WrongTicketProof(Identifier),
    /// Keys that are in use in another certificate.
    KeysInUse(Identifier),
    /// A ticket was used a second time, with other keys; it is frozen now.
    TicketUsedTwice(Identifier),
    /// A ticket that the doctor has not signed, by somebody who knows its secret.
    TicketNotSigned(Identifier),
    /// The tables cannot be used.
    Registry(String),
}

impl RefusalReason {
    /// Whether the address it came from gets its first message back: only
    /// where this server is to blame.
    #[must_use]
    pub const fn is_own_fault(&self) -> bool {
        matches!(self, Self::Alert(AlertCode::Busy, _) | Self::Registry(_))
    }

    /// Whether something was to be proved, and was not: what blocks an address
    /// if it happens often. A patient whose certificate has ended, was revoked
    /// or whose clock is wrong has proved who she is; so has who knows the
    /// secret of a ticket; and an old prekey says that she was away for long.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        match self {
            Self::Unexpected
            | Self::CannotBeOpened
            | Self::UnknownCertificate
            | Self::OwnKey
            | Self::BadSignature
            | Self::UnknownTicket
            | Self::WrongTicketProof(_) => true,
            // Of one that is shown too often it was not looked whether it is
            // proved.
            Self::UnknownPrekey
            | Self::TooOften(_)
            | Self::Alert(..)
            | Self::KeysInUse(_)
            | Self::TicketUsedTwice(_)
            | Self::TicketNotSigned(_)
            | Self::Registry(_) => false,
        }
    }

    /// Whether somebody can cause it again and again without a right ticket or
    /// certificate: counted rather than shown one by one.
    #[must_use]
    pub const fn is_unauthenticated(&self) -> bool {
        !matches!(
            self,
            Self::Alert(..) | Self::TicketNotSigned(_) | Self::Registry(_)
        )
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected => f.write_str("does not speak the protocol"),
            Self::UnknownPrekey => f.write_str("used a prekey that is unknown or has ended"),
            Self::CannotBeOpened => f.write_str("sent a first message that cannot be opened"),
            Self::UnknownCertificate => f.write_str("showed a certificate not issued here"),
            Self::OwnKey => f.write_str("showed the doctor's own name or key"),
            Self::TooOften(patient) => {
                write!(f, "shows the certificate of {patient} too often")
            }
            Self::BadSignature => f.write_str("could not prove to hold the certificate's key"),
            Self::Alert(code, patient) => write!(f, "is {patient}, refused: {}", alert_text(*code)),
            Self::UnknownTicket => f.write_str("showed a ticket not issued here"),
            Self::WrongTicketProof(patient) => {
                write!(f, "does not know the secret of the ticket for {patient}")
            }
            Self::KeysInUse(patient) => {
                write!(f, "asked to enrol {patient} with keys that are in use")
            }
            Self::TicketUsedTwice(patient) => write!(
                f,
                "used the ticket for {patient} a second time, with other keys: ticket and \
                 certificate are frozen, and {patient} cannot connect any more. Phone {patient} \
                 and compare the device's key, which 'patient status' shows, with 'doctor devices \
                 {patient}'. If it is the same: doctor unfreeze {patient} --device N --reason \
                 TEXT. If not: doctor revoke {patient} --reason TEXT, then doctor enrol {patient}"
            ),
            Self::TicketNotSigned(patient) => write!(
                f,
                "showed a ticket for {patient} that this doctor has not signed: an earlier \
                 version of this program has made it, or somebody else has written it into the \
                 database. If {patient} is to enrol, make a new one: doctor enrol {patient}"
            ),
            Self::Registry(error) => write!(f, "could not be looked up: {error}"),
        }
    }
}

const fn alert_text(code: AlertCode) -> &'static str {
    match code {
        AlertCode::Clock => "the clock is off",
        AlertCode::Ended => "the certificate has ended",
        AlertCode::Revoked => "the certificate is frozen or revoked",
        AlertCode::NotYetValid => "the certificate is not valid yet",
        AlertCode::NotActive => "the certificate is not active",
        AlertCode::Busy => "the server is full or stopping",
        AlertCode::TicketExpired => "the ticket has expired",
        AlertCode::TicketUsed => "the ticket was used already",
        AlertCode::TicketWithdrawn => "the ticket was withdrawn",
    }
}

/// The end of a handshake: what to send, if anything, before closing.
#[derive(Debug)]
pub struct Refusal {
    /// The last frame for the peer; none: close without a word.
    pub answer: Option<Frame>,
    /// For the doctor's eyes.
    pub reason: RefusalReason,
}

impl From<RefusalReason> for Refusal {
    fn from(reason: RefusalReason) -> Self {
        Self {
            answer: None,
            reason,
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(_: DecodeError) -> Self {
        RefusalReason::Unexpected.into()
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        RefusalReason::Registry(error.0).into()
    }
}

/// A refusal of `first` that only the holder of the prekey can make.
pub(super) fn refusal_frame(
    early: &EarlySecret,
    first: &Frame,
    kind: (u8, u8),
    code: AlertCode,
    patient: Identifier,
    now: Timestamp,
    random: &mut dyn Random,
) -> Refusal {
    Refusal {
        answer: Some(alert_frame(early, first, kind, code, now, random)),
        reason: RefusalReason::Alert(code, patient),
    }
}

/// The frame of it.
pub(super) fn alert_frame(
    early: &EarlySecret,
    first: &Frame,
    (opcode, sub): (u8, u8),
    code: AlertCode,
    now: Timestamp,
    random: &mut dyn Random,
) -> Frame {
    let content = Writer::new()
        .u8(code.to_byte())
        .u64(now.as_millis())
        .finish();
    let ad = kdf::hash(&[first.as_bytes()]);
    let sealed = early.alert_key().seal(0, &[&ad], &content, random);
    let body = Writer::new().lp16(&sealed).finish();
    Frame::new(opcode, sub, &body)
}
