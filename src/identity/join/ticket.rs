//! Tickets for joining a clinic: the text a doctor hands to a colleague, once.
//!
//! `telemedjoin1` and Crockford's base32 of
//!
//! ```text
//! version 1 ‖ clinic 16 ‖ root FP 32 ‖ role 1 ‖ LP8(doctor) ‖ LP8(subject)
//! ‖ tid 16 ‖ secret 16 ‖ expiry 8 ‖ first 4 bytes of SHA-512 of all before
//! ```
//!
//! It names no address: where the clinic's database is, and how to get in there,
//! is told apart from it.

use std::fmt;
use std::str::FromStr;

use crate::base32;
use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::identity::certificate::{ClinicId, Fingerprint, Role};
use crate::identity::id::{Identifier, MAX_LEN};
use crate::identity::ticket::{self, TicketId};
use crate::secret::Secret;

/// What every ticket for joining begins with.
const PREFIX: &str = "telemedjoin1";
/// Version of the format.
const VERSION: u8 = 1;

/// Everything somebody needs to join a clinic whose database she can reach.
#[derive(Debug)]
pub struct JoinTicket {
    /// The clinic.
    pub clinic: ClinicId,
    /// Fingerprint of its root certificate, which the newcomer pins.
    pub root: Fingerprint,
    /// What the newcomer will be: one of [`Role::STAFF`].
    pub role: Role,
    /// The doctor who made the ticket.
    pub doctor: Identifier,
    /// The newcomer's identifier.
    pub subject: Identifier,
    /// Names the ticket.
    pub id: TicketId,
    /// What the newcomer proves to know; it travels on no wire.
    pub secret: Secret<16>,
    /// Last instant at which the ticket is accepted.
    pub expires: Timestamp,
}

/// Why a text is no ticket for joining.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinTicketError {
    /// It does not begin with `telemedjoin1`.
    NoTicket,
    /// It is a patient's ticket.
    ForPatient,
    /// Letters are missing, wrong or too many.
    Mistyped,
}

impl fmt::Display for JoinTicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTicket => write!(
                f,
                "this is no ticket for joining a clinic: such tickets begin with \"{PREFIX}\""
            ),
            Self::ForPatient => f.write_str(
                "this is a ticket for a patient, not for joining a clinic: give it to the program \
                 patient; for a colleague a doctor makes one with: doctor enrol-doctor D2",
            ),
            Self::Mistyped => f.write_str(
                "the ticket is damaged: a letter is missing or wrong; copy the whole of it again",
            ),
        }
    }
}

impl std::error::Error for JoinTicketError {}

impl From<DecodeError> for JoinTicketError {
    fn from(_: DecodeError) -> Self {
        Self::Mistyped
    }
}

/// Whether a text begins like a ticket for joining a clinic, however it goes on.
#[must_use]
pub fn is_join_ticket(typed: &str) -> bool {
    base32::as_typed(typed).starts_with(&PREFIX.to_uppercase())
}

/// Whether a text is meant to be a ticket of either kind: it begins like one and
/// is longer than any identifier.
#[must_use]
pub fn looks_like_ticket(typed: &str) -> bool {
    base32::as_typed(typed).len() > MAX_LEN && begins_like_ticket(typed)
}

/// Whether a text begins like a ticket of either kind, however it goes on: nobody is
/// to be given such a name, as a ticket that was cut off would be one.
#[must_use]
pub fn begins_like_ticket(typed: &str) -> bool {
    base32::as_typed(typed).starts_with(&ticket::PREFIX.to_uppercase()) || is_join_ticket(typed)
}

impl JoinTicket {
    /// The text for copying: groups of five letters with hyphens between. It
    /// holds the ticket's secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        ticket::to_text(PREFIX, &self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let fields = Writer::new()
            .u8(VERSION)
            .bytes(&self.clinic)
            .bytes(&self.root)
            .u8(self.role.to_byte())
            .lp8(self.doctor.as_str().as_bytes())
            .lp8(self.subject.as_str().as_bytes())
            .bytes(&self.id)
            .bytes(self.secret.expose())
            .u64(self.expires.as_millis());
        ticket::with_checksum(fields)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, JoinTicketError> {
        let mistyped = JoinTicketError::Mistyped;
        let fields = ticket::without_checksum(bytes).ok_or(mistyped)?;
        let mut reader = Reader::new(fields);
        if reader.u8()? != VERSION {
            return Err(mistyped);
        }
        let ticket = Self {
            clinic: reader.array()?,
            root: reader.array()?,
            role: Role::from_byte(reader.u8()?)?,
            doctor: identifier(reader.lp8()?)?,
            subject: identifier(reader.lp8()?)?,
            id: reader.array()?,
            secret: Secret::from_slice(reader.take(16)?).ok_or(mistyped)?,
            expires: Timestamp::from_millis(reader.u64()?),
        };
        reader.finish()?;
        ticket.role.is_staff().then_some(ticket).ok_or(mistyped)
    }
}

impl FromStr for JoinTicket {
    type Err = JoinTicketError;

    /// Reads a ticket as a person may have typed it: case, hyphens and white
    /// space do not count, and I, L and O are read as 1, 1 and 0.
    fn from_str(typed: &str) -> Result<Self, JoinTicketError> {
        let letters = base32::as_typed(typed);
        if letters.starts_with(&ticket::PREFIX.to_uppercase()) {
            return Err(JoinTicketError::ForPatient);
        }
        let letters = letters
            .strip_prefix(&PREFIX.to_uppercase())
            .ok_or(JoinTicketError::NoTicket)?;
        Self::from_bytes(&base32::decode(letters).ok_or(JoinTicketError::Mistyped)?)
    }
}

fn identifier(bytes: &[u8]) -> Result<Identifier, JoinTicketError> {
    let text = str::from_utf8(bytes).map_err(|_| JoinTicketError::Mistyped)?;
    text.parse().map_err(|_| JoinTicketError::Mistyped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ticket::{Ticket, TicketError};

    fn ticket() -> JoinTicket {
        JoinTicket {
            clinic: [9; 16],
            root: [7; 32],
            role: Role::Doctor,
            doctor: "D1".parse().unwrap(),
            subject: "D2".parse().unwrap(),
            id: [1; 16],
            secret: Secret::from_slice(&[2; 16]).unwrap(),
            expires: Timestamp::from_millis(123_456_789),
        }
    }

    fn same(a: &JoinTicket, b: &JoinTicket) -> bool {
        a.to_bytes() == b.to_bytes()
    }

    #[test]
    fn a_ticket_survives_copying_however_it_is_typed() {
        for role in Role::STAFF {
            let ticket = JoinTicket { role, ..ticket() };
            let text = ticket.to_text();
            assert!(same(&ticket, &text.parse().unwrap()));
            let typed = format!(" {} \n", text.to_uppercase().replace('-', " "));
            assert!(same(&ticket, &typed.parse().unwrap()));
            assert!(is_join_ticket(&typed));
        }
    }

    #[test]
    fn every_wrong_letter_is_noticed() {
        let text = ticket().to_text();
        for position in PREFIX.len()..text.len() {
            let mut letters = text.clone().into_bytes();
            letters[position] = match letters[position] {
                b'-' => continue,
                b'7' => b'8',
                _ => b'7',
            };
            let typed = String::from_utf8(letters).unwrap();
            let error = typed.parse::<JoinTicket>().unwrap_err();
            assert_eq!(error, JoinTicketError::Mistyped);
        }
        for wrong in [&text[..text.len() - 1], PREFIX, &format!("{text}0")] {
            let error = wrong.parse::<JoinTicket>().unwrap_err();
            assert_eq!(error, JoinTicketError::Mistyped);
        }
    }

    #[test]
    fn nobody_joins_as_a_root_or_a_patient() {
        for role in [Role::Root, Role::Patient] {
            let text = JoinTicket { role, ..ticket() }.to_text();
            let error = text.parse::<JoinTicket>().unwrap_err();
            assert_eq!(error, JoinTicketError::Mistyped);
        }
    }

    #[test]
    fn the_two_kinds_of_ticket_are_never_taken_for_one_another() {
        let ticket = ticket();
        let patients = Ticket {
            root: ticket.root,
            address: "praxis.example:7400".to_owned(),
            doctor: ticket.doctor.clone(),
            subject: ticket.subject.clone(),
            id: ticket.id,
            secret: ticket.secret.duplicate(),
            expires: ticket.expires,
        };
        for text in [patients.to_text(), patients.to_qr_text()] {
            assert!(!is_join_ticket(&text));
            let error = text.parse::<JoinTicket>().unwrap_err();
            assert_eq!(error, JoinTicketError::ForPatient);
        }
        let error = "hello".parse::<JoinTicket>().unwrap_err();
        assert_eq!(error, JoinTicketError::NoTicket);
        let error = ticket.to_text().parse::<Ticket>().unwrap_err();
        assert_eq!(error, TicketError::ForJoining);
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", ticket()).contains("2, 2, 2"));
    }
}
