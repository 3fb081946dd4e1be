//! Enrolment tickets: the text a doctor hands to a patient, once.
//!
//! `telemed1` and Crockford's base32 of
//!
//! ```text
//! version 1 ‖ root FP 32 ‖ LP8(host:port) ‖ LP8(doctor) ‖ LP8(subject)
//! ‖ tid 16 ‖ secret 16 ‖ expiry 8 ‖ first 4 bytes of SHA-512 of all before
//! ```

mod maker;

pub use maker::{Made, Maker};

use std::fmt;
use std::str::FromStr;

use crate::base32;
use crate::clock::Timestamp;
use crate::codec::{DecodeError, Reader, Writer};
use crate::identity::certificate::Fingerprint;
use crate::identity::id::Identifier;
use crate::identity::join::is_join_ticket;
use crate::kdf;
use crate::secret::Secret;

/// What every ticket begins with.
pub(in crate::identity) const PREFIX: &str = "telemed1";
/// Version of the format.
const VERSION: u8 = 1;
/// Letters in a group of the printed form.
const GROUP_LEN: usize = 5;

/// Names a ticket on the wire, 16 random bytes.
pub type TicketId = [u8; 16];

/// Everything a patient needs to enrol.
#[derive(Debug)]
pub struct Ticket {
    /// Fingerprint of the clinic's root certificate, which the patient pins.
    pub root: Fingerprint,
    /// Where the doctor's program listens: host and port.
    pub address: String,
    /// The doctor's identifier.
    pub doctor: Identifier,
    /// The patient's identifier.
    pub subject: Identifier,
    /// Names the ticket.
    pub id: TicketId,
    /// What the patient proves to know; never sent.
    pub secret: Secret<16>,
    /// Last instant at which the doctor accepts it.
    pub expires: Timestamp,
}

/// Why a text is no ticket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TicketError {
    /// It does not begin with `telemed1`.
    NoTicket,
    /// It is a ticket with which somebody joins the clinic, not a patient's.
    ForJoining,
    /// Letters are missing, wrong or too many.
    Mistyped,
}

impl fmt::Display for TicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTicket => write!(f, "this is no ticket: tickets begin with \"{PREFIX}\""),
            Self::ForJoining => f.write_str(
                "this is a ticket for joining a clinic's staff, not for a patient: give it to \
                 the program doctor; for a patient the doctor makes one with: doctor enrol PATIENT",
            ),
            Self::Mistyped => f.write_str(
                "the ticket is damaged: a letter is missing or wrong; copy the whole of it again",
            ),
        }
    }
}

impl std::error::Error for TicketError {}

impl From<DecodeError> for TicketError {
    fn from(_: DecodeError) -> Self {
        Self::Mistyped
    }
}

impl Ticket {
    /// The text for copying: groups of five letters with hyphens between. It
    /// holds the ticket's secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(PREFIX, &self.to_bytes())
    }

    /// The text for a QR code: capitals without hyphens, which makes it small.
    #[must_use]
    pub fn to_qr_text(&self) -> String {
        PREFIX.to_uppercase() + &base32::encode(&self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let fields = Writer::new()
            .u8(VERSION)
            .bytes(&self.root)
            .lp8(self.address.as_bytes())
            .lp8(self.doctor.as_str().as_bytes())
            .lp8(self.subject.as_str().as_bytes())
            .bytes(&self.id)
            .bytes(self.secret.expose())
            .u64(self.expires.as_millis());
        with_checksum(fields)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, TicketError> {
        let fields = without_checksum(bytes).ok_or(TicketError::Mistyped)?;
        let mut reader = Reader::new(fields);
        if reader.u8()? != VERSION {
            return Err(TicketError::Mistyped);
        }
        let ticket = Self {
            root: reader.array()?,
            address: text(reader.lp8()?)?,
            doctor: identifier(reader.lp8()?)?,
            subject: identifier(reader.lp8()?)?,
            id: reader.array()?,
            secret: Secret::from_slice(reader.take(16)?).ok_or(TicketError::Mistyped)?,
            expires: Timestamp::from_millis(reader.u64()?),
        };
        reader.finish()?;
        Ok(ticket)
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads a ticket as a person may have typed it: case, hyphens and white
    /// space do not count, and I, L and O are read as 1, 1 and 0.
    fn from_str(typed: &str) -> Result<Self, TicketError> {
        if is_join_ticket(typed) {
            return Err(TicketError::ForJoining);
        }
        let letters = base32::as_typed(typed);
        let letters = letters
            .strip_prefix(&PREFIX.to_uppercase())
            .ok_or(TicketError::NoTicket)?;
        Self::from_bytes(&base32::decode(letters).ok_or(TicketError::Mistyped)?)
    }
}

/// A ticket's bytes as text for copying. Tickets of all kinds look alike.
pub(in crate::identity) fn to_text(prefix: &str, bytes: &[u8]) -> String {
    let letters = base32::in_groups(&base32::encode(bytes), GROUP_LEN);
    format!("{prefix}-{letters}")
}

/// A ticket's fields, and behind them the first 4 bytes of their hash.
pub(in crate::identity) fn with_checksum(fields: Writer) -> Vec<u8> {
    let checksum = kdf::hash(&[fields.as_slice()]);
    fields.bytes(&checksum[..4]).finish()
}

/// The fields before a checksum that is right.
pub(in crate::identity) fn without_checksum(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, checksum) = bytes.split_last_chunk::<4>()?;
    (kdf::hash(&[fields])[..4] == checksum[..]).then_some(fields)
}

fn text(bytes: &[u8]) -> Result<String, TicketError> {
    let text = str::from_utf8(bytes).map_err(|_| TicketError::Mistyped)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(TicketError::Mistyped);
    }
    Ok(text.to_owned())
}

fn identifier(bytes: &[u8]) -> Result<Identifier, TicketError> {
    text(bytes)?.parse().map_err(|_| TicketError::Mistyped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            root: [7; 32],
            address: "praxis.example:7400".to_owned(),
            doctor: "D1".parse().unwrap(),
            subject: "P1".parse().unwrap(),
            id: [1; 16],
            secret: Secret::from_slice(&[2; 16]).unwrap(),
            expires: Timestamp::from_millis(123_456_789),
        }
    }

    fn same(a: &Ticket, b: &Ticket) -> bool {
        a.to_bytes() == b.to_bytes()
    }

    #[test]
    fn a_ticket_survives_copying_and_the_qr_code() {
        let ticket = ticket();
        assert!(same(&ticket, &ticket.to_text().parse().unwrap()));
        assert!(same(&ticket, &ticket.to_qr_text().parse().unwrap()));
    }

    #[test]
    fn case_spaces_hyphens_and_look_alikes_do_not_count() {
        let ticket = ticket();
        let typed = ticket
            .to_qr_text()
            .replace('0', "O")
            .replace('1', "l")
            .to_lowercase()
            .replace("telemedl", " TELEMED1 \n");
        assert!(same(&ticket, &typed.parse().unwrap()));
    }

    #[test]
    fn every_wrong_letter_is_noticed() {
        let text = ticket().to_qr_text();
        for position in PREFIX.len()..text.len() {
            let mut letters = text.clone().into_bytes();
            letters[position] = if letters[position] == b'7' {
                b'8'
            } else {
                b'7'
            };
            let typed = String::from_utf8(letters).unwrap();
            assert_eq!(typed.parse::<Ticket>().unwrap_err(), TicketError::Mistyped);
        }
        for shorter in [&text[..text.len() - 1], &text[..PREFIX.len()]] {
            assert_eq!(
                shorter.parse::<Ticket>().unwrap_err(),
                TicketError::Mistyped
            );
        }
        assert_eq!(
            (text + "0").parse::<Ticket>().unwrap_err(),
            TicketError::Mistyped
        );
        assert_eq!(
            "hello".parse::<Ticket>().unwrap_err(),
            TicketError::NoTicket
        );
        assert_eq!(
            "telemed1-ü".parse::<Ticket>().unwrap_err(),
            TicketError::Mistyped
        );
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", ticket()).contains("2, 2, 2"));
    }
}
