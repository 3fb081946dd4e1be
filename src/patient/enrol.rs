//! Enrolment: from a ticket to an identity.
//!
//! A cut at any point costs nothing: the secrets are on the disk before the
//! doctor hears of them, and the same ticket with the same secrets gives the
//! same certificate again.

use std::fmt;

use crate::clock::{Clock, Timestamp};
use crate::handshake::enrol;
use crate::handshake::patient::{HandshakeError, certificate_answer, certificate_request};
use crate::identity::known_doctor::{KnownDoctor, TrustError};
use crate::identity::ticket::{Ticket, TicketId};
use crate::patient::config::Config;
use crate::patient::files::{Files, FilesError, Name};
use crate::patient::link::{Link, LinkError};
use crate::random::Random;

/// Why nobody was enrolled.
#[derive(Debug)]
pub enum EnrolError {
    /// The ticket's time is over, by this device's clock.
    Expired {
        /// When it ended.
        at: Timestamp,
        /// What this device's clock says.
        now: Timestamp,
    },
    /// There is this identity already, of another clinic.
    OtherClinic(Name),
    /// The files cannot be used.
    Files(FilesError),
    /// The connection failed.
    Link(LinkError),
    /// The connection failed after the server was shown the ticket: it may be used
    /// by now, and this device alone can finish.
    Unfinished(LinkError),
    /// The server closed without a word when it was shown the ticket.
    NotAccepted,
    /// The two sides do not believe each other.
    Handshake(HandshakeError),
}

impl fmt::Display for EnrolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { at, now } => write!(
                f,
                "the ticket expired on {at}; this device's clock says {now}"
            ),
            Self::OtherClinic(name) => write!(
                f,
                "{} is enrolled with doctor {} already, of another clinic; nothing was changed",
                name.patient, name.doctor
            ),
            Self::Files(error) => write!(f, "{error}"),
            Self::Link(error) => write!(f, "{error}"),
            Self::Unfinished(error) => write!(
                f,
                "the enrolment is not finished: {error}; the ticket may count as used now, and this \
                 device alone can finish with it"
            ),
            Self::NotAccepted => f.write_str(
                "the server closed the connection without a word when it was shown the ticket: \
                 it does not know this ticket, or the connection was cut",
            ),
            Self::Handshake(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for EnrolError {}

impl From<FilesError> for EnrolError {
    fn from(error: FilesError) -> Self {
        Self::Files(error)
    }
}

impl From<LinkError> for EnrolError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<HandshakeError> for EnrolError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// What became of an enrolment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Enrolled {
    /// The certificate is stored and active.
    Now {
        /// Twelve digits to be compared with what the doctor sees.
        check_code: String,
    },
    /// This very ticket was used here before; nothing was changed.
    Before,
}

/// The identity that a ticket is for.
#[must_use]
pub fn name_of(ticket: &Ticket) -> Name {
    Name {
        patient: ticket.subject.clone(),
        doctor: ticket.doctor.clone(),
    }
}

/// Enrols with the server at `address` (`host:port`). Whoever is enrolled with
/// this doctor already gets other keys and another certificate, and keeps her
/// messages; until that is done, the earlier ones stay.
///
/// # Errors
/// [`EnrolError`]. Unless the ticket itself is refused, the same call may be
/// made again.
pub fn enrol(
    files: &Files,
    ticket: &Ticket,
    address: &str,
    config: &Config,
    clock: &dyn Clock,
    random: &mut dyn Random,
) -> Result<Enrolled, EnrolError> {
    let earlier = match files.enrolled_with()? {
        Some(earlier) if earlier == ticket.id => return Ok(Enrolled::Before),
        Some(earlier) => Some((earlier, files.load(random)?.doctor)),
        None => None,
    };
    let is_other = |(_, known): &(TicketId, KnownDoctor)| known.root().fingerprint() != ticket.root;
    if earlier.as_ref().is_some_and(is_other) {
        return Err(EnrolError::OtherClinic(files.name().clone()));
    }
    // Once begun, an enrolment may be completed later: the doctor has issued
    // the certificate, or will say herself that the ticket has expired.
    let now = clock.now();
    if now > ticket.expires && !files.has_begun(&ticket.id) {
        return Err(EnrolError::Expired {
            at: ticket.expires,
            now,
        });
    }
    let mut link = Link::connect(address, config)?;
    link.send(&certificate_request())?;
    let answer = link.receive()?;
    let body = certificate_answer(&answer)?;
    let now = clock.now();
    let doctor = KnownDoctor::first_contact(body, &ticket.root, &ticket.doctor, now, random)
        .map_err(HandshakeError::from)?;
    // The ticket speaks for a new key of hers, but never for an older list: whoever
    // has stolen the key that it names could show that.
    let is_older =
        |(_, known): &(TicketId, KnownDoctor)| !doctor.revoked().may_follow(known.revoked());
    if earlier.as_ref().is_some_and(is_older) {
        return Err(HandshakeError::from(TrustError::OlderRevocation).into());
    }
    let keys = files.keys(&ticket.id, doctor.group(), random)?;
    let (e1, state) = enrol::begin(&keys, ticket, &doctor, clock.now(), random);
    link.send(&e1)?;
    let e2 = match link.receive() {
        Err(LinkError::Closed) => return Err(EnrolError::NotAccepted),
        other => other.map_err(EnrolError::Unfinished)?,
    };
    let (e3, state) = state.on_frame(&keys, ticket, &doctor, &e2, clock.now())?;
    link.send(&e3).map_err(EnrolError::Unfinished)?;
    let e4 = link.receive().map_err(EnrolError::Unfinished)?;
    let (certificate, check_code) = state.on_frame(&e4)?;
    files.complete(&ticket.id, &certificate, &doctor, address, now)?;
    if let Some((earlier, _)) = earlier {
        // Nobody will ever use them again; messages stay as they are.
        files.forget_keys(&earlier)?;
    }
    Ok(Enrolled::Now { check_code })
}
